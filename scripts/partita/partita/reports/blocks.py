# SPDX-License-Identifier: BSD-3-Clause
"""What a report is made of, before it is HTML, Markdown or CSV: sections of texts, tables, charts, commands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from partita.table import Table

NONE = "-"  # A number that is not known.


@dataclass(frozen=True)
class Shown:
    """One cell of a table: a text, and beside it in small letters an interval or a reason."""

    text: str
    beside: str = ""

    def __str__(self) -> str:
        """Both in one line."""
        return f"{self.text} ({self.beside})" if self.beside else self.text


@dataclass(frozen=True)
class Paragraph:
    """A text; `kind` is `plain`, `note` or `warning`."""

    text: str
    kind: str = "plain"
    type: str = field(default="paragraph", init=False)


@dataclass(frozen=True)
class Bullets:
    """Sentences one below the other."""

    items: tuple[str, ...]
    kind: str = "plain"
    type: str = field(default="bullets", init=False)


@dataclass(frozen=True)
class Grid:
    """A table for people, with the numbers behind it for other programs."""

    name: str  # Of its CSV file.
    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]  # Which columns stand right.
    rows: tuple[tuple[Shown, ...], ...]
    numbers: Table
    note: str = ""
    type: str = field(default="grid", init=False)


@dataclass(frozen=True)
class Chart:
    """A figure of Plotly: {"data", "layout"}; `finding` is what it says, in a sentence."""

    name: str
    title: str
    figure: dict[str, Any]
    height: int  # Pixels.
    finding: str = ""
    note: str = ""
    width: int = 0  # Pixels below which it scrolls in its box; 0: it shrinks with the page.
    type: str = field(default="chart", init=False)


@dataclass(frozen=True)
class Drawing:
    """An SVG of its own."""

    name: str
    title: str
    svg: bytes
    type: str = field(default="drawing", init=False)


@dataclass(frozen=True)
class Commands:
    """Lines for a shell, each with what it makes."""

    lines: tuple[tuple[str, str], ...]  # (what, line)
    type: str = field(default="commands", init=False)


Block = Paragraph | Bullets | Grid | Chart | Drawing | Commands


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """Everything that is said about a folder."""

    title: str
    answer: str  # One paragraph.
    sections: tuple[Section, ...]
    metrics: Any = None  # The one table of metrics (pandas), for CSV.

    def grids(self) -> list[Grid]:
        """Every table."""
        return [b for s in self.sections for b in s.blocks if isinstance(b, Grid)]


def plain_grid(name: str, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "") -> Grid:
    """A table of texts: its CSV has the same."""
    keys = tuple(column.lower().replace(" ", "_") for column in columns)
    numbers = Table(*keys)
    for row in rows:
        numbers.add(**dict(zip(keys, row, strict=True)))
    numeric = tuple(_are_numbers([row[i] for row in rows]) for i in range(len(columns)))
    shown = tuple(tuple(Shown(text) for text in row) for row in rows)
    return Grid(name, title, tuple(columns), numeric, shown, numbers, note)


def _are_numbers(texts: Sequence[str]) -> bool:
    known = [text for text in texts if text != NONE]
    return bool(known) and all(text.replace(",", "").replace(".", "", 1).isdigit() for text in known)
