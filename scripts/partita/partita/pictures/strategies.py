# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a study that compares strategies: step time, communication, traffic and memory side by side."""

import math
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from partita.analysis.scaling import Scaling, interval_note, step_time
from partita.pictures import bars, style
from partita.pictures.picture import Picture, subtitle
from partita.records.folder import STRATEGY, Cell, RecordedStudy
from partita.records.record import Record
from partita.statistics import Interval
from partita.table import Table

MEMORY = {"weights": "weight_bytes", "gradients": "gradient_bytes", "optimizer": "optimizer_bytes"}
PARTS = dict(zip(MEMORY, (("#0072B2", ""), ("#E69F00", "xxxx"), ("#009E73", "....")), strict=True))  # Colour, hatch.
_TINTS = style.shades(style.CLASS["communication"], 3)[::2]
EXPOSED = dict(
    zip(("phase exchange", "during forward, backward"), zip(_TINTS, ("/////", ""), strict=True), strict=True)
)


@dataclass(frozen=True)
class Row(bars.CellRow):
    """What a strategy costs at one number of ranks: a step, on a rank."""

    step_s: Interval
    spread_s: tuple[float, float]  # Tenths of the counted steps below and above.
    exchange_s: float
    exposed_s: float  # exchange_s and what is served between units; means over steps, ranks and runs.
    hidden_s: float
    sent_bytes: tuple[float, float]  # Mean over ranks, and of the rank with the most.
    memory: dict[str, float]  # Of the rank that has the most of all.


def strategies_picture(study: RecordedStudy, scaling: Scaling, finding: str = "") -> Picture | str:
    """A row for each strategy and number of ranks."""
    if STRATEGY not in study.series_keys:
        return "parallel.strategy is not what tells the series apart"
    if not all("weight_bytes" in r.groups.get("strategy", {}) for r in study.records):
        return "not every record says what its strategy keeps (/strategy/weight_bytes)"
    rows = [_row(label, cell) for label, cell in study.distinct_cells()]
    table = _table(rows)
    rows, said = bars.fitting(rows)
    page, places = bars.page(rows, 4, (1.15, 1, 1, 1))
    time, exposed, sent, memory = page.axes
    with mpl.rc_context(style.SETTINGS):
        _time_panel(time, rows, places)
        _exposed_panel(exposed, rows, places)
        bars.sent_panel(sent, [row.sent_bytes for row in rows], places)
        _memory_panel(memory, rows, places)
        bars.finish(page, rows, places)
        handles = [style.square(c, n, hatch) for n, (c, hatch) in (EXPOSED | PARTS).items()]
        if any(row.oversubscribed for row in rows):
            handles.insert(0, Line2D([], [], ls="", marker="o", mfc="white", mec=style.INK, label="oversubscribed"))
    notes = [
        interval_note(scaling) + "; light bars: the middle 80 % of all steps, no interval",
        "communication: means over steps, ranks and runs of the phase exchange (in it buckets and gathered weights are "
        "waited for), and of the time in which messages are served between units; the wait for slower ranks is left "
        "out only where a strategy has a phase wait",
        "bytes: counted where messages are posted (for MPI's own collectives the payload handed to them, at 1 rank, "
        "too), mean over ranks; tick: the rank with the most",
        "memory: by the closed form, of the rank with the most; without activations and messages on their way",
        said,
    ]
    figure = page.finish(f"Strategies of {study.app}, side by side", subtitle(study), notes, handles, finding)
    return Picture("strategies", figure, table)


def _row(label: str, cell: Cell) -> Row:
    records = cell.records
    step_s = step_time(cell)
    low, high = np.quantile(np.concatenate([r.step_s for r in records]), [0.1, 0.9])
    exchange, exposed, hidden = np.mean([_communication(r) for r in records], axis=0)
    sent = np.mean([_sent(r) for r in records], axis=0)
    table = records[0].groups["strategy"]
    most = int(np.argmax(sum(table[column] for column in MEMORY.values())))
    memory = {part: float(table[column][most]) for part, column in MEMORY.items()}
    return Row(label or "all alike", cell, step_s, (float(low), float(high)), exchange, exposed, hidden,
               (float(sent.mean()), float(sent.max())), memory)  # fmt: skip


def _communication(record: Record) -> tuple[float, float, float]:
    """Seconds of a step, means over steps and ranks: communication phases; with what is served in others; hidden."""
    chosen = [cls == "communication" for cls in record.classes]
    exchange = float(record.phase_s[:, chosen].sum(axis=1).mean())
    table = record.groups["strategy"]
    # An exchange that overlaps counts its own time, in the phase and between units; one that does not has the phase.
    return exchange, max(exchange, float(table["exposed_s"].mean())), float(table["hidden_s"].mean())


def _sent(record: Record) -> np.ndarray:
    """(rank): bytes of a step after warm-up."""
    traffic = record.groups.get("traffic", {})
    if not len(traffic.get("sent_bytes", ())):
        return np.zeros(record.ranks)
    return traffic["sent_bytes"].sum(axis=0) / max(1, int((record.steps["warmup"] == 0).sum()))


def _time_panel(axes: Axes, rows: list[Row], places: list[float]) -> None:
    looks = style.looks(row.label for row in rows)
    for row, y in zip(rows, places, strict=True):
        value, colour = row.step_s.scaled(1e3), looks[row.label].colour
        axes.plot([1e3 * s for s in row.spread_s], [y, y], color=colour, lw=3.2, alpha=0.25, zorder=2,
                  solid_capstyle="butt", label="_spread")  # fmt: skip
        if value.bounded:
            axes.plot([value.low, value.high], [y, y], color=colour, lw=1.2, solid_capstyle="butt", zorder=2.5,
                      label="_interval")  # fmt: skip
        hollow = row.oversubscribed
        axes.plot([value.value], [y], ls="", marker=looks[row.label].marker, mfc="white" if hollow else colour,
                  mec=colour if hollow else "white", mew=1.0 if hollow else 0.5, zorder=3,
                  clip_on=False, label="_median")  # fmt: skip
        right = max(1e3 * row.spread_s[1], np.nan_to_num(value.high), value.value)
        bars.value(axes, right, y, style.short(value.value), 5)
    axes.set_xlim(0, 1.4 * max(line.get_xdata()[-1] for line in axes.lines))
    axes.set_title("Time per step")
    axes.set_xlabel("median step (ms)")


def _exposed_panel(axes: Axes, rows: list[Row], places: list[float]) -> None:
    phase, between = EXPOSED.values()
    most = max(row.exposed_s for row in rows)
    scale, unit = (1e6, "us") if most < 1e-3 else (1e3, "ms")
    for row, y in zip(rows, places, strict=True):
        bars.bar(axes, y, 0, row.exchange_s * scale, *phase)
        bars.bar(axes, y, row.exchange_s * scale, (row.exposed_s - row.exchange_s) * scale, *between)
        bars.value(axes, row.exposed_s * scale, y, style.short(row.exposed_s * scale))
    bars.limit(axes, most * scale)
    axes.set_title("Exposed communication")
    axes.set_xlabel(f"mean of a step ({unit})")


def _memory_panel(axes: Axes, rows: list[Row], places: list[float]) -> None:
    most = max(sum(row.memory.values()) for row in rows)
    scale, unit = bars.byte_unit(most)
    for row, y in zip(rows, places, strict=True):
        left = 0.0
        for part, size in row.memory.items():
            bars.bar(axes, y, left, size / scale, *PARTS[part])
            left += size / scale
        bars.value(axes, left, y, f"{left:.3g}")
    bars.limit(axes, most / scale)
    axes.set_title("Memory of a rank")
    axes.set_xlabel(f"state ({unit})")


def _table(rows: list[Row]) -> Table:
    table = Table(
        "series", "ranks", "oversubscribed", "runs", "step_s", "step_s_low", "step_s_high", "step_s_level",
        "step_s_tenth", "step_s_nine_tenths", "exchange_s", "exposed_s", "hidden_s", "sent_bytes", "sent_bytes_most",
        "weight_bytes", "gradient_bytes", "optimizer_bytes",
    )  # fmt: skip
    for row in rows:
        low, high = (b if row.step_s.bounded else math.nan for b in (row.step_s.low, row.step_s.high))
        table.add(
            series=row.label, ranks=row.ranks, oversubscribed=row.oversubscribed,
            runs=len(row.cell.records), step_s=row.step_s.value, step_s_low=low, step_s_high=high,
            step_s_level=row.step_s.level, step_s_tenth=row.spread_s[0], step_s_nine_tenths=row.spread_s[1],
            exchange_s=float(row.exchange_s), exposed_s=float(row.exposed_s), hidden_s=float(row.hidden_s),
            sent_bytes=row.sent_bytes[0], sent_bytes_most=row.sent_bytes[1],
            **{column: row.memory[part] for part, column in MEMORY.items()},
        )  # fmt: skip
    return table
