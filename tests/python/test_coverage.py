# SPDX-License-Identifier: BSD-3-Clause
"""How often intervals hold the truth, by simulation: 2,000 studies of 4 to 12 runs a case, seeds fixed.

Assumed is that runs are independent; steps of a run are not. Where that and continuous values are all that the theory
needs, what is counted agrees with the exact level within three standard errors; it is nowhere below 95 % by more.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from partita.statistics import (
    MIN_SHIFT,
    Interval,
    median_interval,
    order_ranks,
    paired_ratio,
    ratio_of_runs,
    shift_ranks,
    shift_ratio,
    verdict,
)

DRAWS = 2000
RUNS = range(4, 13)


def three_errors(level: float, draws: int = DRAWS) -> float:
    """Of a share of so many draws."""
    return 3 * math.sqrt(level * (1 - level) / draws)


def held(intervals: list[Interval], truth: float) -> float:
    """Share of the intervals that hold it."""
    return float(np.mean([i.low <= truth <= i.high for i in intervals]))


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 10 + rng.standard_normal(shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.exp(rng.standard_normal(shape))


def bimodal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Three runs of ten at the higher clock."""
    return np.where(rng.random(shape) < 0.3, 5.0, 8.0) + 0.4 * rng.standard_normal(shape)


def steps_within_runs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The median of 31 steps: each is 0.8 of the one before and noise, all share the run's own speed; then exp."""
    noise = 0.05 * rng.standard_normal((*shape, 31))
    steps = np.empty_like(noise)
    steps[..., 0] = noise[..., 0] / 0.6
    for i in range(1, 31):
        steps[..., i] = 0.8 * steps[..., i - 1] + noise[..., i]
    return np.exp(np.median(steps, axis=-1) + 0.03 * rng.standard_normal(shape))


BIMODAL_MEDIAN = brentq(lambda x: 0.3 * norm.cdf((x - 5) / 0.4) + 0.7 * norm.cdf((x - 8) / 0.4) - 0.5, 4, 9)
CASES = [(normal, 10.0), (skewed, 1.0), (bimodal, BIMODAL_MEDIAN), (steps_within_runs, 1.0)]
Case = tuple[Callable[[np.random.Generator, tuple[int, ...]], np.ndarray], float]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_medians_of_runs_are_held_as_often_as_the_level_says(case: Case) -> None:
    draw, median = case
    for n in RUNS:
        intervals = [median_interval(x) for x in draw(np.random.default_rng(n), (DRAWS, n))]
        ranks = order_ranks(n)
        if ranks is None:
            assert n < 6 and not any(i.bounded for i in intervals)
            continue
        assert {i.level for i in intervals} == {float(ranks.level)} and ranks.level >= 0.95
        assert abs(held(intervals, median) - intervals[0].level) < three_errors(intervals[0].level), n


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_ratios_of_blocks_are_held_as_often_as_the_level_says(case: Case) -> None:
    """Runs differ by 0.8; what a block shares is as noisy as the case, and cancels."""
    draw, _ = case
    for n in (6, 8, 11):
        rng = np.random.default_rng(100 + n)
        block, noise = draw(rng, (DRAWS, n)), np.exp(0.02 * rng.standard_normal((2, DRAWS, n)))
        intervals = [paired_ratio(a, b) for a, b in zip(0.8 * block * noise[0], block * noise[1], strict=True)]
        level = float(order_ranks(n).level)
        assert abs(held(intervals, 0.8) - level) < three_errors(level), n


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_shifts_of_independent_runs_are_held_as_often_as_the_level_says(case: Case) -> None:
    draw, _ = case
    for m, n in [(4, 4), (4, 9), (7, 5), (12, 12)]:
        rng = np.random.default_rng(100 * m + n)
        pairs = zip(1.3 * draw(rng, (DRAWS, m)), draw(rng, (DRAWS, n)), strict=True)
        intervals = [shift_ratio(a, b) for a, b in pairs]
        level = float(shift_ranks(m, n).level)
        assert level >= 0.95 and intervals[0].level == level
        assert abs(held(intervals, 1.3) - level) < three_errors(level), (m, n)


def test_equal_values_make_intervals_hold_more_often() -> None:
    """A coarse clock: values in tenths."""
    rng = np.random.default_rng(7)
    for n in (4, 6, 8, 12):
        x = np.round(normal(rng, (2, DRAWS, n)), 1)
        found = [shift_ratio(a, b) for a, b in zip(*x, strict=True)]
        assert held(found, 1.0) >= found[0].level - three_errors(found[0].level)
        if n >= 6:
            found = [median_interval(a) for a in x[0]]
            assert held(found, 10.0) >= found[0].level - three_errors(found[0].level)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_the_same_runs_under_two_names_are_seldom_called_different(case: Case) -> None:
    draw, _ = case
    for n in (MIN_SHIFT, 6, 9, 12):
        rng = np.random.default_rng(10 + n)
        block = np.exp(0.05 * rng.standard_normal((DRAWS, n)))  # The hour, which both runs of a block share.
        a, b = (draw(rng, (DRAWS, n)) * block for _ in range(2))
        said = [verdict(_blocks(x, y)) for x, y in zip(a, b, strict=True)]
        assert "too few runs" not in said
        wrong = np.mean([word != "indistinguishable" for word in said])
        assert wrong <= 0.05 + three_errors(0.05), n


def test_ten_percent_are_found_in_six_blocks_of_two_percent_noise() -> None:
    rng = np.random.default_rng(5)
    block = np.exp(0.05 * rng.standard_normal((DRAWS, 6)))
    a, b = (block * np.exp(0.02 * rng.standard_normal((DRAWS, 6))) for _ in range(2))
    said = [verdict(_blocks(1.1 * x, y)) for x, y in zip(a, b, strict=True)]
    assert said.count("larger") >= 0.9 * DRAWS and "smaller" not in said


def test_steps_of_one_run_would_hold_the_median_of_runs_far_too_seldom() -> None:
    """Why there is no interval within a run: these look narrow, and miss."""
    rng = np.random.default_rng(3)
    speed = 0.03 * rng.standard_normal((DRAWS, 1))
    steps = np.exp(speed + 0.01 * rng.standard_normal((DRAWS, 31)))
    assert held([median_interval(run) for run in steps], 1.0) < 0.5


def _blocks(a: np.ndarray, b: np.ndarray) -> Interval:
    return ratio_of_runs(dict(enumerate(a, 1)), dict(enumerate(b, 1)))
