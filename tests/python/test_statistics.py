# SPDX-License-Identifier: BSD-3-Clause
"""Order statistics against SciPy's binomial distribution and by hand."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from partita.statistics import MIN_SAMPLES, Interval, median_interval, order_statistic_rank, ratio_interval


def coverage(n: int, k: int) -> float:
    """Probability that [x(k), x(n+1-k)] holds the median: k to n-k samples lie below it."""
    return binom.cdf(n - k, n, 0.5) - binom.cdf(k - 1, n, 0.5)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_rank_is_the_largest_that_covers(level: float) -> None:
    for n in [*range(1, 300), 1999, 5000]:
        k = order_statistic_rank(n, level)
        if k > 0:
            assert coverage(n, k) >= level
        if 2 * (k + 1) <= n:
            assert coverage(n, k + 1) < level


def test_six_samples_are_the_fewest_with_an_interval() -> None:
    assert [order_statistic_rank(n) for n in range(9)] == [0, 0, 0, 0, 0, 0, 1, 1, 1]
    assert MIN_SAMPLES == 6
    five = median_interval([5.0, 1.0, 3.0, 2.0, 4.0])
    assert five.value == 3.0 and not five.bounded and math.isnan(five.low) and math.isnan(five.high)
    six = median_interval([6.0, 5.0, 1.0, 3.0, 2.0, 4.0])
    assert six == Interval(3.5, 1.0, 6.0, 6)


def test_interval_takes_order_statistics() -> None:
    interval = median_interval(np.random.default_rng(0).permutation(np.arange(1.0, 31.0)))
    assert interval == Interval(15.5, 10.0, 21.0, 30)  # k = 10: Hahn and Meeker, table A.16


def test_interval_holds_the_median_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    draws = np.sort(generator.exponential(1.0, (4000, 25)), axis=1)
    k = order_statistic_rank(25)
    held = np.mean((draws[:, k - 1] <= math.log(2)) & (draws[:, 25 - k] >= math.log(2)))
    three_sigma = 3 * math.sqrt(coverage(25, k) * (1 - coverage(25, k)) / 4000)
    assert abs(held - coverage(25, k)) < three_sigma


def test_no_samples() -> None:
    assert median_interval([]).n == 0 and math.isnan(median_interval([]).value)


def test_ratio_uses_opposite_bounds() -> None:
    ratio = ratio_interval(Interval(8.0, 6.0, 9.0, 10), Interval(4.0, 3.0, 5.0, 7), 2.0)
    assert ratio == Interval(4.0, 2.4, 6.0, 7)
    assert ratio.scaled(0.5) == Interval(2.0, 1.2, 3.0, 7)
