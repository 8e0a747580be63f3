# SPDX-License-Identifier: BSD-3-Clause
"""The events of a record (/events) on one clock, that of rank 0."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from partita.errors import UsageError, held_to_the_layout
from partita.records import hdf5
from partita.records.record import Columns, Record, read_record

COLUMNS = ("rank", "step", "part", "stage", "unit", "micro_batch", "piece", "peer", "bytes", "start_ns", "end_ns")
ACTIONS = ("forward", "backward", "backward_input", "backward_weights")  # Parts that a stage does as a whole.


@dataclass(frozen=True)
class Clocks:
    """What turns instants of a rank into those of rank 0: /ranks."""

    offset_ns: np.ndarray
    drift: np.ndarray
    begin_ns: np.ndarray

    @classmethod
    def of(cls, record: Record) -> "Clocks":
        """Older records know no drift, and what a killed run left has none yet: then the offset stays what it was."""
        ranks = record.groups.get("ranks", {})
        zeros = np.zeros(record.ranks)
        drift = np.nan_to_num(np.asarray(ranks.get("clock_drift", zeros), float))
        return cls(ranks.get("clock_offset_ns", zeros).astype(np.int64), drift,
                   ranks.get("clock_begin_ns", zeros).astype(np.int64))  # fmt: skip

    def to_root(self, rank: np.ndarray, instant_ns: np.ndarray) -> np.ndarray:
        """Instants of ranks -> nanoseconds of rank 0's clock."""
        grown = np.rint(self.drift[rank] * (instant_ns - self.begin_ns[rank])).astype(np.int64)
        return instant_ns + self.offset_ns[rank] + grown


@dataclass(frozen=True)
class Message:
    """Rows of /events that are the two ends of one message."""

    send: int
    receive: int


@dataclass(frozen=True)
class Events:
    """Rows of /events, valid ones alone; start_ns and end_ns on the clock of rank 0."""

    record: Record
    parts: tuple[str, ...]
    units: tuple[str, ...]
    columns: Columns
    step_start_ns: np.ndarray  # (step, rank) on the clock of rank 0; empty with record.detail = "stats".
    step_end_ns: np.ndarray

    def __len__(self) -> int:
        return len(self.columns["rank"])

    @property
    def steps(self) -> list[int]:
        """Steps that have events."""
        return [int(s) for s in np.unique(self.columns["step"])]

    def row(self, step: int) -> int:
        """Where the record's columns have the step; -1 where they have not."""
        row = step - self.record.first_step
        return row if 0 <= row < self.record.written_steps else -1

    def counts(self, step: int) -> bool:
        """Whether the step is in the record, and neither warm-up nor after a flush."""
        return (row := self.row(step)) >= 0 and bool(self.record.counted[row])

    def of_step(self, step: int) -> "Events":
        """The events of one step."""
        chosen = self.columns["step"] == step
        return replace(self, columns={name: values[chosen] for name, values in self.columns.items()})

    def is_part(self, *names: str) -> np.ndarray:
        """Mask of the events of these parts."""
        return np.isin(self.columns["part"], [i for i, name in enumerate(self.parts) if name in names])

    def is_action(self) -> np.ndarray:
        """Mask of the whole actions of pipeline stages: forward, backward ... of no unit."""
        return self.is_part(*ACTIONS) & (self.columns["unit"] < 0)

    def begin_ns(self, step: int) -> int:
        """When the first rank began the step; its first event, where that is not known."""
        if 0 <= (row := self.row(step)) < len(self.step_start_ns):
            return int(self.step_start_ns[row].min())
        return int(self.columns["start_ns"][self.columns["step"] == step].min())

    def messages(self) -> Iterator[Message]:
        """Pairs of a send and the receive of the same message."""
        ends: dict[tuple[int, ...], list[list[int]]] = {}
        c = self.columns
        for side, name in enumerate(("send", "receive")):
            for row in np.flatnonzero(self.is_part(name) & (c["match"] >= 0)):
                here, there = int(c["rank"][row]), int(c["peer"][row])
                key = (int(c["step"][row]), int(c["match"][row]), *((here, there) if side == 0 else (there, here)))
                ends.setdefault(key, [[], []])[side].append(int(row))
        for sends, receives in ends.values():  # An end is missing where its event found no room.
            if len(sends) == len(receives) == 1:
                yield Message(sends[0], receives[0])


def read_events(path: Path) -> Events:
    """Read a record with its events; UsageError where it has none, with the key that makes them."""
    return events_of(read_record(path))


def events_of(record: Record) -> Events:
    """The events of a record; UsageError where it has none."""
    path = record.path
    wanted = "a record of a run with record.events = [FIRST, LAST], the steps whose events it keeps"
    if record.timeline is None:
        raise UsageError(path, "holds no events", wanted)
    with record.opened(), held_to_the_layout(path, "events: "):
        found = record.source.read(lambda file: hdf5.columns(hdf5.group(file, "events")))
        written = record.timeline.written
        columns = {name: found[name][:written].astype(np.int64) for name in COLUMNS}
        columns["match"] = (
            found["match"][:written].astype(np.int64) if "match" in found else np.full(len(columns["rank"]), -1)
        )
        parts, units = (tuple(str(n) for n in found[name]) for name in ("part_name", "unit_name"))
        for name, count in (("rank", record.ranks), ("part", len(parts))):
            if ((columns[name] < 0) | (columns[name] >= count)).any():
                raise ValueError(f"/events/{name} holds values beyond 0 to {count - 1}")
        if (columns["unit"] >= len(units)).any():
            raise ValueError("/events/unit holds units without a name")
        clocks = Clocks.of(record)
        for name in ("start_ns", "end_ns"):
            columns[name] = clocks.to_root(columns["rank"], columns[name])
        start, end = (_steps(record, clocks, name) for name in ("start_ns", "end_ns"))
    if not len(columns["rank"]):
        raise UsageError(path, f"the run ended before step {record.timeline.first_step} made events", wanted)
    return Events(record, parts, units, columns, start, end)


def _steps(record: Record, clocks: Clocks, name: str) -> np.ndarray:
    if name not in record.steps:  # record.detail = "stats"
        return np.empty((0, record.ranks), np.int64)
    rank = np.broadcast_to(np.arange(record.ranks), record.steps[name].shape)
    return clocks.to_root(rank, record.steps[name])
