# SPDX-License-Identifier: BSD-3-Clause
"""All that a report is made from: the studies of a folder and of those below, what was left out of them, and why."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partita.analysis.drills import DrillCell, drill_cells, has_drills
from partita.errors import UsageError
from partita.records.folder import RecordedStudy, read_folder
from partita.records.record import Record, plural
from partita.studies import state

if TYPE_CHECKING:
    import pandas as pd

ASIDE = ("points", "superseded", "figures")  # Folders inside a study's, not studies of their own.


@dataclass(frozen=True)
class Place:
    """One folder of records: a study's, as `partita run` makes it."""

    folder: Path
    name: str  # Below the report's folder; "": itself.
    studies: tuple[RecordedStudy, ...]
    benches: tuple[Record, ...]
    left_out: tuple[str, ...]  # `FILE: reason`
    warnings: tuple[str, ...]
    planned: tuple[dict[str, Any], ...]  # Points of plan.json.
    drills: tuple[DrillCell, ...] = ()  # Of a study of faults, which has nothing to measure.


@dataclass(frozen=True)
class Material:
    """Everything below one folder."""

    folder: Path
    places: tuple[Place, ...]
    table: "pd.DataFrame"

    @property
    def studies(self) -> list[RecordedStudy]:
        """Of all places; their names differ."""
        return [study for place in self.places for study in place.studies]

    @property
    def benches(self) -> list[tuple[str, Record]]:
        """(place, record) of kernel_bench and comm_bench."""
        return [(place.name, record) for place in self.places for record in place.benches]

    @property
    def records(self) -> list[Record]:
        """All that can be used, and what drills left."""
        of_drills = [run.record for p in self.places for cell in p.drills for run in cell.runs if run.record]
        measured = [r for p in self.places for r in (*(r for s in p.studies for r in s.records), *p.benches)]
        return measured + of_drills


def gather(folder: Path) -> Material:
    """Read what is there; UsageError where there is no folder, or nothing in it that can be used, with the reasons."""
    from partita.analysis.metrics import metrics_table

    folders = study_folders(folder)
    if not folders:
        raise UsageError(folder, "no records (*.h5) and no plan.json in it or below", "what `partita run` wrote")
    places = _distinct([_read(folder, place) for place in folders])
    if not any(place.studies or place.benches or place.drills for place in places):
        reasons = "; ".join(text for place in places for text in place.left_out) or "no records"
        raise UsageError(folder, f"nothing to report on: {reasons}", "complete and verified records (*.h5)")
    return Material(folder, tuple(places), metrics_table([s for place in places for s in place.studies]))


def study_folders(folder: Path) -> list[Path]:
    """The folder and those below that hold records or a plan, in order."""
    if not folder.is_dir():
        raise UsageError(folder, "no such folder", "the folder that `partita run` wrote records to")
    found = []
    for path, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if name not in ASIDE and not name.startswith("."))
        if state.PLAN in files or any(name.endswith((".h5", ".h5.part")) for name in files):
            found.append(Path(path))
    return found


def _read(root: Path, folder: Path) -> Place:
    from partita.analysis.run_metrics import measured

    name = "" if folder == root else folder.relative_to(root).as_posix()
    with suppress(UsageError):  # A damaged plan is told of below.
        if has_drills(folder):
            return Place(folder, name, (), (), (), (), tuple(state.planned(folder)), drill_cells(folder))
    studies: Sequence[RecordedStudy] = ()
    benches: Sequence[Record] = ()
    try:
        studies, benches, notes = read_folder(folder, measured)
    except UsageError as error:
        notes = _reasons(str(error))
    try:
        planned = state.planned(folder)
    except UsageError as error:
        planned, notes = [], [*notes, f"left out: {error}"]
    names = {str(p["name"]) for p in planned}  # What became of them is told by the state of their attempts.
    said = [_below(root, n) for n in notes if n.removeprefix("left out: ").partition(": ")[0] not in names]
    left_out = tuple(n.removeprefix("left out: ") for n in said if n.startswith("left out: "))
    warnings = tuple(n.removeprefix("careful: ") for n in said if not n.startswith("left out: "))
    return Place(folder, name, tuple(studies), tuple(benches), left_out, warnings, tuple(planned))


def _reasons(text: str) -> list[str]:
    """The notes that an error of read_folder joins."""
    if "left out: " not in text:
        return [f"left out: {text}"]
    body = text.partition("left out: ")[2].rpartition(": expected ")[0]
    return [f"left out: {part}" for part in body.split("; left out: ")]


def _below(root: Path, text: str) -> str:
    """File names as they are below the report's folder: the report says the same wherever the folder is."""
    return text.replace(f"{root}{os.sep}", "")


def _distinct(places: list[Place]) -> list[Place]:
    """Studies of the same name take those of their folders before it, and of their apps where that is not enough."""
    every = [(place, study) for place in places for study in place.studies]
    names = [s.name for _, s in every]
    names = [f"{p.name or '.'}/{s.name}" if names.count(s.name) > 1 and len(places) > 1 else s.name for p, s in every]
    names = [f"{n} {s.app}" if names.count(n) > 1 else n for n, (_, s) in zip(names, every, strict=True)]
    named = iter(names)
    return [replace(p, studies=tuple(replace(s, name=next(named)) for s in p.studies)) for p in places]


def title_of(folder: Path) -> str:
    """The folder's name, also of `.`."""
    return folder.resolve().name or str(folder)


def runs_of(count: int, total: int) -> str:
    """` (3 runs)`, or nothing where it is all of them."""
    return "" if count == total else f" ({plural(count, 'run')})"
