# SPDX-License-Identifier: BSD-3-Clause
"""A study -> its points in a seeded random order, each with a hash of all that decides its result."""

import hashlib
import itertools
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from partita.studies.axes import RESERVED
from partita.studies.drills import Drill
from partita.studies.launchers import expand
from partita.studies.study import Layout, Run, Study
from partita.studies.toml_text import flatten, read_toml, toml_value

HASH_FORMAT = "partita-point-2"  # Change it when the meaning of a point changes: every point then runs again.

Overrides = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Point:
    """One run of an app. Points that differ in the repeat alone are of one configuration."""

    configuration: str  # A name, for people
    run: Run = field(repr=False, compare=False)
    layout: Layout
    threads: int
    settings: dict[str, Any] = field(repr=False, compare=False)  # Deck keys and values, in the order of the keys.
    repeat: int = 1
    digest: str = ""
    drill: Drill | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """Of configuration and repeat."""
        return f"{self.configuration}-r{self.repeat}"

    @property
    def ranks(self) -> int:
        """Of the app."""
        return self.layout.ranks

    @property
    def nodes(self) -> int:
        """That the ranks are spread over."""
        return self.layout.nodes

    @property
    def cores(self) -> int:
        """That it keeps busy."""
        return self.ranks * self.threads

    @property
    def overrides(self) -> Overrides:
        """The settings as text, as the app's `--set key=value` takes them."""
        return tuple((key, toml_value(value)) for key, value in self.settings.items())

    def launcher(self, study: Study) -> list[str]:
        """The words before the app."""
        return expand(
            study.launcher,
            ranks=self.ranks,
            threads=self.threads,
            nodes=self.nodes,
            ranks_per_node=self.layout.ranks_per_node,
            gpus_per_rank=self.run.gpus_per_rank,
            where=f"{study.path}: launcher",
        )


@dataclass(frozen=True)
class Ratio:
    """Two configurations whose times are held against each other: a speed-up, or one series against the first."""

    above: str
    below: str


@dataclass(frozen=True)
class Expansion:
    """What a study consists of."""

    configurations: tuple[Point, ...]  # With repeat 1
    ratios: tuple[Ratio, ...]


def expand_study(study: Study) -> Expansion:
    """All configurations in the order of the file, and the ratios that are shown of them.

    Ratios: each series at p ranks over its base at the fewest ranks; each against the first series at the same ranks,
    which is that of its run, of the study where kind is "compare".
    """
    found: list[Point] = []
    ratios: dict[Ratio, None] = {}
    names: set[str] = set()
    first_at: dict[int, str] = {}
    for run in study.runs:
        if study.kind != "compare":
            first_at = {}
        bases: dict[tuple[int, int], str] = {}
        for layout, threads in itertools.product(sorted(run.layouts, key=lambda layout: layout.ranks), run.threads):
            kept: dict[str, str] = {}
            for series, (drill, choice) in enumerate(itertools.product(run.drills or (None,), _choices(run))):
                told_apart = {k: v for k, v in choice.items() if layout.ranks > 1 or k not in run.equal_at_one_rank}
                key = repr((drill, told_apart))
                name = kept.get(key, "")
                if not name:
                    name = kept[key] = _unique(_name(run, layout.ranks, threads, choice, drill), names)
                    settings = _settings(run, layout, choice, drill)
                    found.append(Point(name, run, layout, threads, settings, drill=drill))
                pairs = (
                    Ratio(bases.setdefault((threads, series), name), name),
                    Ratio(first_at.setdefault(layout.ranks, name), name),
                )
                ratios.update(dict.fromkeys(pair for pair in pairs if pair.above != pair.below))
    order = [(run.label, layout.ranks) for run in study.runs for layout in run.layouts]
    found.sort(key=lambda point: order.index((point.run.label, point.ranks)))
    return Expansion(tuple(found), tuple(ratios))


def points(study: Study) -> list[Point]:
    """Configurations x repeats, without digests, in the order of the study file."""
    configurations = expand_study(study).configurations
    return [replace(c, repeat=repeat) for repeat in range(1, study.repeats.max + 1) for c in configurations]


def _choices(run: Run) -> Iterator[dict[str, Any]]:
    """Rows of [[together]] x rows of each [[zip]] x [grid]."""
    zips = [[dict(zip(z, values, strict=True)) for values in zip(*z.values(), strict=True)] for z in run.zips]
    grid = [[{key: value} for value in values] for key, values in run.grid.items()]
    for parts in itertools.product(run.together or ({},), *zips, *grid):
        yield {key: value for part in parts for key, value in part.items()}


def _settings(run: Run, layout: Layout, choice: dict[str, Any], drill: Drill | None) -> dict[str, Any]:
    grown = {key: value * layout.ranks for key, value in run.per_rank.items()}
    chosen = {key: values[run.ranks.index(layout.ranks)] for key, values in run.at_ranks.items()}
    return dict(sorted({**run.fixed, **grown, **chosen, **choice, **(drill.overrides if drill else {})}.items()))


def _name(run: Run, ranks: int, threads: int, choice: dict[str, Any], drill: Drill | None) -> str:
    parts = [run.label] if run.label else []
    parts.append(f"np{ranks}" + (f"-t{threads}" if len(run.threads) > 1 else ""))
    parts += [drill.name] if drill else []
    for key, value in choice.items():
        text = toml_value(value)
        parts.append(text if isinstance(value, str) else key.rpartition(".")[2] + text)
    return re.sub(r"[^\w.+-]+", ".", "-".join(parts))


def _unique(name: str, names: set[str]) -> str:
    """The name, with a number where values that differ read alike ("a b", "a/b")."""
    numbered = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    names.add(free := next(n for n in numbered if n not in names))
    return free


def with_digests(study: Study, plain: list[Point], binaries: Mapping[str, str]) -> list[Point]:
    """The same points with their hashes. `binaries`: app -> hash of what is executed.

    Of the deck counts what it says once it is parsed and the settings are in it: no comment, order or spacing, no key
    that the point overrides, none that `partita run` sets itself.
    """
    decks = {run.deck: flatten(read_toml(run.deck, "a deck")[1]) for run in study.runs}
    result = []
    for p in plain:
        deck = {k: v for k, v in {**decks[p.run.deck], **p.settings}.items() if k not in RESERVED}
        content = [
            HASH_FORMAT, p.run.app, binaries[p.run.app], deck, p.launcher(study), p.ranks, p.threads, p.nodes,
            p.layout.ranks_per_node, p.run.gpus_per_rank, p.repeat,
        ]  # fmt: skip
        content += [list(p.drill.exit)] if p.drill else []
        text = json.dumps(content, sort_keys=True, ensure_ascii=True, default=str)
        result.append(replace(p, digest=hashlib.sha256(text.encode()).hexdigest()[:12]))
    return result


def in_random_order(study: Study, ordered: list[Point]) -> list[Point]:
    """Blocks of one repeat, shuffled inside: drift of a machine falls on all points alike. Same seed, same order.

    A block's order depends on no other block: more repeats change nothing in those before.
    """
    result: list[Point] = []
    for repeat, block in itertools.groupby(sorted(ordered, key=lambda p: p.repeat), key=lambda p: p.repeat):
        members = list(block)
        random.Random(f"{study.seed}-{repeat}").shuffle(members)
        result += members
    return result
