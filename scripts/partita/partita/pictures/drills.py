# SPDX-License-Identifier: BSD-3-Clause
"""Drills of faults: when each was noticed and when the job was gone, a panel for each app."""

import math
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from partita.analysis.drills import DrillCell, finding_of_drills
from partita.pictures import style
from partita.pictures.picture import Picture, code_words, machine_words
from partita.table import Table

ROW = 0.22  # Inches.
SHORTEST_S = 1e-3  # Below, the clock says little: times are drawn there.
NOTICED, GONE = "#D55E00", "#0072B2"


def drills_picture(study: str, cells: Sequence[DrillCell]) -> Picture:
    """Filled: noticed; hollow, below: gone; whiskers from the least run to the most."""
    apps = list(dict.fromkeys(cell.app for cell in cells))
    several = len({cell.ranks for cell in cells}) > 1
    rows = list(dict.fromkeys((cell.name, cell.ranks) for cell in sorted(cells, key=_longest)))
    numbers = Table("app", "drill", "ranks", "runs", "as_expected", "noticed_s", "gone_s")
    page = style.Page(style.TWO if len(apps) > 1 else style.ONE, ROW * len(rows) + 0.75, nrows=1, ncols=len(apps),
                      sharey=True, sharex=True)  # fmt: skip
    with mpl.rc_context(style.SETTINGS):
        for app, axes in zip(apps, page.axes, strict=True):
            for cell in cells:
                if cell.app == app:
                    _draw(axes, cell, rows.index((cell.name, cell.ranks)))
            _finish(axes, app, rows, several)
    for cell in cells:
        numbers.add(app=cell.app, drill=cell.name, ranks=cell.ranks, runs=len(cell.runs),
                    as_expected=len(cell.runs) - len(cell.odd), noticed_s=cell.of(lambda r: r.noticed_s)[0],
                    gone_s=cell.of(lambda r: r.gone_s)[0])  # fmt: skip
    handles = [_marker("o", NOTICED, "noticed"), _marker("s", "white", "job gone", GONE)]
    if any(cell.odd for cell in cells):
        handles.append(_marker("X", style.INK, "did not end as expected"))
    record = next((run.record for cell in cells for run in cell.runs if run.record), None)
    machine = [machine_words(record), code_words(record)] if record else []
    runs = sorted({len(cell.runs) for cell in cells})
    notes = [f"seconds from the fault, median of {'/'.join(map(str, runs))} runs, whiskers: least to most; without a "
             "filled dot nobody said a word, and the run went on to its end"]  # fmt: skip
    figure = page.finish("What becomes of a job in which something goes wrong", "  ·  ".join([study, *machine]), notes,
                         handles, f"{'. '.join(finding_of_drills(cells))}.")  # fmt: skip
    return Picture("drills", figure, numbers)


def _longest(cell: DrillCell) -> tuple[str, int]:
    return cell.name, cell.ranks


def _draw(axes: Axes, cell: DrillCell, y: int) -> None:
    noticed, gone = (tuple(max(v, SHORTEST_S) if v == v else v for v in cell.of(value))
                     for value in (lambda r: r.noticed_s, lambda r: r.gone_s))  # fmt: skip
    for (middle, low, high), shape, face, edge, at in ((noticed, "o", NOTICED, "white", y - 0.15),
                                                       (gone, "s", "white", GONE, y + 0.15)):  # fmt: skip
        if math.isnan(middle):
            continue
        axes.plot([low, high], [at, at], color=style.INK, lw=0.7, zorder=2, solid_capstyle="butt", marker="|", ms=3.5)
        axes.plot([middle], [at], marker=shape, color=face, mec=edge, mew=1.1 if shape == "s" else 0.5, ms=4.2,
                  zorder=3)  # fmt: skip
    if cell.odd:
        axes.plot([0.97], [y], marker="X", color=style.INK, ms=5, transform=axes.get_yaxis_transform(), clip_on=False)


def _finish(axes: Axes, app: str, rows: list[tuple[str, int]], several: bool) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=6))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(rows)), [f"{name}, {ranks} ranks" if several else name for name, ranks in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_title(app)
    axes.set_xlabel("seconds after the fault")


def _marker(shape: str, face: str, label: str, edge: str = "white") -> Line2D:
    return Line2D([], [], ls="", marker=shape, color=face, mec=edge, mew=1.1 if shape == "s" else 0.5, ms=5,
                  label=label)  # fmt: skip
