# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a study of pipelines: how long each rank idles, and why."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from partita.pictures import style
from partita.pictures.picture import Picture, subtitle
from partita.records.folder import Cell, RecordedStudy
from partita.records.pipeline import FORMS, PARTS, Bubble, bubble
from partita.records.record import plural
from partita.table import Table

COLOURS = dict(zip(PARTS, ("#0072B2", "#56B4E9", "#E69F00", "#CC79A7", "#b9bdc3"), strict=True))  # From the bottom.
HATCHES = dict(zip(PARTS, ("", "....", "xxxx", "/////", ""), strict=True))
COLUMNS, MOST = 3, 12  # Panels side by side, and in all.
BARS = 32  # Ranks with a bar each; more are drawn as one area.


def bubble_picture(study: RecordedStudy) -> Picture | str:
    """A panel for each series and number of ranks, a stacked bar for each rank."""
    panels = [(label, cell, mean) for label, cell in study.distinct_cells() if (mean := _mean(cell))]
    if not panels:
        return "no pipeline: no record has the idle time of stages in /strategy"
    table = _table(panels)
    several = len({name for name, _, _ in panels}) > 1
    said = f"the {MOST} of {len(panels)} points with the most ranks are drawn; all: in the CSV file"
    panels, said = (panels, "") if len(panels) <= MOST else (panels[-MOST:], said)
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    page = style.Page(style.ONE if columns == 1 else style.TWO, 2.1 * rows, nrows=rows, ncols=columns, sharey=True)
    with mpl.rc_context(style.SETTINGS):
        for axes, (label, cell, mean) in zip(page.axes, panels, strict=False):
            _panel(axes, mean)
            named = ", ".join(filter(None, (plural(cell.ranks, "rank"), label if several else "")))
            axes.set_title("\n".join(style.wrapped(named, page.width / columns - 0.6, 8.0, "bold")))
        for axes in page.axes[len(panels) :]:
            axes.set_visible(False)
        for axes in page.axes[::columns]:
            axes.set_ylabel("time in a step (ms)")
        handles = [style.square(COLOURS[n], w, HATCHES[n]) for n, w in PARTS.items()]
        for name, word in FORMS.items():
            if any(np.isfinite(mean.forms[name]).any() for _, _, mean in panels):
                handles.append(Line2D([], [], color=style.INK, lw=1.1, ls=_dashes(name), label=f"busy and {word}"))
    notes = ["means over the counted steps and over runs; lines: where a bar would end if the rank idled as long as "
             "the closed form of its schedule says (or the schedule replayed with measured times)", said]  # fmt: skip
    title = f"Where the ranks of {study.app} idle"
    return Picture("bubble", page.finish(title, subtitle(study), notes, handles), table)


def _table(panels: list[tuple[str, Cell, Bubble]]) -> Table:
    table = Table("series", "ranks", "rank", "runs", *PARTS, *FORMS)
    for label, cell, mean in panels:
        for rank in range(cell.ranks):
            values = {name: float(v[rank]) for name, v in (mean.parts | mean.forms).items()}
            table.add(series=label, ranks=cell.ranks, rank=rank, runs=len(cell.records), **values)
    return table


def _mean(cell: Cell) -> Bubble | None:
    found = [b for b in map(bubble, cell.records) if b]
    if not found:
        return None
    return Bubble(*({name: np.mean([getattr(b, kind)[name] for b in found], axis=0) for name in getattr(found[0], kind)}
                    for kind in ("parts", "forms")))  # fmt: skip


def _dashes(name: str) -> object:
    return "-" if name == "closed_form_idle_s" else (0, (3, 2))


def _panel(axes: Axes, mean: Bubble) -> None:
    ranks = np.arange(len(mean.parts["busy_s"]))
    bottom = np.zeros(len(ranks))
    for name, word in PARTS.items():
        height = np.nan_to_num(1e3 * mean.parts[name])
        if len(ranks) > BARS:
            axes.stairs(bottom + height, np.arange(len(ranks) + 1) - 0.5, baseline=bottom, fill=True,
                        color=COLOURS[name], hatch=HATCHES[name], ec="white", lw=0, label=f"_{word}")  # fmt: skip
        else:
            axes.bar(ranks, height, bottom=bottom, width=0.74, color=COLOURS[name], edgecolor="white", linewidth=0.4,
                     hatch=HATCHES[name], label=f"_{word}")  # fmt: skip
        bottom = bottom + height
    for name, idle in mean.forms.items():
        ends = 1e3 * (mean.parts["busy_s"] + idle)
        for rank, y in zip(ranks, ends, strict=True) if len(ranks) <= BARS else ():
            if np.isfinite(y):
                axes.plot([rank - 0.43, rank + 0.43], [y, y], color=style.INK, lw=1.1, ls=_dashes(name), zorder=3,
                          label=f"_{name}")  # fmt: skip
        if len(ranks) > BARS:
            axes.plot(ranks, ends, color=style.INK, lw=0.9, ls=_dashes(name), zorder=3, label=f"_{name}")
    above = np.fmax.reduce([bottom, *(1e3 * (mean.parts["busy_s"] + idle) for idle in mean.forms.values())])
    for rank, top, share in zip(ranks, above, mean.share, strict=True):
        if np.isfinite(share) and len(ranks) <= 8:
            axes.annotate(f"{100 * share:.0f} %", (rank, top), (0, 3), textcoords="offset points", ha="center",
                          fontsize=style.SMALL)  # fmt: skip
    axes.set_xlabel("rank (above: its idle share)" if len(ranks) <= 8 else "rank")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True) if len(ranks) > 8 else FixedLocator(range(len(ranks))))
    axes.set_xlim(-0.6, len(ranks) - 0.4)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.12 * max(above.max(), 1e-9)))
    axes.grid(False, axis="x")
