# SPDX-License-Identifier: BSD-3-Clause
"""Time and throughput of series that ran at one number of ranks alone: a row for each, no lines."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from partita.analysis.scaling import Entry, Scaling, interval_note
from partita.pictures import bars, style
from partita.pictures.picture import Picture, is_virtual, subtitle
from partita.pictures.scaling import throughput
from partita.records.folder import RecordedStudy
from partita.statistics import Interval


@dataclass(frozen=True)
class Row:
    """One series."""

    label: str
    entry: Entry

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return self.entry.ranks

    @property
    def oversubscribed(self) -> bool:
        """Whether any run had more threads than cores."""
        return self.entry.oversubscribed


def throughput_picture(study: RecordedStudy, scaling: Scaling, finding: str = "") -> Picture | str:
    """Dots with their intervals; light bars: the middle 80 % of the steps."""
    if len({e.ranks for _, line in scaling.lines for e in line}) > 1:
        return "several numbers of ranks: see scaling"
    if is_virtual(study):
        return "virtual time: the seconds of the simulator are of no interest; see error_runtime"
    rows, said = bars.fitting([Row(series.label, entry) for series, (entry,) in scaling.lines])
    page, places = bars.page(rows, 2)
    looks = style.looks(row.label for row in rows)
    with mpl.rc_context(style.SETTINGS):
        page.axes[0].set(xlabel="median step (ms)")
        page.axes[1].set(xlabel="samples per second")
        page.axes[0].set_title("Time per step")
        page.axes[1].set_title("Throughput")
        for row, y in zip(rows, places, strict=True):
            samples = row.entry.samples_per_s * row.entry.step_s.value
            times = tuple(1e3 * s for s in row.entry.spread_s)
            rates = tuple(samples / s for s in row.entry.spread_s[::-1])
            _dot(page.axes[0], y, row.entry.step_s.scaled(1e3), times, looks[row.label], row.oversubscribed)
            _dot(page.axes[1], y, throughput(row.entry), rates, looks[row.label], row.oversubscribed)
        bars.finish(page, rows, places)
        for axes in page.axes:
            axes.set_xlim(0, 1.25 * axes.dataLim.x1)
    notes = [interval_note(scaling), "light bars: the middle 80 % of the steps of all runs, no interval", said,
             *scaling.notes]  # fmt: skip
    figure = page.finish(f"Time per step and throughput of {study.app}", subtitle(study), notes, (), finding)
    return Picture("throughput", figure, scaling.table())


def _dot(axes: Axes, y: float, at: Interval, spread: tuple[float, float], look: style.Look, hollow: bool) -> None:
    axes.plot(spread, [y, y], color=look.colour, lw=3.2, alpha=0.25, solid_capstyle="butt", zorder=2, label="_spread")
    if at.bounded:
        axes.plot([at.low, at.high], [y, y], color=look.colour, lw=1.2, zorder=2.5, label="_interval")
    axes.plot([at.value], [y], ls="", marker=look.marker, mfc="white" if hollow else look.colour,
              mec=look.colour if hollow else "white", mew=0.8, zorder=3, label="_median")  # fmt: skip
    bars.value(axes, max(spread[1], at.value, np.nan_to_num(at.high)), y, style.short(at.value), 4)
