# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a study of shared image rows: time of halos, surface to volume, bytes."""

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from partita.pictures import bars, style
from partita.pictures.picture import Picture, subtitle
from partita.records.folder import Cell, RecordedStudy
from partita.records.spatial import halos
from partita.table import Table

_DARK, _LIGHT = style.shades(style.CLASS["communication"], 2)
LOOKS = {"exposed": (_DARK, "/////"), "hidden": (_LIGHT, "")}


@dataclass(frozen=True)
class Row(bars.CellRow):
    """Halos of one series at one number of ranks: means over runs, and over ranks unless said otherwise."""

    rows: float  # The fewest of an image that a rank has.
    exposed_s: float
    hidden_s: float
    share: float  # Exposed, of the step.
    surface: float  # Of the rank with the most.
    sent_bytes: tuple[float, float]  # Mean over ranks, and of the rank with the most.


def halo_picture(study: RecordedStudy) -> Picture | str:
    """A row for each series and number of ranks that share images."""
    rows = [row for label, cell in study.distinct_cells() if (row := _row(label, cell))]
    if not rows:
        return "no ranks share the rows of an image (no halos in /strategy)"
    table = _table(rows)
    rows, said = bars.fitting(rows)
    page, places = bars.page(rows, 3)
    with mpl.rc_context(style.SETTINGS):
        _time_panel(page.axes[0], rows, places)
        _surface_panel(page.axes[1], rows, places)
        bars.sent_panel(page.axes[2], [row.sent_bytes for row in rows], places)
        bars.finish(page, rows, places)
    handles = [style.square(c, n, hatch) for n, (c, hatch) in LOOKS.items()]
    notes = [
        "time: exposed, in which a rank packs, posts or waits for rows of neighbours; hidden, in which they travel and "
        "it computes; means over counted steps, ranks and runs; beside the bar: the exposed share of a step",
        "surface to volume: rows of neighbours that a 3 x 3 window of the whole image reads, for each row that a rank "
        "has, of the rank with the most",
        "bytes: counted where messages are posted, those of evaluation among them, mean over ranks; tick: the rank "
        "with the most",
        said,
    ]
    if any(row.oversubscribed for row in rows):
        notes.append("* oversubscribed: more threads than cores")
    figure = page.finish(f"Halos of {study.app}", subtitle(study), notes, handles)
    return Picture("halos", figure, table)


def _row(label: str, cell: Cell) -> Row | None:
    found = [h for h in map(halos, cell.records) if h]
    if not found:
        return None

    def mean(name: str, over: object = np.mean) -> float:
        return float(np.mean([over(getattr(h, name)) for h in found]))

    return Row(label or "all alike", cell, mean("rows", np.min), mean("exposed_s"), mean("hidden_s"), mean("share"),
               mean("surface", np.max), (mean("sent_bytes"), mean("sent_bytes", np.max)))  # fmt: skip


def _time_panel(axes: Axes, rows: list[Row], places: list[float]) -> None:
    most = max(row.exposed_s + row.hidden_s for row in rows)
    scale, unit = (1e6, "us") if most < 1e-3 else (1e3, "ms")
    for row, y in zip(rows, places, strict=True):
        bars.bar(axes, y, 0, row.exposed_s * scale, *LOOKS["exposed"])
        bars.bar(axes, y, row.exposed_s * scale, row.hidden_s * scale, *LOOKS["hidden"])
        bars.value(axes, (row.exposed_s + row.hidden_s) * scale, y, f"{100 * row.share:.2g} %")
    _finish(axes, most * scale, "Time of halos", f"mean of a step ({unit})")


def _surface_panel(axes: Axes, rows: list[Row], places: list[float]) -> None:
    for row, y in zip(rows, places, strict=True):
        bars.bar(axes, y, 0, 100 * row.surface, style.CLASS["compute"])
        bars.value(axes, 100 * row.surface, y, f"{100 * row.surface:.3g} %")
    _finish(axes, max(100 * row.surface for row in rows), "Surface to volume", "rows of neighbours per own row (%)")


def _finish(axes: Axes, most: float, title: str, label: str) -> None:
    bars.limit(axes, most)
    axes.set_title(title)
    axes.set_xlabel(label)


def _table(rows: list[Row]) -> Table:
    table = Table("series", "ranks", "oversubscribed", "runs", "image_rows", "halo_exposed_s", "halo_hidden_s",
                  "halo_share", "surface_to_volume", "halo_bytes", "halo_bytes_most")  # fmt: skip
    for row in rows:
        table.add(
            series=row.label, ranks=row.ranks, oversubscribed=row.oversubscribed,
            runs=len(row.cell.records), image_rows=row.rows, halo_exposed_s=row.exposed_s, halo_hidden_s=row.hidden_s,
            halo_share=row.share, surface_to_volume=row.surface, halo_bytes=row.sent_bytes[0],
            halo_bytes_most=row.sent_bytes[1],
        )  # fmt: skip
    return table
