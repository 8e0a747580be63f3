# SPDX-License-Identifier: BSD-3-Clause
"""What a plan costs: core-hours at most, by the time limits, and as measured so far."""

from dataclasses import dataclass
from statistics import median

from partita.studies.plan import Plan
from partita.studies.state import State, attempts


@dataclass(frozen=True)
class Cost:
    """Of the points that are not finished, with as many repeats as are allowed."""

    at_most: float  # Core-hours: ranks x threads x time limit
    measured: float  # Core-hours: ranks x threads x median seconds of the finished runs of the same configuration
    points: int
    known: int  # Of these, points with such a run


def cost(plan: Plan) -> Cost:
    """From time limits, and from the attempts on disk."""
    seconds: dict[str, list[float]] = {}
    for point in plan.points:
        if point.digest in plan.finished:
            ended = attempts(plan.folder, point.digest)[-1].exit
            if ended.get("state") == State.DONE.value:
                seconds.setdefault(point.configuration, []).append(float(ended["wall_s"]))
    todo = [p for p in plan.points if p.digest not in plan.finished]
    known = [p for p in todo if p.configuration in seconds]
    return Cost(
        at_most=sum(p.cores * p.run.timeout_s for p in todo) / 3600,
        measured=sum(p.cores * median(seconds[p.configuration]) for p in known) / 3600,
        points=len(todo),
        known=len(known),
    )
