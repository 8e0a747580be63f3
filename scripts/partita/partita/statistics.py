# SPDX-License-Identifier: BSD-3-Clause
"""Intervals over runs and ratios of runs, each with its exact level (DESIGN.md section 10).

Times on a shared machine are skewed and have outliers, so all bounds are order statistics: ranks of a sorted sample,
chosen by its size alone. The level is then a count of equally likely cases, the same for every continuous distribution,
and at least that where values are equal (intervals are closed). One thing is assumed: runs are independent. Steps of
one run are not; they have `quantiles`, a spread, and never an interval.

    median_interval   median of one group of runs                    from 6 runs on
    paired_ratio      median of a_i / b_i over blocks                from 6 blocks on
    shift_ratio       exp of the shift between log a and log b       from 4 + 4 runs on

Sources: order statistics: Hahn and Meeker, Statistical Intervals, 1991, section 5.2; shift: Hodges and Lehmann, Ann.
Math. Stat. 34, 1963; its null distribution: Mann and Whitney, Ann. Math. Stat. 18, 1947.
"""

import functools
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import Literal

import numpy as np

LEVEL = Fraction(95, 100)
MIN_SAMPLES = 6  # The extremes of five samples hold the median with probability 1 - 2/2^5 = 93.75 % only.
MIN_SHIFT = 4  # Of each of two groups: with 3 + 4 even the extremes of all differences hold the shift with 94.3 %.
MEDIAN, PAIRED, SHIFT = "median of runs", "median of paired ratios", "Hodges-Lehmann shift of logs"
NOT_POSITIVE = "no ratio: a value is not above zero"

Verdict = Literal["larger", "smaller", "indistinguishable", "too few runs"]


@dataclass(frozen=True)
class Interval:
    """A value with the bounds of its interval (NaN: too few samples) and the number of samples behind it."""

    value: float
    low: float
    high: float
    n: int  # Runs, blocks, or runs of the smaller of two groups.
    level: float = math.nan  # Exact probability with which such bounds hold the true value: 0.984375.
    method: str = ""

    @property
    def bounded(self) -> bool:
        """Whether there were enough samples for an interval."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    def scaled(self, factor: float) -> "Interval":
        """The same interval in another unit (factor > 0)."""
        return replace(self, value=self.value * factor, low=self.low * factor, high=self.high * factor)


NONE = Interval(math.nan, math.nan, math.nan, 0)
NO_RATIO = replace(NONE, method=NOT_POSITIVE)


def quantiles(samples: Iterable[float], at: Sequence[float] = (0.1, 0.9)) -> tuple[float, ...]:
    """How far values spread, such as the steps of a run: no interval, and no promise on other runs. NaN without any."""
    x = _array(samples)
    return tuple(map(float, np.quantile(x, at))) if x.size else (math.nan,) * len(at)


def median(samples: np.ndarray) -> float:
    """Of one column; NaN without values. NumPy's own takes ten times as long for the few values of a run."""
    x = np.sort(samples)
    n = len(x)
    return float(x[(n - 1) // 2] + x[n // 2]) / 2 if n else math.nan


def median_interval(samples: Iterable[float], level: Fraction = LEVEL) -> Interval:
    """Median of independent samples and its interval; bounds are NaN below six of them (for 95 %)."""
    return _median(_array(samples), level, MEDIAN)


def paired_ratio(a: Iterable[float], b: Iterable[float], level: Fraction = LEVEL) -> Interval:
    """Median of a_i / b_i, where a_i and b_i are runs of one block; what a block has in common cancels."""
    x, y = _array(a), _array(b)
    if len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} values make no pairs")
    return _median(x / y, level, PAIRED) if _positive(x) and _positive(y) else replace(NO_RATIO, n=len(x))


def shift_ratio(a: Iterable[float], b: Iterable[float], level: Fraction = LEVEL) -> Interval:
    """exp of the Hodges-Lehmann shift of log a against log b: median and order statistics of all log a_i - log b_j.

    Exact where the two differ by a factor alone; independent samples. `n` is that of the smaller sample.
    """
    x, y = _array(a), _array(b)
    n = min(len(x), len(y))
    if not (_positive(x) and _positive(y)):
        return replace(NO_RATIO, n=n)
    ratios = np.sort(np.divide.outer(x, y), axis=None)  # In the order of the differences of logs.
    size = len(ratios)
    value = math.sqrt(ratios[(size - 1) // 2] * ratios[size // 2]) if size else math.nan  # The middle of logs.
    return _at_ranks(ratios, shift_ranks(len(x), len(y), level) if n >= MIN_SHIFT else None, value, n, SHIFT)


def ratio_of_runs(a: Mapping[Hashable, float], b: Mapping[Hashable, float], level: Fraction = LEVEL) -> Interval:
    """a over b, as block -> value of its run: paired where six blocks are common, else by the shift, from 4 + 4 on.

    With fewer runs: no bounds; the value is the median ratio of the common blocks, or where there is none the shift.
    Runs that share blocks unpaired make the shift's interval wider than need be, never too narrow.
    """
    common = [block for block in a if block in b]
    shift = min(len(a), len(b)) >= MIN_SHIFT and len(common) < MIN_SAMPLES
    if common and not shift:
        return paired_ratio([a[block] for block in common], [b[block] for block in common], level)
    return shift_ratio(a.values(), b.values(), level)


def verdict(ratio: Interval) -> Verdict:
    """What may be said of a over b: larger or smaller only where the interval of the ratio leaves 1 out."""
    if not ratio.bounded:
        return "too few runs"
    return "larger" if ratio.low > 1 else "smaller" if ratio.high < 1 else "indistinguishable"


@dataclass(frozen=True)
class Ranks:
    """[x(low), x(high)] of a sorted sample, counted from 1, and the exact probability that it holds what is sought."""

    low: int
    high: int
    level: Fraction


@functools.lru_cache(maxsize=1024)
def order_ranks(n: int, level: Fraction = LEVEL) -> Ranks | None:
    """The narrowest pair for the median of n independent samples; None: even the extremes hold it too rarely.

    The number of samples below the median is Binomial(n, 1/2).
    """
    count, counts = 1, [1]
    for k in range(n):
        count = count * (n - k) // (k + 1)
        counts.append(count)
    return _narrowest(counts, level)


@functools.lru_cache(maxsize=1024)
def shift_ranks(m: int, n: int, level: Fraction = LEVEL) -> Ranks | None:
    """The narrowest pair of the m n ordered differences for the shift between m and n independent samples.

    The number of differences below the shift has Mann and Whitney's null distribution: `shift_counts`.
    """
    return _narrowest(shift_counts(m, n), level)


def shift_counts(m: int, n: int) -> list[int]:
    """How many of the C(m + n, m) orders of two samples have u = 0 .. m n pairs with the first value below the second.

    Coefficients of the Gaussian binomial: the product over i = 1 .. m of (1 - q^(n+i)) / (1 - q^i).
    """
    counts = [1] + [0] * (m * n)
    for i in range(1, m + 1):
        for u in range(m * n, n + i - 1, -1):
            counts[u] -= counts[u - n - i]
        for u in range(i, m * n + 1):
            counts[u] += counts[u - i]
    return counts


def _narrowest(counts: Sequence[int], level: Fraction) -> Ranks | None:
    """Fewest ranks from low to high with the level; of these the highest level, then the lower pair.

    counts[u]: equally likely cases in which u of the N sorted values lie below what is sought, so that
    [x(i), x(j)] holds it in those with i <= u < j. The choice looks at no data, which would spoil the level.
    """
    below = [0, *accumulate(counts)]  # below[u]: cases with fewer than u.
    total, most = below[-1], len(counts) - 1
    best: tuple[int, int, int] | None = None
    high = 2
    for low in range(1, most):
        high = max(high, low + 1)
        while high <= most and (below[high] - below[low]) * level.denominator < level.numerator * total:
            high += 1
        if high > most:
            break
        found = (high - low, below[low] - below[high], low)
        best = found if best is None else min(best, found)
    return best and Ranks(best[2], best[2] + best[0], Fraction(-best[1], total))


def _median(x: np.ndarray, level: Fraction, method: str) -> Interval:
    x = np.sort(x)
    return _at_ranks(x, order_ranks(len(x), level), median(x), len(x), method)


def _at_ranks(x: np.ndarray, ranks: Ranks | None, value: float, n: int, method: str) -> Interval:
    """A value with the sorted samples of these ranks as bounds."""
    if ranks is None:
        return Interval(value, math.nan, math.nan, n, method=method)
    return Interval(value, float(x[ranks.low - 1]), float(x[ranks.high - 1]), n, float(ranks.level), method)


def _positive(x: np.ndarray) -> bool:
    return not x.size or bool(x.min() > 0)  # NaN is not.


def _array(samples: Iterable[float]) -> np.ndarray:
    return np.asarray(samples if isinstance(samples, np.ndarray) else list(samples), dtype=float)


def words(interval: Interval, unit: str = "1") -> str:
    """As people read it: `27.5 ms, 98.4 % interval 27.1 .. 28.0 ms over 7 runs`; values are in the unit, `1`: none."""
    if math.isnan(interval.value):
        return interval.method if interval.method == NOT_POSITIVE else "no value"
    shown, unit = _readable(interval, unit)
    width = shown.high - shown.low if shown.bounded else 0.0
    size = max(abs(shown.value), 1.0 if unit == "1" else 0.0)
    fine = [s for s in (1e-2 * size, width) if s > 0]  # Three digits, more where the interval is narrower.
    decimals = min(9, max(0, -math.floor(math.log10(min(fine))))) if fine else 0
    after = f" {unit}" if unit != "1" else ""
    over = f"over {shown.n} {'block' if shown.method == PAIRED else 'run'}{'' if shown.n == 1 else 's'}"
    over += " of each" if shown.method == SHIFT else ""
    value = f"{shown.value:.{decimals}f}{after}"
    if not shown.bounded:
        return f"{value} {over}"
    return f"{value}, {bounds_words(shown, unit, decimals)} {over}"


def bounds_words(interval: Interval, unit: str, decimals: int) -> str:
    """`98.4 % interval 27.1 .. 28.0 ms`: with the exact level, never a rounded 95 %."""
    after = f" {unit}" if unit != "1" else ""
    return f"{level_words(interval.level)} interval {interval.low:.{decimals}f} .. {interval.high:.{decimals}f}{after}"


def level_words(level: float) -> str:
    """`98.4 %`."""
    return f"{100 * level:.1f} %"


def _readable(interval: Interval, unit: str) -> tuple[Interval, str]:
    """Seconds as s, ms, us or ns; other units as they are."""
    if unit != "s" or interval.value == 0:
        return interval, unit
    scales = ((1.0, "s"), (1e3, "ms"), (1e6, "us"))
    factor, name = next(((f, u) for f, u in scales if abs(interval.value) * f >= 1), (1e9, "ns"))
    return interval.scaled(factor), name
