# SPDX-License-Identifier: BSD-3-Clause
"""Points -> records: run through the launcher, skip what is finished, report what failed, go on."""

import fcntl
import shlex
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from rich.console import Console

from partita.analysis.scaling import scaling_kind
from partita.errors import CheckFailedError, EnvironmentUnfitError, ExitCode, IncompleteError, UsageError, reason
from partita.records.folder import read_folder
from partita.records.record import is_finished, read_record
from partita.studies import family, launch
from partita.studies.lost import lost_rank
from partita.studies.plan import Plan
from partita.studies.progress import Outcome, Reporter, duration, reporter
from partita.studies.study import STUDY_COPY, Point
from partita.studies.validate import validate

SUPERSEDED = "superseded"


def check_plan(plan: Plan) -> int:
    """Have the app read every distinct deck, and run nothing else: how many there are."""
    _check_environment(plan)
    with _signals_as_interrupt(), family.guarded() as token:
        return validate(plan, plan.points, token)


def run_plan(plan: Plan, console: Console) -> ExitCode:
    """Run what is not finished. Failing points do not end the study; a signal does, and leaves it ready to go on."""
    _check_environment(plan)
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            plan.folder, f"cannot be made ({reason(error)})", "a folder for records, there or not"
        ) from error
    with _locked(plan.folder) as lock, _signals_as_interrupt(), family.guarded(lock) as token:
        todo = [p for p in plan.points if p.digest not in plan.finished]
        progress = reporter(console, len(plan.points) - len(todo), len(plan.points))
        outcomes: list[Outcome] = []
        try:
            validate(plan, todo, token)
            _set_aside_superseded(plan, console)
            shutil.copyfile(plan.study.path, plan.folder / STUDY_COPY)
            for point in todo:
                progress.begin(point)
                outcomes.append(run_point(plan, point, progress, token))
                progress.end(outcomes[-1])
        except KeyboardInterrupt:
            done = len(plan.points) - len(todo) + sum(o.ok for o in outcomes)
            raise IncompleteError(
                plan.study.path,
                f"interrupted with {done} of {len(plan.points)} points done; the same command goes on from there",
            ) from None
        finally:
            progress.close()
    return _closing_lines(plan, outcomes, console)


def run_point(plan: Plan, point: Point, progress: Reporter, token: str) -> Outcome:
    """Run one point to its end; only an interrupt passes through."""
    record, log = plan.record(point), plan.folder / f"{point.stem}.log"
    log.write_text(f"# {shlex.join(plan.command(point))}\n# OMP_NUM_THREADS={point.threads} OMP_PROC_BIND=false\n")
    ended = launch.run(
        plan.command(point), log, plan.study.root, plan.environment(point), plan.study.timeout_s, token, progress.tick
    )
    trouble = _trouble(plan, record, log, ended)
    if trouble and record.exists():
        record.replace(record.with_suffix(".h5.failed"))  # Never counted as finished, never plotted.
    if trouble:
        return Outcome(point, False, ended.wall_s, trouble, log)
    step = read_record(record).step_interval()
    note = f"{step.value * 1e3:.2f} ms per step" if step.n else ""
    if plan.oversubscribed(point):
        note += f"  (oversubscribed: {point.ranks * point.threads} threads on {plan.cores} cores)"
    return Outcome(point, True, ended.wall_s, note.strip(), log)


def _trouble(plan: Plan, record: Path, log: Path, ended: launch.Ended) -> str:
    if ended.timed_out:
        return f"timed out after {duration(plan.study.timeout_s)} (key timeout_s of {plan.study.path})"
    if ended.status < 0:
        with suppress(ValueError):
            return f"ended by {signal.Signals(-ended.status).name}"
    if ended.status != 0:
        if lost := lost_rank(log, record):
            return lost
        return f"exit code {ended.status}{_meaning(ended.status)}"
    if not record.exists():
        return "exit code 0, but no record was written"
    return "" if is_finished(record) else "exit code 0, but its record is incomplete or cannot be read"


def _meaning(status: int) -> str:
    words = {
        1: "run failed",
        2: "usage or deck",
        3: "a check of results failed",
        4: "environment unfit",
        5: "incomplete",
    }
    return f" ({words[status]})" if status in words else ""


def launchable(plan: Plan) -> bool:
    """Whether app and launcher are there."""
    return plan.binary.is_file() and shutil.which(shlex.split(plan.study.launcher)[0]) is not None


def _check_environment(plan: Plan) -> None:
    launcher = shlex.split(plan.study.launcher)[0]
    if shutil.which(launcher) is None:
        raise EnvironmentUnfitError(
            f"{plan.study.path}: launcher", f"no command {launcher} on this machine", "an MPI, or another `launcher`"
        )
    if not plan.binary.is_file():
        raise EnvironmentUnfitError(
            f"{plan.study.path}: app",
            f"no binary {plan.binary}",
            f"it to be built (`cmake --build {plan.study.build}`), or --build",
        )


@contextmanager
def _locked(folder: Path) -> Iterator[tuple[int, ...]]:
    """One `partita run` a folder; the lock goes with the last process that has its descriptor, however that ends."""
    try:
        stream = (folder / ".lock").open("w")
    except OSError as error:
        raise UsageError(folder, f"cannot be written ({reason(error)})", "a folder for records") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                folder,
                "another `partita run` is at work here, or what it started is being ended",
                "its end, or --output",
            ) from None
        except OSError:
            pass  # A file system without locks.
        yield (stream.fileno(),)


@contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end a study as Ctrl-C does: ranks stopped, records kept."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _set_aside_superseded(plan: Plan, console: Console) -> None:
    """Move this study's records of an earlier deck or build away: a plot must not mix them."""
    current = {p.stem for p in plan.points}
    moved = 0
    for path in plan.folder.glob("*.h5"):
        if path.stem in current:
            continue
        try:
            belongs = read_record(path, steps=False).attributes.get("study") == plan.study.name
        except UsageError:
            belongs = False
        if belongs:
            target = plan.folder / SUPERSEDED
            target.mkdir(exist_ok=True)
            path.replace(target / path.name)
            if (log := path.with_suffix(".log")).exists():
                log.replace(target / log.name)
            moved += 1
    if moved:
        console.print(
            f"moved {moved} records of earlier builds or decks to {plan.folder / SUPERSEDED}", highlight=False
        )


def _closing_lines(plan: Plan, outcomes: list[Outcome], console: Console) -> ExitCode:
    failed = [o for o in outcomes if not o.ok]
    skipped = len(plan.points) - len(outcomes)
    parts = [f"{len(outcomes) - len(failed)} points run"]
    if skipped:
        parts.append(f"{skipped} finished before")
    if failed:
        parts.append(f"{len(failed)} FAILED: " + ", ".join(o.point.name for o in failed))
    wall = duration(sum(o.wall_s for o in outcomes))
    console.print(f"{plan.study.name}: {', '.join(parts)}, in {wall} -> {plan.folder}", highlight=False, soft_wrap=True)
    if not failed:
        _check_work(plan)
    return ExitCode.RUN_FAILED if failed else ExitCode.DONE


def _check_work(plan: Plan) -> None:
    """Hold the work that the records counted to what the study says of it: CheckFailedError."""
    with suppress(UsageError):  # Records of another kind than training.
        studies, _, _ = read_folder(plan.folder)
        for study in studies:
            counts = {r.ranks for r in study.records}
            kind, said = scaling_kind(study)
            if study.name != plan.study.name or len(counts) == 1 or plan.study.scaling in ("none", kind):
                continue
            what = "a rank's" if plan.study.scaling == "weak" else "a step's"
            raise CheckFailedError(
                f"{plan.study.path}: scaling", said, f"{what} work to be the same at every number of ranks"
            )
