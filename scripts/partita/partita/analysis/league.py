# SPDX-License-Identifier: BSD-3-Clause
"""Strategies of one model on one machine, ranked by throughput, memory and bytes; what is alike shares a place.

A strategy's place is one more than the number of those that are better for sure: 1, 1, 3 where the first two cannot be
told apart and the third is behind both. With too few runs for a verdict nobody has a place.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from partita.analysis.matching import Point, points
from partita.analysis.provenance import build, machine
from partita.analysis.reading import FolderRuns
from partita.errors import UsageError
from partita.records.record import Record, plural
from partita.statistics import Interval, median_interval, ratio_of_runs, verdict
from partita.table import Table

RATE = "samples_per_s"
MEMORY, PEAK, SENT = "state_bytes", "peak_memory_bytes", "sent_bytes"
METRICS = {RATE: False, MEMORY: True, PEAK: True, SENT: True}  # Whether less is better.
COUNTED = (MEMORY, SENT)  # By closed form or counter: the same in every run, so one run tells.
MODEL = ("model.", "data.", "train.")  # What all must have in common, where their apps know it.
NOT_THE_MODEL = ("data.path", "data.stream", "train.seed", "train.steps", "train.epochs", "train.micro_batches",
                 "train.deterministic", "train.recompute")  # fmt: skip
ALMOST = 1e-9  # Counts that differ by less are the same.


@dataclass(frozen=True)
class Standing:
    """A strategy at one number of ranks and threads."""

    point: Point
    runs: dict[str, dict[Hashable, float]]  # Metric -> block -> value.

    @property
    def name(self) -> str:
        """`mlp_dp zero1`."""
        return f"{self.point.app} {self.point.series}"

    def value(self, metric: str) -> Interval:
        """Over runs; NaN where no run has it."""
        return median_interval(self.runs.get(metric, {}).values())


@dataclass(frozen=True)
class League:
    """Those at one number of ranks and threads, the best throughput first."""

    ranks: int
    threads: int
    standings: tuple[Standing, ...]

    def places(self, metric: str) -> list[int | None]:
        """Of each, in their order; None: no value, or too few runs for a verdict on any pair."""
        return [self._place(s, metric) for s in self.standings]

    def _place(self, of: Standing, metric: str) -> int | None:
        others = [s for s in self.standings if s is not of and s.runs.get(metric)]
        if not of.runs.get(metric):
            return None
        said = [outcome(other, of, metric) for other in others]
        return None if others and all(s == "too few runs" for s in said) else 1 + said.count("better")


def outcome(a: Standing, b: Standing, metric: str) -> str:
    """Of a against b: `better`, `worse`, `indistinguishable` or `too few runs`."""
    mine, theirs = a.runs[metric], b.runs[metric]
    less = METRICS[metric]
    if metric in COUNTED and len({*mine.values()}) == len({*theirs.values()}) == 1:
        one, other = next(iter(mine.values())), next(iter(theirs.values()))
        if abs(one - other) <= ALMOST * max(one, other):
            return "indistinguishable"
        return "better" if (one < other) == less else "worse"
    word = verdict(ratio_of_runs(mine, theirs))
    return {"larger": "worse" if less else "better", "smaller": "better" if less else "worse"}.get(word, word)


def leagues(read: Sequence[FolderRuns]) -> list[League]:
    """One for each number of ranks and threads; UsageError where models or machines are mixed."""
    records = [record for r in read for record in r.records]
    _same(records, machine, "machines", "runs of one machine")
    models = _models(records)
    _same(records, lambda record: models[id(record)], "models", "runs of one model, on the same data and batch")
    made: dict[tuple[int, int], list[Standing]] = {}
    for r in read:
        others = {metric: {(p.study, p.series, p.place): p.values for p in points(r, metric)} for metric in METRICS}
        for point in points(r, RATE):
            key = (point.study, point.series, point.place)
            runs = {metric: of[key] for metric, of in others.items() if key in of}
            made.setdefault((point.ranks, point.threads), []).append(Standing(point, runs))
    return [League(*place, tuple(sorted(standings, key=lambda s: -s.value(RATE).value)))
            for place, standings in sorted(made.items())]  # fmt: skip


def finding(found: Sequence[League]) -> str:
    """Who leads at the most ranks, in one sentence."""
    last = found[-1]
    places = last.places(RATE)
    first = [s.name for s, place in zip(last.standings, places, strict=True) if place == 1]
    at = f"At {plural(last.ranks, 'rank')}"
    if len(last.standings) == 1:
        return ""
    if not first:
        return f"{at} there are too few runs to say who is first."
    named = " and ".join([", ".join(first[:-1]), first[-1]] if len(first) > 1 else first)
    alone = f"{at} {named} has the first place alone"
    behind = sum(place is not None and place > 1 for place in places)
    said = alone if len(first) == 1 else f"{at} {named} share the first place: nothing tells which is fastest"
    return f"{said}; {behind} {'is' if behind == 1 else 'are'} slower for sure."


def mixed_builds(read: Sequence[FolderRuns]) -> list[str]:
    """Notes on codes and compilers that differ: no reason to refuse, and no fair race either."""
    found: dict[str, set[str]] = {}
    for record in (record for r in read for record in r.records):
        for name, value in build(record).items():
            found.setdefault(name, set()).add(value)
    return [f"careful: {name} differs: {', '.join(sorted(of))}" for name, of in found.items() if len(of) > 1]


def _models(records: Sequence[Record]) -> dict[int, dict[str, Any]]:
    """What the decks say of the model, for keys that all of them have."""
    shared = set.intersection(*(set(record.config) for record in records))
    keys = sorted(key for key in shared if key.startswith(MODEL) and not key.startswith(NOT_THE_MODEL))
    return {id(record): {key: record.config[key] for key in keys} for record in records}


def _same(records: Sequence[Record], of: Callable[[Record], dict[str, Any]], what: str, expected: str) -> None:
    first = records[0]
    for record in records[1:]:
        apart = [key for key, value in of(first).items() if of(record)[key] != value]
        if apart:
            named = "; ".join(f"{key} {of(first)[key]} in {first.path.name}, {of(record)[key]} in {record.path.name}"
                              for key in apart)  # fmt: skip
            raise UsageError(record.path.parent, f"{what} are mixed: {named}", expected)


def table(found: Iterable[League]) -> Table:
    """All numbers, a row for each strategy."""
    of_metrics = [f"{m}{end}" for m in METRICS for end in ("", "_low", "_high", "_place")]
    made = Table("ranks", "threads", "app", "series", "runs", "oversubscribed", *of_metrics)
    for league in found:
        places = {metric: league.places(metric) for metric in METRICS}
        for at, s in enumerate(league.standings):
            numbers: dict[str, Any] = {}
            for metric in METRICS:
                value = s.value(metric)
                numbers |= {metric: value.value, f"{metric}_low": value.low, f"{metric}_high": value.high,
                            f"{metric}_place": places[metric][at]}  # fmt: skip
            made.add(ranks=league.ranks, threads=league.threads, app=s.point.app, series=s.point.series,
                     runs=len(s.runs[RATE]), oversubscribed=s.point.oversubscribed, **numbers)  # fmt: skip
    return made
