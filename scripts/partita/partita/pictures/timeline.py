# SPDX-License-Identifier: BSD-3-Clause
"""The picture of one step: a row for each rank, a box for each action of its stages, white where it idles."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from partita.errors import UsageError
from partita.pictures import style
from partita.pictures.picture import Picture, record_line
from partita.records.events import Events
from partita.records.record import Record, plural
from partita.table import Table

KINDS = {"forward": "F", "backward": "B", "backward_input": "I", "backward_weights": "W"}
WORDS = {"F": "forward", "B": "backward", "I": "backward, inputs", "W": "backward, weights"}
BOXES = {"F": "#0072B2", "B": "#D55E00", "I": "#E69F00", "W": "#009E73"}
HATCHES = {"F": "", "B": "/////", "I": "xxxx", "W": "...."}
MARKS = {"receive": "#CC79A7", "loss": "#000000", "wait": "#b9bdc3", "exchange": "#56B4E9", "update": "#7a6a2a"}
MARK_WORDS = {"receive": "waits for a message", "wait": "waits at a barrier"}
BOX, MARK = 0.64, 0.17  # Heights, of a row.
DIGIT_PT = 4.6
MOST = 48  # Rows of a page; of more ranks some are drawn, evenly spaced.


@dataclass(frozen=True)
class Box:
    """What a rank does from one instant to another, ms from the begin of the step."""

    rank: int
    kind: str  # F, B, I, W, or the name of the part.
    stage: int
    chunk: int  # Which of the stages of its rank.
    micro_batch: int
    start_ms: float
    end_ms: float


def chosen_step(events: Events, step: int | None) -> int:
    """The step that was asked for; else the first that counts: no warm-up, not after a flush."""
    if step is None:
        return next((s for s in events.steps if events.counts(s)), events.steps[0])
    if step not in events.steps:
        held = ", ".join(map(str, events.steps))
        raise UsageError(f"--step {step}", f"{events.record.path} has no events of it", f"one of {held}")
    return step


def timeline_picture(all_events: Events, step: int) -> Picture:
    """The timeline of one step."""
    events = all_events.of_step(step)
    marks = list(_cut(events, step, events.is_part(*MARKS)))
    waits = [b for b in marks if b.kind == "receive"]
    boxes = [awake for box in _boxes(events, step) for awake in _awake(box, waits)]
    record, ranks = events.record, events.record.ranks
    table = _table(step, [*boxes, *marks])
    drawn = sorted({round(k * (ranks - 1) / (MOST - 1)) for k in range(MOST)}) if ranks > MOST else range(ranks)
    rows = {rank: row for row, rank in enumerate(drawn)}
    names = [_name(boxes, rank) for rank in drawn]
    boxes, marks = ([replace(b, rank=rows[b.rank]) for b in of if b.rank in rows] for of in (boxes, marks))
    row = 0.28 if len(rows) <= 24 else 0.17
    page = style.Page(style.TWO, max(1.0, row * len(rows) + 0.4), nrows=1, ncols=1)
    axes = page.axes[0]
    chunks = 1 + max((b.chunk for b in boxes), default=0)
    with mpl.rc_context(style.SETTINGS):
        end_ms = max(b.end_ms for b in [*boxes, *marks])
        _draw(axes, boxes, marks, chunks)
        if row * style.INCH_PT * BOX >= 7:
            _number(axes, boxes, (page.width - 1.0) * style.INCH_PT / end_ms, chunks)
        axes.set_xlim(0, end_ms * 1.004)
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_yticks(range(len(rows)), names)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
        axes.set_xlabel("ms from the begin of the step")
    title = f"Step {step} of {record.attributes.get('app', '?')}, {record.attributes.get('strategy', '')}".rstrip(", ")
    subtitle = record_line(f"{record.path.stem}, {plural(ranks, 'rank')}", record)
    notes = _notes(events, chunks, bool(axes.texts))
    if len(rows) < ranks:
        notes.append(f"{len(rows)} of {ranks} ranks are drawn, evenly spaced; all: in the CSV file")
    figure = page.finish(title, subtitle, notes, _handles(boxes, marks, chunks))
    return Picture("timeline", figure, table)


def _table(step: int, boxes: list[Box]) -> Table:
    table = Table("step", "rank", "kind", "stage", "chunk", "micro_batch", "start_ms", "end_ms")
    for b in sorted(boxes, key=lambda b: (b.rank, b.start_ms)):
        table.add(step=step, rank=b.rank, kind=b.kind, stage=b.stage, chunk=b.chunk, micro_batch=b.micro_batch,
                  start_ms=b.start_ms, end_ms=b.end_ms)  # fmt: skip
    return table


def _boxes(events: Events, step: int) -> Iterator[Box]:
    """Whole actions; without any (no pipeline), neighbouring passes of units."""
    chosen = events.is_action()
    if chosen.any():
        yield from _cut(events, step, chosen)
        return
    passes = events.is_part(*KINDS) & (events.columns["unit"] >= 0)
    open_box: Box | None = None
    for unit in _cut(events, step, passes):
        kind = "F" if unit.kind == "F" else "B"  # Of a unit both halves of backward follow each other.
        if open_box and (open_box.rank, open_box.kind, open_box.micro_batch) == (unit.rank, kind, unit.micro_batch):
            open_box = replace(open_box, end_ms=max(open_box.end_ms, unit.end_ms))
            continue
        if open_box:
            yield open_box
        open_box = Box(unit.rank, kind, -1, 0, unit.micro_batch, unit.start_ms, unit.end_ms)
    if open_box:
        yield open_box


def _awake(box: Box, waits: list[Box]) -> Iterator[Box]:
    """A box without the waits for messages inside of it."""
    at = box.start_ms
    for wait in waits:
        if wait.rank == box.rank and wait.start_ms < box.end_ms and wait.end_ms > at:
            if wait.start_ms > at:
                yield replace(box, start_ms=at, end_ms=wait.start_ms)
            at = wait.end_ms
    if box.end_ms > at:
        yield replace(box, start_ms=at)


def _cut(events: Events, step: int, chosen: np.ndarray) -> Iterator[Box]:
    """The chosen rows by rank and start."""
    c, begin = events.columns, events.begin_ns(step)
    actions = events.is_action()
    stages = {r: sorted({int(s) for s in c["stage"][actions & (c["rank"] == r)]}) for r in range(events.record.ranks)}
    rows = np.flatnonzero(chosen)
    for row in rows[np.lexsort((c["start_ns"][rows], c["rank"][rows]))]:
        rank, stage, part = int(c["rank"][row]), int(c["stage"][row]), events.parts[c["part"][row]]
        chunk = stages[rank].index(stage) if stage in stages[rank] else 0
        start_ms, end_ms = (float(c[name][row] - begin) * 1e-6 for name in ("start_ns", "end_ns"))
        yield Box(rank, KINDS.get(part, part), stage, chunk, int(c["micro_batch"][row]), start_ms, end_ms)


def _draw(axes: Axes, boxes: list[Box], marks: list[Box], chunks: int) -> None:
    groups: dict[tuple[int, str, int], list[tuple[float, float]]] = {}
    for b in [*boxes, *marks]:
        groups.setdefault((b.rank, b.kind, b.chunk), []).append((b.start_ms, b.end_ms - b.start_ms))
    for (rank, kind, chunk), spans in groups.items():
        if kind in BOXES:
            place = (rank - 0.5 * BOX - 0.5 * MARK, BOX)
            axes.broken_barh(spans, place, facecolors=[_colour(kind, chunk, chunks)], edgecolor="white", linewidth=0.4,
                             hatch=HATCHES[kind],
                             zorder=2, label=f"_{kind}")  # fmt: skip
        else:
            axes.broken_barh(spans, (rank + 0.5 * BOX - 0.4 * MARK, MARK), facecolors=[MARKS[kind]],
                             edgecolor=MARKS[kind], linewidth=0.6, zorder=3, label=f"_{kind}")  # fmt: skip


def _number(axes: Axes, boxes: list[Box], pt_per_ms: float, chunks: int) -> None:
    """The micro-batch in each box that has room for it."""
    for b in boxes:
        text = str(b.micro_batch)
        if b.micro_batch >= 0 and (b.end_ms - b.start_ms) * pt_per_ms >= DIGIT_PT * len(text) + 2:
            back = _colour(b.kind, b.chunk, chunks)
            colour = style.text_colour(back)
            axes.text((b.start_ms + b.end_ms) / 2, b.rank - 0.5 * MARK, text, ha="center", va="center",
                      fontsize=style.SMALL, color=colour, zorder=4,
                      bbox={"facecolor": back, "edgecolor": "none", "pad": 0.2})  # fmt: skip


def _colour(kind: str, chunk: int, chunks: int) -> tuple[float, float, float]:
    return style.shades(BOXES[kind], chunks)[chunk]


def _name(boxes: list[Box], rank: int) -> str:
    stages = sorted({b.stage for b in boxes if b.rank == rank and b.stage >= 0})
    if not stages:
        return f"rank {rank}"
    return f"rank {rank}: stage{'s' if len(stages) > 1 else ''} {', '.join(map(str, stages))}"


def _handles(boxes: list[Box], marks: list[Box], chunks: int) -> list[Line2D]:
    kinds, parts = {b.kind for b in boxes}, {b.kind for b in marks}
    handles = []
    for kind, colour in BOXES.items():
        if kind in kinds:
            handles.append(style.square(colour, WORDS[kind], HATCHES[kind]))
    if chunks > 1:
        lightest = style.shades("#5f6368", chunks)[-1]
        handles.append(style.square(lightest, "lighter: a later stage"))
    for part, colour in MARKS.items():
        if part in parts:
            handles.append(Line2D([], [], color=colour, lw=3.2, label=MARK_WORDS.get(part, part)))
    return handles


def _notes(events: Events, chunks: int, numbered: bool) -> list[str]:
    notes = ["white: the rank does nothing of the step (the bubble, where it has stages of a pipeline)"]
    if numbered:
        notes[0] = f"numbers: micro-batches, from 0 on; {notes[0]}"
    if chunks > 1:
        notes.append("a rank's stages in the order of the model, dark to light")
    if events.record.ranks > 1:
        notes.append("clocks of all ranks are brought to that of rank 0 by their offset" + _drift(events.record))
    if lost := events.record.timeline.dropped if events.record.timeline else 0:
        notes.append(f"{plural(lost, 'event')} of the run found no room: what is white may be one of them")
    return notes


def _drift(record: Record) -> str:
    drift = np.asarray(record.groups.get("ranks", {}).get("clock_drift", [np.nan]), float)
    return " and drift" if np.isfinite(drift).all() else " at the begin of the run (their drift is not known)"
