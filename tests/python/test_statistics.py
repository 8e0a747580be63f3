# SPDX-License-Identifier: BSD-3-Clause
"""Ranks and levels against SciPy's binomial distribution and by counting orders; bounds, verdicts, words by hand."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binom

from partita.statistics import (
    MIN_SAMPLES,
    NOT_POSITIVE,
    PAIRED,
    SHIFT,
    Interval,
    Ranks,
    median_interval,
    order_ranks,
    paired_ratio,
    quantiles,
    ratio_of_runs,
    shift_counts,
    shift_ranks,
    shift_ratio,
    verdict,
    words,
)


def coverage(n: int) -> np.ndarray:
    """[low, high]: probability that [x(low), x(high)] holds the median: low to high - 1 samples lie below it."""
    below = binom.cdf(np.arange(-1, n), n, 0.5)  # Fewer than 0 .. n.
    return below[None, :] - below[:, None]


@pytest.mark.parametrize("level", [Fraction(9, 10), Fraction(95, 100), Fraction(99, 100)])
def test_no_narrower_pair_has_the_level(level: Fraction) -> None:
    for n in [*range(1, 41), 60, 101]:
        found = order_ranks(n, level)
        span = found.high - found.low if found else n
        low, high = np.ogrid[: n + 1, : n + 1]
        assert (coverage(n)[(low >= 1) & (high - low < span)] < level).all()
        if found:
            assert float(found.level) == pytest.approx(coverage(n)[found.low, found.high], rel=1e-12)
            assert found.level >= level


def test_levels_of_few_runs_are_exact() -> None:
    assert [order_ranks(n) for n in range(6)] == [None] * 6 and MIN_SAMPLES == 6
    assert order_ranks(6) == Ranks(1, 6, Fraction(62, 64))
    assert order_ranks(7) == Ranks(1, 7, Fraction(126, 128))  # 98.4 %.
    assert order_ranks(8) == Ranks(1, 7, Fraction(246, 256))  # One rank less than the extremes, which hold 99.2 %.
    assert order_ranks(30) == Ranks(10, 21, 1 - Fraction(2 * sum(math.comb(30, k) for k in range(10)), 2**30))


def test_intervals_of_medians_are_order_statistics() -> None:
    five = median_interval([5.0, 1.0, 3.0, 2.0, 4.0])
    assert five.value == 3.0 and not five.bounded and math.isnan(five.level)
    six = median_interval([6.0, 5.0, 1.0, 3.0, 2.0, 4.0])
    assert (six.value, six.low, six.high, six.n, six.level) == (3.5, 1.0, 6.0, 6, 0.96875)
    thirty = median_interval(np.random.default_rng(0).permutation(np.arange(1.0, 31.0)))
    assert (thirty.value, thirty.low, thirty.high, thirty.n) == (15.5, 10.0, 21.0, 30)  # Hahn and Meeker, table A.16.
    assert six.scaled(2) == Interval(7.0, 2.0, 12.0, 6, 0.96875, six.method)
    assert median_interval([]).n == 0 and math.isnan(median_interval([]).value)


@pytest.mark.parametrize(("m", "n"), [(1, 3), (2, 3), (4, 4), (4, 6), (5, 5)])
def test_null_distribution_counts_every_order(m: int, n: int) -> None:
    counted = [0] * (m * n + 1)
    for first in combinations(range(m + n), m):  # Places of the first sample in the order of all.
        counted[sum(1 for a in first for b in range(m + n) if b not in first and a < b)] += 1
    assert shift_counts(m, n) == counted


def test_shift_needs_four_of_each() -> None:
    assert shift_ranks(3, 4) is None
    assert shift_ranks(4, 4) == Ranks(1, 15, Fraction(67, 70))  # All but the orders with u = 0, 15, 16.
    three = shift_ratio([1.0, 2.0, 3.0], [1.0] * 9)
    assert three.value == 2.0 and three.n == 3 and not three.bounded


def test_shift_by_hand() -> None:
    """Sixteen ratios of 2, 4, 8, 16 over 1, 1.1, 1.2, 1.3; the middle two are 4/1 and 8/1.3."""
    found = shift_ratio([16.0, 2.0, 8.0, 4.0], [1.0, 1.3, 1.1, 1.2])
    ratios = sorted(a / b for a in (2, 4, 8, 16) for b in (1, 1.1, 1.2, 1.3))
    assert found.value == pytest.approx(math.sqrt(ratios[7] * ratios[8]), rel=1e-14)
    assert (found.low, found.high, found.n, found.method) == (ratios[0], ratios[14], 4, SHIFT)
    assert found.level == 67 / 70


def test_what_blocks_share_cancels() -> None:
    blocks = [1.0, 2.0, 5.0, 0.5, 9.0, 3.0, 4.0]
    found = paired_ratio([1.25 * b for b in blocks], blocks)
    assert (found.value, found.low, found.high, found.n, found.level) == (1.25, 1.25, 1.25, 7, 63 / 64)
    assert not shift_ratio([1.25 * b for b in blocks], blocks).low > 1
    with pytest.raises(ValueError, match="7 and 6 values"):
        paired_ratio(blocks, blocks[1:])


def test_ratio_of_runs_takes_the_best_there_is() -> None:
    b = dict(zip(range(1, 7), [1.0, 2.0, 4.0, 8.0, 16.0, 32.0], strict=True))
    a = {block: 2 * value for block, value in b.items()}
    assert ratio_of_runs(a, b).method == PAIRED and ratio_of_runs(a, b).low == 2
    five = {block: b[block] for block in list(b)[:5]}
    assert ratio_of_runs(a, five).method == SHIFT and ratio_of_runs(a, five).bounded
    three = {block: b[block] for block in list(b)[:3]}
    few = ratio_of_runs(a, three)
    assert (few.value, few.n, few.method, few.bounded) == (2.0, 3, PAIRED, False)
    apart = ratio_of_runs({"x": 6.0}, {"y": 2.0, "z": 2.0})
    assert (apart.value, apart.n, apart.bounded) == (3.0, 1, False)


def test_values_that_make_no_ratio_are_said() -> None:
    for bad in (0.0, -1.0, math.nan):
        found = ratio_of_runs({1: bad, 2: 1.0}, {1: 1.0, 2: 1.0})
        assert math.isnan(found.value) and found.method == NOT_POSITIVE and verdict(found) == "too few runs"
        assert words(found) == NOT_POSITIVE


def test_verdict_is_spoken_where_the_interval_leaves_one_out() -> None:
    def of(low: float, high: float) -> str:
        return verdict(Interval(1.0, low, high, 6, 0.96875))

    assert [of(1.01, 1.2), of(0.8, 0.99)] == ["larger", "smaller"]
    assert [of(0.99, 1.01), of(1.0, 1.2), of(0.8, 1.0)] == ["indistinguishable"] * 3
    assert of(math.nan, math.nan) == "too few runs"


def test_words_print_the_exact_level() -> None:
    seven = median_interval([27.1e-3, 27.3e-3, 27.4e-3, 27.5e-3, 27.6e-3, 27.7e-3, 28.0e-3])
    assert words(seven, "s") == "27.5 ms, 98.4 % interval 27.1 .. 28.0 ms over 7 runs"
    ratio = paired_ratio([0.93, 0.96, 0.99, 0.99, 1.0, 1.06], [1.0] * 6)
    assert words(ratio) == "0.99, 96.9 % interval 0.93 .. 1.06 over 6 blocks"
    shift = shift_ratio([2.0, 2.1, 2.2, 2.3], [1.0, 1.0, 1.0, 1.0])
    assert words(shift) == "2.15, 95.7 % interval 2.00 .. 2.30 over 4 runs of each"
    assert words(median_interval([1250.0, 1270.0]), "1/s") == "1260 1/s over 2 runs"
    assert words(median_interval([3e-6]), "s") == "3.00 us over 1 run"
    assert words(median_interval([])) == "no value"


def test_spread_of_steps_is_no_interval() -> None:
    assert quantiles(range(11)) == (1.0, 9.0)
    assert quantiles(range(11), (0.5,)) == (5.0,)
    assert all(map(math.isnan, quantiles([])))
