# SPDX-License-Identifier: BSD-3-Clause
"""Runs of one series as JSON lines that Extra-P 4 reads (`extrap --json FILE`): all repeats, a line for each point.

    {"params": {"p": 4}, "callpath": "mlp_dp->step->exchange", "metric": "time", "value": [0.011, 0.012]}

p: ranks; t: threads of a rank, where they vary. Every line has the same parameters, and every call path is there at
every point, as the reader demands. Its models grow with p, as in weak scaling, so a name says what a value is:

    time, sent_bytes              of one rank: seconds of a step (its longest rank), of a phase (mean over ranks)
    total_time, total_sent_bytes  the same times p: what all ranks spend, which strong scaling should keep constant
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from partita.exports.runs import Run
from partita.exports.work import Work

STEP = "step"
TIME = "step_s"
OTHERS = ("sent_bytes", "messages")  # Means over ranks: times p they are sums.
POINTS = 5  # Fewer values of a parameter give Extra-P no model.


SAID = {
    Work.RANK: "values are of one rank",
    Work.TOTAL: "values are totals of all ranks, p times that of one: Extra-P's models grow with p",
}


def lines(runs: Sequence[Run], work: Work) -> tuple[list[dict[str, Any]], list[str]]:
    """Lines of the runs of one series, those of a call path together; and the call paths that some points lack."""
    several = len({run.threads for run in runs}) > 1
    values: dict[tuple[str, str], dict[tuple[int, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        factor = run.ranks if work is Work.TOTAL else 1
        path = f"{run.app}->{STEP}"
        named = {(path, name): run.values[name] for name in (TIME, *OTHERS) if name in run.values}
        named |= {(f"{path}->{phase}", TIME): value for phase, value in run.phases.items()}
        for (where, name), value in named.items():
            metric = ("total_" if work is Work.TOTAL else "") + ("time" if name == TIME else name)
            values[where, metric][run.ranks, run.threads].append(factor * value)
    points = sorted({(run.ranks, run.threads) for run in runs})
    made, left_out = [], []
    for (where, metric), at in values.items():
        if set(at) != set(points):  # One of these, and Extra-P refuses the whole file.
            left_out.append(f"{metric} of {where}")
            continue
        for ranks, threads in points:
            parameters = {"p": ranks, "t": threads} if several else {"p": ranks}
            made.append({"params": parameters, "callpath": where, "metric": metric, "value": at[ranks, threads]})
    return made, left_out


def complaints(made: Sequence[dict[str, Any]], left_out: Sequence[str]) -> list[str]:
    """Why there may be no model."""
    several = len({line["params"]["p"] for line in made})
    few = [f"{several} values of p, and Extra-P models from {POINTS} on"] if several < POINTS else []
    return [*few, *([f"left out, as some points lack it: {', '.join(left_out)}"] if left_out else [])]
