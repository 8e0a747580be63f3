# SPDX-License-Identifier: BSD-3-Clause
"""What a study found, in sentences: from the one table of metrics, the most telling first.

Rows over runs give efficiencies and speed-ups with their intervals, rows of single runs the ratios of two series, by
blocks where they have them (statistics.ratio_of_runs). Series of one model are compared at the largest number of ranks
that two of them have, oversubscribed ones apart: times of a step where both have as many samples in it, else samples a
second.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from partita.analysis import sentences
from partita.analysis.efficiency import LOST
from partita.records.folder import RecordedStudy
from partita.statistics import NONE, Interval, ratio_of_runs, verdict

if TYPE_CHECKING:
    import pandas as pd

MOST = 10
MOST_PAIRED = 4  # Of more series only the fastest is compared with each of the others.
MOST_OF_A_KIND = 4
SAME_WORK = 0.02
OVERSUBSCRIBED = "oversubscribed"
TIMES = {"step_s": "samples_per_s", "virtual_step_s": "samples_per_virtual_s"}  # A time of a step, and its rate.


@dataclass(frozen=True)
class _Said:
    telling: float
    text: str


class _Rows:
    """The rows of one study."""

    def __init__(self, study: RecordedStudy, table: pd.DataFrame) -> None:
        rows = table[(table["study"] == study.name) & (table["app"] == study.app)]
        rows = rows[(rows["point"] == "") | rows["metric"].isin([*TIMES, *TIMES.values()])]
        self.over: dict[tuple[str, int, str], Interval] = {}
        single: dict[tuple[str, int, str], list[tuple[int, float]]] = {}
        self.points: dict[tuple[str, int], set[str]] = {}
        crowded = set()
        for row in rows.to_dict("records"):
            at = (row["series"], int(row["ranks"]))
            if row["point"]:
                self.points.setdefault(at, set()).add(row["point"])
                if not math.isnan(row["value"]):
                    single.setdefault((*at, row["metric"]), []).append((int(row["repeat"]), row["value"]))
                continue
            self.over[*at, row["metric"]] = Interval(row["value"], row["low"], row["high"], int(row["n"]), row["level"])
            if OVERSUBSCRIBED in row["reason"]:
                crowded.add(at)
        self.runs = {key: _by_block(values) for key, values in single.items()}
        known = {metric for (*_, metric), value in self.over.items() if value.value > 0}
        self.time = next((metric for metric in TIMES if metric in known), "step_s")
        self.counting: dict[str, list[int]] = {}
        for name, ranks in sorted({key[:2] for key in self.over} - crowded):
            self.counting.setdefault(name, []).append(ranks)

    def interval(self, name: str, ranks: int, metric: str) -> Interval:
        """Over runs; NONE where the table has it not."""
        return self.over.get((name, ranks, metric), NONE)

    def rivals(self) -> tuple[int, list[str]]:
        """The largest number of ranks at which two series are comparable, and these, the fastest first."""
        for at in sorted({ranks for counts in self.counting.values() for ranks in counts}, reverse=True):
            times = {n: self.interval(n, at, self.time).value for n, counts in self.counting.items() if at in counts}
            here = sorted((n for n in times if times[n] > 0), key=lambda n: times[n])
            if here and any(_differ(self._samples(here[0], at), self._samples(n, at)) for n in here):
                here.sort(key=lambda n: -self.interval(n, at, TIMES[self.time]).value)
            comparable = [n for n in here if any(self._comparable(n, other, at) for other in here if other != n)]
            if comparable:
                return at, comparable
        return 0, []

    def pairs(self, at: int, names: list[str]) -> list[tuple[str, str]]:
        """All pairs of a few series; of many the fastest with each of the others."""
        pairs = list(combinations(names, 2)) if len(names) <= MOST_PAIRED else [(names[0], n) for n in names[1:]]
        return [(a, b) for a, b in pairs if self._comparable(a, b, at)]

    def ratio(self, a: str, b: str, ranks: int) -> tuple[Interval, tuple[int, int], bool]:
        """a over b, how many runs of each, and whether it is that of rates: where they do other work in a step."""
        rate = _differ(self._samples(a, ranks), self._samples(b, ranks))
        of_a, of_b = (self.runs.get((n, ranks, TIMES[self.time] if rate else self.time), {}) for n in (a, b))
        return ratio_of_runs(of_a, of_b), (len(of_a), len(of_b)), rate

    def grows(self, name: str, base: int, at: int) -> bool:
        """Whether the work of a step does so with the ranks (weak scaling)."""
        work = [self.interval(name, n, "flop_per_step").value or math.nan for n in (base, at)]
        if not all(map(math.isfinite, work)):
            work = [self._samples(name, n) for n in (base, at)]
        return at > base and all(map(math.isfinite, work)) and not _differ(work[1] * base, work[0] * at)

    def _samples(self, name: str, ranks: int) -> float:
        """Of a step."""
        return self.interval(name, ranks, self.time).value * self.interval(name, ranks, TIMES[self.time]).value

    def _comparable(self, a: str, b: str, ranks: int) -> bool:
        """Not the same runs (a base that both share), nor other models: as many operations for a sample."""
        each = [self.interval(n, ranks, "flop_per_step").value / (self._samples(n, ranks) or math.nan) for n in (a, b)]
        return self.points.get((a, ranks)) != self.points.get((b, ranks)) and not _differ(*each)


def _by_block(values: list[tuple[int, float]]) -> dict[Hashable, float]:
    """Of (repeat, value) of runs. Those without a repeat, or of which it has several, are in no pair."""
    times = Counter(repeat for repeat, _ in values)
    return {
        repeat if repeat > 0 and times[repeat] == 1 else (repeat, number): value
        for number, (repeat, value) in enumerate(values)
    }


def _differ(a: float, b: float) -> bool:
    """By more than 2 %; what is not known differs from nothing."""
    return abs(a - b) > SAME_WORK * max(abs(a), abs(b))


def findings(study: RecordedStudy, table: pd.DataFrame) -> list[str]:
    """At most ten sentences, the most telling first; none where nothing can be said."""
    rows = _Rows(study, table)
    said = []
    for kind in (_comparisons(rows), _efficiencies(rows), _scalings(rows)):
        said += sorted(kind, key=lambda s: -s.telling)[:MOST_OF_A_KIND]
    return [s.text for s in sorted(said, key=lambda s: -s.telling)][:MOST]


def finding_of_scaling(study: RecordedStudy, table: pd.DataFrame) -> str:
    """The sentence below a picture of scaling: the two fastest series compared, else how far one scales; or ""."""
    rows = _Rows(study, table)
    at, names = rows.rivals()
    compared = [_compare(rows, at, a, b) for a, b in rows.pairs(at, names[:2])]
    told = [s for s in compared if s.telling >= INDISTINGUISHABLE]
    alone = sorted([*_scalings(rows), *_efficiencies(rows)], key=lambda s: -s.telling)
    return next((s.text for s in [*told, *alone, *compared]), "")


def finding_of_strategies(study: RecordedStudy, table: pd.DataFrame) -> str:
    """The sentence below a picture of strategies side by side: how all compare with the fastest; or ""."""
    rows = _Rows(study, table)
    at, names = rows.rivals()
    pairs = [(a, b) for a, b in rows.pairs(at, names) if a == names[0]]
    ratios = [(b, *rows.ratio(b, a, at)) for a, b in pairs]
    if len(pairs) > 1 and not any(rate for *_, rate in ratios):
        return sentences.ranked(names[0], at, [(name, ratio) for name, ratio, _, _ in ratios])
    return next((_compare(rows, at, a, b).text for a, b in pairs), "")


def finding_of_efficiency(study: RecordedStudy, table: pd.DataFrame) -> str:
    """The sentence below a picture of phases or of the split: what the series that loses most loses; or ""."""
    return max(_efficiencies(_Rows(study, table)), key=lambda s: s.telling, default=_Said(0, "")).text


DIFFERENT, LOSES, INDISTINGUISHABLE, SCALES, TOO_FEW = 4.0, 3.0, 2.0, 1.0, 0.0


def _compare(rows: _Rows, at: int, a: str, b: str, of: int = 1) -> _Said:
    ratio, runs, rate = rows.ratio(a, b, at)
    text = sentences.compared(a, b, at, ratio, runs, rate, of)
    text += " (in virtual time)" if rows.time.startswith("virtual") else ""
    found = verdict(ratio)
    if found == "too few runs":
        return _Said(TOO_FEW, text)
    if found == "indistinguishable":
        return _Said(INDISTINGUISHABLE, text)
    return _Said(DIFFERENT + min(0.9, abs(math.log(ratio.value))), text)


def _comparisons(rows: _Rows) -> list[_Said]:
    at, names = rows.rivals()
    pairs = rows.pairs(at, names)
    said = [_compare(rows, at, a, b, len(pairs)) for a, b in pairs]
    few = [s for s in said if s.telling == TOO_FEW]
    return [s for s in said if s not in few[1:]]  # That runs are too few is said once.


def _efficiencies(rows: _Rows) -> list[_Said]:
    """Of each series at its largest number of ranks; the one that loses most first."""
    said = []
    for name, counts in rows.counting.items():
        at = counts[-1]
        efficiency = rows.interval(name, at, "parallel_efficiency")
        if at < 2 or math.isnan(efficiency.value):
            continue
        lost = {part: rows.interval(name, at, f"lost:{part}").value for part in LOST}
        said.append(_Said(LOSES + min(0.9, 1 - efficiency.value), sentences.efficient(name, at, efficiency, lost)))
    return said


def _scalings(rows: _Rows) -> list[_Said]:
    """How far each series comes from its smallest to its largest number of ranks."""
    said = []
    for name, counts in rows.counting.items():
        base, at = counts[0], counts[-1]
        speedup, efficiency = (rows.interval(name, at, metric) for metric in ("speedup", "efficiency"))
        if at == base or math.isnan(speedup.value):
            continue
        if rows.grows(name, base, at):
            text = sentences.kept_up(name, base, at, efficiency)
        else:
            text = sentences.sped_up(name, base, at, speedup)
        said.append(_Said(SCALES + min(0.9, at / 10_000), text))
    return said
