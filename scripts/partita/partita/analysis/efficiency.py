# SPDX-License-Identifier: BSD-3-Clause
"""Where the time of a parallel step goes: efficiencies and points lost (DESIGN.md section 10).

    C       useful compute seconds of a rank in a step
    T       seconds of the step, longest rank
    T_id    the same, replayed on a network that costs nothing (network.py)

    parallel efficiency   PE = mean C / T = LB x SerE x TE
    load balance          LB = mean C / max C
    serialisation       SerE = max C / T_id
    transfer              TE = T_id / T

Each of mean C, max C, T_id, T is a median over the counted steps that have events, so that the product holds and no
ratio is averaged. What is missing to 100 % is split into points, in seconds over T; their sum is 1 - PE:

    imbalance       max C - mean C
    serialisation   ranks that compute nothing because they wait for others, on a free network
    bubble          of that, what the schedule of a pipeline leaves idle even on its busiest rank (/strategy)
    communication   T - T_id: what a free network would save, the exposed communication
    other           what is neither computing nor the network: input, bookkeeping

Without events C is the sum of the phases of class compute (which go on until the next phase begins), there is no T_id,
and points are those of the rank that computes longest: its communication and waiting (for late ranks and messages
alike, less the bubble), and the rest as other; serialisation is then part of communication.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from partita.analysis.network import replay_step
from partita.errors import UsageError, held_to_the_layout
from partita.records.events import events_of
from partita.records.pipeline import bubble
from partita.records.record import Record
from partita.statistics import median

LOST = ("imbalance", "serialisation", "communication", "bubble", "other")
EVENTS, PHASES = "events", "phases"
NO_EVENTS = "no events were recorded (record.events = [FIRST, LAST])"


@dataclass(frozen=True)
class Split:
    """Parts of a run's efficiency, of 1; NaN: not known, and `reason` says why."""

    parallel_efficiency: float
    load_balance: float
    serialisation: float
    transfer: float
    lost: dict[str, float]  # LOST -> share of the step; NaN: part of another one, or not known.
    exposed_s: float  # Seconds of a step that a free network would save.
    step_s: float
    source: str  # What it was made of: EVENTS or PHASES.
    steps: int
    reason: str = ""


def efficiency(record: Record) -> Split | None:
    """Of one run; None where no step counts. What is damaged is a reason, no error."""
    if not record.counted.any():
        return None
    if int(record.attributes.get("workers", 0) or 0) > 0:
        return _unknown(record, "workers of a parameter server do not meet in steps")
    reason = NO_EVENTS
    if record.timeline is not None and record.timeline.written > 0:
        try:
            found = _of_events(record)
        except UsageError as error:
            found = str(error)
        if isinstance(found, Split):
            return found
        reason = found
    try:
        with held_to_the_layout(record.path, "phases: "):
            return _of_phases(record, reason)
    except UsageError as error:
        return _unknown(record, str(error))


def _of_events(record: Record) -> Split | str:
    with held_to_the_layout(record.path, "events: "):
        events = events_of(record)
        steps = [s for s in events.steps if events.counts(s)]
        if not steps:
            return "no step with events counts: all are warm-up, or follow a flush"
        tried = [replay_step(events, step) for step in steps]
    replays = [r for r in tried if not isinstance(r, str)]
    if not replays:
        return f"no replay: {tried[0]}"
    rows = [(r.compute_s.mean(), r.compute_s.max(), r.bare_s, r.ideal_s, r.elapsed_s) for r in replays]
    mean, most, bare, ideal, elapsed = (float(v) for v in np.median(rows, axis=0))
    if most <= 0:
        return "no events of compute"
    idle = min(_schedule_idle(record), bare - most)
    seconds = {
        "imbalance": most - mean, "serialisation": bare - most - idle, "communication": elapsed - ideal, "bubble": idle,
        "other": ideal - bare,
    }  # fmt: skip
    return Split(mean / elapsed, mean / most, most / ideal, ideal / elapsed,
                 {name: value / elapsed for name, value in seconds.items()}, elapsed - ideal, elapsed, EVENTS,
                 len(replays))  # fmt: skip


def _of_phases(record: Record, reason: str) -> Split:
    if "phase_s" not in record.steps:
        return _unknown(record, f'{reason}, and record.detail = "stats" has no phases of each rank')
    seconds = record.steps["phase_s"][record.counted]  # (step, rank, phase)
    if "compute" not in record.classes:
        return _unknown(record, f"{reason}, and there are no phases of class compute")
    compute, network = (seconds[:, :, [c in names for c in record.classes]].sum(axis=2)
                        for names in (("compute",), ("communication", "wait")))  # fmt: skip
    exposed = network[np.arange(len(network)), compute.argmax(axis=1)]  # Of the rank that computes longest.
    mean, most, exposed, elapsed = (
        median(values) for values in (compute.mean(axis=1), compute.max(axis=1), exposed, record.step_s)
    )
    if most <= 0:
        return _unknown(record, f"{reason}, and the phases of class compute took no time")
    # Medians need not add up: the rest is whatever is left.
    exposed = min(exposed, elapsed - most)
    idle = min(_schedule_idle(record), exposed)
    lost = {
        "imbalance": most - mean, "serialisation": math.nan, "communication": exposed - idle, "bubble": idle,
        "other": elapsed - most - exposed,
    }  # fmt: skip
    return Split(mean / elapsed, mean / most, math.nan, math.nan, {name: v / elapsed for name, v in lost.items()},
                 math.nan, elapsed, PHASES, len(record.step_s), reason)  # fmt: skip


def _unknown(record: Record, reason: str) -> Split:
    nan = math.nan
    return Split(nan, nan, nan, nan, dict.fromkeys(LOST, nan), nan, median(record.step_s), PHASES,
                 len(record.step_s), reason)  # fmt: skip


def _schedule_idle(record: Record) -> float:
    """Seconds that even the busiest stage idles in a replay of the schedule without a network; 0: no pipeline."""
    found = bubble(record)
    if found is None or record.ranks < 2:
        return 0.0
    idle = found.forms["replayed_idle_s"]
    return max(0.0, float(np.min(idle))) if np.isfinite(idle).all() else 0.0


def karp_flatt(speedup: float, p: float) -> float:
    """The serial share that Amdahl's law would need for this speed-up: e = (1/S - 1/p) / (1 - 1/p); NaN at p = 1."""
    return math.nan if p <= 1 else (1 / speedup - 1 / p) / (1 - 1 / p)
