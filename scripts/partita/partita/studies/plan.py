# SPDX-License-Identifier: BSD-3-Clause
"""What a study runs, and where: points in order, commands, records, which of them are finished."""

import hashlib
import os
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from partita.records.record import is_finished
from partita.studies.study import Point, Study, in_random_order, points, with_digests


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

    def command(self, point: Point, output: Path | None = None) -> list[str]:
        """What is executed, from the root of the checkout; its record goes to `output`, if not where it belongs."""
        launcher = self.study.launcher.replace("{ranks}", str(point.ranks)).replace("{threads}", str(point.threads))
        command = [*shlex.split(launcher), self._from_root(self.binary), self._from_root(self.study.deck)]
        for key, value in (*point.overrides, ("record.study", self.study.name), ("record.point", point.name)):
            command += ["--set", f"{key}={value}"]
        return [*command, "--output", str(output or self.record(point))]

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


def find_app(name: str, build: Path) -> Path | None:
    """The app in a build tree (apps/NAME/NAME) or in an installation (bin/NAME)."""
    for place in (build / "apps" / name / name, build / "bin" / name, build / name):
        if place.is_file():
            return place.resolve()
    return None


def make_plan(study: Study, folder: Path, build: Path) -> Plan:
    """Expand the study and look which of its points are finished."""
    binary = find_app(study.app, build)
    content = hashlib.sha256(binary.read_bytes()).hexdigest() if binary else "not built"
    ordered = in_random_order(study, with_digests(study, points(study), content))
    finished = frozenset(p.digest for p in ordered if is_finished(folder / f"{p.stem}.h5"))
    return Plan(study, folder.resolve(), binary or build / "apps" / study.app / study.app, tuple(ordered), finished)
