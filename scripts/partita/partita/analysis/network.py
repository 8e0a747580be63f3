# SPDX-License-Identifier: BSD-3-Clause
"""What a step would take on a network that costs nothing: its events, replayed.

All ranks begin together; compute and what lies in no event keep their lengths and order, network takes no time, and
whoever waits for others still does: `dependencies` says what is which. T_id is the end of the last rank.

The measured step T is that of the longest rank, from its own begin to its own end. A replay that is longer is cut to T:
ranks that begin a step before others have ended the last one (a pipeline without a barrier) take no longer on a free
network than they did.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from partita.analysis.dependencies import Rank, ranks_of
from partita.records.events import Events
from partita.records.record import plural


@dataclass(frozen=True)
class Replay:
    """Seconds of one step."""

    elapsed_s: float  # T: measured, longest rank.
    ideal_s: float  # T_id: on a free network, longest rank.
    bare_s: float  # The same of ranks that do nothing but compute.
    compute_s: np.ndarray  # C of each rank.


def replay_step(events: Events, step: int) -> Replay | str:
    """The step on a free network; a text that says why where that cannot be known."""
    if lost := events.record.timeline.dropped if events.record.timeline else 0:
        return f"{plural(lost, 'event')} of the run found no room"
    ranks = ranks_of(events, step)
    if isinstance(ranks, str):
        return f"step {step}: {ranks}"
    ideal = last_end(ranks)
    if isinstance(ideal, str):
        return f"step {step}: {ideal}"
    bare = last_end(ranks, skip="rest")
    assert not isinstance(bare, str)  # The same ranks waited for the same ones.
    elapsed = max(rank.elapsed_ns for rank in ranks)
    compute = np.array([rank.seconds("compute") for rank in ranks])
    return Replay(elapsed * 1e-9, min(ideal, elapsed) * 1e-9, min(bare, elapsed) * 1e-9, compute)


def last_end(ranks: list[Rank], skip: str = "") -> int | str:
    """Nanoseconds until the last rank is done, all begun at 0; a text where some wait for each other for ever."""
    missing = Counter(key for rank in ranks for what, key in rank.doings if what == "arrive")
    latest: dict[Hashable, int] = {}
    waiting: dict[Hashable, list[int]] = {}
    clock, at = [0] * len(ranks), [0] * len(ranks)
    ready = deque(range(len(ranks)))
    while ready:
        r = ready.popleft()
        doings = ranks[r].doings
        while at[r] < len(doings):
            what, value = doings[at[r]]
            if what == "arrive":
                latest[value] = max(latest.get(value, 0), clock[r])
                missing[value] -= 1
                if not missing[value]:
                    ready.extend(waiting.pop(value, ()))
            elif what == "await":
                late = next((key for key in value if missing[key] > 0 or key not in latest), None)
                if late is not None:
                    waiting.setdefault(late, []).append(r)
                    break
                clock[r] = max([clock[r], *(latest[key] for key in value)])
            elif what != skip:
                clock[r] += value
            at[r] += 1
    stuck = [r for r, rank in enumerate(ranks) if at[r] < len(rank.doings)]
    if stuck:
        return f"{plural(len(stuck), 'rank')} wait for each other for ever (rank {stuck[0]} first)"
    return max(clock)
