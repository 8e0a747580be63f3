# SPDX-License-Identifier: BSD-3-Clause
"""What `partita export FOLDER` writes, and what it says of it."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from partita.analysis.kinds import scaling_kind
from partita.analysis.reading import FolderRuns, home, read_runs
from partita.errors import UsageError, reason
from partita.exports import extrap, thicket
from partita.exports.runs import Run, runs
from partita.exports.tables import dataset
from partita.exports.work import Work, work_of

if TYPE_CHECKING:
    pass

ENDINGS = {"csv": ".csv", "json": ".json", "extrap": ".jsonl", "thicket": ".json"}
FOR = {"thicket": "_thicket"}  # Beside the long table as JSON.


def write(folder: Path, to: str, output: Path | None, work: Work | None) -> list[str]:
    """Lines for people, one for each file and each note."""
    if to == "xarray":
        return _steps(folder, output)
    read = read_runs(folder)
    target = output or folder / f"{folder.resolve().name}{FOR.get(to, '')}{ENDINGS[to]}"
    said = _extrap(read, target, work) if to == "extrap" else KINDS[to](read, target)
    return [*said, *(f"note: {note}" for note in read.notes)]


def _csv(read: FolderRuns, target: Path) -> list[str]:
    with writing(target):
        read.table.to_csv(target, index=False, float_format="%.9g")
    return [f"{len(read.table)} rows -> {target}"]


def _json(read: FolderRuns, target: Path) -> list[str]:
    """A list of objects, one for each row; null where there is no value."""
    with writing(target):
        read.table.to_json(target, orient="records", lines=False, double_precision=15, indent=0)
    return [f"{len(read.table)} rows -> {target}"]


def _thicket(read: FolderRuns, target: Path) -> list[str]:
    made = thicket.profiles(runs(read.table), read.studies)
    with writing(target):
        target.write_text(json.dumps(made, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    return [f"{len(made)} profiles -> {target}; seconds of a step, of its longest rank, and of phases, mean over ranks"]


KINDS: dict[str, Callable[[FolderRuns, Path], list[str]]] = {"csv": _csv, "json": _json, "thicket": _thicket}


def _extrap(read: FolderRuns, target: Path, work: Work | None) -> list[str]:
    """A file for each series: Extra-P wants every call path at every point."""
    scaling = {study.name: study.intended_scaling or scaling_kind(study)[0] for study in read.studies}
    by_series: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs(read.table):
        by_series.setdefault((run.study, run.app, run.series), []).append(run)
    said = []
    for (study, app, series), members in by_series.items():
        chosen = work or work_of(scaling.get(study))
        made, left_out = extrap.lines(members, chosen)
        name = slug("-".join(part for part in (study if len(scaling) > 1 else "", app, series) if part))
        path = target if len(by_series) == 1 else target.with_name(f"{target.stem}-{name}{target.suffix}")
        with writing(path):
            path.write_text("".join(json.dumps(line, allow_nan=False) + "\n" for line in made), encoding="utf-8")
        said.append(f"{app} {series}: {len(made)} lines -> {path}; {extrap.SAID[chosen]}")
        said += [f"note: {app} {series}: {note}" for note in extrap.complaints(made, left_out)]
    return said


def _steps(folder: Path, output: Path | None) -> list[str]:
    """Of one record, or of all of a folder: a netCDF file each."""
    notes: tuple[str, ...] = ()
    if folder.is_file():
        records, places = [dataset(folder)], [output or folder.with_suffix(".nc")]
    else:
        read = read_runs(folder)
        place, notes = output or folder / "steps", read.notes
        records = [dataset(record) for record in read.records]
        places = [place / f"{slug(_name(record.path))}.nc" for record in read.records]
    for made, target in zip(records, places, strict=True):
        with writing(target):
            made.to_netcdf(target, engine="h5netcdf")
    where = places[0] if len(places) == 1 else places[0].parent
    said = f"{len(records)} {'run' if len(records) == 1 else 'runs'}: counted steps (step, rank, phase) -> {where}"
    return [said, *(f"note: {note}" for note in notes)]


def _name(path: Path) -> str:
    """Of a record's file; where all are called alike, of the folder of its point."""
    return path.name.partition(".h5")[0] if home(path) == path.parent else path.parent.parent.name


def slug(text: str) -> str:
    """As part of a file's name."""
    return re.sub(r"[^\w.-]+", "_", text).strip("_")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Makes the folder; UsageError where the file cannot be written."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UsageError(target, f"cannot be written ({reason(error)})", "the path of a file") from error
