# SPDX-License-Identifier: BSD-3-Clause
"""Horizontal bars side by side: a row for each series, in groups by number of ranks."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from partita.pictures import style
from partita.records.folder import Cell
from partita.records.record import plural

BYTE_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
LINE, PAD, GAP = 0.128, 0.08, 0.9  # Inches of a line of text, and around it; rows between two numbers of ranks.
WIDEST = 1.6  # Inches of a name; longer ones are broken.
HIGHEST = 8.0  # Inches of rows: a printed page also holds a header of up to ten lines, and notes.


class Row(Protocol):
    """What a row is named by, and grouped."""

    @property
    def label(self) -> str:
        """Name of the series."""

    @property
    def ranks(self) -> int:
        """Its number of ranks."""

    @property
    def oversubscribed(self) -> bool:
        """Whether it had more threads than cores."""


@dataclass(frozen=True)
class CellRow:
    """A row of the runs of one series at one number of ranks."""

    label: str
    cell: Cell

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return self.cell.ranks

    @property
    def oversubscribed(self) -> bool:
        """Whether any run had more threads than cores."""
        return self.cell.oversubscribed


AnyRow = TypeVar("AnyRow", bound=Row)


def fitting(rows: Sequence[AnyRow]) -> tuple[list[AnyRow], str]:
    """Those that one page holds, and what to say of the others: the most ranks come first, the fewest next."""
    room = int(HIGHEST / _row_inches(rows))
    if len(rows) <= room:
        return list(rows), ""
    counts = sorted({row.ranks for row in rows})
    kept: set[int] = set()
    for count in [counts[-1], counts[0], *counts[-2:0:-1]]:
        if sum(row.ranks in kept | {count} for row in rows) <= room:
            kept.add(count)
    if kept:
        said = f"{len(kept)} of {len(counts)} numbers of ranks are drawn; all: in the CSV file"
        return [row for row in rows if row.ranks in kept], said
    most = [row for row in rows if row.ranks == counts[-1]]
    said = f"the first {room} of {len(most)} series at {plural(counts[-1], 'rank')} are drawn; all: in the CSV file"
    return most[:room], said


def page(rows: Sequence[Row], columns: int, ratios: Sequence[float] = ()) -> tuple[style.Page, list[float]]:
    """A page of that many panels beside each other, and where its rows are."""
    at = places(rows)
    width = style.ONE if columns == 1 else style.TWO
    sheet = style.Page(width, 1.0, nrows=1, ncols=columns, sharey=True,
                       gridspec_kw={"width_ratios": list(ratios) or [1.0] * columns})  # fmt: skip
    sheet.height = max(1.1, _row_inches(rows) * (at[-1] + 1) + 0.62)
    return sheet, at


def _row_inches(rows: Sequence[Row]) -> float:
    """Of a row whose name has as many lines as the longest."""
    return LINE * max(_name(row, rows).count("\n") + 1 for row in rows) + PAD


def places(rows: Sequence[Row]) -> list[float]:
    """Rows from the top, those of the same number of ranks together."""
    result, apart = [0.0], 0.0 if _one_series(rows) else GAP
    for before, row in itertools.pairwise(rows):
        result.append(result[-1] + 1 + (apart if row.ranks != before.ranks else 0))
    return result


def finish(sheet: style.Page, rows: Sequence[Row], at: list[float]) -> None:
    """Names at the first axis, the number of ranks above each group; ticks of all."""
    first = sheet.axes[0]
    first.set_yticks(at, [_name(row, rows) for row in rows])
    first.set_ylim(at[-1] + 0.6, -0.6 if _one_series(rows) else -1.15)
    seen: set[int] = set()
    for row, place in zip(rows, at, strict=True):
        if row.ranks not in seen and not _one_series(rows):
            seen.add(row.ranks)
            first.annotate(_ranks(row), (0, place - 0.78), (-3, 0), xycoords=first.get_yaxis_transform(),
                           textcoords="offset points", ha="right", va="center", fontsize=style.NORMAL,
                           fontweight="bold")  # fmt: skip
    for axes in sheet.axes:
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        width = (sheet.width - WIDEST) / len(sheet.axes) - 0.1  # A title must not reach into the next panel.
        axes.set_title("\n".join(style.wrapped(axes.get_title(loc="left"), width, 8.0, "bold")))


def _one_series(rows: Sequence[Row]) -> bool:
    return len({row.label for row in rows}) == 1 and len({row.ranks for row in rows}) == len(rows)


def _ranks(row: Row) -> str:
    return plural(row.ranks, "rank") + ("*" if row.oversubscribed else "")


def _name(row: Row, rows: Sequence[Row]) -> str:
    name = _ranks(row) if _one_series(rows) else row.label
    return "\n".join(style.wrapped(name, WIDEST))


def bar(axes: Axes, y: float, left: float, width: float, colour: object, hatch: str = "") -> None:
    """A bar, or nothing where it has no width."""
    if width > 0:
        axes.barh(y, width, left=left, height=0.7, color=colour, edgecolor="white", linewidth=0.4, hatch=hatch)


def value(axes: Axes, x: float, y: float, text: str, offset_pt: float = 3) -> None:
    """A text right of x."""
    axes.annotate(text, (x, y), (offset_pt, 0), textcoords="offset points", ha="left", va="center",
                  fontsize=style.SMALL)  # fmt: skip


def limit(axes: Axes, most: float) -> None:
    """Room for the longest bar and its text."""
    axes.set_xlim(0, 1.3 * most if most > 0 else 1)


def sent_panel(axes: Axes, sent_bytes: Sequence[tuple[float, float]], at: list[float]) -> None:
    """Bytes that a rank sends in a step: a bar for the mean, a tick for the rank with the most."""
    most = max(top for _, top in sent_bytes)
    scale, unit = byte_unit(most)
    for pair, y in zip(sent_bytes, at, strict=True):
        mean, top = (b / scale for b in pair)
        bar(axes, y, 0, mean, style.CLASS["other"])
        if top > mean:
            axes.plot([top, top], [y - 0.33, y + 0.33], color=style.INK, lw=1.2, zorder=3, label="_most")
        value(axes, top, y, f"{mean:.3g}")
    limit(axes, most / scale)
    axes.set_title("Sent by a rank")
    axes.set_xlabel(f"in a step ({unit})")


def byte_unit(most: float) -> tuple[float, str]:
    """The unit in which so many bytes are shown."""
    return next((scale, word) for scale, word in BYTE_UNITS if most >= scale or scale == 1)
