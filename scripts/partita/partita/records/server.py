# SPDX-License-Identifier: BSD-3-Clause
"""What a record of a parameter server holds: its attributes, /virtual, /strategy and /summary in one view."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partita.records.record import Record

QUANTILES = ("p50", "p95", "p99", "max")
LEARNS = ("train.", "evaluate.", "run.")  # Keys that follow from a protocol: no line of their own.
AXES = {  # Keys that groups of runs stand apart by, in the order in which they are looked for.
    "virtual.slow_factor": "slow-down of a straggler",
    "virtual.slow_probability": "probability of a slow step",
    "virtual.slow_workers": "slow workers",
    "virtual.workers": "workers",
    "server.count": "servers",
}


@dataclass(frozen=True)
class ServerRun:
    """One run of a parameter server."""

    record: Record

    @property
    def virtual(self) -> bool:
        """Whether its seconds are those of the virtual engine."""
        return self.engine == "virtual"

    @property
    def engine(self) -> str:
        """`mpi` or `virtual`."""
        return str(self.record.attributes["engine"])

    @property
    def protocol(self) -> str:
        """The consistency protocol, as the deck names it."""
        return str(self.record.attributes.get("protocol", "?"))

    @property
    def workers(self) -> int:
        """Number of workers."""
        return int(self.record.attributes.get("workers", 0))

    @property
    def servers(self) -> int:
        """Number of servers."""
        return int(self.record.attributes.get("servers", 0))

    @property
    def unit(self) -> str:
        """Of its times, for people: `virtual s` or `s`."""
        return "virtual s" if self.virtual else "s"

    @property
    def suffix(self) -> str:
        """Of the names of its times: `virtual_s` or `s`."""
        return "virtual_s" if self.virtual else "s"

    def column(self, name: str) -> np.ndarray | None:
        """A column of /strategy; None where it is missing."""
        return self.record.groups.get("strategy", {}).get(name)

    def time(self, name: str) -> np.ndarray | None:
        """A column of /strategy in seconds of this engine: `compute`, `pull_latency`..."""
        return self.column(f"{name}_{self.suffix}")

    @cached_property
    def seconds(self) -> np.ndarray:
        """(written step): when each update was made, in seconds of this engine from the start on."""
        written = self.record.written_steps
        if self.virtual:
            return self.record.groups["virtual"]["end_virtual_s"][:written]
        steps = self.record.steps
        if "end_ns" in steps:
            return (steps["end_ns"].max(axis=1) - steps["start_ns"][0].min()) * 1e-9
        return np.cumsum(steps["step_max_s"])

    @cached_property
    def samples(self) -> np.ndarray:
        """(written step): samples in all updates so far."""
        return self.record.samples_so_far

    @property
    def to_target(self) -> float:
        """Seconds of this engine to the target loss; NaN: not reached, or no target."""
        return self.record.summary(f"{self.suffix}_to_target")

    @property
    def has_target(self) -> bool:
        """Whether the run was given a target loss."""
        return f"{self.suffix}_to_target" in self.record.groups.get("summary", {}).get("metric", ())

    def curve(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
        """(samples, seconds, loss, which loss): held-out where it was evaluated twice or more, else of the updates."""
        table = self.record.groups.get("evaluation", {})
        step = np.asarray(table.get("step", np.empty(0, int)))
        chosen = (step >= 1) & (step <= self.record.written_steps)
        if chosen.sum() > 1:
            at = step[chosen] - 1  # An evaluation after step n is at the end of row n - 1.
            return self.samples[at], self.seconds[at], table["loss"][chosen], "held-out loss"
        return self.samples, self.seconds, self.record.steps["loss"], "training loss of an update"

    def staleness(self) -> np.ndarray | None:
        """(staleness): share of all pushes that were used."""
        count = self.column("staleness_count")
        return None if count is None or not count.sum() else count.sum(axis=0) / count.sum()


def server_run(record: Record) -> ServerRun | None:
    """The view; None where the record is of no parameter server."""
    return ServerRun(record) if "engine" in record.attributes else None


def run_name(run: ServerRun, several_sizes: bool) -> str:
    """The protocol with its own number: `ssp, s = 3`, `k-sync, K = 4 of 8` (K = 0.5 P where P varies)."""
    config = run.record.config
    name = run.protocol
    if name == "ssp":
        name += f", s = {config.get('server.staleness', '?')}"
    elif name.startswith("k-"):
        k = config.get("server.k") or run.workers - int(config.get("server.backup", 0) or 0)
        name += f", K = {int(k) / max(1, run.workers):.3g} P" if several_sizes else f", K = {k} of {run.workers}"
    return name
