# SPDX-License-Identifier: BSD-3-Clause
"""Loss of parameter servers against samples and against (virtual) seconds: error against runtime."""

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from partita.pictures import style
from partita.pictures.picture import Picture, subtitle
from partita.records.folder import RecordedStudy
from partita.records.server import AXES
from partita.records.server_groups import Group
from partita.table import Table

MOST_ROWS = 4
POINTS = 120  # Of a line.


def curves_picture(study: RecordedStudy, groups: list[Group], axes: list[str], engine: str) -> Picture:
    """A row for each place, a line for each protocol: median over seeds, band from the least to the largest."""
    places = list(dict.fromkeys(g.place for g in groups))
    shown = places if len(places) <= MOST_ROWS else [*places[: MOST_ROWS // 2], *places[-MOST_ROWS // 2 :]]
    unit, suffix = groups[0].runs[0].unit, groups[0].runs[0].suffix
    looks = style.looks(g.name for g in groups)
    page = style.Page(style.TWO, 2.1 * len(shown), nrows=len(shown), ncols=2)
    table = Table("protocol", "place", "against", "samples", suffix, "loss", "loss_min", "loss_max")
    kinds = {run.curve()[3] for g in groups for run in g.runs}
    with mpl.rc_context(style.SETTINGS):
        for row, place in enumerate(shown):
            pair = page.axes[2 * row : 2 * row + 2]
            said = ", ".join(f"{AXES[key]} {value}" for key, value in place)
            for group in (g for g in groups if g.place == place):
                look = looks[group.name]
                for axis, index in zip(pair, (0, 1), strict=True):
                    x, middle, low, high = _band(group, index)
                    axis.plot(x, middle, color=look.colour, ls=look.dashes, label="_" + group.name)
                    if len(group.runs) > 1:
                        axis.fill_between(x, low, high, color=look.colour, alpha=0.18, lw=0, label="_band")
                    for values in zip(x, middle, low, high, strict=True):
                        at, *losses = map(float, values)
                        both = {"samples": at, suffix: None} if index == 0 else {"samples": None, suffix: at}
                        table.add(protocol=group.name, place=said, against=("samples", suffix)[index], **both,
                                  **dict(zip(("loss", "loss_min", "loss_max"), losses, strict=True)))  # fmt: skip
            pair[0].set_ylabel(" or ".join(sorted(kinds)))
            for axis, label in zip(pair, ("samples", f"time ({unit})"), strict=True):
                axis.set_xlabel(label)
                axis.set_xlim(0, None)
                axis.set_title(said)
                axis.xaxis.set_major_locator(MaxNLocator(6))
    notes = ["lines: median over the runs (seeds), up to where the shortest ends; bands: from the least to the largest"]
    if len(shown) < len(places):
        notes.append(f"{len(shown)} of the {len(places)} places of the study are drawn: the first and the last")
    handles = [style.line(look, name, marker="") for name, look in looks.items()]
    clock = "virtual seconds" if suffix == "virtual_s" else "seconds"
    title = f"Loss of {study.app} against samples and {clock}"
    return Picture(f"error_runtime{engine}", page.finish(title, subtitle(study), notes, handles), table)


def _band(group: Group, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(x, median, least, largest) over runs, between their points by straight lines."""
    curves = [(run.curve()[index], run.curve()[2]) for run in group.runs]
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    x = np.linspace(first, max(first, last), POINTS)
    losses = np.array([np.interp(x, at, loss) for at, loss in curves])
    return x, np.median(losses, axis=0), losses.min(axis=0), losses.max(axis=0)
