# SPDX-License-Identifier: BSD-3-Clause
"""Series -> time per step, speed-up, efficiency (DESIGN.md section 10), and what may not be computed."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from partita.records.folder import Cell, RecordedStudy, Series
from partita.records.record import Record, plural
from partita.statistics import MIN_SAMPLES, Interval, median_interval, ratio_interval
from partita.table import Table

OVER_RUNS, WITHIN_RUNS = "over runs", "within runs"
SAME = 1e-9  # How far the work of a step may spread and still count as constant; for a rank's the study says it.
NONE = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Entry:
    """One point of a scaling plot."""

    ranks: int
    threads: int
    runs: int
    step_s: Interval
    scope: str
    samples_per_s: float
    oversubscribed: bool
    speedup: Interval = NONE
    efficiency: Interval = NONE


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
            "samples", "interval_scope", "samples_per_s", "speedup", "speedup_low", "speedup_high", "efficiency",
            "efficiency_low", "efficiency_high",
        )  # fmt: skip
        for series, line in self.lines:
            for e in line:
                table.add(
                    series=series.label, ranks=e.ranks, threads_per_rank=e.threads, oversubscribed=e.oversubscribed,
                    runs=e.runs, step_s=e.step_s.value, step_s_low=e.step_s.low, step_s_high=e.step_s.high,
                    samples=e.step_s.n, interval_scope=e.scope, samples_per_s=e.samples_per_s, speedup=e.speedup.value,
                    speedup_low=e.speedup.low, speedup_high=e.speedup.high, efficiency=e.efficiency.value,
                    efficiency_low=e.efficiency.low, efficiency_high=e.efficiency.high,
                )  # fmt: skip
        return table


def step_time(cell: Cell) -> tuple[Interval, str]:
    """Median step time. Six runs or more: over the medians of the runs; fewer: over the steps of all of them."""
    if len(cell.records) >= MIN_SAMPLES:
        return median_interval(float(np.median(r.step_s)) for r in cell.records), OVER_RUNS
    return median_interval(np.concatenate([r.step_s for r in cell.records])), WITHIN_RUNS


def analyse(study: RecordedStudy) -> Scaling:
    """Times of all points; speed-up and efficiency of those that may be compared."""
    kind, said = scaling_kind(study)
    notes = [said if kind else f"no speed-up or efficiency: {said}"] if said else []
    lines = []
    for series in study.series:
        plain = [_entry(cell) for cell in series.cells]
        lines.append((series, tuple(_compared(plain, kind))))
    left_out = sorted({e.ranks for _, line in lines for e in line if e.oversubscribed})
    if left_out:
        counts = ", ".join(map(str, left_out))
        notes.append(f"oversubscribed (more threads than cores), left out of speed-up and efficiency: {counts} ranks")
    result = Scaling(kind, tuple(lines), tuple(notes))
    if kind and not result.comparable:
        result.notes += ("no speed-up: fewer than two numbers of ranks that are not oversubscribed",)
    return result


def _entry(cell: Cell) -> Entry:
    step_s, scope = step_time(cell)
    samples = float(np.median([r.samples_per_step for r in cell.records]))
    return Entry(
        cell.ranks, cell.threads, len(cell.records), step_s, scope, samples / step_s.value, cell.oversubscribed
    )


def _compared(line: list[Entry], kind: str | None) -> list[Entry]:
    """The same entries with S = T(p0)/T(p) (weak: times p/p0, the work that is done) and E = S p0/p."""
    valid = [e for e in line if not e.oversubscribed]
    if kind is None or not valid:
        return line
    base = min(valid, key=lambda e: e.ranks)
    result = []
    for e in line:
        if e.oversubscribed:
            result.append(e)
            continue
        work = e.ranks / base.ranks if kind == "weak" else 1.0
        speedup = Interval(1.0, 1.0, 1.0, e.step_s.n) if e is base else ratio_interval(base.step_s, e.step_s, work)
        efficiency = speedup.scaled(base.ranks / e.ranks)
        result.append(Entry(e.ranks, e.threads, e.runs, e.step_s, e.scope, e.samples_per_s, False, speedup, efficiency))
    return result


def scaling_kind(study: RecordedStudy) -> tuple[str | None, str]:
    """`strong`: the same work a step at every number of ranks; `weak`: the same work a rank; None: neither, and why.

    Work is the counted flop of a step where all records have it, else samples, provided that the model is the same. A
    model that grows with ranks in whole heads cannot keep a rank's work to the last operation: its study says so.
    """
    if study.intended_scaling in ("throughput", "compare"):
        return None, "the study compares something else"
    name, work_of = _work(study.records)
    apart = max((_spread(s, lambda r: work_of(r) / r.ranks) for s in study.series), default=0.0)
    strong = all(_spread(s, work_of) <= SAME for s in study.series)
    weak = apart <= study.work_tolerance
    model_grows = [key for key in study.rank_keys if key.startswith(("model.", "data."))] if name == "samples" else []
    several = len({r.ranks for r in study.records}) > 1
    found = None
    if model_grows:
        reason = f"{', '.join(model_grows)} changes with the number of ranks and no flops were counted"
    elif strong and not (weak and study.intended_scaling == "weak"):
        found, reason = "strong", ""
    elif weak:
        found, reason = "weak", ""
    else:
        reason = (
            f"{name} per step are neither the same at every number of ranks nor the same per rank "
            f"({100 * apart:.3g} % apart, allowed are {100 * study.work_tolerance:g} %)"
        )
    if study.intended_scaling and found and several and found != study.intended_scaling:
        reason = f"the study says {study.intended_scaling} scaling, but {name} per step say {found}"
        found = None
    if found == "weak" and apart > SAME:
        reason = f"{name} per step and rank are the same within {100 * apart:.2g} %"
    return found, reason


def _work(records: tuple[Record, ...]) -> tuple[str, Callable[[Record], float]]:
    if all(float(r.attributes.get("flop_per_step", 0)) > 0 for r in records):
        return "flops", lambda r: float(r.attributes["flop_per_step"])
    return "samples", lambda r: r.samples_per_step


def _spread(series: Series, value: Callable[[Record], float]) -> float:
    """(largest - smallest) / largest of all records of a line."""
    values = [value(r) for cell in series.cells for r in cell.records]
    return float(np.ptp(values) / max(values))


def interval_note(scaling: Scaling) -> str:
    """What the error bars are, in words."""
    entries = [e for _, line in scaling.lines for e in line]
    if not any(e.step_s.bounded for e in entries):
        return f"no intervals: fewer than {MIN_SAMPLES} counted steps"
    scopes = {e.scope for e in entries}
    runs = {e.runs for e in entries}
    counts = {e.step_s.n for e in entries}
    shown = [f"{min(x)}" if len(x) == 1 else f"{min(x)} to {max(x)}" for x in (runs, counts)]
    if scopes == {OVER_RUNS}:
        return f"points: median over {shown[0]} runs of a run's median step; bars: 95 % interval of that median"
    if scopes == {WITHIN_RUNS}:
        runs_text = plural(1, "run") if runs == {1} else f"{shown[0]} runs"
        return (
            f"points: median over the {shown[1]} counted steps of {runs_text}; bars: 95 % interval of that median "
            f"within runs (over runs from {MIN_SAMPLES} repeats on)"
        )
    return (
        "bars: 95 % interval of the median, "
        f"over runs where there are {MIN_SAMPLES} or more, else over steps within runs"
    )
