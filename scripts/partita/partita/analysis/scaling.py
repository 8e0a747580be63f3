# SPDX-License-Identifier: BSD-3-Clause
"""Series -> time per step, speed-up, efficiency (DESIGN.md section 10), and what may not be computed.

A run gives one number, the median of its steps; a point is the median over its runs. With w the work of a step (strong:
1; weak: p; throughput: samples) and t its time, a run's rate is w / t, and at p ranks against the base p0

    S = rate(p) / rate(p0)      by blocks of repeats, see statistics.ratio_of_runs
    E = S p0 / p
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from partita.analysis.efficiency import karp_flatt
from partita.analysis.kinds import scaling_kind
from partita.records.folder import Cell, RecordedStudy, Series
from partita.records.record import Record
from partita.statistics import (
    MIN_SAMPLES,
    MIN_SHIFT,
    NONE,
    Interval,
    level_words,
    median_interval,
    quantiles,
    ratio_of_runs,
)
from partita.table import Table

BASE = "by definition"  # The method of a base's speed-up of 1.


@dataclass(frozen=True)
class Entry:
    """One point of a scaling plot."""

    ranks: int
    threads: int
    runs: int
    step_s: Interval  # Over runs.
    spread_s: tuple[float, float]  # Tenth and nine tenths of the steps, medians over runs: no interval.
    samples_per_s: float
    oversubscribed: bool
    speedup: Interval = NONE
    efficiency: Interval = NONE
    karp_flatt: float = math.nan  # Strong scaling alone.


@dataclass
class Scaling:
    """What a study says about scaling; `kind` is None when its runs are not comparable, and `notes` say why."""

    kind: str | None
    lines: tuple[tuple[Series, tuple[Entry, ...]], ...]
    notes: tuple[str, ...]

    @property
    def base(self) -> int:
        """Smallest number of ranks that counts."""
        return min((e.ranks for _, line in self.lines for e in line if e.speedup.n), default=1)

    @property
    def comparable(self) -> bool:
        """Whether there is a speed-up to show: two numbers of ranks on one line that count."""
        return any(e.speedup.n and e.ranks > self.base for _, line in self.lines for e in line)

    def table(self) -> Table:
        """All numbers, one row a point."""
        table = Table(
            "series", "ranks", "threads_per_rank", "oversubscribed", "runs", "step_s", "step_s_low", "step_s_high",
            "step_s_level", "step_s_tenth", "step_s_nine_tenths", "samples_per_s", "speedup", "speedup_low",
            "speedup_high", "efficiency", "efficiency_low", "efficiency_high", "ratio_level", "karp_flatt",
        )  # fmt: skip
        for series, line in self.lines:
            for e in line:
                table.add(
                    series=series.label, ranks=e.ranks, threads_per_rank=e.threads, oversubscribed=e.oversubscribed,
                    runs=e.runs, step_s=e.step_s.value, step_s_low=e.step_s.low, step_s_high=e.step_s.high,
                    step_s_level=e.step_s.level, step_s_tenth=e.spread_s[0], step_s_nine_tenths=e.spread_s[1],
                    samples_per_s=e.samples_per_s, speedup=e.speedup.value, speedup_low=e.speedup.low,
                    speedup_high=e.speedup.high, efficiency=e.efficiency.value, efficiency_low=e.efficiency.low,
                    efficiency_high=e.efficiency.high, ratio_level=e.speedup.level, karp_flatt=e.karp_flatt,
                )  # fmt: skip
        return table


def step_time(cell: Cell) -> Interval:
    """Median over runs of their median steps, in seconds; bounds from six runs on."""
    return median_interval(record.median_step_s for record in cell.records)


def samples_per_s(record: Record) -> float:
    """Work over time: samples of all counted steps over the seconds that they took."""
    return record.once(_samples_per_s)


def _samples_per_s(record: Record) -> float:
    return float(record.steps["samples"][record.counted].sum() / record.step_s.sum())


def by_block(records: Iterable[Record], value: Callable[[Record], float]) -> dict[Hashable, float]:
    """Block of repeats -> value of its run, so that runs of one block are compared with each other.

    A block is a repeat and a seed. Runs without a repeat, and those of which a block has several, are blocks of their
    own: they count, and are in no pair.
    """
    records = list(records)
    blocks = [(record.repeat, str(record.config.get("train.seed"))) for record in records]
    times = Counter(blocks)
    return {
        block if block[0] > 0 and times[block] == 1 else record.path: value(record)
        for block, record in zip(blocks, records, strict=True)
    }


def rate_of(kind: str, record: Record) -> float:
    """Work of a step over its time: what speed-up compares. In 1/s, ranks/s or samples/s."""
    work = {"strong": 1.0, "weak": float(record.ranks), "throughput": record.samples_per_step}[kind]
    return work / record.median_step_s


def analyse(study: RecordedStudy) -> Scaling:
    """Times of all points; speed-up and efficiency of those that may be compared."""
    kind, said = scaling_kind(study)
    notes = [said if kind else f"no speed-up or efficiency: {said}"] if said else []
    lines = [(series, tuple(_line(series, kind))) for series in study.series]
    left_out = sorted({e.ranks for _, line in lines for e in line if e.oversubscribed})
    if left_out:
        counts = ", ".join(map(str, left_out))
        notes.append(f"oversubscribed (more threads than cores), left out of speed-up and efficiency: {counts} ranks")
    result = Scaling(kind, tuple(lines), tuple(notes))
    if kind and not result.comparable:
        result.notes += ("no speed-up: fewer than two numbers of ranks that are not oversubscribed",)
    return result


def base_of(series: Series) -> Cell | None:
    """The fewest ranks that count; None where all points are oversubscribed."""
    return min((cell for cell in series.cells if not cell.oversubscribed), key=lambda cell: cell.ranks, default=None)


def speedup_of(kind: str, cell: Cell, base: Cell) -> Interval:
    """S of a point against its base, by blocks; 1 of the base itself."""
    if cell is base:
        return Interval(1.0, 1.0, 1.0, len(cell.records), 1.0, BASE)
    rates = (by_block(c.records, lambda record: rate_of(kind, record)) for c in (cell, base))
    return ratio_of_runs(*rates)


def _line(series: Series, kind: str | None) -> list[Entry]:
    base = base_of(series)
    result = []
    for cell in series.cells:
        entry = _entry(cell)
        if kind and base and not cell.oversubscribed:
            speedup, more = speedup_of(kind, cell, base), cell.ranks / base.ranks
            serial = karp_flatt(speedup.value, more) if kind == "strong" and speedup.value > 0 else math.nan
            entry = replace(entry, speedup=speedup, efficiency=speedup.scaled(1 / more), karp_flatt=serial)
        result.append(entry)
    return result


def _entry(cell: Cell) -> Entry:
    step_s = step_time(cell)
    low, high = np.median([quantiles(r.step_s) for r in cell.records], axis=0)
    rate = float(np.median([samples_per_s(r) for r in cell.records]))
    return Entry(cell.ranks, cell.threads, len(cell.records), step_s, (float(low), float(high)), rate,
                 cell.oversubscribed)  # fmt: skip


def interval_note(scaling: Scaling) -> str:
    """What points and error bars of times are, in words."""
    entries = [e for _, line in scaling.lines for e in line]
    runs = _range(e.runs for e in entries)
    point = f"points: median over {runs} run{'' if runs == '1' else 's'} of a run's median step"
    levels = {level_words(e.step_s.level) for e in entries if e.step_s.bounded}
    if not levels:
        return f"{point}; no intervals: they are over runs, from {MIN_SAMPLES} on"
    few = "" if all(e.step_s.bounded for e in entries) else f", from {MIN_SAMPLES} on"
    return f"{point}; bars: {_levels(levels)} interval of that median over runs{few}"


def ratio_note(scaling: Scaling) -> str:
    """What points and error bars of speed-up and efficiency are, in words."""
    ratios = [e.speedup for _, line in scaling.lines for e in line if e.speedup.n and e.speedup.method != BASE]
    levels = {level_words(s.level) for s in ratios if s.bounded}
    methods = " or ".join(sorted({s.method for s in ratios}))
    if not levels:
        return f"speed-up and efficiency: {methods}; intervals from {MIN_SHIFT} runs at each number of ranks on"
    return f"speed-up and efficiency: {methods}; bars: {_levels(levels)} interval, those shorter than a marker hidden"


def _levels(levels: set[str]) -> str:
    """`98.4 %`, or `95.7 % to 98.4 %`."""
    return " to ".join(dict.fromkeys((min(levels), max(levels))))


def _range(counts: Iterable[int]) -> str:
    found = set(counts)
    return " to ".join(str(n) for n in dict.fromkeys((min(found), max(found))))
