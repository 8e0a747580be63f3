# SPDX-License-Identifier: BSD-3-Clause
"""Exit status and last words of a run -> how it ended, and why.

Schedulers and launchers end a run from outside; what they then write to its log is all that is left after log-out.
Sources of the phrases: Slurm 22.05 as run by tests/slurm and slurmstepd's own texts; OpenPBS and Torque (pbs_mom); the
job report of LSF (TERM_...); events of Flux (RFC 21, job.exception); MPICH's hydra.
"""

import re
import signal
from pathlib import Path

from partita.studies.state import State

TAIL_BYTE = 1 << 16  # The words of an end are at the end.
MEANING = {
    1: "run failed",
    2: "usage or deck",
    3: "a check of results failed",
    4: "environment unfit",
    5: "incomplete",
}

# In this order: a run that is ended for one of the first reasons often also says one of the later ones.
_ENDED: tuple[tuple[str, State, str], ...] = (
    (r"oom[-_]kill|: Out Of Memory", State.OUT_OF_MEMORY, "the kernel ended it: more memory than the job has"),
    (r"exceeded (?:job |step )?memory limit", State.OUT_OF_MEMORY, "more memory than Slurm allows it"),
    (r"PBS: job killed: (?:p?v?mem) .*exceeded limit|Cgroup mem(?:sw)? limit exceeded", State.OUT_OF_MEMORY,
     "more memory than PBS allows it"),
    (r"TERM_(?:MEMLIMIT|SWAP)", State.OUT_OF_MEMORY, "more memory than LSF allows it"),
    (r"out of memory|bad_alloc|memory space failed to allocate", State.OUT_OF_MEMORY, "an allocation failed"),
    (r"CANCELLED (?:AT \S+ )?DUE TO TIME LIMIT", State.TIMEOUT, "time limit of the job (Slurm)"),
    (r"PBS: job killed: (?:walltime|cput) .*exceeded limit", State.TIMEOUT, "time limit of the job (PBS)"),
    (r"TERM_(?:RUNLIMIT|CPULIMIT|DEADLINE)", State.TIMEOUT, "time limit of the job (LSF)"),
    (r"job\.exception .*type=timeout|resource allocation expired", State.TIMEOUT, "time limit of the job (Flux)"),
    (r"partita: the time limit of this job is near", State.TIMEOUT, "time limit of the job"),
    (r"APPLICATION TIMED OUT, TIMEOUT", State.TIMEOUT, "MPIEXEC_TIMEOUT of mpiexec"),
    (r"CANCELLED (?:AT \S+ )?DUE TO PREEMPTION", State.PREEMPTED, "another job took the nodes (Slurm)"),
    (r"CANCELLED (?:AT \S+ )?DUE TO JOB REQUEUE", State.PREEMPTED, "put back into the queue (Slurm)"),
    (r"TERM_(?:PREEMPT|REQUEUE_\w+)", State.PREEMPTED, "another job took the nodes (LSF)"),
    (r"job\.exception .*type=preempt", State.PREEMPTED, "another job took the nodes (Flux)"),
    (r"DUE TO NODE FAILURE|Node failure on (?P<what>\S+)", State.LOST, "a node failed (Slurm)"),
    (r"PBS: job killed: node \d+ \((?P<what>\S+)\) requested job (?:terminate|die)", State.LOST, "a node failed (PBS)"),
    (r"TERM_(?:LOAD|WINDOW|ZOMBIE|FORCE_ADMIN|ADMIN|OTHER)\b", State.LOST, "ended by LSF or its administrator"),
    (r"job\.exception .*type=node-failure|lost contact with job shell", State.LOST, "a node failed (Flux)"),
)  # fmt: skip
_CANCELLED = (
    (r"\*\*\* (?:JOB|STEP) \S+ ON \S+ CANCELLED", "cancelled (Slurm)"),
    (r"TERM_(?:FORCE_)?OWNER\b", "cancelled (LSF)"),
    (r"job\.exception .*type=cancel", "cancelled (Flux)"),
    (r"partita: this job was told to end", "cancelled or preempted"),
)
_TASK = re.compile(r"srun: error: \S+ tasks? \S+ (?:Exited with exit code (\d+)|(Segmentation fault|Aborted|Bus error|"
                   r"Floating point exception|Illegal instruction|Killed))")  # fmt: skip
_HYDRA = re.compile(r"EXIT STRING: .*\(signal (\d+)\)")
_SAID = re.compile(r"^(?:\d+: |\[\d+\] )?error: (.+)", re.MULTILINE)


def read_tail(path: Path) -> str:
    """The end of a log; "" where there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL_BYTE))
            return stream.read().decode(errors="replace")
    except OSError:
        return ""


def state_of(status: int, timed_out: bool, log_text: str) -> tuple[State, str]:
    """How a run ended, and why: from its exit status (negative: signal), its own limit of time, and its log.

    Status 0 is DONE whatever the log says; whether there is a record is for the caller to see.
    """
    if timed_out:
        return State.TIMEOUT, "its limit of time (timeout_s) was over"
    if status == 0:
        return State.DONE, ""
    if said := ended_from_outside(log_text):
        return said
    if status < 0 or status > 128:
        number = -status if status < 0 else status % 128  # 143 of a shell, 271 of PBS: SIGTERM.
        if number == signal.SIGXCPU:
            return State.TIMEOUT, "limit of CPU time (SIGXCPU)"
        return State.FAILED, _also_said(f"ended by {_signal(number)}", log_text)
    return State.FAILED, _also_said(f"exit code {status}{meaning(status)}", log_text)


def ended_from_outside(text: str) -> tuple[State, str] | None:
    """What a scheduler, a launcher or the kernel says of the end in a log; None: nothing."""
    for pattern, state, why in _ENDED:
        if found := re.search(pattern, text):
            what = found.groupdict().get("what")
            return state, f"{why}: {what}" if what else why
    if task := _TASK.search(text):  # Then Slurm cancels the step, and srun ends with the code of a rank that it ended.
        how = f"exit code {task[1]}{meaning(int(task[1]))}" if task[1] else f"a rank ended: {task[2]}"
        return State.FAILED, _also_said(how, text)
    for pattern, why in _CANCELLED:
        if re.search(pattern, text):
            return State.LOST, why
    if rank := _HYDRA.search(text):
        return State.FAILED, _also_said(f"ended by {_signal(int(rank[1]))} of a rank", text)
    return None


def meaning(status: int) -> str:
    """` (usage or deck)`: what the apps mean by an exit code; empty for other codes."""
    return f" ({MEANING[status]})" if status in MEANING else ""


def _also_said(how: str, text: str) -> str:
    said = _SAID.findall(text)
    return f"{how}: {said[-1].strip()}" if said else how


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
