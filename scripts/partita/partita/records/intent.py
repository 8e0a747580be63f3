# SPDX-License-Identifier: BSD-3-Clause
"""What a study was meant to vary, from its copy and its plan beside the records."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partita.errors import UsageError
from partita.studies.state import PLAN, read_json
from partita.studies.study import STUDY_COPY, flatten

SCALINGS = {"strong": "strong", "weak": "weak", "none": "none", "compare": "none"}
SET = re.compile(r"--set ['\"]?([\w.-]+)=")


@dataclass(frozen=True)
class Intent:
    """Nothing is known of a study without copy and plan: then records speak for themselves."""

    scaling: str | None = None  # strong, weak, none: what is compared is something else.
    axes: frozenset[str] = frozenset()  # Keys that tell series apart even where they follow from the ranks.
    equal_at_one_rank: tuple[str, ...] | None = None  # Keys without effect at one rank; None: it does not say.


def read_intents(folder: Path) -> dict[str, Intent]:
    """By the study's name. A damaged copy says nothing: the records are there."""
    copy = _copy(folder)
    try:
        plan = read_json(folder / PLAN)
    except UsageError:
        plan = {}
    name, planned = copy.get("name"), plan.get("study")
    runs = [copy, *_tables(copy.get("run"))]
    equal = tuple(key for run in runs for key in run.get("equal_at_one_rank", ()))
    scaling = copy.get("scaling", copy.get("kind"))
    found = {}
    if name:
        found[name] = Intent(SCALINGS.get(scaling), frozenset(_axes(runs)), equal)
    if planned and planned not in found:
        found[planned] = Intent(SCALINGS.get(plan.get("kind")), frozenset(_planned_axes(plan)))
    return found


def named_in(command: str) -> list[str]:
    """Keys of the deck that a command sets."""
    return SET.findall(command)


def _copy(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / STUDY_COPY).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def _tables(of: object) -> list[dict[str, Any]]:
    return [table for table in of if isinstance(table, dict)] if isinstance(of, list) else []


def _axes(runs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for run in runs:
        grid = run.get("grid")
        for table in (
            ([grid] if isinstance(grid, dict) else []) + _tables(run.get("together")) + _tables(run.get("zip"))
        ):
            yield from flatten(table)


def _planned_axes(plan: Mapping[str, Any]) -> set[str]:
    """Keys that take several values at one number of ranks."""
    seen: dict[tuple[str, object], set[str]] = {}
    for point in _tables(plan.get("points")):
        for key, value in dict(point.get("settings") or {}).items():
            seen.setdefault((key, point.get("ranks")), set()).add(str(value))
    return {key for (key, _), values in seen.items() if len(values) > 1}
