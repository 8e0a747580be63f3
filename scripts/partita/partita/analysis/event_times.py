# SPDX-License-Identifier: BSD-3-Clause
"""Bytes and seconds of the operations that a run recorded as events (record.events), for fits over sizes.

    message   from where its send begins to where its receive ends; only where the receiver was there before: one that
              comes later may find the message there, and its time is that of a copy
    exchange  from where the last of its ranks comes to it to where the last one leaves: without the wait for each other

Not taken: exchanges that go on while units work (/strategy/hidden_s), whose events have all of the bytes and what is
left of the time; sums and halos inside units, whose events have no bytes.
"""

from dataclasses import dataclass

import numpy as np

from partita.analysis.dependencies import operations_of
from partita.errors import UsageError, held_to_the_layout
from partita.records.events import Events, events_of
from partita.records.record import Record, plural

MESSAGE, EXCHANGE = "message", "exchange"
NO_EVENTS = "no run recorded events (record.events = [FIRST, LAST])"
HIDDEN = "exchanges go on while units work: their events have all bytes and what is left of the time"


@dataclass(frozen=True, order=True)
class Kind:
    """What may be fitted together."""

    operation: str  # `message`, `exchange`
    axis: str  # Of the mesh, along which its ranks differ.
    algorithm: str  # As /traffic names it; several: joined by "/".
    members: int
    ranks: int  # Of the run.


Samples = dict[Kind, dict[int, list[float]]]  # Bytes -> seconds of each time.


def event_samples(record: Record) -> Samples | str:
    """Of the counted steps of a run; a text where there are none. What is damaged is a reason, no error."""
    if record.ranks < 2:
        return "one rank sends nothing"
    if record.timeline is None or not record.timeline.written:
        return NO_EVENTS
    if lost := record.timeline.dropped:
        return f"{plural(lost, 'event')} of the run found no room"
    try:
        with record.opened(), held_to_the_layout(record.path, "events: "):
            return _samples(events_of(record))
    except UsageError as error:
        return str(error)


def _samples(events: Events) -> Samples | str:
    record = events.record
    found: Samples = {}
    overlaps = float(np.max(np.asarray(record.groups.get("strategy", {}).get("hidden_s", 0.0), float), initial=0.0)) > 0
    hidden = late = False
    for step in events.steps:
        if not events.counts(step):
            continue
        here = events.of_step(step)
        c = here.columns
        sends = here.is_part("send")
        for rows in operations_of(here):
            size = int(c["bytes"][rows].max())
            first = [r for r in rows if sends[r]]
            if size <= 0 or (overlaps and not first):
                hidden |= size > 0
                continue
            came, left = c["start_ns"][rows], c["end_ns"][rows]
            if first:
                begin = int(c["start_ns"][first[0]])
                late |= (missed := int(came.max()) > begin)
                if missed:
                    continue
            else:
                begin = int(came.max())
            kind = _kind(record, MESSAGE if first else EXCHANGE, [int(r) for r in c["rank"][rows]])
            found.setdefault(kind, {}).setdefault(size, []).append(1e-9 * (int(left.max()) - begin))
    if found:
        return found
    if hidden:
        return HIDDEN
    return "no receiver waited for its message" if late else "no event of several ranks has bytes"


def _kind(record: Record, operation: str, members: list[int]) -> Kind:
    """Named by the axes along which the members differ, and by what went along these (/traffic)."""
    table = record.groups.get("ranks", {})
    axes = [str(a) for a in table.get("axis", ())]
    place = np.asarray(table.get("coordinate", ()))
    along = []
    if place.shape == (record.ranks, len(axes)):
        along = [a for k, a in enumerate(axes) if len(np.unique(place[members, k])) > 1]
    traffic = record.groups.get("traffic", {})
    rows = zip(*(map(str, traffic.get(n, ())) for n in ("kind", "axis", "algorithm")), strict=True)
    passing = ("forward", "backward")  # Between the stages of a pipeline.
    chosen = {how for kind, axis, how in rows if axis in along and (kind in passing) == (operation == MESSAGE)}
    return Kind(operation, "+".join(along), "/".join(sorted(chosen)), len(set(members)), record.ranks)
