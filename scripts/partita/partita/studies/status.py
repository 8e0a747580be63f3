# SPDX-License-Identifier: BSD-3-Clause
"""Where every point of a study stands, from files alone: plan, attempts, jobs and what schedulers wrote.

A point is done when one of its attempts is; else its newest attempt says what it is, unless a job that came after it
lives: then it is submitted. An attempt without exit.json runs while its runner shows signs of life. When that is gone,
a complete record makes it done; else it is lost, or what its job says of its own end: time limit, memory, preemption.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from partita.errors import UsageError
from partita.studies.progress import duration
from partita.studies.state import CHECKPOINT, INFRASTRUCTURE, PLAN, Attempt, State, attempts, planned, read_json
from partita.studies.submissions import SILENT_JOB_S, Fate, Phase, Submission, submissions

GONE = "its runner is gone and left no word"


@dataclass(frozen=True)
class PointStatus:
    """One point of the plan."""

    hash: str
    name: str
    nodes: int
    state: State
    reason: str = ""
    attempts: int = 0
    record: Path | None = None  # Of a point that is done.
    first_step: int = 0  # Of the attempt that this is the state of: from where it went on.


@dataclass(frozen=True)
class StudyStatus:
    """All of a folder."""

    folder: Path
    study: str
    points: tuple[PointStatus, ...]
    jobs: tuple[tuple[Submission, Fate], ...] = ()
    notes: tuple[str, ...] = field(default=())  # Damaged files.

    @property
    def counts(self) -> dict[str, int]:
        """Points in each state that there is."""
        found = Counter(p.state for p in self.points)
        return {state.value: found[state] for state in State if found[state]}


def status_of(folder: Path) -> StudyStatus:
    """UsageError where nothing was planned; what is damaged is named in the notes."""
    points = planned(folder)
    if not points:
        raise UsageError(folder, "no plan.json with points in it", "the folder of a study that was run or submitted")
    notes: list[str] = []
    jobs = _jobs(folder, notes)
    tried = _tried(folder)
    lying = {p.name for p in folder.glob("*.h5")}  # Of a folder that `partita collect` made.
    view = _View(folder, jobs, {p["hash"]: attempts(folder, p["hash"]) for p in points if p["hash"] in tried}, lying)
    found = tuple(view.point(p) for p in points)
    name = str(read_json(folder / PLAN).get("study", folder.name))
    return StudyStatus(folder, name, found, tuple((job, view.fates[job.number]) for job in jobs), tuple(notes))


def _jobs(folder: Path, notes: list[str]) -> list[Submission]:
    try:
        return submissions(folder)
    except UsageError as error:
        notes.append(str(error))
        return []


def _tried(folder: Path) -> set[str]:
    try:
        return {path.name for path in (folder / "points").iterdir()}
    except OSError:
        return set()


class _View:
    """Of a folder at one moment."""

    def __init__(self, folder: Path, jobs: list[Submission], tried: dict[str, list[Attempt]], lying: set[str]) -> None:
        self.folder, self.tried, self.lying = folder, tried, lying
        self.by_name = {(job.scheduler, job.job): job for job in jobs if job.job}
        self.newest = {digest: job for job in jobs for digest in job.points}
        self.fates = {job.number: self._fate(job) for job in jobs}

    def _fate(self, job: Submission) -> Fate:
        fate = job.fate
        if fate.phase is not Phase.RUNNING:
            return fate
        silent = job.silent_s()
        for digest in job.points:
            if silent < SILENT_JOB_S:
                return fate
            for attempt in self.tried.get(digest, [])[-1:]:
                silent = min(silent, attempt.silent_s())
        return fate if silent < SILENT_JOB_S else Fate(Phase.ENDED, why=f"no sign of it for {duration(silent)}")

    def point(self, point: dict[str, Any]) -> PointStatus:
        """One point; a damaged file of it is its reason."""
        digest, tried = str(point["hash"]), self.tried.get(str(point["hash"]), [])
        lying = f"{point['name']}_{digest}.h5"
        record = None
        try:
            state, why, record = self._state(digest, tried)
        except UsageError as error:
            state, why = State.LOST, str(error)
        if state is not State.DONE and lying in self.lying:
            state, why, record = State.DONE, "", self.folder / lying
        nodes, first, left = int(point.get("nodes", 1)), 0, ""
        if tried and state is not State.PLANNED:
            first, left = self._went_on(digest, tried, state)
        said = f"went on from step {first}" if first else ""
        why = "; ".join(filter(None, (why, said, left)))
        return PointStatus(digest, str(point["name"]), nodes, state, why, len(tried), record, first)

    def _went_on(self, digest: str, tried: list[Attempt], state: State) -> tuple[int, str]:
        """From which step, and what is left for a next attempt."""
        try:
            done = [a for a in tried if a.exit.get("state") == State.DONE] if state is State.DONE else []
            shown = (done or tried)[-1]
            left = state not in (State.DONE, State.RUNNING) and shown.may_go_on
            kept = left and (self.folder / "points" / digest / CHECKPOINT).is_file()
            return shown.first_step, "it left a checkpoint" if kept else ""
        except UsageError:  # Damaged, which is said already.
            return 0, ""

    def _state(self, digest: str, tried: list[Attempt]) -> tuple[State, str, Path | None]:
        for attempt in reversed(tried):
            if attempt.exit.get("state") == State.DONE:
                return State.DONE, "", attempt.record
        state, why = self._attempted(tried[-1]) if tried else (State.PLANNED, "")
        if state in (State.DONE, State.RUNNING):
            return state, why, tried[-1].record
        job = self.newest.get(digest)
        if job is None or (tried and self._ran_in(tried[-1]) is job):
            return state, why, None
        fate = self.fates[job.number]
        if fate.living:
            before = f"; attempt {tried[-1].number} before: {state.value}" if tried else ""
            return State.SUBMITTED, f"{job.name}, {fate.phase.value}{before}", None
        if tried:
            return state, why, None
        if fate.phase is Phase.REFUSED:
            return State.PLANNED, f"{job.scheduler} did not take the job: {fate.why}", None
        if fate.why.startswith("no sign"):
            return State.LOST, f"{job.name}: {fate.why}", None
        return State.PLANNED, f"{job.name} ended before its turn" + (f": {fate.why}" if fate.why else ""), None

    def _ran_in(self, attempt: Attempt) -> Submission | None:
        return self.by_name.get((str(attempt.job.get("scheduler")), str(attempt.job.get("scheduler_job"))))

    def _attempted(self, attempt: Attempt) -> tuple[State, str]:
        """Of an attempt that is not known as done."""
        if attempt.exit:
            state, why = State(attempt.exit.get("state", State.LOST)), str(attempt.exit.get("reason", ""))
            told_to_stop = state in INFRASTRUCTURE and int(attempt.exit.get("status", 0)) < 0
            return self._said_by_job(attempt) or (state, why) if told_to_stop else (state, why)
        from partita.records.header import read_header

        if attempt.record.is_file() and read_header(attempt.record).usable:
            return State.DONE, "its runner is gone, its record is complete"
        if attempt.is_alive():
            return State.RUNNING, self._where(attempt)
        return self._said_by_job(attempt) or (State.LOST, f"{GONE} ({self._where(attempt)})")

    def _said_by_job(self, attempt: Attempt) -> tuple[State, str] | None:
        job = self._ran_in(attempt)
        fate = self.fates[job.number] if job else None
        if job is None or fate is None or not fate.why or fate.phase not in (Phase.RUNNING, Phase.ENDED):
            return None
        return fate.state, f"{job.name}: {fate.why}"

    def _where(self, attempt: Attempt) -> str:
        job = self._ran_in(attempt)
        host = f"on {attempt.job.get('host', 'an unknown host')} since {attempt.job.get('started_utc', '?')}"
        return f"{job.name}, {host}" if job else host
