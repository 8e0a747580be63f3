# SPDX-License-Identifier: BSD-3-Clause
"""How far the losses of all points are from those of the first: one model trained in several ways must agree."""

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from partita.pictures import style
from partita.pictures.picture import Picture, subtitle
from partita.records.folder import Cell, RecordedStudy
from partita.records.record import common_steps, plural, rows_of
from partita.table import Table

BOUND = 1e-4  # DESIGN.md section 6: fast mode against serial, after 20 steps of the tiny decks.
MOST = 6  # Series with a line each; of more there is one for all.


def agreement_picture(study: RecordedStudy) -> Picture | str:
    """|loss - first loss| / first loss against steps: of each series the largest over its numbers of ranks."""
    cells = study.distinct_cells()
    models = [key for key in (*study.series_keys, *study.rank_keys) if key.startswith(("model.", "data."))]
    if len(cells) < 2:
        return "one point alone: no other loss to compare with"
    if models:
        return f"the points train different models ({', '.join(models)})"
    if len({cell.records[0].samples_per_step for _, cell in cells}) > 1:
        return "the points train on different batches"
    first, n = common_steps([r for _, cell in cells for r in cell.records])
    if n < 1:
        return "no step is in all records: some went on from a checkpoint"
    losses = [_loss(cell, first, n) for _, cell in cells]
    if all(np.array_equal(loss, losses[0], equal_nan=True) for loss in losses):
        return "all losses are bit-identical at every step"
    far = [np.abs(loss - losses[0]) / np.abs(losses[0]) for loss in losses]
    table = Table("series", "ranks", "step", "loss", "relative_difference")
    for (label, cell), loss, difference in zip(cells, losses, far, strict=True):
        for step in range(n):
            table.add(series=label, ranks=cell.ranks, step=first + step + 1, loss=float(loss[step]),
                      relative_difference=float(difference[step]))  # fmt: skip
    grouped: dict[str, list[np.ndarray]] = {}
    for (label, _), difference in list(zip(cells, far, strict=True))[1:]:
        grouped.setdefault(label, []).append(difference)
    if len(grouped) > MOST:
        grouped = {f"largest of {len(grouped)} series": [d for each in grouped.values() for d in each]}
    looks = style.looks(grouped)
    page = style.Page(style.ONE, 2.1, nrows=1, ncols=1)
    axes = page.axes[0]
    with mpl.rc_context(style.SETTINGS):
        for width, (label, differences) in zip(np.linspace(2.2, 1.0, len(grouped)), grouped.items(), strict=True):
            y, look = np.max(differences, axis=0), looks[label]
            axes.plot(first + 1 + np.arange(n), np.where(y > 0, y, np.nan), color=look.colour, ls=look.dashes, lw=width,
                      marker=look.marker, ms=3.2, markevery=max(1, n // 8), mec="white", mew=0.4)  # fmt: skip
        axes.set_yscale("log")
        axes.axhline(BOUND, color=style.GREY, ls=(0, (4, 3)), lw=0.8)
        axes.annotate("bound in fast mode", (0.0, BOUND), (3, 2), xycoords=("axes fraction", "data"),
                      textcoords="offset points", ha="left", fontsize=style.SMALL, color=style.GREY)  # fmt: skip
        low, high = axes.get_ylim()
        axes.set_ylim(low, max(high, BOUND * 6))
        axes.set_ylabel("relative difference of the loss")
        axes.set_xlabel("training step")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    base = ", ".join(filter(None, (plural(cells[0][1].ranks, "rank"), cells[0][0])))
    notes = [f"|loss - loss of {base}| / loss of {base}, the largest over the numbers of ranks; steps where both are "
             "equal are not drawn"]  # fmt: skip
    handles = [style.line(look, label or "1 rank") for label, look in looks.items()]
    figure = page.finish(f"Agreement of the losses of {study.app}", subtitle(study), notes, handles)
    return Picture("agreement", figure, table)


def _loss(cell: Cell, first: int, n: int) -> np.ndarray:
    return np.median([rows_of(r, first, n, r.steps["loss"]) for r in cell.records], axis=0)
