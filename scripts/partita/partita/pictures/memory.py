# SPDX-License-Identifier: BSD-3-Clause
"""What a rank needs of memory: the process at its peak, and the part of it that the strategy decides."""

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from partita.pictures import bars, style
from partita.pictures.picture import Picture, subtitle
from partita.pictures.points import Point, points
from partita.records.folder import Cell, RecordedStudy
from partita.table import Table

if TYPE_CHECKING:
    import pandas as pd

PEAK, STATE = "peak_memory_bytes", "state_bytes"


def memory_picture(study: RecordedStudy, table: "pd.DataFrame", finding: str = "") -> Picture | str:
    """A row for each point: state and peak of the fullest rank, and from which rank to which the peaks reach."""
    found = [p for p in points(study, table, [PEAK, STATE]) if p.value(PEAK) > 0 or p.value(STATE) > 0]
    if not found:
        return "no record says how much memory a rank had"
    least = {(label or "all alike", cell.ranks): _least(cell) for label, cell in study.distinct_cells()}
    numbers = Table("series", "ranks", PEAK, "least_peak_memory_bytes", STATE)
    for p in found:
        numbers.add(series=p.label, ranks=p.ranks, least_peak_memory_bytes=least[p.label, p.ranks],
                    **{PEAK: p.value(PEAK), STATE: p.value(STATE)})  # fmt: skip
    rows, said = bars.fitting(found)
    both = any(row.value(STATE) > 0 for row in rows)
    page, places = bars.page(rows, 2 if both else 1)
    looks = style.looks([*(row.label for row in rows), *(s.label for s in study.series)])
    with mpl.rc_context(style.SETTINGS):
        _panel(page.axes[0], rows, places, PEAK, looks)
        scale, _ = bars.byte_unit(max(row.value(PEAK) for row in rows))
        for row, y in zip(rows, places, strict=True):
            low, high = least[row.label, row.ranks] / scale, row.value(PEAK) / scale
            if high > 1.01 * low:
                page.axes[0].plot([low, low], [y - 0.33, y + 0.33], color="white", lw=1.4, label="_least")
                page.axes[0].plot([low, low], [y - 0.33, y + 0.33], color=style.INK, lw=0.7, label="_least")
        if both:
            _panel(page.axes[1], rows, places, STATE, looks)
        bars.finish(page, rows, places)
    notes = ["peak: resident memory of the process, of the rank with the most, median over runs; line: the rank with "
             "the least", "state: weights, gradients and optimizer by the closed form, of the rank with the most"
             if both else "", said]  # fmt: skip
    if any(row.oversubscribed for row in rows):
        notes.append("* oversubscribed: more threads than cores")
    figure = page.finish(f"Memory of the ranks of {study.app}", subtitle(study), notes, (), finding)
    return Picture("memory", figure, numbers)


def _panel(axes: Axes, rows: list[Point], places: list[float], metric: str, looks: dict[str, style.Look]) -> None:
    most = max((row.value(metric) for row in rows if row.value(metric) > 0), default=1.0)
    scale, unit = bars.byte_unit(most)
    for row, y in zip(rows, places, strict=True):
        size = row.value(metric) / scale
        if size > 0:
            bars.bar(axes, y, 0, size, looks[row.label].colour)
            bars.value(axes, size, y, f"{size:.3g}")
    bars.limit(axes, most / scale)
    axes.set_title("Peak of the process" if metric == PEAK else "State of the training")
    axes.set_xlabel(f"of a rank ({unit})")


def _least(cell: Cell) -> float:
    """Peak memory of the rank with the least, median over runs; NaN where no run says it."""
    known = [r.groups.get("ranks", {}).get(PEAK) for r in cell.records]
    found = [float(np.min(k)) for k in known if k is not None and len(k)]
    return float(np.median(found)) if found else float("nan")
