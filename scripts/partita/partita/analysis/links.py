# SPDX-License-Identifier: BSD-3-Clause
"""Alpha-beta fits of what records know of bytes and seconds: collectives of comm_bench, events of training runs.

    comm_bench  the median time of a call of each operation and algorithm over the sizes of its buffer
    training    the median time of messages and exchanges of each size, from the events of one run, or of one run of
                each point of a study: what differs in operation, axis, algorithm or ranks is apart

From five sizes on (fits.alpha_beta). What comm_bench fitted itself (alpha_s, beta_s_per_byte) is the same line where
its latency is not below nothing; a record that says otherwise is named.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partita.analysis.event_times import Kind, Samples, event_samples
from partita.analysis.fits import Fit, alpha_beta
from partita.records.folder import RecordedStudy
from partita.records.record import Record

MOST_READ = 24  # Runs of a study whose events are read: those with most ranks.
NEAR = 1e-3  # How far the record's own fit may be off.


@dataclass(frozen=True)
class Timed:
    """Seconds of one operation over its bytes."""

    operation: str
    way: str  # Algorithm; of events the axis, with the algorithms in brackets.
    ranks: str  # How many took part; `2 of 8`.
    sizes: tuple[float, ...]  # Bytes, ascending.
    seconds: tuple[float, ...]  # Median of each size.
    calls: int = 0  # That these are the medians of; 0: not told.
    recorded: tuple[float, float] = (math.nan, math.nan)  # Alpha and beta that the app found.

    @property
    def name(self) -> str:
        """`allreduce ring`, `message along pipeline (direct)`."""
        return f"{self.operation} {self.way}".strip()

    @cached_property
    def fit(self) -> Fit | str:
        """The line, or why there is none."""
        return alpha_beta(self.sizes, self.seconds)

    @property
    def worst(self) -> tuple[float, float]:
        """(bytes, T_fit / T - 1) where the line is farthest from what was measured."""
        assert isinstance(self.fit, Fit)
        return max(zip(self.sizes, self.fit.residuals, strict=True), key=lambda at: abs(at[1]))

    @property
    def disagrees(self) -> bool:
        """Whether the app found another line; one that starts below nothing has no latency here."""
        alpha, beta = self.recorded
        if isinstance(self.fit, str) or not (math.isfinite(alpha) and math.isfinite(beta)) or alpha < 0:
            return False
        mine = self.fit.parameters
        return not (math.isclose(alpha, mine["alpha"], rel_tol=NEAR) and math.isclose(beta, mine["beta"], rel_tol=NEAR))


def bench_times(record: Record) -> list[Timed]:
    """Every operation and algorithm of a record of comm_bench."""
    made = []
    for operation, columns in record.collectives.items():
        own = [np.asarray(columns.get(c, np.full(len(columns["algorithm"]), math.nan)), float)
               for c in ("alpha_s", "beta_s_per_byte")]  # fmt: skip
        repeats = columns["time_s"].shape[-1] if "time_s" in columns else 0
        for k, algorithm in enumerate(columns["algorithm"]):
            sizes, seconds = (tuple(map(float, v)) for v in (columns["byte"], columns["median_s"][:, k]))
            made.append(Timed(operation, str(algorithm), str(record.ranks), sizes, seconds, repeats * len(sizes),
                              (float(own[0][k]), float(own[1][k]))))  # fmt: skip
    return made


def run_times(record: Record) -> list[Timed] | str:
    """Every kind of operation in the events of a run; a text where there are none."""
    return _timed([event_samples(record)])


def study_times(study: RecordedStudy) -> list[Timed] | str:
    """The same of the first run of each point that has events, taken together; a text where there are none."""
    firsts = [cell.records[0] for _, cell in study.distinct_cells() if cell.ranks > 1]
    firsts = [r for r in firsts if r.timeline is not None] or firsts[:1]
    if not firsts:
        return "no run of several ranks"
    chosen = sorted(firsts, key=lambda r: -r.ranks)[:MOST_READ]
    return _timed([event_samples(r) for r in chosen])


def _timed(found: Sequence[Samples | str]) -> list[Timed] | str:
    samples: Samples = {}
    for one in found:
        for kind, by_size in one.items() if not isinstance(one, str) else ():
            for size, seconds in by_size.items():
                samples.setdefault(kind, {}).setdefault(size, []).extend(seconds)
    if not samples:
        return "; ".join(dict.fromkeys(one for one in found if isinstance(one, str)))
    return [_of(kind, samples[kind]) for kind in sorted(samples)]


def _of(kind: Kind, by_size: dict[int, list[float]]) -> Timed:
    sizes = sorted(by_size)
    how = f" ({kind.algorithm})" if kind.algorithm else ""
    way = f"along {kind.axis}{how}" if kind.axis else how.strip()
    ranks = str(kind.members) if kind.members == kind.ranks else f"{kind.members} of {kind.ranks}"
    return Timed(kind.operation, way, ranks, tuple(map(float, sizes)),
                 tuple(float(np.median(by_size[s])) for s in sizes), sum(map(len, by_size.values())))  # fmt: skip


def fitted(times: Iterable[Timed]) -> list[Timed]:
    """Those that have a line."""
    return [t for t in times if isinstance(t.fit, Fit)]


def unfitted(times: Iterable[Timed]) -> dict[str, list[str]]:
    """Reason -> the operations that have none."""
    why: dict[str, list[str]] = {}
    for t in times:
        if isinstance(t.fit, str):
            why.setdefault(t.fit, []).append(t.name)
    return why
