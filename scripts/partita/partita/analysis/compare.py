# SPDX-License-Identifier: BSD-3-Clause
"""Two sets of runs, point by point: the ratio with its interval, what may be said of it, whether it is too slow."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from partita.analysis.matching import Point, differences, match
from partita.statistics import NOT_POSITIVE, Interval, ratio_of_runs, verdict
from partita.table import Table

if TYPE_CHECKING:
    from partita.analysis.metrics import Metric

WORDS = {"s": ("slower", "faster"), "1/s": ("slower", "faster")}  # By unit; worse first.


class Decision(StrEnum):
    """Whether a point is slower by more than is allowed."""

    SLOWER = "slower"
    NOT_SLOWER = "not slower"
    UNDECIDED = "undecided"
    TOO_FEW = "too few runs"


@dataclass(frozen=True)
class Comparison:
    """b against a at one point."""

    a: Point
    b: Point
    a_name: str
    b_name: str
    metric: "Metric"
    ratio: Interval  # b over a.

    @property
    def worse(self) -> Interval:
        """How many times worse b is: above 1 for more seconds, and for fewer samples a second."""
        r = self.ratio
        return r if self.metric.better == "less" else replace(r, value=1 / r.value, low=1 / r.high, high=1 / r.low)

    @property
    def said(self) -> str:
        """`slower`, `faster`, `indistinguishable`, `too few runs`, `no ratio`."""
        if self.ratio.method == NOT_POSITIVE:
            return "no ratio"
        bad, good = WORDS.get(self.metric.unit, ("worse", "better"))
        return {"larger": bad, "smaller": good}.get(word := verdict(self.worse), word)

    def decide(self, percent: float) -> Decision:
        """Slower by more than so many percent for sure, for sure not, or neither."""
        limit = 1 + percent / 100
        if not self.worse.bounded:
            return Decision.TOO_FEW
        if self.worse.low > limit:
            return Decision.SLOWER
        return Decision.NOT_SLOWER if self.worse.high <= limit else Decision.UNDECIDED


def _comparison(a: Point, b: Point, names: tuple[str, str], metric: "Metric") -> Comparison:
    """Runs of two folders share no block and are compared as two groups; those of one folder by their blocks."""
    return Comparison(a, b, *names, metric, ratio_of_runs(b.values, a.values))


def compare_folders(sets: Sequence[Sequence[Point]], names: Sequence[str],
                    metric: "Metric") -> tuple[list[Comparison], list[str], list[str]]:  # fmt: skip
    """Each folder with the first: the points of both, what has no counterpart, and the keys that were left out."""
    found, missing, notes = [], [], []
    first, base = sets[0], names[0]
    for points, name in zip(sets[1:], names[1:], strict=True):
        matches = match(first, points)
        found += [_comparison(a, b, (base, name), metric) for a, b in matches.pairs]
        missing += [f"only in {base}: {p.name} ({differences(p, points)})" for p in matches.only_a]
        missing += [f"only in {name}: {p.name} ({differences(p, first)})" for p in matches.only_b]
        if matches.new_keys:
            notes.append(f"known to one of {base} and {name} alone, so not compared: {', '.join(matches.new_keys)}")
    return found, missing, notes


def compare_series(points: Sequence[Point], base: str | None, metric: "Metric") -> list[Comparison]:
    """Every series of a study with its first (or the one of that name), at the same ranks and threads."""
    made: list[Comparison] = []
    for study in dict.fromkeys(p.study for p in points):
        of_study = [p for p in points if p.study == study]
        first = of_study[0].series if base is None else base
        at = {p.place: p for p in of_study if p.series == first}
        others = (p for p in of_study if p.series != first and p.place in at)
        made += [_comparison(at[p.place], p, (first, p.series), metric) for p in others]
    return made


def table(comparisons: Iterable[Comparison], metric: str) -> Table:
    """All numbers, a row for each point."""
    made = Table(
        "app", "series", "ranks", "threads", "oversubscribed", "metric", "unit", "a", "b", "a_value", "a_runs",
        "b_value", "b_runs", "ratio", "ratio_low", "ratio_high", "level", "method", "verdict",
    )  # fmt: skip
    for c in comparisons:
        made.add(
            app=c.a.app, series=c.a.series, ranks=c.a.ranks, threads=c.a.threads,
            oversubscribed=c.a.oversubscribed or c.b.oversubscribed, metric=metric, unit=c.metric.unit, a=c.a_name,
            b=c.b_name, a_value=c.a.median.value, a_runs=len(c.a.values), b_value=c.b.median.value,
            b_runs=len(c.b.values), ratio=c.ratio.value, ratio_low=c.ratio.low, ratio_high=c.ratio.high,
            level=c.ratio.level, method=c.ratio.method, verdict=c.said,
        )  # fmt: skip
    return made


def by_chance(comparisons: Iterable[Comparison]) -> float:
    """How many verdicts to expect where nothing differs at all: the sum of what the levels leave."""
    return math.fsum(1 - c.ratio.level for c in comparisons if c.ratio.bounded)
