# SPDX-License-Identifier: BSD-3-Clause
"""Ways of doing the same work, timed in turn in one run: A B, B A, A B, ... or in random order where there are more."""

from __future__ import annotations

import random
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


def in_turn(rounds: int, ways: dict[str, Callable[[], object]]) -> dict[str, list]:
    """What each way gives, round by round; every round goes through all of them in an order of its own."""
    given: dict[str, list] = {name: [] for name in ways}
    draw = random.Random(1)
    for _ in range(rounds):
        for name in draw.sample(list(ways), len(ways)):
            given[name].append(ways[name]())
    return given
