# SPDX-License-Identifier: BSD-3-Clause
"""Which points of two folders are the same run: the same app, ranks, threads and resolved deck.

Left out of the deck is what may differ on purpose or says nothing of the run: where it writes, what its record is
called, whether the machine was measured before, the seed of a repeat. A key that only one folder knows, because its
code is newer, is left out too where all of its decks have one value of it.
"""

import hashlib
import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from partita.analysis.reading import FolderRuns, home
from partita.records.folder import Cell, RecordedStudy
from partita.records.record import Record
from partita.statistics import Interval, median_interval

if TYPE_CHECKING:
    from pandas import DataFrame

NOT_COMPARED = (
    "output.",
    "record.",
    "run.calibration",
    "data.path",
    "train.seed",
    "checkpoint.path",
)  # Beginnings of keys.

Settings = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """The runs of one folder at one point."""

    folder: str
    study: str
    app: str
    series: str
    ranks: int
    threads: int
    settings: Settings
    values: dict[Hashable, float]  # Block -> value of its run.
    oversubscribed: bool

    @property
    def name(self) -> str:
        """`mlp_dp ring, 2 ranks`."""
        threads = f" x {self.threads} threads" if self.threads > 1 else ""
        return f"{self.app} {self.series}, {self.ranks} rank{'s' if self.ranks > 1 else ''}{threads}"

    @property
    def place(self) -> tuple[str, int, int]:
        """Points at different places are never the same."""
        return self.app, self.ranks, self.threads

    @property
    def median(self) -> Interval:
        """Over its runs."""
        return median_interval(self.values.values())


def settings_of(record: Record, without: Iterable[str] = ()) -> Settings:
    """The resolved deck without what is not compared."""
    apart = (*NOT_COMPARED, *without)
    return {key: value for key, value in record.config.items() if not key.startswith(apart)}


def points(read: FolderRuns, metric: str, without: Iterable[str] = ()) -> list[Point]:
    """Every series at every number of ranks and threads, with its runs' values of the metric.

    Blocks are repeats of one study in one folder; no block of one is a block of another.
    """
    folder, table = str(read.folder), read.table
    rows = table[(table["metric"] == metric) & (table["scope"] == "within run") & table["value"].notna()]
    by_place = dict(list(rows.groupby(["study", "app", "series", "ranks", "threads"], sort=False)))
    found: dict[tuple[object, ...], Point] = {}
    for study in read.studies:
        for series in study.series:
            for cell in series.cells:
                made = _point(folder, study, series.label, cell, by_place, tuple(without))
                # A base that several series share is one point.
                found.setdefault((*made.place, tuple(r.path for r in cell.records)), made)
    return [p for p in found.values() if p.values]


def _point(folder: str, study: RecordedStudy, label: str, cell: Cell, by_place: dict[Any, "DataFrame"],
           without: tuple[str, ...]) -> Point:  # fmt: skip
    first = cell.records[0]
    place = (study.name, study.app, label, cell.ranks, cell.threads)
    rows = by_place[place].itertuples() if place in by_place else ()
    runs = [(row.repeat, float(row.value)) for row in rows]
    # All apps of a study run in a block. Where repeats are seeds, or have no names, nobody knows what ran with what.
    in_turns = len({repeat for repeat, _ in runs if repeat > 0}) == len(runs)
    where = (str(home(first.path)), first.header.study, *(() if in_turns else (study.app, label)))
    values = {(*where, repeat if in_turns else at): value for at, (repeat, value) in enumerate(runs)}
    return Point(folder, study.name, study.app, label, cell.ranks, cell.threads, settings_of(first, without), values,
                 cell.oversubscribed)  # fmt: skip


@dataclass(frozen=True)
class Matches:
    """Pairs of the same point, and the points of either folder that have no counterpart."""

    pairs: tuple[tuple[Point, Point], ...]
    only_a: tuple[Point, ...]
    only_b: tuple[Point, ...]
    new_keys: tuple[str, ...]  # That only one of the two knows, left out.


def match(a: Sequence[Point], b: Sequence[Point]) -> Matches:
    """The points of a, in their order, each with that of b."""
    new = {app: _new_keys([p for p in a if p.app == app], [p for p in b if p.app == app]) for app in {p.app for p in a}}
    left: dict[str, list[Point]] = {}
    for point in b:
        left.setdefault(digest(point, new.get(point.app, set())), []).append(point)
    pairs, only_a = [], []
    for point in a:
        same = left.get(digest(point, new[point.app]), [])
        if same:
            pairs.append((point, same.pop(0)))
        else:
            only_a.append(point)
    only_b = tuple(point for points in left.values() for point in points)
    return Matches(tuple(pairs), tuple(only_a), only_b, tuple(sorted(set().union(*new.values()))))


def digest(point: Point, without: Iterable[str] = ()) -> str:
    """Of app, ranks, threads and what is compared of the deck; the order of keys changes nothing."""
    rest = {key: value for key, value in point.settings.items() if key not in set(without)}
    return hashlib.sha256(json.dumps([*point.place, rest], sort_keys=True, default=str).encode()).hexdigest()[:12]


def _new_keys(a: Sequence[Point], b: Sequence[Point]) -> set[str]:
    """Keys that all decks of one side lack, and that have one value on the other."""
    if not a or not b:
        return set()
    known = [set().union(*(p.settings for p in side)) for side in (a, b)]
    return {key for side, mine, other in ((a, *known), (b, *known[::-1])) for key in mine - other
            if len({repr(p.settings.get(key)) for p in side}) == 1}  # fmt: skip


def differences(point: Point, others: Iterable[Point], most: int = 3) -> str:
    """Why it has no counterpart: the keys that keep it from the nearest point of the other folder."""
    near = [o for o in others if o.app == point.app]
    if not near:
        return f"no run of {point.app} there"
    here = [o for o in near if o.place == point.place]
    if not here:
        return "not at this number of ranks and threads"
    apart = min((_apart(point, o) for o in here), key=len)
    if not apart:
        return "another point is the same as its counterpart"
    shown = ", ".join(f"{key} {mine} there {theirs}" for key, mine, theirs in apart[:most])
    return f"{shown}{f' and {len(apart) - most} more' if len(apart) > most else ''}"


def _apart(point: Point, other: Point) -> list[tuple[str, Any, Any]]:
    keys = sorted(point.settings.keys() | other.settings.keys())
    both = ((key, point.settings.get(key, "-"), other.settings.get(key, "-")) for key in keys)
    return [(key, mine, theirs) for key, mine, theirs in both if mine != theirs]
