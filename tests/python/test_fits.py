# SPDX-License-Identifier: BSD-3-Clause
"""Fits: planted parameters come back, exactly without noise and nearly with it; from five points on."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest

from partita.analysis.fits import Fit, alpha_beta, amdahl, usl

RANKS = [1, 2, 4, 8, 16, 32]


def fitted(found: Fit | str) -> Fit:
    assert isinstance(found, Fit), found
    return found


def amdahl_times(serial: float, first: float = 0.2) -> np.ndarray:
    return first * (serial + (1 - serial) / np.array(RANKS))


def usl_times(contention: float, coherency: float, first: float = 0.2) -> np.ndarray:
    p = np.array(RANKS)
    return first * (1 + contention * (p - 1) + coherency * p * (p - 1)) / p


def noisy(times: np.ndarray, seed: int, sigma: float = 0.01) -> np.ndarray:
    return times * np.random.default_rng(seed).lognormal(0, sigma, len(times))


@pytest.mark.parametrize("serial", [0.0, 0.05, 0.4, 1.0])
def test_amdahl_gives_back_what_was_planted(serial: float) -> None:
    found = fitted(amdahl(RANKS, amdahl_times(serial)))
    assert found.parameters == pytest.approx({"T1": 0.2, "serial": serial}, abs=1e-9)
    assert found.implied["bound"] == (pytest.approx(1 / serial) if serial else math.inf)
    assert found.largest < 1e-9 and found.predict(64) == pytest.approx(0.2 * (serial + (1 - serial) / 64))


@pytest.mark.parametrize(("contention", "coherency"), [(0.03, 0.002), (0.0, 0.001), (0.1, 0.0)])
def test_usl_gives_back_what_was_planted(contention: float, coherency: float) -> None:
    found = fitted(usl(RANKS, usl_times(contention, coherency)))
    assert found.parameters == pytest.approx({"T1": 0.2, "contention": contention, "coherency": coherency}, abs=1e-9)
    peak = math.sqrt((1 - contention) / coherency) if coherency else math.inf
    assert found.implied["peak"] == pytest.approx(peak) or found.implied["peak"] > 1e4 * max(RANKS)
    if coherency:  # At the peak a step takes least.
        assert found.predict(peak) < min(found.predict(0.99 * peak), found.predict(1.01 * peak))


def test_noise_moves_them_little() -> None:
    # 1 % of noise on six points: over 200 draws the serial share of 5 % and a peak at 22 ranks are found on average,
    # and each draw is near.
    shares = [fitted(amdahl(RANKS, noisy(amdahl_times(0.05), seed))).parameters["serial"] for seed in range(200)]
    assert np.mean(shares) == pytest.approx(0.05, abs=0.001) and np.ptp(shares) < 0.02
    peaks = [fitted(usl(RANKS, noisy(usl_times(0.03, 0.002), seed))).implied["peak"] for seed in range(200)]
    assert np.median(peaks) == pytest.approx(math.sqrt(0.97 / 0.002), rel=0.02)
    assert np.ptp(np.quantile(peaks, [0.05, 0.95])) < 0.15 * np.median(peaks)


def test_no_other_parameters_fit_better() -> None:
    times = noisy(usl_times(0.03, 0.002), 3, 0.05)
    found = fitted(usl(RANKS, times))
    for factors in np.random.default_rng(1).lognormal(0, 0.1, (200, 3)):
        first, contention, coherency = factors * list(found.parameters.values())
        p = np.array(RANKS)
        other = first * (1 + contention * (p - 1) + coherency * p * (p - 1)) / p
        assert math.sqrt(np.mean((other / times - 1) ** 2)) >= found.rms
    assert found.rms == pytest.approx(math.sqrt(np.mean(np.square(found.residuals)))) and found.rms <= found.largest


def test_residuals_tell_a_law_that_does_not_hold() -> None:
    times = usl_times(0.02, 0.01)
    assert fitted(usl(RANKS, times)).largest < 1e-9
    poor = fitted(amdahl(RANKS, times))
    assert poor.largest > 0.2
    assert poor.residuals[RANKS.index(8)] == pytest.approx(poor.predict(8) / times[RANKS.index(8)] - 1)


def test_alpha_beta() -> None:
    sizes = [8, 1024, 2**16, 2**20, 2**24]
    times = [2e-6 + 1e-9 * b for b in sizes]
    found = fitted(alpha_beta(sizes, times))
    assert found.parameters == pytest.approx({"alpha": 2e-6, "beta": 1e-9}, rel=1e-6)
    assert found.implied == pytest.approx({"bandwidth": 1e9, "half": 2000}, rel=1e-6)
    assert found.words.startswith("latency 2 us, 1 GB/s, half of it at 2,000 bytes; residuals ")


@pytest.mark.parametrize("fit", [amdahl, usl, alpha_beta])
@pytest.mark.parametrize(
    ("at", "times", "reason"),
    [
        ([1, 2, 4, 8], [4.0, 2.0, 1.0, 0.5], "4 .*: fits from 5 on"),
        ([2, 2, 2, 2, 2], [4.0, 2.0, 1.0, 1.0, 1.0], "^1 (size|number of ranks): fits from 5 on"),
        ([1, 2, 4, 4, 4], [4.0, 2.0, 1.0, 1.0, 1.0], "3 .*: fits from 5 on"),
        (RANKS, [1.0, 1.0, 1.0, 1.0, math.nan, 1.0], "not above zero"),
        (RANKS, [1.0, 1.0, 1.0, 1.0, 0.0, 1.0], "not above zero"),
    ],
)
def test_what_is_not_fitted_says_why(fit: Callable[..., Fit | str], at: list, times: list, reason: str) -> None:
    found = fit(at, times)
    assert isinstance(found, str) and re.search(reason, found)


def test_times_that_only_grow_have_no_law_of_speed_up() -> None:
    assert isinstance(usl([2 * p for p in RANKS], [0.1 * (2 * p - 1) for p in RANKS]), str)
    assert isinstance(alpha_beta(RANKS, [1 / p for p in RANKS]), str)
    assert fitted(amdahl(RANKS, [0.1 * p for p in RANKS])).parameters["serial"] == 1


def test_words() -> None:
    assert fitted(amdahl(RANKS, amdahl_times(0.05))).words.startswith("serial share 5 %: speed-up never beyond 20; ")
    assert "contention 3 %, coherency 0.002: fastest at 22 ranks; " in fitted(usl(RANKS, usl_times(0.03, 0.002))).words
    assert "no peak" in fitted(usl(RANKS, [0.2 / p for p in RANKS])).words
