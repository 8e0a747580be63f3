# SPDX-License-Identifier: BSD-3-Clause
"""Points -> attempts: run through the launcher, skip what is finished, report what failed, go on."""

import math
import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

from rich.console import Console

from partita.errors import EnvironmentUnfitError, ExitCode, IncompleteError, UsageError, reason
from partita.records.record import read_record
from partita.studies import family, launch
from partita.studies.allocation import allocation
from partita.studies.blocks import Widths
from partita.studies.endings import judged, judged_drill, memory_kills
from partita.studies.locks import locked, refuse_if_alive
from partita.studies.plan import Plan, has_record
from partita.studies.points import Point
from partita.studies.progress import Outcome, Reporter, duration, reporter
from partita.studies.resuming import Start, may_go_on, next_start
from partita.studies.state import ALIVE_EVERY_S, INFRASTRUCTURE, Attempt, State, attempts, new_attempt
from partita.studies.study import STUDY_COPY
from partita.studies.validate import validate
from partita.studies.work import check_recorded_work, planned_work


def check_plan(plan: Plan) -> tuple[int, str]:
    """Have the apps read every distinct deck, and run nothing else: how many there are, and what of a weak study."""
    check_environment(plan)
    with _signals_as_interrupt(), family.guarded() as token:
        return validate(plan, plan.surely, token), planned_work(plan, token)


def run_plan(plan: Plan, console: Console, only_nodes: int | None = None) -> ExitCode:
    """Run what is not finished. Failing points do not end the study; a signal does, and leaves it ready to go on."""
    chosen = _chosen(plan, only_nodes)
    check_environment(plan)
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            plan.folder, f"cannot be made ({reason(error)})", "a folder for records, there or not"
        ) from error
    with locked(plan.folder, only_nodes) as lock, _signals_as_interrupt(), family.guarded(lock) as token:
        planned = {p.digest for p in (*plan.surely, *plan.begun())}
        mine = [p for p in chosen if p.digest in planned]
        todo = [p for p in mine if not has_record(plan.folder, p)]
        for point in todo:
            refuse_if_alive(attempts(plan.folder, point.digest))
        work = _Work(plan, token, reporter(console, len(mine) - len(todo), len(mine)), skipped=len(mine) - len(todo))
        try:
            validate(plan, todo, token)
            # A job of N nodes cannot start what needs more of them: there the work is known from `partita plan`.
            if todo and only_nodes is None and (said := planned_work(plan, token)):
                console.print(f"{plan.study.name}: {said}", soft_wrap=True)
            shutil.copyfile(plan.study.path, plan.folder / STUDY_COPY)
            plan.write()
            work.run(todo)
            work.further_blocks(chosen, planned)
        except KeyboardInterrupt:
            done = work.skipped + sum(o.ok for o in work.outcomes)
            raise IncompleteError(
                plan.study.path,
                f"interrupted with {done} of {work.skipped + work.planned} points done; "
                "the same command goes on from there",
            ) from None
        finally:
            work.progress.close()
    return _closing_lines(plan, work, console, whole=only_nodes is None)


def _chosen(plan: Plan, only_nodes: int | None) -> list[Point]:
    chosen = [p for p in plan.points if only_nodes in (None, p.nodes)]
    if not chosen:
        counts = sorted({p.nodes for p in plan.points})
        raise UsageError("--only-nodes", str(only_nodes), f"one of {', '.join(map(str, counts))}")
    return chosen


@dataclass
class _Work:
    """What one `partita run` does."""

    plan: Plan
    token: str
    progress: Reporter
    skipped: int  # Points that were finished before.
    planned: int = 0
    outcomes: list[Outcome] = field(default_factory=list)
    said: str = ""  # On blocks

    def run(self, todo: list[Point]) -> None:
        """One point after the other."""
        self.planned += len(todo)
        for point in todo:
            self.progress.begin(point)
            self.outcomes.append(run_point(self.plan, point, self.progress, self.token))
            self.progress.end(self.outcomes[-1])

    def further_blocks(self, chosen: list[Point], planned: set[str]) -> None:
        """Add blocks until every ratio that is shown is known well enough, or there are as many as are allowed."""
        repeats = self.plan.study.repeats
        if not repeats.adaptive:
            return
        widths = Widths(self.plan)
        among = {p.configuration for p in chosen}
        done = max((p.repeat for p in chosen if p.digest in planned), default=repeats.min)
        while widest := widths.widest(among):
            name = f"{widest.ratio.above} / {widest.ratio.below}"
            if widest.value <= repeats.ratio_width:
                self.said = f"{done} blocks: no ratio's interval is wider than {widest.value:.3g} ({name})"
                return
            why = f"the interval of {name} is {widest.value:.3g} of its value, wanted {repeats.ratio_width:g}"
            if done == repeats.max:
                self.said = f"{done} blocks, as many as are allowed: {why}"
                return
            done += 1
            block = [p for p in chosen if p.repeat == done]
            self.plan.write(block)
            self.progress.more(len(block), f"block {done}, {why}")
            self.run(block)


def run_point(plan: Plan, point: Point, progress: Reporter, token: str) -> Outcome:
    """Run one point to its end.

    Again where it was ended from outside: from its checkpoint, as often as the study's `resume` says, else from the
    begin, `retries` times, where that says nothing about the run.
    """
    retries = plan.study.retries
    start = next_start(plan.folder, point.digest, plan.study.resume)
    if start.refused:
        last = attempts(plan.folder, point.digest)[-1]
        why = f"{start.refused}: expected a larger `resume`, or no {start.checkpoint}"
        return Outcome(point, State(last.exit.get("state", State.LOST)), 0.0, why, last.log)
    while True:
        outcome = _attempt(plan, point, start, progress, token)
        if outcome.ok:
            return outcome
        start = next_start(plan.folder, point.digest, plan.study.resume)
        if start.goes_on:
            outcome = replace(outcome, note=f"{outcome.note}; {_goes_on(plan, start)}")
        elif start.refused:
            return replace(outcome, note=f"{outcome.note}; {start.refused}")
        elif outcome.state not in INFRASTRUCTURE or retries == 0:
            return outcome
        else:
            retries -= 1
        progress.again(outcome)


def _goes_on(plan: Plan, start: Start) -> str:
    return f"goes on from step {start.step}, {start.time} of {plan.study.resume}"


def _attempt(plan: Plan, point: Point, start: Start, progress: Reporter, token: str) -> Outcome:
    """Only an interrupt passes through."""
    given = allocation()
    job: dict[str, Any] = {
        "point": point.name, "command": plan.command(point), "environment": plan.threads(point),
        "first_step": start.step,
    }  # fmt: skip
    if start.goes_on:
        job["resumed_from"] = str(start.checkpoint)
    if point.drill:
        job["drill"] = point.drill.described()
    if given.scheduler:
        job |= {"scheduler": given.scheduler, "scheduler_job": given.job}
    attempt = new_attempt(plan.folder, point.digest, job)
    command = plan.command(point, attempt.record, start.checkpoint if plan.study.resume else None, start.goes_on)
    flags = " ".join(f"{name}={value}" for name, value in plan.threads(point).items())
    said = f"# {start.note}\n" if start.note else ""
    attempt.log.write_text(f"# {shlex.join(command)}\n# {flags}\n{said}", encoding="utf-8")
    kills, began = memory_kills(), time.monotonic()
    try:
        ended = launch.run(
            command, attempt.log, plan.study.root, plan.environment(point), point.run.timeout_s, token,
            _Alive(attempt, progress), attempt.times if point.drill else None,
        )  # fmt: skip
    except BaseException as error:
        gone = State.PREEMPTED if given.scheduler else State.LOST
        why = "`partita run` was told to stop" if isinstance(error, KeyboardInterrupt) else f"not started: {error}"
        attempt.close(gone, -signal.SIGTERM, time.monotonic() - began, why, may_go_on=True)
        raise
    if point.drill:
        state, why = judged_drill(attempt, ended, point.drill, point.run.timeout_s, str(plan.study.path))
        more = {} if ended.timed_out else {"gone_s": ended.gone_s, "left": ended.left}
        attempt.close(state, ended.status, ended.wall_s, "" if state is State.DONE else why, **more)
        return Outcome(point, state, ended.wall_s, why, attempt.log)
    state, why = judged(attempt, ended, point.run.timeout_s, str(plan.study.path), memory_kills() - kills)
    attempt.close(state, ended.status, ended.wall_s, why, may_go_on(state, why, ended.timed_out))
    if state is not State.DONE:
        return Outcome(point, state, ended.wall_s, why, attempt.log)
    step_s = read_record(attempt.record).median_step_s
    note = "" if math.isnan(step_s) else f"{step_s * 1e3:.2f} ms per step"
    if start.goes_on:
        note += f"  (went on from step {start.step})"
    if plan.oversubscribed(point):
        note += f"  (oversubscribed: {point.cores} threads on {plan.cores} cores)"
    return Outcome(point, state, ended.wall_s, note.strip(), attempt.log)


class _Alive:
    """At ticks: the progress is shown, and now and then the attempt is marked as alive."""

    def __init__(self, attempt: Attempt, progress: Reporter) -> None:
        self.attempt, self.progress, self.last = attempt, progress, time.monotonic()

    def __call__(self) -> None:
        self.progress.tick()
        if time.monotonic() - self.last >= ALIVE_EVERY_S:
            self.attempt.touch()
            self.last = time.monotonic()


def launchable(plan: Plan) -> bool:
    """Whether all apps and the launcher are there."""
    return all(path.is_file() for path in plan.binaries.values()) and not _missing_launchers(plan)


def _missing_launchers(plan: Plan) -> list[str]:
    names = dict.fromkeys(p.launcher(plan.study)[0] for p in plan.expansion.configurations)
    return [name for name in names if shutil.which(name) is None]


def check_environment(plan: Plan) -> None:
    """EnvironmentUnfitError where an app or the launcher is missing."""
    for launcher in _missing_launchers(plan):
        raise EnvironmentUnfitError(
            f"{plan.study.path}: launcher", f"no command {launcher} on this machine", "an MPI, or another `launcher`"
        )
    check_binaries(plan)


def check_binaries(plan: Plan) -> None:
    """EnvironmentUnfitError where an app is not built."""
    for binary in plan.binaries.values():
        if not binary.is_file():
            raise EnvironmentUnfitError(
                f"{plan.study.path}: app",
                f"no binary {binary}",
                f"it to be built (`cmake --build {plan.study.build}`), or --build",
            )


@contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end a study as Ctrl-C does: ranks stopped, records kept.

    Only the first: schedulers send it to all processes of a job, and the job's script hands it on once more. The second
    must not break off what the first began.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _closing_lines(plan: Plan, work: _Work, console: Console, whole: bool) -> ExitCode:
    failed = [o for o in work.outcomes if not o.ok]
    parts = [f"{len(work.outcomes) - len(failed)} points run"]
    if work.skipped:
        parts.append(f"{work.skipped} finished before")
    if failed:
        parts.append(f"{len(failed)} FAILED: " + ", ".join(o.point.name for o in failed))
    wall = duration(sum(o.wall_s for o in work.outcomes))
    console.print(f"{plan.study.name}: {', '.join(parts)}, in {wall} -> {plan.folder}", highlight=False, soft_wrap=True)
    if work.said:
        console.print(f"{plan.study.name}: {work.said}", highlight=False, soft_wrap=True)
    if failed:
        return ExitCode.RUN_FAILED
    if whole:
        check_recorded_work(plan)
    return ExitCode.DONE
