# SPDX-License-Identifier: BSD-3-Clause
"""The index of a folder: one row a file, with the reason where it is left out, and the planned points without one.

Cheap: of a file only the root's attributes, a few of its environment and the names of its groups are read.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from partita.errors import UsageError
from partita.records.header import Header, read_header
from partita.studies.state import RECORD, State, attempts, planned, record_files

__all__ = ["Header", "Index", "Missing", "indexed", "read_header", "read_index"]


@dataclass(frozen=True)
class Missing:
    """A planned point that has no record."""

    name: str
    state: State  # Of its last attempt.
    reason: str = ""  # Of that state, where the attempt left one.

    def __str__(self) -> str:
        said = "planned, never run" if self.state == State.PLANNED else f"no record ({self.state})"
        return f"{self.name}: {said}{f': {self.reason}' if self.reason else ''}"


@dataclass(frozen=True)
class Index:
    """What a folder holds, and what it should hold."""

    folder: Path
    headers: tuple[Header, ...]  # In the order of their paths.
    missing: tuple[Missing, ...]  # In the order of the plan.

    @cached_property
    def usable(self) -> tuple[Header, ...]:
        """The rows that may be counted."""
        return tuple(h for h in self.headers if h.usable)

    @cached_property
    def refused(self) -> tuple[tuple[Path, str], ...]:
        """(path, reason) of the others."""
        return tuple((h.path, h.refused) for h in self.headers if h.refused)


def read_index(folder: Path) -> Index:
    """The index of a folder; UsageError where there is none, or its plan is damaged."""
    if not folder.is_dir():
        raise UsageError(folder, "no such folder", "the folder that `partita run` wrote records to")
    return indexed(folder, map(read_header, record_files(folder)))


def indexed(folder: Path, headers: Iterable[Header]) -> Index:
    """The index of these rows: a run there twice is kept once, drills left out, missing points looked for."""
    rows: list[Header] = []
    first: dict[str, Path] = {}
    for header in headers:
        known = first.setdefault(header.run_uuid, header.path) if header.usable and header.run_uuid else header.path
        if known != header.path:
            header = replace(header, refused=f"the same run as {known}")
        elif header.usable and header.faults:
            header = replace(header, refused=f"something went wrong on purpose: {header.faults}")
        rows.append(header)
    return Index(folder, tuple(rows), tuple(_missing(folder, rows)))


def _missing(folder: Path, rows: Iterable[Header]) -> Iterable[Missing]:
    hashes = {row.path.parent.parent.name for row in rows if row.path.name == RECORD}
    beside = {row.point for row in rows if row.path.parent == folder}
    for point in planned(folder):
        if point["hash"] not in hashes and point["name"] not in beside:
            yield _last_state(folder, point)


def _last_state(folder: Path, point: Mapping[str, Any]) -> Missing:
    tried = attempts(folder, point["hash"])
    if not tried:
        return Missing(point["name"], State.PLANNED)
    if not tried[-1].exit:
        return Missing(point["name"], State.RUNNING if tried[-1].is_alive() else State.LOST)
    state, why = tried[-1].exit.get("state"), str(tried[-1].exit.get("reason", ""))
    return Missing(point["name"], State(state) if state in list(State) else State.FAILED, why)
