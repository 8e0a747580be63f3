# SPDX-License-Identifier: BSD-3-Clause
"""How each scheduler takes a job script, and what it says of a job."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from partita.errors import EnvironmentUnfitError, UsageError

ANSWER_S = 60.0  # A busy controller takes its time.


@dataclass(frozen=True)
class Scheduler:
    """Its commands, and how their answers are read."""

    submit: tuple[str, ...]  # Then the script, or the script on standard input.
    by_stdin: bool
    job: str  # The job's name in the answer.
    ask: tuple[str, ...]  # Then the job's name.
    answer: str  # State, and why, if it says so.
    living: frozenset[str]  # States of jobs that wait or run.


@dataclass(frozen=True)
class Answer:
    """What a scheduler says of a job. `state` "": it does not know the job (any more)."""

    living: bool
    state: str
    why: str


def _states(words: str) -> frozenset[str]:
    return frozenset(words.split())


SCHEDULERS = {
    "slurm": Scheduler(
        ("sbatch", "--parsable"), False, r"^(\d+)(?:;\S+)?$",
        ("squeue", "-h", "-t", "all", "-o", "%T|%r", "-j"), r"^(?P<state>[A-Z_]+)\|(?P<why>.*)$",
        _states("PENDING RUNNING CONFIGURING COMPLETING SUSPENDED STOPPED SIGNALING STAGE_OUT RESIZING REQUEUED "
                "REQUEUE_FED REQUEUE_HOLD SPECIAL_EXIT"),
    ),
    "pbs": Scheduler(
        ("qsub",), False, r"^(\d\S*)$",
        ("qstat", "-f"), r"job_state = (?P<state>\w)(?:[\s\S]*?comment = (?P<why>.*))?",
        _states("Q R H T W S E B"),
    ),
    "lsf": Scheduler(
        ("bsub",), True, r"Job <(\d+)>",
        ("bjobs", "-noheader", "-o", "stat: exit_reason: delimiter='|'"), r"^(?P<state>\w+)\|(?P<why>.*)$",
        _states("PEND RUN PSUSP USUSP SSUSP PROV WAIT"),
    ),
    "flux": Scheduler(
        ("flux", "batch"), False, r"^(\S+)$",
        ("flux", "jobs", "-n", "-o", "{status}|{exception.note}"), r"^(?P<state>[A-Z]+)\|(?P<why>.*)$",
        _states("DEPEND PRIORITY SCHED RUN CLEANUP"),
    ),
}  # fmt: skip


def find(name: str | None) -> str:
    """The scheduler by this name; without one, that whose commands are on this machine."""
    if name is None:
        found = next((n for n, s in SCHEDULERS.items() if shutil.which(s.submit[0])), None)
        if found is None:
            commands = ", ".join(s.submit[0] for s in SCHEDULERS.values())
            raise EnvironmentUnfitError("partita submit", f"none of {commands} on this machine", "a login node")
        return found
    if name not in SCHEDULERS:
        raise UsageError("--scheduler", f'"{name}"', "one of " + ", ".join(SCHEDULERS))
    return name


def send(name: str, script: Path, folder: Path) -> str:
    """Submit a script from the folder: the job's name. EnvironmentUnfitError with what the scheduler says."""
    scheduler = SCHEDULERS[name]
    command = [*scheduler.submit] if scheduler.by_stdin else [*scheduler.submit, str(script)]
    try:
        with script.open("rb") as stream:
            done = subprocess.run(
                command, stdin=stream if scheduler.by_stdin else subprocess.DEVNULL, capture_output=True, text=True,
                timeout=ANSWER_S, cwd=folder, check=False,
            )  # fmt: skip
    except FileNotFoundError:
        raise EnvironmentUnfitError(command[0], "no such command on this machine", "a login node") from None
    except subprocess.TimeoutExpired:
        raise EnvironmentUnfitError(command[0], f"no answer within {ANSWER_S:.0f} s", "a scheduler at work") from None
    found = re.search(scheduler.job, done.stdout.strip(), re.MULTILINE)
    if done.returncode == 0 and found:
        return found[1]
    said = " ".join((done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").split())
    raise EnvironmentUnfitError(script, f"refused by {command[0]} ({said})", "limits and names that it accepts")


def ask(name: str, job: str) -> Answer | None:
    """What the scheduler says of the job; None: it is not here, or does not answer."""
    scheduler = SCHEDULERS.get(name)
    if scheduler is None or shutil.which(scheduler.ask[0]) is None:
        return None
    try:
        done = subprocess.run(
            [*scheduler.ask, job], capture_output=True, text=True, timeout=ANSWER_S, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    if found := re.search(scheduler.answer, done.stdout, re.MULTILINE):
        why = (found["why"] or "").strip()
        return Answer(found["state"] in scheduler.living, found["state"], "" if why in ("None", "-") else why)
    unknown = re.search(r"invalid job id|unknown job|is not found|has finished", done.stderr + done.stdout, re.I)
    return Answer(False, "", "") if unknown or done.returncode == 0 else None
