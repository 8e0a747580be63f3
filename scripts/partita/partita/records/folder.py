# SPDX-License-Identifier: BSD-3-Clause
"""A folder of records -> studies, each with its series; every file left out is named with the reason."""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from partita.errors import UsageError
from partita.records.header import Header, reason_in
from partita.records.index import Index, indexed
from partita.records.record import Record, plural, reading
from partita.records.series import STRATEGY, Cell, Series, group
from partita.studies.intent import read_intent
from partita.studies.state import record_files
from partita.studies.study import OLD_WORK_TOLERANCE

__all__ = ["STRATEGY", "Cell", "RecordedStudy", "Series", "read_folder"]

MOST_NAMED = 6
APART = {"CPU": "cpu_model", "compiler": "compiler", "execution space": "execution_space", "commit": "code"}


@dataclass(frozen=True)
class RecordedStudy:
    """The usable records of one study, of one app."""

    name: str
    records: tuple[Record, ...]
    series: tuple[Series, ...]
    series_keys: tuple[str, ...]
    rank_keys: tuple[str, ...]  # Keys whose values follow from the number of ranks.
    intended_scaling: str | None  # The study's kind, where its file is there.
    work_tolerance: float = OLD_WORK_TOLERANCE  # How far a rank's work may spread and still be called the same.
    warnings: tuple[str, ...] = ()  # What was not joined and why, and what may not be compared.

    @property
    def app(self) -> str:
        """The app whose runs these are."""
        return str(self.records[0].attributes.get("app", "?"))

    def distinct_cells(self) -> list[tuple[str, Cell]]:
        """(label, cell) without repeating a base that several series share: its label is then empty."""
        found: list[tuple[str, Cell]] = []
        seen: dict[tuple[Path, ...], int] = {}
        for series in self.series:
            for cell in series.cells:
                key = tuple(r.path for r in cell.records)
                if key in seen:
                    found[seen[key]] = ("", cell)
                else:
                    seen[key] = len(found)
                    found.append((series.label, cell))
        return sorted(found, key=lambda item: item[1].ranks)


Look = Callable[[Record], object]


def read_folder(folder: Path, look: Look | None = None) -> tuple[list[RecordedStudy], list[Record], list[str]]:
    """The studies of a folder, its records of benchmarks, a note for each file left out; UsageError if none is left.

    `look` gets each usable record of a training while its file is open: what needs more of it than its times.
    """
    if not folder.is_dir():
        raise UsageError(folder, "no such folder", "the folder that `partita run` wrote records to")
    index, records = read_all(folder, look)
    notes = [f"left out: {path}: {why}" for path, why in index.refused]
    notes += [f"left out: {missing}" for missing in index.missing]
    if parts := len([*folder.glob("*.h5.part"), *folder.glob("points/*/attempt-*/*.h5.part")]):
        notes.append(f"left out: {plural(parts, 'record')} of runs that were killed or still go on (*.h5.part)")
    usable = [records[header.path] for header in index.usable]
    if not usable:
        what = "; ".join(notes) if notes else "no records (*.h5) in it"
        raise UsageError(folder, f"nothing to plot: {what}", "complete and verified records (*.h5)")
    benches = [r for r in usable if r.header.kind != "training"]
    return list(_studies(folder, (r for r in usable if r.header.kind == "training"))), benches, notes


def read_all(folder: Path, look: Look | None = None) -> tuple[Index, dict[Path, Record]]:
    """The index of a folder, and its records that could be read."""
    records: dict[Path, Record] = {}

    def rows() -> Iterator[Header]:
        for path in record_files(folder):
            try:
                with reading(path) as record:
                    _ = record.deck  # One that cannot be read makes no series.
                    header = record.header
                    if header.usable and header.kind == "training":
                        if not len(record.step_s):
                            header = replace(header, refused="holds no counted training steps")
                        elif look:
                            look(record)
            except UsageError as error:
                yield Header(path, refused=reason_in(error, path))
                continue
            records[path] = record
            yield header

    with _no_collections():
        return indexed(folder, rows()), records


@contextmanager
def _no_collections() -> Iterator[None]:
    """What is read is kept, so that looking through it for garbage, again and again, finds none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _studies(folder: Path, records: Iterable[Record]) -> Iterator[RecordedStudy]:
    copy = read_intent(folder)
    by_study: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        by_study.setdefault((record.header.study or folder.name, record.header.app), []).append(record)
    apps = Counter(study for study, _ in by_study)
    for (study, app), members in sorted(by_study.items()):
        intent = copy if copy and copy.name == study else None
        grouped = group(members, intent)
        yield RecordedStudy(
            f"{study}_{app}" if apps[study] > 1 else study,
            tuple(members),
            grouped.series,
            grouped.series_keys,
            grouped.rank_keys,
            intent.kind if intent else None,
            intent.work_tolerance if intent else OLD_WORK_TOLERANCE,
            tuple(_warnings(members)),
        )


def _warnings(records: list[Record]) -> Iterator[str]:
    for what, name in APART.items():
        runs = Counter(str(getattr(r.header, name)) for r in records)
        if len(runs) > 1:
            said = ", ".join(f"{value} ({plural(n, 'run')})" for value, n in sorted(runs.items()))
            yield f"different {what}s are not joined: {said}"
    went_on = [f"{r.header.point or r.path.name} {r.header.note}" for r in records if r.header.note]
    if went_on:
        more = f" and {len(went_on) - MOST_NAMED} more" if len(went_on) > MOST_NAMED else ""
        yield (f"of {plural(len(records), 'run')}, {len(went_on)} hold the steps after a checkpoint alone, and count "
               f"with these: {', '.join(went_on[:MOST_NAMED])}{more}")  # fmt: skip
