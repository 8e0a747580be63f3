# SPDX-License-Identifier: BSD-3-Clause
"""What makes times untrustworthy, as warnings: drift within a run and over a study, noise, changing resources.

    drift within a run   median of the last third of its counted steps over that of the first third. Said where it is
                         more than 5 % and a permutation test of nine equal blocks has p below 1 %: of all 1,680 ways to
                         call three blocks first and three last, the share whose block medians differ as much. Blocks
                         are exchangeable, steps need not be: neighbours depend on each other.
    drift over a study   step times of repeats against when they ran. Kendall's S within cells (one series at one number
                         of ranks), summed; its exact null distribution is that of the inversions of random orders.
                         Said where p is below 1 % and the median slope over the study is more than 5 %.
    noise of the machine /calibration/fixed_work_noise, the 99th percentile of the same small product again and again
                         over its median, minus 1. Said above 25 %.
    resources            more threads than cores; threads per rank that change along a series or between repeats

Sources: block permutation: Good, Permutation, Parametric and Bootstrap Tests, 2005, section 3; Kendall's S within
groups: Hirsch, Slack and Smith, Water Resources Research 18, 1982; the slope: Sen, JASA 63, 1968.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

import numpy as np

from partita.errors import UsageError
from partita.records.folder import RecordedStudy
from partita.records.record import Record, plural
from partita.statistics import median

DRIFT = 0.05
NOISE = 0.25
LEVEL = 0.01
BLOCKS, THIRD = 9, 3
LEAST_STEPS = 2 * BLOCKS
MOST_LOOKED_AT = 200  # Runs whose calibration is read: most share one.
MOST_REPEATS = 300  # Of a cell: of more every second, third ... is looked at.
EXACT_PAIRS = 5000  # Up to so many pairs of repeats Kendall's distribution is counted, beyond it is near normal.


@dataclass(frozen=True)
class Drift:
    """How much longer steps became, as a share, and how often chance alone gives as much."""

    change: float
    p: float

    @property
    def matters(self) -> bool:
        """Large, and not by chance."""
        return abs(self.change) > DRIFT and self.p < LEVEL


def record_warnings(record: Record) -> list[str]:
    """Of one run, beside that it is oversubscribed."""
    found = []
    drift = _drift_within(record)
    if drift is not None and drift.matters:
        found.append(f"drift within the run: the last third of its steps is {_slower(drift.change)} than the first "
                     f"third (p = {drift.p:.1g})")  # fmt: skip
    noise = machine_noise(record)
    if noise > NOISE:
        found.append(f"noisy machine: {_noise(noise)}")
    return found


def study_warnings(study: RecordedStudy) -> list[str]:
    """Of a study: one text for each kind, with how many runs it is about and the worst of them."""
    found = [*_oversubscribed(study), *_threads(study)]
    drifts = [(r, d) for r in study.records if (d := _drift_within(r)) is not None and d.matters]
    looked_at = study.records[:: -(-len(study.records) // MOST_LOOKED_AT)]
    noises = [(noise, r) for r in looked_at if (noise := machine_noise(r)) > NOISE]
    if drifts:
        worst, drift = max(drifts, key=lambda item: abs(item[1].change))
        many = f"{len(drifts)} of {plural(len(study.records), 'run')}"
        found.append(f"drift within {many}: the last third of the steps of "
                     f"{_name(worst)} is {_slower(drift.change)} than the first third (p = {drift.p:.1g})")  # fmt: skip
    over = drift_over(study)
    if over is not None and over.matters:
        found.append(f"drift over the study: repeats that ran last are {_slower(over.change)} than those that ran "
                     f"first (p = {over.p:.1g})")  # fmt: skip
    if noises:
        noise, worst = max(noises, key=lambda item: item[0])
        found.append(f"noisy machine in {len(noises)} of {plural(len(looked_at), 'run')}: {_noise(noise)} "
                     f"({_name(worst)})")  # fmt: skip
    return found


def _drift_within(record: Record) -> Drift | None:
    """One that may matter; none of times of the virtual engine: they are what the deck makes them."""
    if record.attributes.get("engine") == "virtual":
        return None
    blocks = _blocks(record.step_s)
    return None if blocks is None or abs(_change(blocks)) <= DRIFT else drift_within(record.step_s)


def drift_within(step_s: Sequence[float]) -> Drift | None:
    """Of the counted steps of one run in their order; None with fewer than 18."""
    blocks = _blocks(step_s)
    if blocks is None:
        return None
    middles = np.log(np.median(blocks, axis=1))
    seen = abs(middles[-THIRD:].sum() - middles[:THIRD].sum())
    gaps = np.abs(_splits() @ middles)
    return Drift(_change(blocks), float(np.mean(gaps >= seen * (1 - 1e-9))))


def _blocks(step_s: Sequence[float]) -> np.ndarray | None:
    x = np.asarray(step_s, float)
    return x[len(x) % BLOCKS :].reshape(BLOCKS, -1) if len(x) >= LEAST_STEPS and (x > 0).all() else None


def _change(blocks: np.ndarray) -> float:
    return median(blocks[-THIRD:].ravel()) / median(blocks[:THIRD].ravel()) - 1


@functools.cache
def _splits() -> np.ndarray:
    """Of all ways to call three blocks first and three last: -1 for the first, 1 for the last, a row each."""
    rows = []
    for first in combinations(range(BLOCKS), THIRD):
        for last in combinations(sorted(set(range(BLOCKS)) - set(first)), THIRD):
            rows.append([(b in last) - (b in first) for b in range(BLOCKS)])
    return np.array(rows, float)


def drift_over(study: RecordedStudy) -> Drift | None:
    """Of the repeats of all cells by when they ran; None where no cell has two that ran one after the other."""
    cells = []
    for _, cell in study.distinct_cells():
        timed = [(at, r.median_step_s) for r in cell.records if (at := began(r)) is not None]
        if len({at for at, _ in timed}) > 1:
            timed.sort()
            cells.append(np.array(timed[:: -(-len(timed) // MOST_REPEATS)]))
    if not cells:
        return None
    s, slopes = 0, []
    for times, values in (cell.T for cell in cells):
        early, late = np.triu_indices(len(times), 1)
        apart = times[late] - times[early]
        grown = np.log(values[late] / values[early])[apart > 0]
        s += int(np.sign(grown).sum())
        slopes.append(grown / apart[apart > 0])
    times = np.concatenate(cells)[:, 0]
    change = math.expm1(float(np.median(np.concatenate(slopes))) * float(np.ptp(times)))
    return Drift(change, kendall_p(s, [len(cell) for cell in cells]))


def kendall_p(s: int, sizes: Sequence[int]) -> float:
    """How often |S| of random orders of so many values each, summed, is as large; exact, normal for large groups."""
    pairs = sum(n * (n - 1) // 2 for n in sizes)
    if pairs > EXACT_PAIRS:
        deviation = math.sqrt(sum(n * (n - 1) * (2 * n + 5) for n in sizes) / 18)
        return min(1.0, math.erfc(max(0, abs(s) - 1) / deviation / math.sqrt(2)))
    chance = np.ones(1)  # Of 0, 1, ... inversions: inserting the i-th value makes 0 .. i - 1 of them alike.
    for n in sizes:
        for i in range(2, n + 1):
            chance = np.convolve(chance, np.full(i, 1 / i))
    values = pairs - 2 * np.arange(len(chance))
    return min(1.0, float(chance[np.abs(values) >= abs(s)].sum()))


def machine_noise(record: Record) -> float:
    """fixed_work_noise of /calibration; NaN without it, and where the group is damaged: `show` says that."""
    try:
        columns = record.groups.get("calibration", {})
        found = np.flatnonzero(np.asarray(columns.get("quantity", ()), str) == "fixed_work_noise")
        return float(columns["value"][found[0]]) if found.size else math.nan
    except (UsageError, LookupError, TypeError, ValueError):
        return math.nan


def began(record: Record) -> float | None:
    """When a run began: created_utc, seconds since 1970; None where it says nothing that is a time."""
    try:
        at = datetime.fromisoformat(str(record.attributes.get("created_utc", "")))
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _oversubscribed(study: RecordedStudy) -> list[str]:
    counts = sorted({cell.ranks for _, cell in study.distinct_cells() if cell.oversubscribed})
    if not counts:
        return []
    shown = ", ".join(map(str, counts))  # In the words of `scaling`, so that nobody reads it twice.
    return [f"oversubscribed (more threads than cores), left out of speed-up and efficiency: {shown} ranks"]


def _threads(study: RecordedStudy) -> list[str]:
    found = []
    for series in study.series:
        of_ranks = {cell.ranks: sorted({r.threads for r in cell.records}) for cell in series.cells}
        if len({t for threads in of_ranks.values() for t in threads}) > 1:
            shown = "; ".join(f"{_list(threads)} at {plural(ranks, 'rank')}" for ranks, threads in of_ranks.items())
            found.append(f"threads per rank change along {series.label}: {shown}; its speed-up is not over ranks alone")
    more = f" (and so for {len(found) - 1} more)" if len(found) > 1 else ""
    return [found[0] + more] if found else []


def _slower(change: float) -> str:
    return f"{100 * abs(change):.1f} % {'slower' if change > 0 else 'faster'}"


def _noise(noise: float) -> str:
    return f"one in a hundred repeats of the same work takes {100 * noise:.0f} % longer than the median or more"


def _list(values: Sequence[int]) -> str:
    return " and ".join([", ".join(map(str, values[:-1])), str(values[-1])]) if len(values) > 1 else str(values[0])


def _name(record: Record) -> str:
    return str(record.attributes.get("point") or record.path.stem)
