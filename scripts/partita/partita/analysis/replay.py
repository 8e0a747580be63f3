# SPDX-License-Identifier: BSD-3-Clause
"""What overlap could reach: a step replayed from the times of its units, with the best buckets on an ideal link.

    ready     r_1 <= ... <= r_U     when each unit's gradient is complete, seconds from the step's start
    bytes     b_1, ..., b_U         of each unit's gradient
    link      alpha + beta b        seconds that the all-reduce of b bytes takes, one after the other

Gradients travel in the order in which they become ready, neighbours joined at will. With e_0 = 0 the earliest end of
the first j units' exchange is

    e_j = min over i < j of  max(e_i, r_j) + alpha + beta (b_{i+1} + ... + b_j)

since an earlier end never delays what follows. Nothing that shares gradients by whole units on such a link is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise


@dataclass(frozen=True)
class Link:
    """What a message takes: alpha + beta x bytes."""

    alpha: float  # seconds
    beta: float  # seconds per byte

    def seconds(self, size: float) -> float:
        """Of a message of so many bytes."""
        return self.alpha + self.beta * size


def fit_link(sizes: Sequence[float], seconds: Sequence[float]) -> Link:
    """Least squares of relative residuals; a latency below nothing is none, and the line goes through the origin."""
    weights = [1 / t**2 for t in seconds]
    total = sum(weights)
    size = sum(w * x for w, x in zip(weights, sizes, strict=True)) / total
    time = sum(w * t for w, t in zip(weights, seconds, strict=True)) / total
    beta = sum(w * (x - size) * (t - time) for w, x, t in zip(weights, sizes, seconds, strict=True)) / sum(
        w * (x - size) ** 2 for w, x in zip(weights, sizes, strict=True)
    )
    alpha = time - beta * size
    if alpha >= 0:
        return Link(alpha, beta)
    product = sum(w * x * t for w, x, t in zip(weights, sizes, seconds, strict=True))
    return Link(0.0, product / sum(w * x * x for w, x in zip(weights, sizes, strict=True)))


def exchange_end(ready: Sequence[float], sizes: Sequence[float], link: Link) -> float:
    """The earliest end of everybody's exchange, seconds from the step's start."""
    if len(ready) != len(sizes) or any(b < a for a, b in pairwise(ready)):
        raise ValueError("one size for each ready time, and times that ascend")
    before = [0.0, *accumulate(sizes)]
    ends = [0.0]
    for j, complete in enumerate(ready, start=1):
        ends.append(min(max(ends[i], complete) + link.seconds(before[j] - before[i]) for i in range(j)))
    return ends[-1]


def allowed_step(ready: Sequence[float], sizes: Sequence[float], link: Link, after: float) -> float:
    """Seconds of a step that goes on for `after` seconds once gradients are there: update and what follows."""
    return exchange_end(ready, sizes, link) + after
