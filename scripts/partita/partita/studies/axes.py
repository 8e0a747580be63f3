# SPDX-License-Identifier: BSD-3-Clause
"""The tables of a study, or of one of its runs, held to each other: what no single key can tell."""

import itertools
from typing import TYPE_CHECKING, Any

from partita.studies.reader import Reader
from partita.studies.toml_text import shown, toml_value

if TYPE_CHECKING:
    from partita.studies.study import Run

RESERVED = ("output.path", "record.study", "record.point", "checkpoint.path")  # Set by `partita run` itself.
GROWING = ("weak", "throughput")  # Kinds whose work may grow with ranks.


def check_axes(run: "Run", read: Reader) -> None:
    """Lists of values, each row and value once; keys that are said to vary do."""
    for key, values in run.grid.items():
        if not isinstance(values, list) or not values:
            raise read.fail(f"grid.{key}", shown(values), "a list of values, one point each")
        if len({toml_value(v) for v in values}) != len(values):
            raise read.fail(f"grid.{key}", shown(values), "each value once")
    for columns in run.zips:
        for key, values in columns.items():
            if not isinstance(values, list) or not values:
                raise read.fail(f"zip.{key}", shown(values), "a list of values")
            if len(values) != len(first := next(iter(columns.values()))):
                raise read.fail(f"zip.{key}", f"{len(values)} values", f"{len(first)}, as {next(iter(columns))} has")
        rows = list(zip(*(map(toml_value, values) for values in columns.values()), strict=True))
        if len(set(rows)) != len(rows):
            raise read.fail("zip", shown(columns), "each row once")
    for index, row in enumerate(run.together):
        if row in run.together[:index]:
            raise read.fail("together", shown(row), "each table once")
    for key in run.equal_at_one_rank:
        if not isinstance(key, str) or key not in run.varied:
            raise read.fail("equal_at_one_rank", shown(key), f"keys that vary: {', '.join(run.varied)}")


def check_growth(run: "Run", read: Reader, kind: str) -> None:
    """What follows the number of ranks, in the kinds where it may."""
    said = "kind" if "kind" in read.tree or "kind" in read.above else "scaling"
    if kind == "weak" and not run.per_rank and not run.at_ranks:
        raise read.fail(
            said, '"weak" without [per_rank] or [at_ranks]', "one of them with the keys that grow with ranks"
        )
    if kind not in GROWING and run.per_rank:
        raise read.fail(said, f'"{kind}" with [per_rank]', "no key that grows with ranks")
    for key, value in run.per_rank.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise read.fail(f"per_rank.{key}", shown(value), "an integer from 1 on: the value per rank")
    for key, values in run.at_ranks.items():
        if not isinstance(values, list) or len(values) != len(run.ranks):
            counts = ", ".join(map(str, run.ranks))
            raise read.fail(f"at_ranks.{key}", shown(values), f"a list of {len(run.ranks)} values: at {counts} ranks")


def check_once(run: "Run", read: Reader) -> None:
    """No key in two tables, none that the tool sets itself."""
    seen: dict[str, str] = {}
    tables: list[tuple[str, Any]] = [("set", run.fixed), ("per_rank", run.per_rank), ("at_ranks", run.at_ranks)]
    tables += [("together", dict.fromkeys(itertools.chain(*run.together)))]
    tables += [*(("zip", columns) for columns in run.zips), ("grid", run.grid)]
    for table, keys in tables:
        for key in keys:
            if key in RESERVED:
                raise read.fail(f"{table}.{key}", "given", "no such key: `partita run` sets it itself")
            if key in seen:
                raise read.fail(f"{table}.{key}", f"also in [{seen[key]}]", "it in one of them")
            seen[key] = table
