# SPDX-License-Identifier: BSD-3-Clause
"""More series than lines of one panel can carry: a small panel for each, all on the same axes."""

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, PercentFormatter

from partita.analysis.scaling import Scaling, interval_note
from partita.pictures import style
from partita.pictures.picture import Picture, subtitle
from partita.pictures.scaling import MOST_LINES
from partita.records.folder import RecordedStudy

COLUMNS, MOST = 5, 40


def multiples_picture(study: RecordedStudy, scaling: Scaling, finding: str = "") -> Picture | str:
    """Efficiency (else time) of each series against ranks; in grey the best of all."""
    lines = scaling.lines
    if len(lines) <= MOST_LINES:
        return f"no more than {MOST_LINES} series: see scaling"
    if len({e.ranks for _, line in lines for e in line}) < 2:
        return "one number of ranks alone: see throughput"
    compared = scaling.comparable
    shown = lines[:MOST]
    rows = -(-len(shown) // COLUMNS)
    page = style.Page(style.TWO, 0.92 * rows + 0.3, nrows=rows, ncols=COLUMNS, sharex=True, sharey=True)
    looks = style.looks(series.label for series, _ in lines)
    points = {series.label: [(e.ranks, e.efficiency if compared else e.step_s.scaled(1e3)) for e in line
                             if not (compared and e.oversubscribed)] for series, line in lines}  # fmt: skip
    every = sorted({p for line in points.values() for p, _ in line})
    choose = max if compared else min
    best = [choose(i.value for line in points.values() for p, i in line if p == ranks) for ranks in every]
    with mpl.rc_context(style.SETTINGS):
        for axes, (series, _) in zip(page.axes, shown, strict=False):
            look, line = looks[series.label], points[series.label]
            axes.plot(every, best, color=style.RULE, lw=2.4, zorder=1.5, label="_best")
            x, y = [p for p, _ in line], np.array([i.value for _, i in line])
            axes.plot(x, y, color=look.colour, marker=look.marker, ms=3, mec="white", mew=0.3, label="_" + series.label)
            bounded = [(p, i) for p, i in line if i.bounded]
            for p, interval in bounded:
                axes.plot([p, p], [interval.low, interval.high], color=look.colour, lw=0.9, label="_interval")
            name = style.wrapped(series.label, style.TWO / COLUMNS - 0.12, weight="bold")[:2]
            axes.set_title("\n".join(name), fontsize=style.SMALL, pad=2)
        for axes in page.axes[len(shown) :]:
            axes.set_visible(False)
        for axes in page.axes:
            style.rank_axis(axes, every, "", style.TWO / COLUMNS - 0.35)
            axes.grid(False)
        for axes in page.axes[max(0, len(shown) - COLUMNS) : len(shown)]:
            axes.set_xlabel("ranks")
            axes.tick_params(axis="x", labelbottom=True)
        first = page.axes[0]
        if compared:
            first.set_ylim(0, 1.08 * max(1.0, *best))
            first.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
        elif min(best) > 0:
            first.set_yscale("log")
            first.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
            first.yaxis.set_minor_formatter(NullFormatter())
    what = "Efficiency" if compared else "Median step (ms)"
    notes = [interval_note(scaling), *scaling.notes]
    if len(shown) < len(lines):
        notes.append(f"the first {MOST} of {len(lines)} series are drawn; all: in the CSV file")
    handles = [Line2D([], [], color=style.RULE, lw=2.4, label="the best of all series at each number of ranks")]
    figure = page.finish(f"{what} of {study.app}, series by series", subtitle(study), notes, handles, finding)
    return Picture("scaling_by_series", figure, scaling.table())
