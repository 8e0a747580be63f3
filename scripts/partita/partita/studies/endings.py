# SPDX-License-Identifier: BSD-3-Clause
"""How an attempt ended: its state and a line that says why, from status, log, record and the kernel's counter."""

import re
import signal
from contextlib import suppress
from pathlib import Path

from partita.records.record import is_finished
from partita.studies.launch import Ended
from partita.studies.lost import CONFUSED, lost_rank
from partita.studies.progress import duration
from partita.studies.state import Attempt, State

MEANING = {
    1: "run failed",
    2: "usage or deck",
    3: "a check of results failed",
    4: "environment unfit",
    5: "incomplete",
}
OUT_OF_MEMORY = re.compile(r"oom[-_ ]?kill|out of memory|OOM Killed", re.IGNORECASE)


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
    text = attempt.log.read_text(encoding="utf-8", errors="replace")
    lost = lost_rank(attempt.log, attempt.record)
    if kills > 0:
        return State.OUT_OF_MEMORY, f"the kernel ended a process for want of memory; {lost or _said(ended.status)}"
    if OUT_OF_MEMORY.search(text):
        return State.OUT_OF_MEMORY, f"out of memory, as its log says; {lost or _said(ended.status)}"
    killed = "SIGKILL" in lost or ended.status in (-signal.SIGKILL, 128 + signal.SIGKILL)
    if killed or CONFUSED in lost:
        return State.LOST, lost or _said(ended.status)
    return State.FAILED, lost or _said(ended.status)


def _said(status: int) -> str:
    number = -status if status < 0 else status - 128
    if number > 0:
        with suppress(ValueError):
            return f"ended by {signal.Signals(number).name}"
    return f"exit code {status}" + (f" ({MEANING[status]})" if status in MEANING else "")
