# SPDX-License-Identifier: BSD-3-Clause
"""What a folder of records was meant to be, from the copy of its study file; no more is asked of that than to be TOML.

Records may have been moved, and the file may be one of years ago: what it does not say is not known.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partita.studies.study import KINDS, OLD_WORK_TOLERANCE, STUDY_COPY, WORK_TOLERANCE, flatten


@dataclass(frozen=True)
class Intent:
    """Of a study."""

    name: str
    kind: str | None  # One of KINDS
    work_tolerance: float  # How far flops per rank of a weak study may be apart, relative.
    varied: tuple[str, ...]  # Deck keys of [grid], [[zip]] and [[together]], also of runs.
    equal_at_one_rank: tuple[str, ...]


def read_intent(folder: Path) -> Intent | None:
    """None where there is no copy, or none that can be read."""
    try:
        tree = tomllib.loads((folder / STUDY_COPY).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    old = "kind" not in tree
    kind = str(tree.get("scaling" if old else "kind", "")).replace("none", "compare")
    runs = [tree, *(table for table in _list(tree.get("run")) if isinstance(table, dict))]
    tables = [table for run in runs for table in (run.get("grid"), *_list(run.get("zip")), *_list(run.get("together")))]
    varied = [key for table in tables if isinstance(table, dict) for key in flatten(table)]
    equal = [key for run in runs for key in _list(run.get("equal_at_one_rank")) if isinstance(key, str)]
    tolerance = tree.get("work_tolerance", OLD_WORK_TOLERANCE if old else WORK_TOLERANCE)
    return Intent(
        name=str(tree.get("name", "")),
        kind=kind if kind in KINDS else None,
        work_tolerance=float(tolerance) if isinstance(tolerance, int | float) else WORK_TOLERANCE,
        varied=tuple(dict.fromkeys(varied)),
        equal_at_one_rank=tuple(dict.fromkeys(equal)),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
