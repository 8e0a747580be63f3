# SPDX-License-Identifier: BSD-3-Clause
"""Points -> records: run through the launcher, skip what is finished, report what failed, go on."""

import fcntl
import hashlib
import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console

from partita import launch
from partita.errors import EnvironmentUnfitError, ExitCode, IncompleteError, UsageError
from partita.progress import Outcome, Reporter, duration, reporter
from partita.record import is_finished, read_record
from partita.study import STUDY_COPY, Point, Study, in_random_order, points, with_digests

SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Plan:
    """All points of a study in the order in which they run, and where."""

    study: Study
    folder: Path
    binary: Path
    points: tuple[Point, ...]
    finished: frozenset[str]  # Digests of the points whose records are there.

    @property
    def cores(self) -> int:
        """Hardware threads that this process may use: what a launcher on this machine hands to its ranks."""
        return available_cores()

    def oversubscribed(self, point: Point) -> bool:
        """Whether the point has more threads than there are cores."""
        return point.ranks * point.threads > self.cores

    def record(self, point: Point) -> Path:
        """Where the point's record stands when it is finished."""
        return self.folder / f"{point.stem}.h5"

    def command(self, point: Point) -> list[str]:
        """What is executed, from the root of the checkout."""
        launcher = self.study.launcher.replace("{ranks}", str(point.ranks)).replace("{threads}", str(point.threads))
        command = [*shlex.split(launcher), self._from_root(self.binary), self._from_root(self.study.deck)]
        for key, value in (*point.overrides, ("record.study", self.study.name), ("record.point", point.name)):
            command += ["--set", f"{key}={value}"]
        return [*command, "--output", str(self.record(point))]

    def _from_root(self, path: Path) -> str:
        """As a person standing in the checkout would type it."""
        return str(path.relative_to(self.study.root)) if path.is_relative_to(self.study.root) else str(path)

    def environment(self, point: Point) -> dict[str, str]:
        """This process's environment with the threads of the point."""
        return {**os.environ, "OMP_NUM_THREADS": str(point.threads), "OMP_PROC_BIND": "false"}


def available_cores() -> int:
    """Cores of the allocation under Slurm, else of this process."""
    with suppress(KeyError, ValueError):
        return int(os.environ["SLURM_CPUS_ON_NODE"]) * int(os.environ["SLURM_JOB_NUM_NODES"])
    return len(os.sched_getaffinity(0))


def find_binary(study: Study, build: Path) -> Path | None:
    """The app in a build tree (apps/NAME/NAME) or in an installation (bin/NAME)."""
    for place in (build / "apps" / study.app / study.app, build / "bin" / study.app, build / study.app):
        if place.is_file():
            return place.resolve()
    return None


def make_plan(study: Study, folder: Path, build: Path) -> Plan:
    """Expand the study and look which of its points are finished."""
    binary = find_binary(study, build)
    content = hashlib.sha256(binary.read_bytes()).hexdigest() if binary else "not built"
    ordered = in_random_order(study, with_digests(study, points(study), content))
    finished = frozenset(p.digest for p in ordered if is_finished(folder / f"{p.stem}.h5"))
    return Plan(study, folder.resolve(), binary or build / "apps" / study.app / study.app, tuple(ordered), finished)


def run_plan(plan: Plan, console: Console) -> ExitCode:
    """Run what is not finished. Failing points do not end the study; a signal does, and leaves it ready to go on."""
    _check_environment(plan)
    plan.folder.mkdir(parents=True, exist_ok=True)
    with _locked(plan.folder), _signals_as_interrupt():
        _set_aside_superseded(plan, console)
        shutil.copyfile(plan.study.path, plan.folder / STUDY_COPY)
        todo = [p for p in plan.points if p.digest not in plan.finished]
        progress = reporter(console, len(plan.points) - len(todo), len(plan.points))
        outcomes: list[Outcome] = []
        try:
            for point in todo:
                progress.begin(point)
                outcomes.append(run_point(plan, point, progress))
                progress.end(outcomes[-1])
        except KeyboardInterrupt:
            done = len(plan.points) - len(todo) + sum(o.ok for o in outcomes)
            raise IncompleteError(
                f"{plan.study.path}: interrupted with {done} of {len(plan.points)} points done; "
                "the same command goes on from there"
            ) from None
        finally:
            progress.close()
    return _closing_lines(plan, outcomes, console)


def run_point(plan: Plan, point: Point, progress: Reporter) -> Outcome:
    """Run one point to its end; only an interrupt passes through."""
    record, log = plan.record(point), plan.folder / f"{point.stem}.log"
    log.write_text(f"# {shlex.join(plan.command(point))}\n# OMP_NUM_THREADS={point.threads} OMP_PROC_BIND=false\n")
    ended = launch.run(
        plan.command(point), log, plan.study.root, plan.environment(point), plan.study.timeout_s, progress.tick
    )
    trouble = _trouble(plan, record, ended)
    if trouble and record.exists():
        record.replace(record.with_suffix(".h5.failed"))  # Never counted as finished, never plotted.
    if trouble:
        return Outcome(point, False, ended.wall_s, trouble, log)
    step = read_record(record).step_interval()
    note = f"{step.value * 1e3:.2f} ms per step" if step.n else ""
    if plan.oversubscribed(point):
        note += f"  (oversubscribed: {point.ranks * point.threads} threads on {plan.cores} cores)"
    return Outcome(point, True, ended.wall_s, note.strip(), log)


def _trouble(plan: Plan, record: Path, ended: launch.Ended) -> str:
    if ended.timed_out:
        return f"timed out after {duration(plan.study.timeout_s)} (key timeout_s of {plan.study.path})"
    if ended.status < 0:
        with suppress(ValueError):
            return f"ended by {signal.Signals(-ended.status).name}"
    if ended.status != 0:
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


def _check_environment(plan: Plan) -> None:
    launcher = shlex.split(plan.study.launcher)[0]
    if shutil.which(launcher) is None:
        raise EnvironmentUnfitError(
            f"{plan.study.path}: launcher: no command {launcher} on this machine; install an MPI or set `launcher`"
        )
    if not plan.binary.is_file():
        raise EnvironmentUnfitError(
            f"{plan.study.path}: app: no binary {plan.binary}; "
            f"build it (`cmake --build {plan.study.build}`) or give --build"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One `partita run` a folder; the lock goes with the process, however that ends."""
    with (folder / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{folder}: another `partita run` is at work here; wait for it or give --output") from None
        except OSError:
            pass  # A file system without locks.
        yield


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
    return ExitCode.RUN_FAILED if failed else ExitCode.DONE
