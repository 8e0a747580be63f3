# SPDX-License-Identifier: BSD-3-Clause
"""A folder of records -> studies -> series: runs that differ in ranks alone.

What makes a series is found in the records themselves: every key of the resolved decks that differs between them and is
not merely another way to write the number of ranks. So records can be moved, mixed and plotted anywhere.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from partita.errors import UsageError
from partita.records.record import Record, is_roofline, plural, read_record
from partita.studies.intent import Intent, read_intent
from partita.studies.state import record_files
from partita.studies.study import OLD_WORK_TOLERANCE, toml_value

# Keys that tell no two series apart (beginnings of names).
NOT_A_STRATEGY = (
    "output.", "record.", "evaluate.", "train.seed", "run.warmup", "run.time_limit_s", "run.hang_timeout_s",
    "run.oversubscribe", "run.calibration",
)  # fmt: skip
FOLLOWS = {"data.features": "data.image"}  # A key that another one decides, where that is set.
EQUAL_AT_ONE_RANK = ("parallel.allreduce",)  # Unless the study says otherwise.
STRATEGY = "parallel.strategy"  # Comes first in the name of a series.

Value = tuple[tuple[str, str], ...]  # What a series has in common: (key, value) in order.


@dataclass(frozen=True)
class Cell:
    """All runs of one series at one number of ranks."""

    ranks: int
    records: tuple[Record, ...]

    @property
    def threads(self) -> int:
        """Threads per rank."""
        return self.records[0].threads

    @property
    def oversubscribed(self) -> bool:
        """Whether any of the runs had more threads than cores."""
        return any(r.oversubscribed for r in self.records)


@dataclass(frozen=True)
class Series:
    """One line of a plot."""

    label: str
    value: Value
    cells: tuple[Cell, ...]  # Ascending ranks.


@dataclass(frozen=True)
class RecordedStudy:
    """The usable records of one study."""

    name: str
    records: tuple[Record, ...]
    series: tuple[Series, ...]
    series_keys: tuple[str, ...]
    rank_keys: tuple[str, ...]  # Keys whose values follow from the number of ranks.
    intended_scaling: str | None  # The study's kind, where its file is there.
    work_tolerance: float = OLD_WORK_TOLERANCE  # How far a rank's work may spread and still be called the same.

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


def read_folder(folder: Path) -> tuple[list[RecordedStudy], list[Record], list[str]]:
    """The studies of a folder, its records of benchmarks, a note for each file left out; UsageError if none is left."""
    if not folder.is_dir():
        raise UsageError(folder, "no such folder", "the folder that `partita run` wrote records to")
    notes: list[str] = []
    usable: list[Record] = []
    benches: list[Record] = []
    paths = record_files(folder)
    for path in paths:
        try:
            record = read_record(path)
            _ = record.config  # A deck that cannot be read makes no series.
        except UsageError as error:
            notes.append(f"left out: {error}")
            continue
        if not record.complete:
            notes.append(f"left out: {path}: incomplete ({record.attributes.get('exit_reason', 'no reason given')})")
        elif not record.verified:
            verdict = record.attributes.get("verification") or "no reason given"
            notes.append(f"left out: {path}: its results failed the run's own check ({verdict})")
        elif is_roofline(record) or record.collectives:
            benches.append(record)
        elif not len(record.step_s):
            notes.append(f"left out: {path}: holds no counted training steps")
        else:
            usable.append(record)
    parts = len([*folder.glob("*.h5.part"), *folder.glob("points/*/attempt-*/*.h5.part")])
    if parts:
        notes.append(f"left out: {plural(parts, 'record')} of runs that were killed or still go on (*.h5.part)")
    if not usable and not benches:
        what = "; ".join(notes) if notes else "no records (*.h5) in it"
        raise UsageError(folder, f"nothing to plot: {what}", "complete and verified records (*.h5)")
    intent = read_intent(folder)
    by_study: dict[str, list[Record]] = {}
    for record in usable:
        by_study.setdefault(str(record.attributes.get("study") or folder.name), []).append(record)
    return [_recorded(name, records, intent, notes) for name, records in sorted(by_study.items())], benches, notes


def _recorded(name: str, records: list[Record], intent: Intent | None, notes: list[str]) -> RecordedStudy:
    if intent and intent.name != name:
        intent = None
    settings = [_settings(r) for r in records]
    series_keys, rank_keys = _split_keys(records, settings, intent.varied if intent else ())
    groups: dict[Value, list[Record]] = {}
    for record, setting in zip(records, settings, strict=True):
        groups.setdefault(tuple((k, setting.get(k, "")) for k in series_keys), []).append(record)
    equal = intent.equal_at_one_rank if intent else EQUAL_AT_ONE_RANK
    labels = _labels(groups)
    series = tuple(_series(value, groups, equal, labels[value]) for value in sorted(groups, key=_natural))
    # A base that others share is a series of its own only where it has more to show than itself.
    lone = [s for s in series if [c.ranks for c in s.cells] == [1] and _is_shared(s, series)]
    kept = tuple(s for s in series if s not in lone)
    for attribute in ("git_sha", "app"):
        values = {str(r.attributes.get(attribute)) for r in records}
        if len(values) > 1:
            notes.append(f"careful: the records of {name} have different {attribute}: {', '.join(sorted(values))}")
    kind, tolerance = (intent.kind, intent.work_tolerance) if intent else (None, OLD_WORK_TOLERANCE)
    return RecordedStudy(name, tuple(records), kept, series_keys, rank_keys, kind, tolerance)


def _settings(record: Record) -> dict[str, str]:
    """All that may tell two series apart, as text. Not the strategy's name: it follows from these."""
    decided = {key for key, by in FOLLOWS.items() if record.config.get(by)}
    config = {k: toml_value(v) for k, v in record.config.items() if not k.startswith(NOT_A_STRATEGY)}
    config = {k: v for k, v in config.items() if k not in decided}
    return {**config, "threads per rank": str(record.threads)}


def _split_keys(
    records: list[Record], settings: list[dict[str, str]], grid: Iterable[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Differing keys: those that make a series, and those that are a function of the number of ranks."""
    keys = set().union(*settings)
    varied = {key for key in keys if len({setting.get(key) for setting in settings}) > 1}
    one_count = len({r.ranks for r in records}) == 1
    of_ranks = set()
    for key in varied - set(grid):
        at: dict[int, set[str | None]] = {}
        for record, setting in zip(records, settings, strict=True):
            at.setdefault(record.ranks, set()).add(setting.get(key))
        if not one_count and all(len(values) == 1 for values in at.values()):
            of_ranks.add(key)
    return tuple(sorted(varied - of_ranks, key=lambda key: (key != STRATEGY, key))), tuple(sorted(of_ranks))


def _natural(value: Value) -> list[tuple[int, str]]:
    """Order in which 2 comes before 10."""
    pieces = (piece for _, text in value for piece in re.split(r"(\d+)", text))
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]


def _series(value: Value, groups: dict[Value, list[Record]], equal: tuple[str, ...], label: str) -> Series:
    members: dict[int, list[Record]] = {}
    for record in groups[value]:
        members.setdefault(record.ranks, []).append(record)
    if 1 not in members:
        for other, records in groups.items():
            if all(a == b or a[0] in equal for a, b in zip(value, other, strict=True)):
                base = [r for r in records if r.ranks == 1]
                if base:
                    members[1] = base
                    break
    cells = tuple(Cell(ranks, tuple(sorted(rs, key=lambda r: r.path))) for ranks, rs in sorted(members.items()))
    return Series(label, value, cells)


def _is_shared(lone: Series, series: tuple[Series, ...]) -> bool:
    return any(other is not lone and other.cells[0].records == lone.cells[0].records for other in series)


def _labels(groups: dict[Value, list[Record]]) -> dict[Value, str]:
    """A name for each series, short where that tells them apart: without what most strategies have in common."""
    usual = {}
    for pairs in zip(*groups, strict=True):  # The pairs of one key.
        pair, times = Counter(pairs).most_common(1)[0]
        if pair[0].startswith("parallel.") and pair[0] != STRATEGY and 2 * times > len(groups) > 1:
            usual[pair[0]] = pair
    short = {value: _label(tuple(p for p in value if p != usual.get(p[0])), groups[value]) for value in groups}
    distinct = len(set(short.values())) == len(groups) and all(set(value) - set(usual.values()) for value in groups)
    return short if distinct else {value: _label(value, groups[value]) for value in groups}


def _label(value: Value, records: list[Record]) -> str:
    """`ring`, or `ring, bucket_mib 4`: texts speak for themselves, numbers need their key."""
    if not value:
        strategies = {str(r.attributes.get("strategy") or "measured") for r in records}
        if len(strategies) > 1:  # "tensor 2/ring", "tensor 4/ring": what follows the number of ranks tells nothing.
            strategies = {re.sub(r" \d+\b", "", s) for s in strategies}
        return strategies.pop().replace("_", " ") if len(strategies) == 1 else "measured"
    shown = []
    for key, text in value:
        number = text in ("true", "false") or not text[:1].isalpha()
        shown.append(f"{key.rpartition('.')[2]} {text}" if number else text)
    return ", ".join(shown)
