# SPDX-License-Identifier: BSD-3-Clause
"""Horizontal bars side by side: a row for each series, in groups by number of ranks."""

import itertools
from collections.abc import Sequence
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from partita.pictures import style
from partita.records.folder import Cell
from partita.records.record import plural

BYTE_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
ROW, GAP = 0.34, 0.9  # Inches of a row; rows between two numbers of ranks.


class Row(Protocol):
    """What a row is named by, and grouped."""

    @property
    def label(self) -> str:
        """Name of the series."""

    @property
    def cell(self) -> Cell:
        """Its runs at one number of ranks."""


def places(rows: Sequence[Row]) -> list[float]:
    """Rows from the top, those of the same number of ranks together."""
    result = [0.0]
    for before, row in itertools.pairwise(rows):
        result.append(result[-1] + 1 + (GAP if row.cell.ranks != before.cell.ranks else 0))
    return result


def height(at: list[float]) -> float:
    """Inches of a page of rows at these places."""
    return max(2.2, ROW * (at[-1] + 1) + 0.75)


def finish(page: style.Page, rows: Sequence[Row], at: list[float]) -> None:
    """Names at the first axis, the number of ranks above each group; ticks of all."""
    first = page.axes[0]
    first.set_yticks(at, [row.label for row in rows])
    first.set_ylim(at[-1] + 0.6, -1.15)
    seen: set[int] = set()
    for row, place in zip(rows, at, strict=True):
        if row.cell.ranks not in seen:
            seen.add(row.cell.ranks)
            text = plural(row.cell.ranks, "rank") + ("*" if row.cell.oversubscribed else "")
            first.annotate(text, (0, place - 0.78), (-4, 0), xycoords=first.get_yaxis_transform(),
                           textcoords="offset points", ha="right", va="center", fontsize=9.5,
                           fontweight="bold")  # fmt: skip
    for axes in page.axes:
        axes.grid(False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def bar(axes: Axes, y: float, left: float, width: float, colour: object) -> None:
    """A bar, or nothing where it has no width."""
    if width > 0:
        axes.barh(y, width, left=left, height=0.66, color=colour, edgecolor="white", linewidth=0.6)


def value(axes: Axes, x: float, y: float, text: str, offset_pt: float = 4) -> None:
    """A text right of x."""
    axes.annotate(text, (x, y), (offset_pt, 0), textcoords="offset points", ha="left", va="center", fontsize=8.5)


def limit(axes: Axes, most: float) -> None:
    """Room for the longest bar and its text."""
    axes.set_xlim(0, 1.22 * most if most > 0 else 1)


def sent_panel(axes: Axes, sent_bytes: Sequence[tuple[float, float]], at: list[float]) -> None:
    """Bytes that a rank sends in a step: a bar for the mean, a tick for the rank with the most."""
    most = max(top for _, top in sent_bytes)
    scale, unit = byte_unit(most)
    for pair, y in zip(sent_bytes, at, strict=True):
        mean, top = (b / scale for b in pair)
        bar(axes, y, 0, mean, style.CLASS["other"])
        if top > mean:
            axes.plot([top, top], [y - 0.3, y + 0.3], color=style.INK, lw=1.6, zorder=3, label="_most")
        value(axes, top, y, f"{mean:.3g}")
    limit(axes, most / scale)
    axes.set_title("Sent by a rank")
    axes.set_xlabel(f"in a step ({unit})")


def byte_unit(most: float) -> tuple[float, str]:
    """The unit in which so many bytes are shown."""
    return next((scale, word) for scale, word in BYTE_UNITS if most >= scale or scale == 1)
