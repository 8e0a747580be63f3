# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of training: loss against steps, held-out accuracy."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from partita.pictures import style
from partita.pictures.figures import Picture, subtitle
from partita.records.folder import Cell, RecordedStudy
from partita.records.record import plural
from partita.table import Table

BOUND = 1e-4  # DESIGN.md section 6: fast mode against serial, after 20 steps of the tiny decks.
FEW = 5  # Up to so many points each has its own line and name.
BASE = "#9aa0a8"  # The run that all series share.
DASHES = ("-", (0, (5, 1.6)), (0, (2.2, 1.4)), (0, (5, 1.4, 1.2, 1.4)))


def loss_picture(study: RecordedStudy) -> Picture:
    """Training loss of every point; where all train one model on one set of batches, how far each is from the first."""
    cells = study.distinct_cells()
    losses = [_loss(cell) for _, cell in cells]
    models = any(key.startswith(("model.", "data.")) for key in (*study.series_keys, *study.rank_keys))
    batches = len({cell.records[0].samples_per_step for _, cell in cells}) > 1
    comparable = len(cells) > 1 and not models and not batches
    identical = comparable and all(np.array_equal(loss, losses[0], equal_nan=True) for loss in losses)
    compared = comparable and not identical
    page = style.Page(7.6, 5.0 if compared else 3.6, nrows=2 if compared else 1, ncols=1, sharex=True,
                      **({"height_ratios": (2.1, 1)} if compared else {}))  # fmt: skip
    table = Table("series", "ranks", "step", "loss", "relative_difference")
    looks = _looks(study, cells)
    n = min(len(loss) for loss in losses)
    differences = [np.abs(loss[:n] - losses[0][:n]) / np.abs(losses[0][:n]) for loss in losses]
    with mpl.rc_context(style.SETTINGS):
        for (label, cell), loss, difference, look in zip(cells, losses, differences, looks, strict=True):
            page.axes[0].plot(np.arange(1, len(loss) + 1), loss, **look)
            for step, value in enumerate(loss):
                far = float(difference[step]) if comparable and step < n else None
                table.add(series=label, ranks=cell.ranks, step=step + 1, loss=float(value), relative_difference=far)
        if compared:
            for far, look in _difference_lines(cells, differences, looks):
                page.axes[1].plot(np.arange(1, n + 1), np.where(far > 0, far, np.nan), **look)
        _loss_axes(page.axes[0])
        notes = ["steps of the warm-up are training steps, and shown" + _repeats(cells)]
        if compared:
            _difference_axes(page.axes[1], _name(*cells[0], study))
            largest = "; largest over the numbers of ranks" if len(cells) > FEW else ""
            notes.append(f"below: |loss - first loss| / first loss{largest}; a step where both are equal is not drawn")
        if identical:
            notes.insert(0, "all losses are bit-identical at every step")
        page.axes[-1].set_xlabel("training step")
        page.axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure = page.finish(f"Training loss of {study.app}", subtitle(study), notes, _handles(study, cells, looks))
    return Picture("loss", figure, table)


def accuracy_picture(study: RecordedStudy) -> Picture | None:
    """Held-out accuracy against steps, or as one row a point where each run was evaluated once; None without any."""
    cells = [(label, c) for label, c in study.distinct_cells() if len(_evaluations(c)[0])]
    if not cells:
        return None
    table = Table("series", "ranks", "step", "accuracy", "loss")
    for label, cell in cells:
        for step, accuracy, loss in zip(*_evaluations(cell), strict=True):
            table.add(series=label, ranks=cell.ranks, step=int(step), accuracy=float(accuracy), loss=float(loss))
    once = all(len(_evaluations(c)[0]) == 1 for _, c in cells)
    looks = _looks(study, cells)
    page = style.Page(7.6, 0.9 + 0.34 * len(cells) if once else 3.6, nrows=1, ncols=1)
    axes = page.axes[0]
    with mpl.rc_context(style.SETTINGS):
        if once:
            _accuracy_rows(axes, study, cells, looks)
        else:
            for (_, cell), look in zip(cells, looks, strict=True):
                steps, accuracy, _ = _evaluations(cell)
                axes.plot(steps, accuracy, marker="o", mec="white", mew=0.8, **look)
            axes.set_xlabel("training steps done")
            axes.set_ylabel("accuracy on held-out samples")
            axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.margins(y=0.12)
    handles = [] if once else _handles(study, cells, looks)
    title = f"Held-out accuracy of {study.app}"
    return Picture("accuracy", page.finish(title, subtitle(study), [_repeats(cells)[2:]], handles), table)


def _accuracy_rows(axes: Axes, study: RecordedStudy, cells: list[tuple[str, Cell]], looks: list[dict]) -> None:
    for row, ((_, cell), look) in enumerate(zip(cells, looks, strict=True)):
        accuracy = float(_evaluations(cell)[1][0])
        axes.plot([accuracy], [row], marker="o", ms=8, color=look["color"], ls="")
        side, align = (-9, "right") if accuracy > 0.5 else (9, "left")
        axes.annotate(f"{accuracy:.2%}".replace("%", " %"), (accuracy, row), (side, 0), textcoords="offset points",
                      ha=align, va="center_baseline", backgroundcolor="white")  # fmt: skip
    axes.set_yticks(range(len(cells)), [_name(label, cell, study) for label, cell in cells])
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    steps = sorted({int(_evaluations(c)[0][0]) for _, c in cells})
    axes.set_xlabel(f"accuracy on held-out samples after {' or '.join(map(str, steps))} steps")


def _repeats(cells: list[tuple[str, Cell]]) -> str:
    return "; repeats: median of the runs" if any(len(c.records) > 1 for _, c in cells) else ""


def _difference_lines(
    cells: list[tuple[str, Cell]], differences: list[np.ndarray], looks: list[dict]
) -> list[tuple[np.ndarray, dict]]:
    """One line a point but the first; of many points one line a series, the largest over its numbers of ranks."""
    lines = list(zip([label for label, _ in cells], differences, looks, strict=True))[1:]
    if len(cells) <= FEW:
        return [(far, look) for _, far, look in lines]
    grouped: dict[str, list[tuple[np.ndarray, dict]]] = {}
    for label, far, look in lines:
        grouped.setdefault(label, []).append((far, look))
    return [(np.max([far for far, _ in group], axis=0), {**group[0][1], "lw": 1.4}) for group in grouped.values()]


def _loss(cell: Cell) -> np.ndarray:
    n = min(r.written_steps for r in cell.records)
    return np.median([r.steps["loss"][:n] for r in cell.records], axis=0)


def _evaluations(cell: Cell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(step, accuracy, loss): median of the runs, at the steps that all of them have."""
    tables = [r.groups.get("evaluation", {}) for r in cell.records]
    if any("step" not in t for t in tables):
        return np.empty(0), np.empty(0), np.empty(0)
    common = sorted(set.intersection(*({int(s) for s in t["step"] if s >= 0} for t in tables)))
    picked = [
        [np.median([t[column][t["step"] == s][0] for t in tables]) for s in common] for column in ("accuracy", "loss")
    ]
    return np.array(common), np.array(picked[0]), np.array(picked[1])


def _looks(study: RecordedStudy, cells: list[tuple[str, Cell]]) -> list[dict]:
    """Colour by series, dashes by ranks; earlier lines are wider, so that lines on top of each other are all seen."""
    colours = {s.label: style.series_colour(i) for i, s in enumerate(study.series)}
    if len(cells) > FEW:
        return [{"color": colours.get(label, BASE), "lw": 1.2 if label else 4.0, "alpha": 0.7} for label, _ in cells]
    counts = sorted({cell.ranks for _, cell in cells})
    widest = 1.4 + 1.1 * min(len(cells) - 1, 4)
    step = (widest - 1.4) / max(1, len(cells) - 1)
    return [
        {
            "color": colours.get(label, BASE),
            "ls": DASHES[counts.index(cell.ranks) % len(DASHES)] if label else "-",
            "lw": widest - step * index,
            "solid_capstyle": "round",
        }
        for index, (label, cell) in enumerate(cells)
    ]


def _name(label: str, cell: Cell, study: RecordedStudy) -> str:
    shown = f", {label}" if label and len(study.series) > 1 else ""
    return plural(cell.ranks, "rank") + shown


def _handles(study: RecordedStudy, cells: list[tuple[str, Cell]], looks: list[dict]) -> list[Line2D]:
    named = [(label, cell, look) for (label, cell), look in zip(cells, looks, strict=True)]
    if len(cells) <= FEW:
        return [Line2D([], [], label=_name(label, cell, study), **look) for label, cell, look in named]
    handles: dict[str, Line2D] = {}
    for label, _, look in named:
        counts = [c.ranks for its, c, _ in named if its == label]
        span = plural(counts[0], "rank") if len(counts) == 1 else f"{min(counts)} to {max(counts)} ranks"
        handles.setdefault(label, Line2D([], [], label=f"{span}, {label}" if label else span, **{**look, "alpha": 1}))
    return list(handles.values())


def _loss_axes(axes: Axes) -> None:
    axes.set_ylabel("training loss (mean over the batch)")
    low, high = axes.get_ylim()
    axes.set_ylim(0 if low < 0.35 * high else low, high)


def _difference_axes(axes: Axes, first: str) -> None:
    axes.set_ylabel(f"relative difference\nto {first}")
    axes.set_yscale("log")
    axes.axhline(BOUND, color=style.GREY, ls=(0, (4, 3)), lw=1.0)
    axes.annotate("bound in fast mode", (1.0, BOUND), (-2, 3), xycoords=("axes fraction", "data"),
                  textcoords="offset points", ha="right", fontsize=8, color=style.GREY)  # fmt: skip
    low, _ = axes.get_ylim()
    axes.set_ylim(low, max(axes.get_ylim()[1], BOUND * 6))
