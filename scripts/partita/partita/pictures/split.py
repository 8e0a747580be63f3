# SPDX-License-Identifier: BSD-3-Clause
"""Where efficiency goes: what of a step is useful work, and what the rest is lost to."""

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from partita.analysis.efficiency import LOST
from partita.pictures import bars, style
from partita.pictures.picture import Picture, subtitle
from partita.pictures.points import Point, points
from partita.records.folder import RecordedStudy
from partita.table import Table

if TYPE_CHECKING:
    import pandas as pd

USEFUL = "parallel_efficiency"
LOOKS = {  # Colour and hatch; what phases of that class have.
    USEFUL: (style.CLASS["compute"], ""),
    "imbalance": (style.CLASS["wait"], style.HATCH["wait"]),
    "serialisation": ("#CC79A7", "\\\\\\\\"),
    "communication": (style.CLASS["communication"], style.HATCH["communication"]),
    "bubble": ("#56B4E9", "..."),
    "other": (style.REST, ""),
}
WORDS = {USEFUL: "useful work: parallel efficiency", "other": "other, or not known"}


def efficiency_picture(study: RecordedStudy, table: "pd.DataFrame", finding: str = "") -> Picture | str:
    """A bar of 100 % for each point: parallel efficiency, and the parts that are lost."""
    metrics = [USEFUL, *(f"lost:{name}" for name in LOST)]
    found = points(study, table, metrics)
    known = [p for p in found if np.isfinite(p.value(USEFUL))]
    if not known:
        why = sorted({p.reasons[USEFUL] for p in found if USEFUL in p.reasons})
        return "parallel efficiency is not known" + (f": {'; '.join(why)}" if why else "")
    if max(p.ranks for p in known) == 1:
        return "one rank alone: nothing is lost to others"
    numbers = Table("series", "ranks", USEFUL, *(f"lost_{name}" for name in LOST))
    for p in known:
        numbers.add(series=p.label, ranks=p.ranks,
                    **{USEFUL: p.value(USEFUL)}, **{f"lost_{n}": p.value(f"lost:{n}") for n in LOST})  # fmt: skip
    rows, said = bars.fitting(known)
    page, places = bars.page(rows, 1)
    axes = page.axes[0]
    with mpl.rc_context(style.SETTINGS):
        for row, y in zip(rows, places, strict=True):
            left = 0.0
            for name, share in _parts(row).items():
                bars.bar(axes, y, 100 * left, 100 * share, *LOOKS[name])
                left += share
            bars.value(axes, 100 * left, y, f"{100 * row.value(USEFUL):.0f} %")
        bars.finish(page, rows, places)
        axes.set_xlim(0, 118)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axes.set_xlabel("share of the step of all ranks (%)")
    used = [n for n in LOOKS if n == USEFUL or any(_parts(row)[n] > 0 for row in rows)]
    handles = [style.square(LOOKS[n][0], WORDS.get(n, f"lost to {n}"), LOOKS[n][1]) for n in used]
    notes = ["medians over runs; beside: parallel efficiency", said]
    if any(np.isnan(row.value("lost:serialisation")) for row in rows if row.ranks > 1):
        notes.append("without recorded events what is lost to serialisation is part of what is lost to communication")
    if any(row.oversubscribed for row in rows):
        notes.append("* oversubscribed: more threads than cores")
    figure = page.finish(f"Where the efficiency of {study.app} goes", subtitle(study), notes, handles, finding)
    return Picture("efficiency_split", figure, numbers)


def _parts(point: Point) -> dict[str, float]:
    """Shares of 1: medians of parts need not add up, what lacks is `other`."""
    parts = {USEFUL: point.value(USEFUL), **{name: point.value(f"lost:{name}") for name in LOST}}
    known = {name: max(0.0, float(np.nan_to_num(share))) for name, share in parts.items()}
    known["other"] += max(0.0, 1.0 - sum(known.values()))
    total = sum(known.values())
    return {name: known[name] / total for name in LOOKS}
