# SPDX-License-Identifier: BSD-3-Clause
"""What a study found, in sentences: from the one table of metrics, the most telling first.

Rows over runs give efficiencies and speed-ups with their intervals, rows of single runs the ratios of two series, by
blocks where they have them (statistics.ratio_of_runs). Series are compared at the largest number of ranks that two of
them have, oversubscribed ones apart: times of a step where both do the same work in it, else samples a second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations, pairwise
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
SAME_WORK = 0.01
OVERSUBSCRIBED = "oversubscribed"

Name = tuple[str, str]  # App, series.


@dataclass(frozen=True)
class _Said:
    telling: float
    text: str


class _Rows:
    """The rows of one study."""

    def __init__(self, study: RecordedStudy, table: pd.DataFrame) -> None:
        self.kind = study.intended_scaling
        rows = table[table["study"] == study.name]
        single = rows["repeat"] > 0
        self.over: dict[tuple[Name, int, str], Interval] = {}
        self.runs: dict[tuple[Name, int, str], dict[object, float]] = {}
        crowded = set()
        for row in rows[~single & (rows["point"] == "")].to_dict("records"):
            key = ((row["app"], row["series"]), int(row["ranks"]), row["metric"])
            self.over[key] = Interval(row["value"], row["low"], row["high"], int(row["n"]), row.get("level", math.nan))
            if OVERSUBSCRIBED in str(row["reason"]):
                crowded.add(key[:2])
        for row in rows[rows["point"] != ""].to_dict("records"):
            key = ((row["app"], row["series"]), int(row["ranks"]), row["metric"])
            block = int(row["repeat"]) or row["point"]
            if not math.isnan(row["value"]):
                self.runs.setdefault(key, {})[block] = row["value"]
        self.counting: dict[Name, list[int]] = {}
        for name, ranks in sorted({key[:2] for key in self.over} - crowded):
            self.counting.setdefault(name, []).append(ranks)
        self.several_apps = len({app for app, _ in self.counting}) > 1

    def word(self, name: Name) -> str:
        """What a series is called."""
        return f"{name[0]} {name[1]}" if self.several_apps else name[1]

    def interval(self, name: Name, ranks: int, metric: str) -> Interval:
        """Over runs; NONE where the table has it not."""
        return self.over.get((name, ranks, metric), NONE)

    def values(self, name: Name, ranks: int, metric: str) -> dict[object, float]:
        """Of single runs, by block."""
        return self.runs.get((name, ranks, metric), {})

    def rivals(self) -> list[tuple[int, list[Name]]]:
        """For each app: the largest number of ranks that two of its series have, and these, shortest step first."""
        found = []
        for app in dict.fromkeys(app for app, _ in self.counting):
            series = [name for name in self.counting if name[0] == app]
            common = [
                ranks for a, b in combinations(series, 2) for ranks in set(self.counting[a]) & set(self.counting[b])
            ]
            if common:
                at = max(common)
                here = [n for n in series if at in self.counting[n] and self.interval(n, at, "step_s").value > 0]
                here.sort(key=lambda n: self.interval(n, at, "step_s").value)
                if len(here) > 1:
                    found.append((at, here))
        return found

    def ratio(self, a: Name, b: Name, ranks: int) -> tuple[Interval, tuple[int, int], bool]:
        """a over b, how many runs of each, and whether it is that of rates."""
        rate = not self._same_work(a, b, ranks)
        of_a, of_b = (self.values(n, ranks, "samples_per_s" if rate else "step_s") for n in (a, b))
        return ratio_of_runs(of_a, of_b), (len(of_a), len(of_b)), rate

    def _same_work(self, a: Name, b: Name, ranks: int) -> bool:
        work = []
        for name in (a, b):
            step, rate = (self.interval(name, ranks, metric).value for metric in ("step_s", "samples_per_s"))
            work.append(step * rate)
        return not (all(map(math.isfinite, work)) and abs(work[0] / work[1] - 1) > SAME_WORK)


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
    compared = [_compare(rows, at, a, b) for at, names in rows.rivals() for a, b in list(pairwise(names))[:1]]
    told = [s for s in compared if s.telling >= INDISTINGUISHABLE]
    alone = sorted([*_scalings(rows), *_efficiencies(rows)], key=lambda s: -s.telling)
    return next((s.text for s in [*told, *alone, *compared]), "")


def finding_of_strategies(study: RecordedStudy, table: pd.DataFrame) -> str:
    """The sentence below a picture of strategies side by side: how all compare with the fastest; or ""."""
    rows = _Rows(study, table)
    for at, names in rows.rivals():
        if len(names) == 2:
            return _compare(rows, at, *names).text
        others = [(rows.word(n), rows.ratio(n, names[0], at)) for n in names[1:]]
        if not any(rate for _, (_, _, rate) in others):
            return sentences.ranked(rows.word(names[0]), at, [(word, ratio) for word, (ratio, _, _) in others])
        return _compare(rows, at, names[0], names[1]).text
    return ""


DIFFERENT, LOSES, INDISTINGUISHABLE, SCALES, TOO_FEW = 4.0, 3.0, 2.0, 1.0, 0.0


def _compare(rows: _Rows, at: int, a: Name, b: Name, of: int = 1) -> _Said:
    ratio, runs, rate = rows.ratio(a, b, at)
    text = sentences.compared(rows.word(a), rows.word(b), at, ratio, runs, rate, of)
    found = verdict(ratio)
    if found == "too few runs":
        return _Said(TOO_FEW, text)
    if found == "indistinguishable":
        return _Said(INDISTINGUISHABLE, text)
    return _Said(DIFFERENT + min(0.9, abs(math.log(ratio.value))), text)


def _comparisons(rows: _Rows) -> list[_Said]:
    """All pairs of a few series; of many the fastest with each of the others."""
    said = []
    for at, names in rows.rivals():
        pairs = list(combinations(names, 2)) if len(names) <= MOST_PAIRED else [(names[0], n) for n in names[1:]]
        said += [_compare(rows, at, a, b, len(pairs)) for a, b in pairs]
    return said


def _efficiencies(rows: _Rows) -> list[_Said]:
    """Of each series at its largest number of ranks; the one that loses most first."""
    said = []
    for name, counts in rows.counting.items():
        at = counts[-1]
        efficiency = rows.interval(name, at, "parallel_efficiency")
        if at < 2 or math.isnan(efficiency.value):
            continue
        lost = {part: rows.interval(name, at, f"lost:{part}").value for part in LOST}
        text = sentences.efficient(rows.word(name), at, efficiency, lost)
        said.append(_Said(LOSES + min(0.9, 1 - efficiency.value), text))
    return said


def _scalings(rows: _Rows) -> list[_Said]:
    """How far each series comes from its smallest to its largest number of ranks."""
    said = []
    for name, counts in rows.counting.items():
        base, at = counts[0], counts[-1]
        speedup, efficiency = (rows.interval(name, at, metric) for metric in ("speedup", "efficiency"))
        if at == base or math.isnan(speedup.value):
            continue
        weak = rows.kind == "weak" and not math.isnan(efficiency.value)
        text = (sentences.kept_up(rows.word(name), base, at, efficiency) if weak
                else sentences.sped_up(rows.word(name), base, at, speedup))  # fmt: skip
        said.append(_Said(SCALES + min(0.9, at / 10_000), text))
    return said
