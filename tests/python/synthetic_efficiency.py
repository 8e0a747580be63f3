# SPDX-License-Identifier: BSD-3-Clause
"""SYNTHETIC TEST DATA: steps whose events are planted one by one: what a free network makes of them is known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from synthetic import PART_NAMES, Synthetic

MS = 1_000_000
DEFAULTS = {"stage": -1, "unit": -1, "micro_batch": -1, "piece": -1, "peer": -1, "bytes": 0, "match": -1}


@dataclass
class Planted:
    """A step of some ranks, told in ms; the record has it in the steps 5, 6, 7, with all times multiplied."""

    ranks: int = 2
    units: Sequence[str] = ("linear0", "linear1", "linear0.all-reduce", "conv0.halo", "norm.gather-tokens")
    axes: Sequence[str] = ("data",)
    places: Sequence[Sequence[int]] | None = None  # Of each rank, along the axes.
    factors: Sequence[float] = (1, 1, 1)  # Of the steps.
    hidden_s: float = 0.0
    strategy: dict[str, object] = field(default_factory=dict)  # More columns.
    dropped: int = 0
    offset_ns: Sequence[int] = ()  # Of each rank's clock to that of rank 0.
    begin_ms: Sequence[float] = ()  # When each rank begins its step.
    rows: list[dict[str, float]] = field(default_factory=list)

    def event(self, rank: int, part: str, start: float, end: float, unit: str = "", **more: int) -> None:
        """What a rank does from one instant of the step to another, in ms."""
        more |= {"unit": self.units.index(unit)} if unit else {}
        self.rows.append({"rank": rank, "part": PART_NAMES.index(part), "start": start, "end": end} | DEFAULTS | more)

    def compute(self, rank: int, start: float, end: float) -> None:
        """A forward of the first unit."""
        self.event(rank, "forward", start, end, self.units[0], micro_batch=0)

    def message(self, number: int, sender: int, receiver: int, sent: float, wanted: float, arrived: float) -> None:
        """A message: its send takes no time, its receive from when it is wanted to when it has arrived."""
        self.event(sender, "send", sent, sent, micro_batch=0, peer=receiver, match=number)
        self.event(receiver, "receive", wanted, arrived, micro_batch=0, peer=sender, match=number)

    def write(self, path: Path, end: float | None = None, **record: object) -> Path:
        """A record whose steps end at `end` ms on all ranks, or where each rank's last event does."""
        Synthetic(ranks=self.ranks, **record).write(path)
        offset = np.array(self.offset_ns or [0] * self.ranks)
        begins = np.array(self.begin_ms or [0.0] * self.ranks)
        ends = np.zeros(self.ranks)
        for row in self.rows:
            ends[row["rank"]] = end or max(ends[row["rank"]], row["end"])
        with h5py.File(path, "r+") as f:
            rows = [row | {"step": step, "factor": factor} for step, factor in zip((5, 6, 7), self.factors, strict=True)
                    for row in self.rows]  # fmt: skip
            columns = {name: np.array([row[name] for row in rows]) for name in ("rank", "step", "part", *DEFAULTS)}
            for name in ("start", "end"):
                scaled = np.array([row[name] * row["factor"] for row in rows])
                columns[f"{name}_ns"] = 1_000_000_000 * columns["step"] + np.rint(scaled * MS).astype(np.int64)
                columns[f"{name}_ns"] -= offset[columns["rank"]]
            group = f.create_group("events")
            for name, values in columns.items():
                group[name] = values.astype(np.int64)
            group["part_name"], group["unit_name"] = list(PART_NAMES), list(self.units)
            group["events_written"], group["events_dropped"] = np.int64(len(rows)), np.int64(self.dropped)
            group.attrs.update({"first_step": 5, "last_step": 7})
            for step, factor in zip((5, 6, 7), self.factors, strict=True):
                for name, at in (("start_ns", begins), ("end_ns", ends)):
                    at_ns = np.rint(at * factor * MS).astype(np.int64)
                    f["steps"][name][step] = 1_000_000_000 * step + at_ns - offset
            table = f["ranks"]
            table["clock_offset_ns"], table["axis"] = offset, list(self.axes)
            table["coordinate"] = np.array(self.places or [[r] for r in range(self.ranks)])
            strategy = f.require_group("strategy")
            for name, values in {"hidden_s": np.full(self.ranks, self.hidden_s), **self.strategy}.items():
                strategy[name] = values
        return path
