# SPDX-License-Identifier: BSD-3-Clause
"""Records of one study -> series: runs that differ in ranks alone.

What makes a series is found in the records themselves: every key of the resolved decks that differs between them and
does not merely follow from the number of ranks, or from what was asked for. Records of another CPU, compiler or commit
are never joined. So records can be moved, mixed and plotted anywhere.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from partita.records.record import Record
from partita.studies.intent import Intent

# Keys that tell no two series apart (beginnings of names): where a record goes, how often it is looked at, and seeds,
# which make runs of one point differ.
NOT_A_STRATEGY = (
    "output.", "record.", "evaluate.", "train.seed", "run.warmup", "run.time_limit_s", "run.hang_timeout_s",
    "run.oversubscribe", "run.calibration", "checkpoint.path",
)  # fmt: skip
STRATEGY = "parallel.strategy"  # Comes first in the name of a series.
APART = ("CPU", "compiler", "execution space", "code")  # Never joined, whatever the ranks are.
SET = re.compile(r"--set ['\"]?([\w.-]+)=")  # In a record's command: a key of the deck that was asked for.

Value = tuple[tuple[str, str], ...]  # What a series has in common: (key, value) in order.
Settings = dict[str, str]


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
class Grouped:
    """The series of a study, and what tells them apart."""

    series: tuple[Series, ...]
    series_keys: tuple[str, ...]
    rank_keys: tuple[str, ...]  # Keys whose values follow from the number of ranks.


@dataclass(frozen=True)
class _Kind:
    """Records that differ in nothing that could tell series apart."""

    ranks: int
    settings: Settings
    records: list[Record]


def group(records: Iterable[Record], intent: Intent | None) -> Grouped:
    """The series of these records; work grows with their number, and with that of series times that of keys."""
    kinds = _kinds(records)
    series_keys, rank_keys = _split_keys(kinds, frozenset(intent.varied if intent else ()))
    groups: dict[Value, list[_Kind]] = {}
    for kind in kinds:
        groups.setdefault(tuple((k, kind.settings.get(k, "")) for k in series_keys), []).append(kind)
    bases = _bases(groups, intent)
    labels = _labels({value: [r for kind in kinds for r in kind.records] for value, kinds in groups.items()})
    every = [Series(labels[v], v, _cells(groups[v], bases.get(v, ()))) for v in sorted(groups, key=_natural)]
    # A base that others share is a series of its own only where it has more to show than itself.
    shared = Counter(s.cells[0].records for s in every)
    kept = (s for s in every if [c.ranks for c in s.cells] != [1] or shared[s.cells[0].records] == 1)
    return Grouped(tuple(kept), series_keys, rank_keys)


def _kinds(records: Iterable[Record]) -> list[_Kind]:
    found: dict[tuple[object, ...], _Kind] = {}
    for record in records:
        own = {k: text for k, text in record.deck.own.items() if not k.startswith(NOT_A_STRATEGY)}
        apart = _apart(record)
        key = (id(record.deck.common), record.ranks, record.threads, *own.values(), *apart.values())
        if key not in found:
            texts = {k: text for k, text in record.deck.common.texts.items() if not k.startswith(NOT_A_STRATEGY)}
            found[key] = _Kind(record.ranks, {**texts, **own, "threads per rank": str(record.threads), **apart}, [])
        found[key].records.append(record)
    return list(found.values())


def _apart(record: Record) -> Settings:
    h = record.header
    return dict(zip(APART, (h.cpu_model, h.compiler, h.execution_space, h.code), strict=True))


def _split_keys(kinds: list[_Kind], axes: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Differing keys: those that make a series, and those that are a function of the number of ranks."""
    values: dict[str, set[str | None]] = {key: set() for key in set().union(*(k.settings for k in kinds))}
    for key, seen in values.items():
        seen.update(kind.settings.get(key) for kind in kinds)
    varied = {key for key, seen in values.items() if len(seen) > 1}
    free = varied - axes - set(APART)
    several = len({kind.ranks for kind in kinds}) > 1
    of_ranks = {key for key in free if several and _follows(key, (), kinds)}
    # Of the rest, what nobody asked for follows from what was asked for, where it does so in every record.
    commands = (str(kind.records[0].attributes.get("command", "")) for kind in kinds)
    named = axes.union(*(SET.findall(command) for command in commands))
    asked = sorted(varied & named)
    followers = {key for key in free - of_ranks - named if asked and _follows(key, asked, kinds)}
    made = varied - of_ranks - followers
    return tuple(sorted(made, key=lambda key: (key != STRATEGY, key in APART, key))), tuple(sorted(of_ranks))


def _follows(key: str, asked: Iterable[str], kinds: Iterable[_Kind]) -> bool:
    """Whether ranks and these keys decide the value of this one."""
    decided: dict[tuple[object, ...], str | None] = {}
    return all(
        decided.setdefault((k.ranks, *map(k.settings.get, asked)), k.settings.get(key)) == k.settings.get(key)
        for k in kinds
    )


def _bases(groups: Mapping[Value, list[_Kind]], intent: Intent | None) -> dict[Value, tuple[Record, ...]]:
    """For series without a run at one rank: those of a series that differs in nothing that matters there."""
    lacking = [value for value, kinds in groups.items() if all(kind.ranks != 1 for kind in kinds)]
    if len(lacking) in (0, len(groups)):
        return {}
    equal = set(intent.equal_at_one_rank) if intent else _algorithms(groups)
    found: dict[Value, tuple[Record, ...]] = {}
    for value, kinds in groups.items():
        records = tuple(r for kind in kinds if kind.ranks == 1 for r in kind.records)
        if records:
            found.setdefault(_without(value, equal), records)
    bases = {value: found.get(_without(value, equal), ()) for value in lacking}
    return {value: base for value, base in bases.items() if base}


def _without(value: Value, keys: set[str]) -> Value:
    return tuple(pair for pair in value if pair[0] not in keys)


def _algorithms(groups: Mapping[Value, list[_Kind]]) -> set[str]:
    """Keys that name how ranks exchange messages, as /traffic does: without effect where there is one rank."""
    keys = {key for value in groups for key, _ in value if key not in APART}
    for kinds in groups.values():
        for kind in kinds:
            if kind.ranks > 1 and keys:
                traffic = kind.records[0].groups.get("traffic", {})
                used = {str(name) for name in traffic.get("algorithm", ())}
                keys = {key for key in keys if kind.settings.get(key) in used}
    return keys


def _cells(kinds: Iterable[_Kind], base: tuple[Record, ...]) -> tuple[Cell, ...]:
    members: dict[int, list[Record]] = {1: list(base)} if base else {}
    for kind in kinds:
        members.setdefault(kind.ranks, []).extend(kind.records)
    return tuple(Cell(ranks, tuple(sorted(rs, key=lambda r: r.path))) for ranks, rs in sorted(members.items()))


def _natural(value: Value) -> list[tuple[int, str]]:
    """Order in which 2 comes before 10."""
    pieces = (piece for _, text in value for piece in re.split(r"(\d+)", text))
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in pieces]


def _labels(groups: Mapping[Value, list[Record]]) -> dict[Value, str]:
    """A name for each series, short where that tells them apart: without what most strategies have in common."""
    usual = {}
    for pairs in zip(*groups, strict=True):  # The pairs of one key.
        pair, times = Counter(pairs).most_common(1)[0]
        if pair[0].startswith("parallel.") and pair[0] != STRATEGY and 2 * times > len(groups) > 1:
            usual[pair[0]] = pair
    short = {value: _label(tuple(p for p in value if p != usual.get(p[0])), groups[value]) for value in groups}
    common = set(usual.values())
    distinct = len(set(short.values())) == len(groups) and all(set(value) - common for value in groups)
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
        number = text in ("true", "false") or not text[:1].isalpha() or key == "code"
        shown.append(f"{key.rpartition('.')[2]} {text}" if number else text)
    return ", ".join(shown)
