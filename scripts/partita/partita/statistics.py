# SPDX-License-Identifier: BSD-3-Clause
"""Order statistics: the only statistics that Partita reports (DESIGN.md section 10).

Times on a shared machine are skewed and have outliers: medians and intervals from ranks of the sorted sample need no
assumption on their distribution beyond independence.
"""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

LEVEL = 0.95
MIN_SAMPLES = 6  # The extremes of five samples hold the median with probability 1 - 2/2^5 = 93.75 % only.


@dataclass(frozen=True)
class Interval:
    """A value with the bounds of its interval (NaN: too few samples) and the number of samples behind it."""

    value: float
    low: float
    high: float
    n: int

    @property
    def bounded(self) -> bool:
        """Whether there were enough samples for an interval."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    def scaled(self, factor: float) -> "Interval":
        """The same interval in another unit (factor > 0)."""
        return Interval(self.value * factor, self.low * factor, self.high * factor, self.n)


@functools.lru_cache(maxsize=1024)
def order_statistic_rank(n: int, level: float = LEVEL) -> int:
    """Largest k (1-based) for which [x(k), x(n+1-k)] holds the median with at least the given probability; 0 if none.

    The number of samples below the median is Binomial(n, 1/2), so the interval misses it with probability
    2 P(X < k). Counted in integers: exact for every n.
    """
    limit = int(Fraction((1.0 - level) / 2.0) * 2**n)
    term, below, k = 1, 0, 0  # term = C(n, k), below = sum of C(n, j) for j < k
    while k < (n + 1) // 2:
        below += term
        if below > limit:
            break
        term = term * (n - k) // (k + 1)
        k += 1
    return k


def median_interval(samples: Iterable[float], level: float = LEVEL) -> Interval:
    """Median and its interval from order statistics; bounds are NaN below six samples (for 95 %)."""
    x = np.sort(np.asarray(list(samples), dtype=float))
    n = len(x)
    if n == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    k = order_statistic_rank(n, level)
    low, high = (float(x[k - 1]), float(x[n - k])) if k > 0 else (math.nan, math.nan)
    return Interval(float(np.median(x)), low, high, n)


def ratio_interval(numerator: Interval, denominator: Interval, factor: float = 1.0) -> Interval:
    """factor * numerator / denominator of independent, positive values, with bounds from the bounds of both.

    The corners of the box are conservative in practice: for near-normal medians of equal spread they hold the true
    ratio with 99 %; whatever the distributions, with 0.95^2 = 90 % at least.
    """
    return Interval(
        factor * numerator.value / denominator.value,
        factor * numerator.low / denominator.high,
        factor * numerator.high / denominator.low,
        min(numerator.n, denominator.n),
    )
