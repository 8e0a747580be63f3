# SPDX-License-Identifier: BSD-3-Clause
"""What each rank does in a step, and whom it needs for it: from the events of the step.

A rank's step is cut at its events, the innermost of nested ones deciding:

    compute    forward, backward (and its halves), loss, update: of all units but those that send
    network    send, receive, exchange, wait, and units that send (.halo, .all-reduce, .gather-tokens ...), with the few
               operations that those do beside their messages
    rest       no event: input, bookkeeping; but network between two events of a rank whose collectives are under way
               while units work (/strategy/hidden_s > 0), since helping them on is what happens there

    message    a receive ends no earlier than its send begins
    collective exchange, wait, a sum in a unit: ends when the last of its ranks has come to it. The same operation of
               the same number in the step on all ranks that have it; these differ in their place along data and space
               (exchange, wait), along tensor or space (units), and in nothing else (/ranks/coordinate)
    in flight  a unit that is told of several times in a pass: the last one ends when all ranks have come to the one
               before it; halos when the neighbours have come to their first
    gathering  of weights ahead of a unit: meets the ranks that gather ahead of the same unit; where weights arrived
               before they were needed there is no such event, and nobody waits for that rank

Not seen, so counted as compute: a bucket that is started within the unit whose gradient completes it, and sums over
ranks within `update` (the norm of gradients that are clipped).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np

from partita.records.events import ACTIONS, Events
from partita.records.record import plural

COMPUTE = (*ACTIONS, "loss", "update")
MEETINGS = ("exchange", "wait")
SENDING_UNITS = (".halo", ".all-reduce", ".gather-tokens", ".scatter-tokens")
REPLICAS = ("data", "spatial")  # Axes that gradients are summed over.
SHARERS = ("tensor", "spatial", "data")  # Axes that units sum over: the first of several ranks.
OUTSIDE, BETWEEN = -1, -2  # In place of a row: before the first event and after the last, between two.

Label = tuple[Hashable, ...]
Doing = tuple[str, Hashable]  # ("compute" or "rest", ns), ("arrive", key), ("await", keys).


@dataclass
class Rank:
    """What a rank does in a step."""

    elapsed_ns: int
    doings: list[Doing] = field(default_factory=list)

    def seconds(self, kind: str) -> float:
        """Of all that is of this kind."""
        return 1e-9 * sum(value for what, value in self.doings if what == kind)


def ranks_of(events: Events, step: int) -> list[Rank] | str:
    """What the ranks do in a step; a text where events are missing."""
    here = events.of_step(step)
    silent = events.record.ranks - len(np.unique(here.columns["rank"]))
    if silent:
        return f"{plural(silent, 'rank')} without events"
    needs = _Needs(here)
    if needs.unmatched:
        return f"{plural(needs.unmatched, 'receive')} without the send of the same message"
    return [_rank(here, needs, step, rank) for rank in range(events.record.ranks)]


def operations_of(events: Events) -> list[list[int]]:
    """Rows of the events of one step that are one operation: a send and its receive, or all ranks of a meeting."""
    rows: dict[Hashable, list[int]] = {}
    for row, doings in _Needs(events).of.items():
        for key in dict.fromkeys(k for what, value in doings for k in ((value,) if what == "arrive" else value)):
            if key[0] in ("message", "meeting"):
                rows.setdefault(key, []).append(row)
    return [found for found in rows.values() if len(found) > 1]


def _rank(events: Events, needs: _Needs, step: int, rank: int) -> Rank:
    rows, c = needs.rows[rank], events.columns
    if 0 <= (at := events.row(step)) < len(events.step_start_ns):
        begin, end = int(events.step_start_ns[at, rank]), int(events.step_end_ns[at, rank])
    else:
        begin, end = int(c["start_ns"][rows].min()), int(c["end_ns"][rows].max())
    made = Rank(end - begin)
    for row, ns in _cut(rows, c["start_ns"], c["end_ns"], begin, end):
        if ns is None:
            made.doings += needs.of.get(row, ())
        elif row == OUTSIDE or (row == BETWEEN and not needs.overlaps[rank]):
            made.doings.append(("rest", ns))
        elif row >= 0 and not needs.is_network(row):
            made.doings.append(("compute" if needs.part[row] in COMPUTE else "rest", ns))
    return made


def _cut(
    rows: np.ndarray, start: np.ndarray, end: np.ndarray, begin: int, finish: int
) -> Iterator[tuple[int, int | None]]:
    """Rows as they begin (None), and the stretches of time between all begins and ends with the innermost row."""
    at, inside, seen = begin, [], 0

    def stretch(until: int) -> Iterator[tuple[int, int | None]]:
        nonlocal at
        if until > at:
            around = OUTSIDE if seen in (0, len(rows)) else BETWEEN
            yield (inside[-1] if inside else around), until - at
            at = until

    for row in rows.tolist():
        while inside and end[inside[-1]] <= start[row]:
            yield from stretch(int(end[inside[-1]]))
            inside.pop()
        yield from stretch(int(start[row]))
        seen += 1
        yield row, None
        inside.append(row)
    while inside:
        yield from stretch(int(end[inside[-1]]))
        inside.pop()
    yield from stretch(finish)


class _Needs:
    """What each row of a step's events tells others, and what it waits for."""

    def __init__(self, events: Events) -> None:
        self.c, self.ranks = events.columns, events.record.ranks
        self.part = [events.parts[i] for i in self.c["part"]]
        self.unit = [events.units[u] if u >= 0 else "" for u in self.c["unit"]]
        rows = np.flatnonzero(~events.is_action())
        of, start, end = (self.c[name][rows] for name in ("rank", "start_ns", "end_ns"))
        # Outer ones first. What takes no time is before what begins with it, not inside, but for an exchange's wait.
        order = np.lexsort((-end, (end > start) | events.is_part("wait")[rows], start, of))
        self.rows = np.split(rows[order], np.searchsorted(of[order], np.arange(1, self.ranks)))
        hidden = np.asarray(events.record.groups.get("strategy", {}).get("hidden_s", 0.0), float)
        self.overlaps = np.broadcast_to(hidden, self.ranks) > 0
        self._places(events)
        self.of: dict[int, list[Doing]] = {}
        sends = {m.receive: m.send for m in events.messages()}
        receives = np.flatnonzero(events.is_part("receive")).tolist()
        self.unmatched = sum(row not in sends for row in receives)
        for receive, send in sends.items():
            self.of[send] = [("arrive", ("message", send))]
            self.of[receive] = [("await", (("message", send),))]
        self._collectives()

    def is_network(self, row: int) -> bool:
        """Whether its time is that of the network."""
        return self.part[row] in (*MEETINGS, "send", "receive") or self.unit[row].endswith(SENDING_UNITS)

    def _places(self, events: Events) -> None:
        table = events.record.groups.get("ranks", {})
        axes = [str(a) for a in table.get("axis", ())]
        place = np.asarray(table.get("coordinate", np.zeros((self.ranks, 0))))
        if place.shape != (self.ranks, len(axes)):
            axes, place = [], np.zeros((self.ranks, 0), int)
        several = [a for a in SHARERS if a in axes and len(np.unique(place[:, axes.index(a)])) > 1]
        sharers = several[:1]

        def group(free: tuple[str, ...]) -> list[tuple[int, ...]]:
            kept = [k for k, a in enumerate(axes) if a not in free]
            return [tuple(int(x) for x in row[kept]) for row in place]

        self.replicas, self.sharers = group(REPLICAS), group(tuple(sharers))
        at = axes.index("spatial") if "spatial" in axes else None
        self.spatial = [int(row[at]) if at is not None else rank for rank, row in enumerate(place)]

    def _collectives(self) -> None:
        """Arrive and await of all rows that meet others."""
        labels: list[dict[Label, list[int]]] = []
        holders: dict[tuple[Label, int], int] = {}  # Of halos: who has them, by place along space.
        for rank in range(self.ranks):
            mine: dict[Label, list[int]] = {}
            times = self._times(rank)
            for row, after in zip(self.rows[rank].tolist(), [*self.rows[rank][1:].tolist(), -1], strict=True):
                if self.part[row] in MEETINGS or self.unit[row].endswith(SENDING_UNITS):
                    mine.setdefault(self._label(row, after, times.get(after, 0)), []).append(row)
            labels.append(mine)
            holders |= {(label, self.spatial[rank]): rank for label, rows in mine.items() if self._is_halo(rows)}
        for rank, mine in enumerate(labels):
            for label, rows in mine.items():
                if self._is_halo(rows):
                    beside = [holders.get((label, self.spatial[rank] + d), -1) for d in (-1, 0, 1)]
                    self._halo(label, rank, {other: labels[other][label] for other in beside if other >= 0})
                else:
                    self._sums(label, rows)

    def _times(self, rank: int) -> dict[int, int]:
        """How often a rank did the same before each row: a forward that backward does again is the second one."""
        seen: dict[Label, int] = {}
        times = {}
        for row in self.rows[rank].tolist():
            same = (self.part[row], self.unit[row], *self._at(row))
            times[row] = seen[same] = seen.get(same, -1) + 1
        return times

    def _at(self, row: int) -> tuple[int, ...]:
        return tuple(int(self.c[name][row]) for name in ("stage", "micro_batch", "piece"))

    def _label(self, row: int, after: int, times: int) -> Label:
        """The same for an operation on all of its ranks; after: the next row, which the rank did `times` times."""
        rank, at = int(self.c["rank"][row]), self._at(row)
        if self.unit[row]:
            return (self.part[row], self.unit[row], *at, *self.sharers[rank])
        if self.c["micro_batch"][row] >= 0 and after >= 0:  # Gathers ahead of a unit.
            return (self.part[row], self.part[after], self.unit[after], times, *at, *self.replicas[rank])
        return (self.part[row], *self.replicas[rank])

    def _sums(self, label: Label, rows: list[int]) -> None:
        """A meeting each; where a unit's sum is in flight: posted by all but the last row, which waits for them."""
        in_flight = len(rows) > 1 and self.unit[rows[0]].endswith(".all-reduce")
        for number, row in enumerate(rows):
            if not in_flight:
                key = ("meeting", *label, number)
                self.of[row] = [("arrive", key), ("await", (key,))]
            elif row != rows[-1]:
                self.of[row] = [("arrive", ("sum", *label, number))]
            else:
                self.of[row] = [("await", (("sum", *label, number - 1),))]

    def _is_halo(self, rows: list[int]) -> bool:
        return self.unit[rows[0]].endswith(".halo")

    def _halo(self, label: Label, rank: int, near: dict[int, list[int]]) -> None:
        """Posted by the first row of each halo; there, from the neighbours too, at its last one."""
        counts = {other: len(_flights(rows)) for other, rows in near.items()}
        for number, (first, last) in enumerate(_flights(near[rank])):
            keys = tuple(("halo", *label, number, other) for other, count in counts.items() if number < count)
            self.of[first] = [("arrive", ("halo", *label, number, rank))]
            self.of[last] = [*self.of.get(last, ()), ("await", keys)]


def _flights(rows: list[int]) -> list[tuple[int, int]]:
    """First and last row of each halo of a label: two where there is work between them, else the same."""
    each = 1 if len(rows) % 2 else 2
    return [(rows[k], rows[k + each - 1]) for k in range(0, len(rows), each)]
