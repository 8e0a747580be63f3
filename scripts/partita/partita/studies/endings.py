# SPDX-License-Identifier: BSD-3-Clause
"""How an attempt ended: its state and a line that says why, from status, log, record and the kernel's counter."""

from contextlib import suppress
from pathlib import Path

from partita.records.record import is_finished
from partita.studies.drills import Drill
from partita.studies.launch import Ended
from partita.studies.lost import CONFUSED, lost_rank
from partita.studies.progress import duration
from partita.studies.reasons import ended_from_outside, meaning, read_tail, state_of
from partita.studies.stamps import moments, read_stamps
from partita.studies.state import INFRASTRUCTURE, Attempt, State


def memory_kills() -> int:
    """Processes of this control group that the kernel ended for want of memory, since it exists; 0 where unknown."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        place = next(line[3:] for line in lines if line.startswith("0::"))
        for folder in (Path("/sys/fs/cgroup") / place.lstrip("/"), Path("/sys/fs/cgroup")):
            if (events := folder / "memory.events").is_file():
                pairs = dict(line.split() for line in events.read_text().splitlines())
                return int(pairs["oom_kill"])
    return 0


def judged_drill(attempt: Attempt, ended: Ended, drill: Drill, timeout_s: float, where: str) -> tuple[State, str]:
    """Of a point in which something goes wrong on purpose; done: it ended as it was to. The reason says what it was."""
    done, noticed, _ = moments(read_stamps(attempt.times))
    outside = ended_from_outside(tail := read_tail(attempt.log))
    if outside and outside[0] in INFRASTRUCTURE:
        return outside
    if done is None and CONFUSED in tail:
        return State.LOST, f"the launcher lost a rank while it started them ({CONFUSED})"
    if ended.timed_out:
        return State.TIMEOUT, f"timed out after {duration(timeout_s)} (key timeout_s of {where})"
    code = f"exit code {ended.status}{meaning(ended.status)}"
    if done is None:
        return State.FAILED, f"{code}, and {drill.name} was not done: the app told of no drill"
    if ended.status not in drill.exit:
        return State.FAILED, f"{code}: expected {' or '.join(map(str, drill.exit))} of {drill.name}"
    if ended.left:
        return State.FAILED, f"{code}, and {ended.left} of its processes had to be ended"
    told = "not noticed" if noticed is None else f"noticed after {noticed - done:.2f} s"
    return State.DONE, f"{code} as expected, {told}, gone after {ended.gone_s - done:.2f} s"


def judged(attempt: Attempt, ended: Ended, timeout_s: float, where: str, kills: int) -> tuple[State, str]:
    """State and reason; "" when it is done. `kills`: of `memory_kills` while it ran."""
    if ended.timed_out:
        return State.TIMEOUT, f"timed out after {duration(timeout_s)} (key timeout_s of {where})"
    if ended.status == 0:
        if not attempt.record.exists():
            return State.FAILED, "exit code 0, but no record was written"
        if not is_finished(attempt.record):
            return State.FAILED, "exit code 0, but its record is incomplete or cannot be read"
        return State.DONE, ""
    state, why = state_of(ended.status, False, read_tail(attempt.log))
    if lost := lost_rank(attempt.log, attempt.record):
        why = lost if state in (State.FAILED, State.LOST) else f"{why}; {lost}"
    if kills > 0:
        return State.OUT_OF_MEMORY, f"the kernel ended a process for want of memory; {why}"
    if state is State.FAILED and (why.startswith("ended by SIGKILL") or CONFUSED in why):
        return State.LOST, why  # By somebody outside, or before the app began.
    return state, why
