# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of training: loss and held-out accuracy, against samples and against time."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from partita.pictures import style
from partita.pictures.bars import WIDEST
from partita.pictures.picture import Picture, is_virtual, subtitle
from partita.records.folder import Cell, RecordedStudy
from partita.records.record import Record, common_steps, plural, rows_of
from partita.table import Table

FEW = 6  # Up to so many points each has its own line and name; more have one name a series.
MOST_ROWS = 36
MOST_SERIES = 6  # Of more, the two that end best and worst alone are named.
BASE = "#9aa0a8"  # Of lines without a name.
TIME = "time: from the begin of the first step, median of the runs; what lies between steps is part of it"
WENT_ON = "runs that went on from a checkpoint: their own steps and time alone"


@dataclass(frozen=True)
class Curve:
    """The medians over the runs of one point."""

    label: str
    cell: Cell
    step: np.ndarray  # Counted from 1.
    samples: np.ndarray
    time_s: np.ndarray
    value: np.ndarray
    more: np.ndarray  # Of an evaluation its loss.


def loss_picture(study: RecordedStudy) -> Picture | str:
    """Training loss of every point against the samples that all ranks have seen, and against time."""
    curves = [_loss(label, cell) for label, cell in study.distinct_cells()]
    table = Table("series", "ranks", "step", "samples", "time_s", "loss")
    for c in curves:
        for row in zip(c.step, c.samples, c.time_s, c.value, strict=True):
            step, samples, time_s, loss = map(float, row)
            table.add(series=c.label, ranks=c.cell.ranks, step=int(step), samples=samples, time_s=time_s, loss=loss)
    page = style.Page(style.TWO, 2.4, nrows=1, ncols=2, sharey=True)
    with mpl.rc_context(style.SETTINGS):
        handles = _draw(page, curves, "", _clock(study))
        page.axes[0].set_ylabel("training loss (mean over the batch)")
        low, high = page.axes[0].get_ylim()
        page.axes[0].set_ylim(0 if low < 0.35 * high else low, high)
    notes = ["steps of the warm-up are training steps, and shown" + _repeats(curves), _time(curves), _left_out(study)]
    figure = page.finish(f"Training loss of {study.app}", subtitle(study), notes, handles)
    return Picture("loss", figure, table)


def accuracy_picture(study: RecordedStudy) -> Picture | str:
    """Held-out accuracy against samples and time, or as one row a point where each run was evaluated once."""
    found = [_evaluations(label, cell) for label, cell in study.distinct_cells()]
    curves = [c for c in found if len(c.value)]
    if not curves:
        return "no run was evaluated on held-out samples"
    table = Table("series", "ranks", "step", "samples", "time_s", "accuracy", "loss")
    for c in curves:
        for row in zip(c.step, c.samples, c.time_s, c.value, c.more, strict=True):
            step, samples, time_s, accuracy, loss = map(float, row)
            table.add(series=c.label, ranks=c.cell.ranks, step=int(step), samples=samples, time_s=time_s,
                      accuracy=accuracy, loss=loss)  # fmt: skip
    title = f"Held-out accuracy of {study.app}"
    if all(len(c.value) == 1 for c in curves):
        return Picture("accuracy", _accuracy_rows(study, curves, title), table)
    page = style.Page(style.TWO, 2.4, nrows=1, ncols=2, sharey=True)
    with mpl.rc_context(style.SETTINGS):
        handles = _draw(page, curves, "o", _clock(study))
        page.axes[0].set_ylabel("accuracy on held-out samples")
        page.axes[0].yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        page.axes[0].yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        page.axes[0].margins(y=0.12)
    notes = [_repeats(curves)[2:], _time(curves), _left_out(study)]
    return Picture("accuracy", page.finish(title, subtitle(study), notes, handles), table)


def _loss(label: str, cell: Cell) -> Curve:
    first, n = common_steps(cell.records)
    columns = (_samples, _time_s, lambda record: record.steps["loss"])
    median = [np.median([rows_of(r, first, n, of(r)) for r in cell.records], axis=0) for of in columns]
    return Curve(label, cell, first + np.arange(1, n + 1), *median, np.empty(n))


def _evaluations(label: str, cell: Cell) -> Curve:
    """Median of the runs, at the steps that all of them have."""
    tables = [r.groups.get("evaluation", {}) for r in cell.records]
    steps: list[int] = []
    if all("step" in t for t in tables):
        common = set.intersection(*({int(s) for s in t["step"] if s >= 0} for t in tables))
        first, n = common_steps(cell.records)
        steps = sorted(s for s in common if first <= s <= first + n)
    at = np.array(steps, int) - 1  # What is known after step s is at the end of row s - 1.
    samples, time_s = (
        np.median([of(r)[np.maximum(at - r.first_step, 0)] for r in cell.records], axis=0) if steps else np.empty(0)
        for of in (_samples, _time_s)
    )
    picked = [
        np.array([np.median([t[column][t["step"] == s][0] for t in tables]) for s in steps])
        for column in ("accuracy", "loss")
    ]
    return Curve(label, cell, np.array(steps), samples, time_s, *picked)


def _samples(record: Record) -> np.ndarray:
    return record.samples_so_far


def _time_s(record: Record) -> np.ndarray:
    """(step): seconds from the begin of the first step to the end of each, on the clock of the first rank."""
    if "end_ns" in record.steps:
        return (record.steps["end_ns"][:, 0] - record.steps["start_ns"][0, 0]) * 1e-9
    return np.cumsum(record.steps["step_max_s"])  # record.detail = "stats" keeps no instants.


def _draw(page: style.Page, curves: list[Curve], marker: str, clock: str) -> list[Line2D]:
    """Both panels, and the legend."""
    styles, handles = _looks(curves, marker)
    for axes, label in zip(page.axes, ("samples", "time_s"), strict=True):
        for curve, look in zip(curves, styles, strict=True):
            axes.plot(getattr(curve, label), curve.value, **look)
        axes.set_title("Against samples" if label == "samples" else "Against time")
        axes.set_xlabel("training samples of all ranks" if label == "samples" else clock)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=label == "samples"))
    page.axes[0].xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:g} k" if x >= 10_000 else f"{x:g}"))
    return handles


def _looks(curves: list[Curve], marker: str) -> tuple[list[dict], list[Line2D]]:
    """Of each line; and the legend. Earlier lines are wider, so that those on top of each other are all seen."""
    names = list(dict.fromkeys(c.label for c in curves))
    of_name = style.looks(names)
    widths = np.linspace(2.6, 1.0, len(curves)) if len(curves) <= FEW else np.full(len(curves), 1.0)
    if len(names) > MOST_SERIES:
        return _extremes(curves)
    counts = sorted({c.cell.ranks for c in curves})
    styles = []
    for curve, width in zip(curves, widths, strict=True):
        look = of_name[curve.label]
        number = counts.index(curve.cell.ranks) if len(names) == 1 else style.DASHES.index(look.dashes)
        dots = {"marker": look.marker, "mec": "white", "mew": 0.4, "ms": 3.6}
        styles.append({"color": look.colour, "ls": style.DASHES[number % len(style.DASHES)], "lw": width}
                      | (dots if marker else {}))  # fmt: skip
    if len(curves) <= FEW:
        return styles, [Line2D([], [], label=_name(c, len(names)), **s) for c, s in zip(curves, styles, strict=True)]
    handles: dict[str, Line2D] = {}
    for curve, look in zip(curves, styles, strict=True):
        ranks = sorted(c.cell.ranks for c in curves if c.label == curve.label)
        span = plural(ranks[0], "rank") if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]} ranks"
        label = f"{span}, {curve.label}" if curve.label else span
        handles.setdefault(curve.label, Line2D([], [], label=label, **look))
    return styles, list(handles.values())


def _extremes(curves: list[Curve]) -> tuple[list[dict], list[Line2D]]:
    """All grey but the line that ends lowest and the one that ends highest."""
    ends = [float(c.value[-1]) for c in curves]
    chosen = {int(np.argmin(ends)): "lowest at the end", int(np.argmax(ends)): "highest at the end"}
    styles = [{"color": BASE, "lw": 0.5, "alpha": 0.6} for _ in curves]
    handles = [Line2D([], [], label=plural(len(curves), "point"), **styles[0])]
    for number, (index, said) in enumerate(chosen.items()):
        styles[index] = {"color": style.colour_of(curves[index].label), "ls": style.DASHES[2 * number], "lw": 1.5,
                         "zorder": 3}  # fmt: skip
        handles.append(Line2D([], [], label=f"{said}: {_name(curves[index], 2)}", **styles[index]))
    return styles, handles


def _name(curve: Curve, series: int) -> str:
    return plural(curve.cell.ranks, "rank") + (f", {curve.label}" if curve.label and series > 1 else "")


def _accuracy_rows(study: RecordedStudy, curves: list[Curve], title: str) -> object:
    shown = curves[:MOST_ROWS]
    page = style.Page(style.ONE, 0.5 + 0.2 * len(shown), nrows=1, ncols=1)
    axes: Axes = page.axes[0]
    several = len({c.label for c in curves})
    names = [style.wrapped(_name(c, several), WIDEST) for c in shown]
    page.height += 0.125 * sum(len(lines) - 1 for lines in names)
    looks = style.looks(c.label for c in shown)
    with mpl.rc_context(style.SETTINGS):
        for row, curve in enumerate(shown):
            accuracy, look = float(curve.value[0]), looks[curve.label]
            axes.plot([accuracy], [row], marker=look.marker, color=look.colour, ls="")
            side, align = (-6, "right") if accuracy > 0.5 else (6, "left")
            axes.annotate(f"{accuracy:.2%}".replace("%", " %"), (accuracy, row), (side, 0), textcoords="offset points",
                          ha=align, va="center_baseline", fontsize=style.SMALL)  # fmt: skip
        axes.set_yticks(range(len(shown)), ["\n".join(lines) for lines in names])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        steps = sorted({int(c.step[0]) for c in curves})
        axes.set_xlabel(f"held-out accuracy after {' or '.join(map(str, steps))} steps")
    many = (
        f"the first {MOST_ROWS} of {len(curves)} points are drawn; all: in the CSV file"
        if len(curves) > MOST_ROWS
        else ""
    )
    return page.finish(title, subtitle(study), [_repeats(curves)[2:], many])


def _time(curves: list[Curve]) -> str:
    went_on = any(r.first_step for c in curves for r in c.cell.records)
    return TIME + (f"; {WENT_ON}" if went_on else "")


def _repeats(curves: list[Curve]) -> str:
    return "; repeats: median of the runs" if any(len(c.cell.records) > 1 for c in curves) else ""


def _clock(study: RecordedStudy) -> str:
    return "time of the simulator (s)" if is_virtual(study) else "time (s)"


def _left_out(study: RecordedStudy) -> str:
    many = len(study.series) > MOST_SERIES
    return "more than six series: of the lines only those that end lowest and highest are named" if many else ""
