# SPDX-License-Identifier: BSD-3-Clause
"""The replay of an overlapped step, against schedules worked out by hand and against all ways of joining units."""

import itertools

import pytest

from partita.analysis.replay import Link, allowed_step, exchange_end, fit_link


def test_a_link_that_keeps_up_adds_the_last_unit_alone() -> None:
    # Ready at 1, 2, 3; each takes 0.1 + 4 / 10: the last one ends at 3.5.
    assert exchange_end([1, 2, 3], [4, 4, 4], Link(0.1, 0.1)) == pytest.approx(3.5)
    assert allowed_step([1, 2, 3], [4, 4, 4], Link(0.1, 0.1), after=0.25) == pytest.approx(3.75)


def test_a_slow_link_is_busy_from_the_first_unit_on() -> None:
    # No latency: 1 + 12 s of bytes.
    assert exchange_end([1, 2, 3], [4, 4, 4], Link(0, 1)) == pytest.approx(13)


def test_latency_joins_units() -> None:
    # One at a time: 1 + 3 x 5 = 16. All at once: 3 + 5 + 1 = 9 (bytes take 1/3 s each). The first two joined, then the
    # third: 2 + 5 + 2/3, then 5 + 1/3 = 13.
    assert exchange_end([1, 2, 3], [1, 1, 1], Link(5, 1 / 3)) == pytest.approx(9)


def test_the_end_is_that_of_the_best_of_all_cuts() -> None:
    ready, sizes, link = [0.5, 0.7, 1.9, 2.0, 2.4], [3, 1, 4, 1, 5], Link(0.3, 0.15)
    ends = []
    for cuts in itertools.product((False, True), repeat=4):
        end, joined = 0.0, 0
        for k, size in enumerate(sizes):
            joined += size
            if k == 4 or cuts[k]:
                end, joined = max(end, ready[k]) + link.seconds(joined), 0
        ends.append(end)
    assert exchange_end(ready, sizes, link) == pytest.approx(min(ends))
    assert max(ends) > 1.1 * min(ends)


def test_fit() -> None:
    exact = fit_link([1, 10, 100], [2.5, 7, 52])
    assert (exact.alpha, exact.beta) == pytest.approx((2, 0.5))
    early = fit_link([1, 10], [0.5, 10])  # a line through these would start below nothing
    # sum w x t / sum w x^2 with w = 1 / t^2: (1 / 0.5 + 10 / 10) / (1 / 0.25 + 100 / 100) = 3 / 5
    assert (early.alpha, early.beta) == pytest.approx((0, 0.6))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError):
        exchange_end([2, 1], [1, 1], Link(0, 1))
    with pytest.raises(ValueError):
        exchange_end([1], [1, 1], Link(0, 1))
