# SPDX-License-Identifier: BSD-3-Clause
"""What a study runs, and where: points in order, commands, which of them are finished; and plan.json."""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from partita.records.record import is_finished
from partita.studies import state
from partita.studies.allocation import available_cores
from partita.studies.points import Expansion, Point, expand_study, in_random_order, points, with_digests
from partita.studies.state import PLAN, attempts
from partita.studies.study import Study

FORMAT = "partita-plan-1"


@dataclass(frozen=True)
class Plan:
    """All points that a study may need, in the order in which they run, and where."""

    study: Study
    folder: Path
    binaries: Mapping[str, Path]  # Of each app, built or not.
    expansion: Expansion
    points: tuple[Point, ...]  # Up to the largest number of repeats.
    finished: frozenset[str]  # Digests of the points whose newest attempt left a complete, verified record.

    @cached_property
    def cores(self) -> int:
        """Cores that this process may use, on all nodes of its allocation."""
        return available_cores()

    def oversubscribed(self, point: Point) -> bool:
        """Whether the point has more threads than there are cores."""
        return point.cores > self.cores

    def command(
        self, point: Point, output: Path | None = None, checkpoint: Path | None = None, goes_on: bool = False
    ) -> list[str]:
        """What is executed, from the root of the checkout; its record goes to `output`, or where the deck says.

        `checkpoint`: where a study that resumes its points has it, and whether the run begins with that.
        """
        command = [*point.launcher(self.study), self._from_root(self.binaries[point.run.app])]
        command.append(self._from_root(point.run.deck))
        for key, value in (*point.overrides, ("record.study", self.study.name), ("record.point", point.name)):
            command += ["--set", f"{key}={value}"]
        if checkpoint:
            command += ["--set", f"checkpoint.path={checkpoint}"]
        if checkpoint and goes_on:
            command += ["--resume", str(checkpoint)]
        return [*command, "--output", str(output)] if output else command

    def _from_root(self, path: Path) -> str:
        """As a person standing in the checkout would type it."""
        return str(path.relative_to(self.study.root)) if path.is_relative_to(self.study.root) else str(path)

    def threads(self, point: Point) -> dict[str, str]:
        """Variables that are set for the point."""
        return {"OMP_NUM_THREADS": str(point.threads), "OMP_PROC_BIND": "false"}

    def environment(self, point: Point) -> dict[str, str]:
        """This process's environment with those of the point."""
        return {**os.environ, **self.threads(point)}

    @property
    def surely(self) -> tuple[Point, ...]:
        """Points of the blocks that are run in any case."""
        return tuple(p for p in self.points if p.repeat <= self.study.repeats.min)

    def begun(self) -> tuple[Point, ...]:
        """Points of further blocks that were planned or tried before, by whomever."""
        if not self.study.repeats.adaptive:
            return ()
        known = {p["hash"] for p in state.planned(self.folder)}
        known.update(path.name for path in (self.folder / "points").glob("*"))
        return tuple(p for p in self.points if p.repeat > self.study.repeats.min and p.digest in known)

    def document(self, more: Iterable[Point] = ()) -> dict[str, Any]:
        """plan.json: points of the blocks that are run in any case, of those that were begun, and `more`."""
        wanted = {p.digest for p in (*self.surely, *self.begun(), *more)}
        return {
            "format": FORMAT,
            "study": self.study.name,
            "kind": self.study.kind,
            "made_utc": state.now_utc(),
            "points": [self._described(p) for p in self.points if p.digest in wanted],
        }

    def _described(self, point: Point) -> dict[str, Any]:
        return {
            "hash": point.digest,
            "name": point.name,
            "configuration": point.configuration,
            "run": point.run.label,
            "app": point.run.app,
            "deck": self._from_root(point.run.deck),
            "ranks": point.ranks,
            "threads": point.threads,
            "cores": point.cores,
            "nodes": point.nodes,
            "ranks_per_node": point.layout.ranks_per_node,
            "gpus_per_rank": point.run.gpus_per_rank,
            "repeat": point.repeat,
            "settings": dict(point.overrides),
            "command": self.command(point),
            "environment": self.threads(point),
            "timeout_s": point.run.timeout_s,
            **({"drill": point.drill.described()} if point.drill else {}),
        }

    def write(self, more: Iterable[Point] = ()) -> None:
        """plan.json, in which jobs of other node counts may be adding blocks just now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".plan-lock").open("w") as lock:
            with suppress(OSError):  # A file system without locks.
                fcntl.flock(lock, fcntl.LOCK_EX)
            state.write_json(self.folder / PLAN, self.document(more))


def find_app(name: str, build: Path) -> Path | None:
    """The app in a build tree (apps/NAME/NAME) or in an installation (bin/NAME)."""
    for place in (build / "apps" / name / name, build / "bin" / name, build / name):
        if place.is_file():
            return place.resolve()
    return None


def make_plan(study: Study, folder: Path, build: Path) -> Plan:
    """Expand the study and look which of its points are finished."""
    found = {app: find_app(app, build) for app in study.apps}
    content = {a: hashlib.sha256(path.read_bytes()).hexdigest() if path else "not built" for a, path in found.items()}
    ordered = in_random_order(study, with_digests(study, points(study), content))
    finished = frozenset(p.digest for p in ordered if has_record(folder, p))
    binaries = {app: path or build / "apps" / app / app for app, path in found.items()}
    return Plan(study, folder.resolve(), binaries, expand_study(study), tuple(ordered), finished)


def has_record(folder: Path, point: Point) -> bool:
    """Whether the newest attempt at the point left a complete and verified record; a drill: ended as it was to."""
    tried = attempts(folder, point.digest)
    if point.drill:
        return bool(tried) and tried[-1].exit.get("state") == state.State.DONE
    return bool(tried) and is_finished(tried[-1].record)
