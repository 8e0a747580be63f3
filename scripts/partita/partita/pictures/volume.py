# SPDX-License-Identifier: BSD-3-Clause
"""What communication costs against how much is sent: a point for each series and number of ranks."""

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from partita.pictures import bars, style
from partita.pictures.picture import Picture, subtitle
from partita.pictures.points import points
from partita.records.folder import RecordedStudy
from partita.records.record import Record
from partita.table import Table

if TYPE_CHECKING:
    import pandas as pd

TIMES = ("exposed_s", "class_s:communication")  # The first one that is known.
GREY = "#9aa0a8"
MOST_SERIES = 6  # Of more, all points are grey but those of the series with the least and the most time.


def volume_picture(study: RecordedStudy, table: "pd.DataFrame", finding: str = "") -> Picture | str:
    """Exposed communication over bytes, both axes logarithmic; a line: the bytes at the speed of a large message."""
    found = points(study, table, ["sent_bytes", *TIMES])
    metric = next((m for m in TIMES if any(p.value(m) > 0 for p in found)), "")
    shown = [p for p in found if metric and p.value("sent_bytes") > 0 and p.value(metric) > 0]
    if not shown:
        return "no point has both bytes that were sent and time of communication"
    numbers = Table("series", "ranks", "sent_bytes", "seconds", "seconds_low", "seconds_high", "metric")
    for p in shown:
        time = p.values[metric]
        numbers.add(series=p.label, ranks=p.ranks, sent_bytes=p.value("sent_bytes"), seconds=time.value,
                    seconds_low=time.low, seconds_high=time.high, metric=metric)  # fmt: skip
    page = style.Page(style.ONE, 2.5, nrows=1, ncols=1)
    axes = page.axes[0]
    names = list(dict.fromkeys(p.label for p in shown))
    looks = style.looks([*names, *(s.label for s in study.series)])
    if len(names) > MOST_SERIES:
        at_most = [p for p in shown if p.ranks == max(q.ranks for q in shown)]
        order = sorted(at_most, key=lambda p: p.value(metric))
        named = list(dict.fromkeys([order[0].label, order[-1].label]))
    else:
        named = names
    byte_scale, byte_unit = bars.byte_unit(max(p.value("sent_bytes") for p in shown))
    longest = max(p.value(metric) for p in shown)
    scale, unit = (1e6, "us") if longest < 1e-3 else (1e3, "ms")
    with mpl.rc_context(style.SETTINGS):
        for p in shown:
            look, x, y = looks[p.label], p.value("sent_bytes") / byte_scale, p.values[metric].scaled(scale)
            colour = look.colour if p.label in named else GREY
            if y.bounded:
                axes.plot([x, x], [y.low, y.high], color=colour, lw=0.9, zorder=2.5, label="_interval")
            hollow = p.oversubscribed
            axes.plot([x], [y.value], ls="", marker=look.marker if p.label in named else ".",
                      mfc="white" if hollow else colour, mec=colour if hollow else "white", mew=0.8 if hollow else 0.4,
                      ms=5, zorder=3 if p.label in named else 2, label="_" + p.label)  # fmt: skip
            if len(shown) <= 12:
                axes.annotate(str(p.ranks), (x, y.value), (4, -1), textcoords="offset points", fontsize=style.SMALL,
                              va="center", color=colour)  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.margins(0.12, 0.12)
        handles = [style.line(looks[name], name, ls="") for name in named]
        speed = _speed(study.records)
        if speed:
            limits = np.array(axes.get_xlim()), axes.get_ylim()
            axes.plot(limits[0], limits[0] * byte_scale / speed * scale, color=style.GREY, ls=(0, (4, 3)), lw=0.9,
                      zorder=1.5, label="_speed")  # fmt: skip
            axes.set_xlim(*limits[0])
            axes.set_ylim(*limits[1])
            handles.append(Line2D([], [], color=style.GREY, ls=(0, (4, 3)), lw=0.9, label="speed of one link"))
        for axis in (axes.xaxis, axes.yaxis):
            low, high = axis.get_view_interval()
            axis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if high < 50 * low else (1,)))
            axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"sent by a rank in a step ({byte_unit})")
        words = "exposed communication" if metric == "exposed_s" else "in phases of communication"
        axes.set_ylabel(f"{words}, of a step ({unit})")
    notes = ["medians over runs, means over ranks" + ("; numbers: ranks" if len(shown) <= 12 else "")]
    if speed:
        notes.append(f"dashed: these bytes at {speed / 1e9:.3g} GB/s, a large message from rank to rank (calibration)")
    if len(named) < len(names):
        notes.append(f"grey: the other {len(names) - len(named)} series; named: those with the least and the most time "
                     "at the most ranks")  # fmt: skip
    figure = page.finish(f"Communication of {study.app}", subtitle(study), notes, handles, finding)
    return Picture("volume", figure, numbers)


def _speed(records: tuple[Record, ...]) -> float:
    """Bytes per second of a large message, median over the records that know it; 0: none does."""
    found = []
    for record in records:
        table = record.groups.get("calibration", {})
        if "quantity" in table:
            found += [float(v) for q, v in zip(table["quantity"], table["value"], strict=True)
                      if q == "ping_pong_byte_per_s" and v > 0]  # fmt: skip
    return float(np.median(found)) if found else 0.0
