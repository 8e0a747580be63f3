# SPDX-License-Identifier: BSD-3-Clause
"""Jobs handed to a scheduler, as files tell of them: also after log-out, also where no scheduler is.

The folder `submissions` of a study has four files for job N:

    N.json        scheduler, its name of the job, nodes, hashes of the points, times; what the scheduler refused
    N + .sh       the script as it was submitted
    N.out         what the script wrote: when it began, what `partita run` said, how it ended
    N.scheduler   what the scheduler wrote
"""

import re
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from partita.errors import UsageError, held_to_the_layout, reason
from partita.studies import schedulers
from partita.studies.reasons import ended_from_outside, meaning, read_tail
from partita.studies.state import INFRASTRUCTURE, State, now_utc, read_json, write_json

FOLDER = "submissions"
FORMAT = "partita-submission-1"
SILENT_JOB_S = 900.0  # Between two signs of a job at work: `partita run` reads decks before the first point starts.
_BEGINS = re.compile(r"^partita: job .* begins.*$", re.MULTILINE)
_ENDS = re.compile(r"^partita: job .* ends with status (\d+)", re.MULTILINE)
_QUOTED = re.compile(r"^(?: {4}\||\[).*$", re.MULTILINE)  # `partita run` on points, with the ends of their logs.


class Phase(StrEnum):
    """Of a job."""

    REFUSED = "refused"
    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True)
class Fate:
    """What became of a job; `state` is that of a point which ran when it was ended, if `why` is known."""

    phase: Phase
    state: State = State.LOST
    why: str = ""

    @property
    def living(self) -> bool:
        """Whether its points may still run in it."""
        return self.phase in (Phase.WAITING, Phase.RUNNING)


@dataclass(frozen=True)
class Submission:
    """One job."""

    path: Path  # N.json
    number: int
    scheduler: str
    job: str  # "": not yet given, or refused.
    nodes: int
    points: tuple[str, ...]  # Hashes
    time_s: int
    submitted_utc: str = ""
    refused: str = ""
    gone: str = ""  # What the scheduler said when it was asked, and the job was there no more.
    gone_state: str = State.LOST.value

    @property
    def script(self) -> Path:
        """What is submitted."""
        return self.path.with_suffix(".sh")

    @property
    def output(self) -> Path:
        """Written by the script."""
        return self.path.with_suffix(".out")

    @property
    def scheduler_output(self) -> Path:
        """Written by the scheduler."""
        return self.path.with_suffix(".scheduler")

    @property
    def name(self) -> str:
        """`slurm job 12`."""
        return f"{self.scheduler} job {self.job}" if self.job else f"{self.scheduler} job not given"

    def write(self) -> None:
        """N.json."""
        content = {
            "format": FORMAT, "number": self.number, "scheduler": self.scheduler, "job": self.job, "nodes": self.nodes,
            "points": list(self.points), "script": self.script.name, "output": self.output.name, "time_s": self.time_s,
            "submitted_utc": self.submitted_utc, "refused": self.refused, "gone": self.gone,
            "gone_state": self.gone_state,
        }  # fmt: skip
        write_json(self.path, content)

    def with_job(self, job: str) -> "Submission":
        """Accepted."""
        return replace(self, job=job, submitted_utc=now_utc())

    @cached_property
    def fate(self) -> Fate:
        """From files alone."""
        if self.refused or not self.job:
            return Fate(Phase.REFUSED, why=self.refused or "`partita submit` ended before the scheduler had answered")
        mine, theirs = _since_begin(read_tail(self.output)), _since_begin(read_tail(self.scheduler_output))
        of_scheduler, of_script = ended_from_outside(theirs), ended_from_outside(_QUOTED.sub("", mine))
        said = of_scheduler or of_script
        if end := _ENDS.search(mine):
            status = int(end[1])
            if status == 0:
                return Fate(Phase.ENDED)
            return Fate(Phase.ENDED, *(said or (State.LOST, f"it ended with status {status}{meaning(status)}")))
        if of_scheduler:
            return Fate(Phase.ENDED, *of_scheduler)
        if self.gone:
            return Fate(Phase.ENDED, *(of_script or (State(self.gone_state), self.gone)))
        if not _BEGINS.search(mine):
            return Fate(Phase.WAITING)
        return Fate(Phase.RUNNING, *(of_script or (State.LOST, "")))  # It may be ending its points just now.

    @property
    def may_live(self) -> bool:
        """It should; or it was taken away, and may be in the queue again."""
        fate = self.fate
        taken_away = fate.phase is Phase.ENDED and fate.why and fate.state in INFRASTRUCTURE and not self.gone
        return fate.living or bool(taken_away)

    def silent_s(self) -> float:
        """Seconds since script or scheduler wrote something."""
        written = [p.stat().st_mtime for p in (self.output, self.scheduler_output) if p.exists()]
        return time.time() - max(written, default=0.0)


def _since_begin(text: str) -> str:
    """A job that was requeued begins again in the same files."""
    begins = list(_BEGINS.finditer(text))
    return text[begins[-1].start() :] if begins else text


def submissions(folder: Path) -> list[Submission]:
    """All jobs of a study's folder, oldest first; UsageError names a damaged file."""
    found = [p for p in (folder / FOLDER).glob("*.json") if p.stem.isdecimal()]
    return [_read(path) for path in sorted(found, key=lambda p: int(p.stem))]


def _read(path: Path) -> Submission:
    content: dict[str, Any] = read_json(path)
    with held_to_the_layout(path):
        return Submission(
            path, int(path.stem), str(content["scheduler"]), str(content["job"]), int(content["nodes"]),
            tuple(map(str, content["points"])), int(content["time_s"]), str(content["submitted_utc"]),
            str(content["refused"]), str(content["gone"]), State(content["gone_state"]).value,
        )  # fmt: skip


def new_submission(
    folder: Path, scheduler: str, nodes: int, points: tuple[str, ...], time_s: int, dry: int | None = None
) -> Submission:
    """The next one, not yet written, in a folder that is there; `dry`: the next but so many, and no folder is made."""
    place = folder / FOLDER
    try:
        if dry is None:
            place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(place, f"cannot be made ({reason(error)})", "a folder for job scripts") from error
    number = max((int(p.stem) for p in place.glob("*.json") if p.stem.isdecimal()), default=0) + 1 + (dry or 0)
    return Submission(place / f"{number}.json", number, scheduler, "", nodes, points, time_s)


def living(folder: Path, ask: bool) -> list[Submission]:
    """Jobs that wait or run, as files tell; and as their schedulers tell, where they are asked and answer."""
    jobs = submissions(folder)
    if not ask:
        return [job for job in jobs if job.fate.living]
    return [job for job, answer in ((job, asked(job)) for job in jobs if job.may_live) if answer.living]


_GONE = {
    "TIMEOUT": State.TIMEOUT, "DEADLINE": State.TIMEOUT, "PREEMPTED": State.PREEMPTED,
    "OUT_OF_MEMORY": State.OUT_OF_MEMORY,
}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """Of a job, by its scheduler, or by files where that cannot be asked."""

    living: bool
    words: str


def asked(job: Submission) -> Said:
    """Ask the scheduler of a job; that it knows a job that should live no more is written into N.json."""
    answer = schedulers.ask(job.scheduler, job.job)
    if answer is None:
        return Said(job.fate.living, f"{job.scheduler} cannot be asked here")
    said = ", ".join(filter(None, (answer.state.lower().replace("_", " "), answer.why)))
    if not answer.living and job.fate.living:
        gone = f"{job.scheduler} says: {said}" if said else f"{job.scheduler} knows no such job any more"
        replace(job, gone=gone, gone_state=_GONE.get(answer.state, State.LOST).value).write()
    return Said(answer.living, said)
