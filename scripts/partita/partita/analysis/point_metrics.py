# SPDX-License-Identifier: BSD-3-Clause
"""The metrics of a point, over its runs: medians with intervals of an exact level, and ratios to a base by blocks.

With C the useful seconds of a rank in a step, T the step, w the work of the point over that of its base (strong: 1;
weak: p / p_base):

    computation scaling   CompS = w sum C_base / sum C
    global efficiency     GE = PE x CompS = w sum C_base / (p T)
"""

import math
from collections.abc import Callable

from partita.analysis.efficiency import karp_flatt
from partita.analysis.run_metrics import Run
from partita.analysis.scaling import BASE, by_block, speedup_of
from partita.records.folder import Cell
from partita.statistics import MIN_SAMPLES, MIN_SHIFT, NONE, Interval, median_interval, ratio_of_runs

AGAINST_BASE = ("speedup", "efficiency", "computation_scaling", "global_efficiency", "karp_flatt")
OVERSUBSCRIBED = "oversubscribed: more threads than cores"
Point = dict[str, tuple[Interval, str]]  # Metric -> interval over runs, why it or its bounds are missing.


def point_values(cell: Cell, runs: list[Run], base: list[Run], kind: str | None, said: str) -> Point:
    """Of the runs of one point; `said`: why there is no kind of scaling. `base`: the runs of its series' base."""
    found: Point = {}
    for name in dict.fromkeys(name for run in runs for name in run.values):
        values = [run.of(name) for run in runs]
        known = [v for v in values if not math.isnan(v)]
        missing = next((run.values[name].reason for run in runs if name in run.values and run.values[name].reason), "")
        found[name] = median_interval(known), missing if not known else _lacking(len(known), missing, len(runs))
    if kind is None or cell.oversubscribed or not base:
        reason = OVERSUBSCRIBED if cell.oversubscribed else said or "no base: all points are oversubscribed"
        found |= dict.fromkeys(AGAINST_BASE[:2], (NONE, reason))
    else:
        found |= _against_base(cell, runs, base, kind)
    if cell.oversubscribed:
        found = {name: (i, OVERSUBSCRIBED if not r or r == OVERSUBSCRIBED else f"{OVERSUBSCRIBED}; {r}")
                 for name, (i, r) in found.items()}  # fmt: skip
    return found


def _against_base(cell: Cell, runs: list[Run], base: list[Run], kind: str) -> Point:
    p0 = base[0].record.ranks
    base_cell = cell if cell.ranks == p0 else Cell(p0, tuple(run.record for run in base))
    speedup = speedup_of(kind, cell, base_cell)
    more = cell.ranks / p0
    found = {"speedup": _of_ratio(speedup), "efficiency": _of_ratio(speedup.scaled(1 / more))}
    if kind == "throughput":
        return found
    if kind == "strong" and more > 1 and speedup.value > 0:
        ends = [karp_flatt(s, more) for s in (speedup.value, speedup.high, speedup.low)]  # Less serial, more speed-up.
        found["karp_flatt"] = _of_ratio(Interval(*ends, speedup.n, speedup.level, speedup.method))
    work = more if kind == "weak" else 1.0
    itself = cell.ranks == p0
    reference = _blocks(base, lambda run: run.compute_s)
    scaled = _ratio(reference, _blocks(runs, lambda run: run.compute_s)).scaled(work)
    whole = _ratio(reference, _blocks(runs, lambda run: cell.ranks * run.elapsed_s)).scaled(work)
    if itself and not math.isnan(scaled.value):
        scaled = Interval(1.0, 1.0, 1.0, len(runs), 1.0, BASE)
    reason = "" if reference and not math.isnan(scaled.value) else "compute seconds of the base or the point not known"
    found["computation_scaling"] = (scaled, reason) if reason else _of_ratio(scaled)
    found["global_efficiency"] = (whole, reason) if reason else _of_ratio(whole)
    return found


def _blocks(runs: list[Run], value: Callable[[Run], float]) -> dict:
    """By block, of the runs where it is known."""
    of = {run.record.path: value(run) for run in runs}
    known = [run.record for run in runs if of[run.record.path] > 0]
    return by_block(known, lambda record: of[record.path])


def _ratio(a: dict, b: dict) -> Interval:
    return ratio_of_runs(a, b) if a and b else NONE


def _of_ratio(ratio: Interval) -> tuple[Interval, str]:
    if ratio.bounded:
        return ratio, ""
    few = "no pair of runs" if ratio.n == 0 else f"{ratio.n} runs" if ratio.n > 1 else "1 run"
    return ratio, f"{few}: intervals of ratios from {MIN_SHIFT} of each on"


def _lacking(known: int, missing: str, runs: int) -> str:
    """Why there are no bounds, or fewer runs than there are."""
    parts = [f"of {runs - known} runs: {missing}"] if known < runs and missing else []
    if known < MIN_SAMPLES:
        parts.append(f"{known} run{'' if known == 1 else 's'}: intervals from {MIN_SAMPLES} on")
    return "; ".join(parts)
