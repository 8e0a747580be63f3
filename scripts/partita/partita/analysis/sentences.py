# SPDX-License-Identifier: BSD-3-Clause
"""Numbers as sentences, which say no more than the numbers do.

A difference is named only where the interval of the ratio leaves 1 out; else two things are indistinguishable, or there
are too few runs to tell. Levels are those of a single interval: a sentence that is one of many says of how many.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from partita.records.record import plural
from partita.statistics import MIN_SAMPLES, MIN_SHIFT, PAIRED, Interval, bounds_words, verdict

LOST_TO = {
    "imbalance": "imbalance", "serialisation": "waiting for other ranks", "communication": "exposed communication",
    "bubble": "the pipeline's bubble", "other": "input and bookkeeping",
}  # fmt: skip
UNSPLIT = "communication and waiting"  # What `communication` is where serialisation was not told from it.
MOST_LOSSES = 3


def efficient(name: str, ranks: int, efficiency: Interval, lost: Mapping[str, float]) -> str:
    """`at 2 ranks ring is 81 % efficient (...): 12 points lost to exposed communication, 7 to imbalance`.

    efficiency  of 1, with its interval over runs
    lost        shares of the step, as analysis.efficiency names them
    """
    said = f"at {plural(ranks, 'rank')} {name} is {100 * efficiency.value:.0f} % efficient ({_in_percent(efficiency)})"
    names = dict(LOST_TO)
    if math.isnan(lost.get("serialisation", math.nan)):
        names["communication"] = UNSPLIT
    points = {names[k]: round(100 * v) for k, v in lost.items() if not math.isnan(v)}
    losses = sorted((item for item in points.items() if item[1] >= 1), key=lambda item: -item[1])[:MOST_LOSSES]
    if not losses:
        return f"{said}, and loses no whole point to anything" if points else said
    (first, most), *rest = losses
    after = "".join(f", {count} to {what}" for what, count in rest)
    return f"{said}: {plural(most, 'point')} lost to {first}{after}"


def sped_up(name: str, base: int, ranks: int, speedup: Interval) -> str:
    """`ring is 1.62 times as fast at 2 ranks as at 1 (...): 81 % of ideal`."""
    ideal = 100 * speedup.value * base / ranks
    return (f"{name} is {speedup.value:.2f} times as fast at {plural(ranks, 'rank')} as at {base} "
            f"({_behind(speedup, '1', 2)}): {ideal:.0f} % of ideal")  # fmt: skip


def kept_up(name: str, base: int, ranks: int, efficiency: Interval) -> str:
    """`with the same work a rank ring keeps 93 % of its speed from 1 to 2 ranks (...)`."""
    return (f"with the same work a rank {name} keeps {100 * efficiency.value:.0f} % of its speed from {base} to "
            f"{plural(ranks, 'rank')} ({_in_percent(efficiency)})")  # fmt: skip


def compared(a: str, b: str, ranks: int, ratio: Interval, runs: tuple[int, int], rate: bool, of: int = 1) -> str:
    """`ring is 8 % faster than mpi at 4 ranks: ratio 0.92, 96.9 % interval 0.90 .. 0.95 over 6 blocks`.

    ratio  of a over b: of their times of a step or, `rate`, of their samples a second
    runs   of a, of b
    of     how many such pairs were compared
    """
    where = f"at {plural(ranks, 'rank')}"
    found = verdict(ratio)
    if found == "too few runs":
        return f"too few runs to tell {a} from {b} {where}: {runs[0]} and {runs[1]}, needed are {MIN_SHIFT} of each"
    among = f"; one of {of} comparisons" if of > 1 else ""
    shown = f"ratio {_ratio(ratio)}{among}"
    if found == "indistinguishable":
        return f"{a} and {b} are indistinguishable {where}: {shown}"
    share = _percent(abs(ratio.value - 1))
    if rate:
        return (
            f"{a} trains {share} {'more' if found == 'larger' else 'fewer'} samples a second than {b} {where}: {shown}"
        )
    return f"{a} is {share} {'slower' if found == 'larger' else 'faster'} than {b} {where}: {shown}"


def ranked(first: str, ranks: int, others: Sequence[tuple[str, Interval]]) -> str:
    """`ring has the shortest step of 5 at 2 ranks; indistinguishable from it: mpi; slower: zero3 (by 12 %)`.

    others  each with the ratio of its time of a step over that of the first
    """
    groups: dict[str, list[str]] = {"indistinguishable": [], "larger": [], "smaller": [], "too few runs": []}
    for name, ratio in others:
        found = verdict(ratio)
        by = f" (by {_percent(ratio.value - 1)})" if found == "larger" else ""
        groups[found].append(f"{name}{by}")
    heads = {"indistinguishable": "indistinguishable from it", "larger": "slower", "smaller": "faster block by block",
             "too few runs": "too few runs to tell"}  # fmt: skip
    tail = "".join(f"; {heads[kind]}: {_listed(names)}" for kind, names in groups.items() if names)
    return f"{first} has the shortest median step of {len(others) + 1} at {plural(ranks, 'rank')}{tail}"


def _in_percent(share: Interval) -> str:
    return _behind(share.scaled(100), "%", 0)


def _behind(value: Interval, unit: str, decimals: int) -> str:
    """What stands behind a value: its interval, with digits that tell its ends apart; or how many runs there are."""
    if value.bounded:
        enough = (d for d in range(decimals, 4) if round(value.low, d) != round(value.high, d))
        decimals = next(enough, decimals)
        return f"{bounds_words(value, unit, decimals)} over {plural(value.n, 'run')}"
    return f"{plural(value.n, 'run')}; an interval needs {MIN_SAMPLES}"


def _ratio(ratio: Interval) -> str:
    """`0.92, 96.9 % interval 0.90 .. 0.95 over 6 blocks`: with two decimals, more where a bound would look like 1."""
    decimals = 2
    while decimals < 9 and any(round(b, decimals) == 1 != b for b in (ratio.low, ratio.high)):
        decimals += 1
    over = plural(ratio.n, "block") if ratio.method == PAIRED else f"{plural(ratio.n, 'run')} of each"
    return f"{ratio.value:.{decimals}f}, {bounds_words(ratio, '1', decimals)} over {over}"


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 1.5 else f"{percent:.2g} %"


def _listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
