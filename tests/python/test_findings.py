# SPDX-License-Identifier: BSD-3-Clause
"""Sentences say what the numbers allow: on invented tables of metrics."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from synthetic_efficiency import Planted

from partita.analysis.findings import finding_of_efficiency, finding_of_scaling, finding_of_strategies, findings
from partita.analysis.metrics import metrics_table
from partita.records.folder import read_folder
from partita.statistics import Interval, median_interval, paired_ratio

COLUMNS = (
    "study", "app", "series", "ranks", "threads", "nodes", "point", "repeat", "metric", "kind", "value", "low", "high",
    "n", "level", "scope", "unit", "reason",
)  # fmt: skip
RATES = {"": "samples_per_s", "virtual_": "samples_per_virtual_s"}
WIGGLE = np.array([0.2, -0.5, 0.9, -1.0, 0.4, -0.1, 0.7, -0.8, 0.5, -0.3])  # Of runs, in units of their spread.


@dataclass
class Invented:
    """A long table, row by row."""

    name: str = "fake"
    rows: list[dict[str, object]] = field(default_factory=list)

    def row(self, series: str, ranks: int, metric: str, value: Interval, reason: str = "", **more: object) -> None:
        self.rows.append(
            dict.fromkeys(COLUMNS, "") | {"study": self.name, "app": "mlp_dp", "series": series, "ranks": ranks,
            "threads": 1, "nodes": 1, "repeat": 0, "metric": metric, "value": value.value, "low": value.low,
            "high": value.high, "n": value.n, "level": value.level, "scope": "over runs", "reason": reason}
            | more)  # fmt: skip

    def times(
        self,
        series: str,
        ranks: int,
        runs: np.ndarray,
        samples: float = 64,
        point: str = "",
        virtual: str = "",
        **more: object,
    ) -> None:
        """Times of a step of the runs of blocks 1, 2, ..., and samples a second."""
        for metric, values in ((f"{virtual}step_s", runs), (RATES[virtual], samples / runs)):
            for block, value in enumerate(values, start=1):
                name = f"{point or series}-np{ranks}-r{block}"
                one = Interval(value, math.nan, math.nan, 30)
                self.row(series, ranks, metric, one, point=name, repeat=block, scope="within run", **more)
            self.row(series, ranks, metric, median_interval(values), **more)

    def flop(self, series: str, ranks: int, flop: float) -> None:
        self.row(series, ranks, "flop_per_step", Interval(flop, math.nan, math.nan, 7))

    def share(self, series: str, ranks: int, metric: str, value: float, runs: int = 7) -> None:
        """A ratio over so many runs, with half a point about it from six on."""
        low, high = (value - 0.005, value + 0.005) if runs >= 6 else (math.nan, math.nan)
        self.row(series, ranks, metric, Interval(value, low, high, runs, 0.984375 if runs >= 6 else math.nan))

    @property
    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows, columns=COLUMNS)

    def study(self) -> SimpleNamespace:
        return SimpleNamespace(name=self.name, app="mlp_dp")


def runs(middle: float, n: int, spread: float = 0.01) -> np.ndarray:
    return middle * (1 + spread * WIGGLE[:n])


def efficient(lost: dict[str, float], runs: int = 7, samples: float = 64) -> Invented:
    t = Invented()
    t.times("ring", 1, np.full(7, 0.03))
    t.times("ring", 2, np.full(7, 0.0185), samples)
    t.share("ring", 2, "parallel_efficiency", 0.81, runs)
    for part, value in lost.items():
        t.share("ring", 2, f"lost:{part}", value)
    return t


def test_where_the_efficiency_goes() -> None:
    t = efficient({"imbalance": 0.07, "serialisation": 0.0, "communication": 0.12, "bubble": 0.0, "other": 0.004})
    assert findings(t.study(), t.table) == [
        "at 2 ranks ring is 81 % efficient (98.4 % interval 80 .. 82 % over 7 runs): 12 points lost to exposed "
        "communication, 7 to imbalance"
    ]


def test_what_was_not_split_is_called_so() -> None:
    t = efficient({"imbalance": 0.012, "serialisation": math.nan, "communication": 0.12, "bubble": 0.0, "other": 0.058})
    assert findings(t.study(), t.table)[0].endswith(
        ": 12 points lost to communication and waiting, 6 to input and bookkeeping, 1 to imbalance"
    )


def test_few_runs_have_no_interval_and_say_so() -> None:
    t = efficient({"imbalance": 0.19, "serialisation": 0.0}, runs=4)
    assert findings(t.study(), t.table) == [
        "at 2 ranks ring is 81 % efficient (4 runs; an interval needs 6): 19 points lost to imbalance"
    ]


def test_nothing_is_lost() -> None:
    t = efficient({"imbalance": 0.004, "serialisation": 0.0, "communication": 0.004})
    assert findings(t.study(), t.table)[0].endswith("runs), and loses no whole point to anything")
    t.rows[-4] |= {"low": 0.8101, "high": 0.8123}  # An interval that needs more digits has them.
    assert "is 81 % efficient (98.4 % interval 81.0 .. 81.2 % over 7 runs)" in findings(t.study(), t.table)[0]


def test_of_records_with_planted_events(tmp_path: Path) -> None:
    # 6 and 4.4 ms of work, an exchange until 8 ms; runs of block k are k % longer throughout, so that ratios stay.
    for block in range(1, 8):
        longer = 1 + 0.01 * block
        p = Planted()
        for rank, busy in enumerate((6, 4.4)):
            p.compute(rank, 0, busy * longer)
            p.event(rank, "exchange", busy * longer, 8 * longer)
        p.write(tmp_path / f"{block}.h5", point=f"np2-mpi-r{block}", step_s=lambda step, s=longer: 0.008 * s)
    study = read_folder(tmp_path)[0][0]
    said = findings(study, metrics_table([study]))
    assert said == [
        "at 2 ranks data-parallel mpi is 65 % efficient (98.4 % interval 65 .. 65 % over 7 runs): 25 points lost to "
        "exposed communication, 10 to imbalance"
    ]


def pair(a: np.ndarray, b: np.ndarray, ranks: int = 2) -> Invented:
    t = Invented()
    t.times("mpi", ranks, a)
    t.times("ring", ranks, b)
    return t


def test_a_difference_is_said_with_the_ratio_behind_it() -> None:
    a, b = runs(0.02, 7, 0.03), runs(0.0184, 7, 0.03)[::-1]
    t = pair(a, b, 4)
    ratio = paired_ratio(b, a)
    expected = (f"ring is 8 % faster than mpi at 4 ranks: ratio {ratio.value:.2f}, 98.4 % interval {ratio.low:.2f} .. "
                f"{ratio.high:.2f} over 7 blocks")  # fmt: skip
    assert ratio.high < 1 and findings(t.study(), t.table) == [expected]
    assert finding_of_scaling(t.study(), t.table) == expected == finding_of_strategies(t.study(), t.table)


def test_no_verdict_where_the_interval_holds_1() -> None:
    a, b = runs(0.02, 7, 0.05), runs(0.0199, 7, 0.05)[::-1]
    ratio = paired_ratio(b, a)
    assert ratio.low < 1 < ratio.high
    t = pair(a, b)
    expected = (f"ring and mpi are indistinguishable at 2 ranks: ratio {ratio.value:.2f}, 98.4 % interval "
                f"{ratio.low:.2f} .. {ratio.high:.2f} over 7 blocks")  # fmt: skip
    assert findings(t.study(), t.table) == [expected]
    assert finding_of_scaling(t.study(), t.table) == expected


def test_a_bound_beside_1_is_not_rounded_to_it() -> None:
    a, b = runs(0.02, 7), runs(0.0199, 7)[::-1]
    assert 0.9999 < paired_ratio(b, a).high < 1
    said = findings(pair(a, b).study(), pair(a, b).table)[0]
    assert said.startswith(
        "ring is 0.5 % faster than mpi at 2 ranks: ratio 0.99500, 98.4 % interval 0.99006 .. 0.99997"
    )


def test_too_few_runs_say_how_many_are_needed() -> None:
    t = pair(runs(0.02, 3), runs(0.01, 3))
    said = "too few runs to tell ring from mpi at 2 ranks: 3 and 3, needed are 4 of each"
    assert findings(t.study(), t.table) == [said] == [finding_of_scaling(t.study(), t.table)]
    four = pair(runs(0.02, 4), runs(0.01, 4))
    assert findings(four.study(), four.table) == [
        "ring is 50 % faster than mpi at 2 ranks: ratio 0.50, 95.7 % interval 0.49 .. 0.51 over 4 runs of each"
    ]


def test_other_work_a_step_is_compared_by_rate() -> None:
    t = Invented()
    t.times("mpi", 2, runs(0.02, 7), samples=64)
    t.times("large", 2, runs(0.03, 7)[::-1], samples=128)
    said = findings(t.study(), t.table)
    assert len(said) == 1 and said[0].startswith("large trains 33 % more samples a second than mpi at 2 ranks: ")


def test_oversubscribed_ranks_do_not_count() -> None:
    t = pair(runs(0.02, 7), runs(0.018, 7)[::-1])
    t.times("mpi", 4, runs(0.05, 7), reason="oversubscribed")
    t.times("ring", 4, runs(0.01, 7), reason="oversubscribed")
    t.share("ring", 4, "parallel_efficiency", 0.2)
    said = findings(t.study(), t.table)
    assert len(said) == 1 and "at 2 ranks" in said[0]


def test_scaling_in_words() -> None:
    t = efficient({})
    t.share("ring", 2, "speedup", 1.62)
    t.share("ring", 2, "efficiency", 0.81)
    said = findings(t.study(), t.table)
    assert said[1] == (
        "ring is 1.62 times as fast at 2 ranks as at 1 (98.4 % interval 1.615 .. 1.625 over 7 runs): 81 % of ideal"
    )
    assert finding_of_scaling(t.study(), t.table) == said[0]
    t = efficient({}, samples=128)  # Twice the work on two ranks.
    t.share("ring", 2, "speedup", 1.62)
    t.share("ring", 2, "efficiency", 0.81)
    assert findings(t.study(), t.table)[1] == (
        "with the same work a rank ring keeps 81 % of its speed from 1 to 2 ranks "
        "(98.4 % interval 80 .. 82 % over 7 runs)"
    )


def test_many_series_at_once() -> None:
    t = Invented()
    for k, name in enumerate(("mpi", "ring", "zero1", "zero2", "zero3", "central")):
        t.times(name, 2, np.roll(runs(0.02 * (1 if name == "ring" else 1 + 0.05 * k), 7), k))
    t.times("late", 2, runs(0.05, 2))
    said = findings(t.study(), t.table)
    assert len(said) == 4 and all("; one of 6 comparisons" in s for s in said)  # The fastest with each of the others.
    assert said[0].startswith("mpi is 20 % faster than central at 2 ranks: ratio 0.80, 98.4 % interval")
    line = finding_of_strategies(t.study(), t.table)
    assert line == (
        "mpi has the shortest median step of 7 at 2 ranks; indistinguishable from it: ring; slower: zero1 (by 10 %), "
        "zero2 (by 15 %), zero3 (by 20 %), central (by 25 %); too few runs to tell: late"
    )


def test_three_series_say_of_how_many_comparisons() -> None:
    t = pair(runs(0.02, 7), runs(0.019, 7)[::-1])
    t.times("central", 2, np.roll(runs(0.03, 7), 2))
    assert sum("; one of 3 comparisons" in s for s in findings(t.study(), t.table)) == 3


def test_at_most_ten_the_most_telling_first() -> None:
    t = Invented()
    for k, name in enumerate("abcdefgh"):
        t.times(name, 1, np.roll(runs(0.03, 7), k))
        t.times(name, 2, np.roll(runs(0.02 + 0.002 * k, 7), k))
        t.share(name, 2, "parallel_efficiency", 0.9 - 0.05 * k)
        t.share(name, 2, "speedup", 1.8 - 0.1 * k)
    said = findings(t.study(), t.table)
    assert len(said) == 10
    assert "faster than h at 2 ranks" in said[0] and "h is 55 % efficient" in said[4]
    assert finding_of_efficiency(t.study(), t.table) == said[4]
    assert sum("times as fast" in s for s in said) == 2


@pytest.mark.parametrize("find", [finding_of_scaling, finding_of_strategies, finding_of_efficiency])
def test_nothing_to_say(find: object) -> None:
    t = Invented()
    assert find(t.study(), t.table) == "" and findings(t.study(), t.table) == []
    t.times("ring", 1, runs(0.03, 7))
    other = pair(runs(0.02, 7), runs(0.01, 7)).table.assign(study="other")  # Whose findings are not this study's.
    both = pd.concat([t.table, other])
    assert find(t.study(), both) == "" and findings(t.study(), both) == []


def test_what_grows_is_the_counted_work_where_there_is_some() -> None:
    t = efficient({})
    t.share("ring", 2, "speedup", 1.62)
    t.share("ring", 2, "efficiency", 0.81)
    for ranks in (1, 2):
        t.flop("ring", ranks, 1e9 * ranks)  # A model that grows.
    assert "with the same work a rank ring keeps 81 %" in findings(t.study(), t.table)[1]


def test_runs_of_one_repeat_are_paired_with_nothing() -> None:
    # Seeds in place of repeats: five runs each, all of repeat 1; 5 + 5 runs by their shift.
    t = pair(runs(0.02, 5), runs(0.01, 5))
    for row in t.rows:
        row["repeat"] = min(1, row["repeat"])
    (said,) = findings(t.study(), t.table)
    assert said.startswith("ring is 50 % faster than mpi at 2 ranks: ratio 0.50, ") and "over 5 runs of each" in said


def test_too_few_runs_are_said_once() -> None:
    t = pair(runs(0.02, 2), runs(0.01, 2))
    t.times("central", 2, runs(0.03, 2))
    assert len(findings(t.study(), t.table)) == 1


def test_virtual_time_is_called_so() -> None:
    t = Invented()
    for name, middle in (("async", 0.02), ("sync", 0.03)):
        t.row(name, 1, "step_s", Interval(math.nan, math.nan, math.nan, 0), reason="the run's seconds are virtual")
        t.times(name, 1, runs(middle, 7), virtual="virtual_")
    (said,) = findings(t.study(), t.table)
    assert said.startswith("async is 33 % faster than sync at 1 rank: ratio 0.67") and said.endswith(
        "(in virtual time)"
    )


def test_other_models_are_not_compared() -> None:
    t = pair(runs(0.02, 7), runs(0.01, 7))
    t.flop("mpi", 2, 2e9)
    t.flop("ring", 2, 1e9)
    assert findings(t.study(), t.table) == [] and finding_of_strategies(t.study(), t.table) == ""


def test_a_shared_base_is_not_compared_with_itself() -> None:
    t = Invented()
    for name in ("mpi", "ring"):
        t.times(name, 1, runs(0.03, 7), point="base")
    assert findings(t.study(), t.table) == [] and finding_of_scaling(t.study(), t.table) == ""
    t.times("mpi", 2, runs(0.02, 7))
    assert findings(t.study(), t.table) == []


def test_apps_are_not_compared_with_each_other() -> None:
    t = Invented()
    t.times("mpi", 2, runs(0.02, 7))
    t.times("mpi", 2, runs(0.01, 7), app="cnn_pp")
    assert findings(t.study(), t.table) == []
    t.times("ring", 2, runs(0.03, 7)[::-1], app="cnn_pp")
    assert findings(t.study(), t.table) == []
    other = SimpleNamespace(name="fake", app="cnn_pp")
    assert findings(other, t.table)[0].startswith("mpi is 67 % faster than ring at 2 ranks")
