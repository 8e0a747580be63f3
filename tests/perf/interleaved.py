# SPDX-License-Identifier: BSD-3-Clause
"""Two ways of doing the same work, timed in turn in one run: A B, B A, A B, ..."""

from __future__ import annotations

import statistics
from typing import Callable


def summary(values: list[float], scale: float = 1, digits: int = 1) -> str:
    middle, low, high = (scale * f(values) for f in (statistics.median, min, max))
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def compare(name: str, rounds: int, ours: Callable[[], float], theirs: Callable[[], float]) -> None:
    """Both give seconds. Prints median and range of the rounds, and of the ratios round by round."""
    partita, torch = [], []
    for turn in range(rounds):
        for mine in ((True, False) if turn % 2 == 0 else (False, True)):
            (partita if mine else torch).append((ours if mine else theirs)())
    ratios = [b / a for a, b in zip(partita, torch)]
    print(f"{name:<34} Partita {summary(partita, 1e3)} ms   PyTorch {summary(torch, 1e3)} ms   "
          f"ratio {summary(ratios, digits=2)}   ({rounds} rounds)", flush=True)
