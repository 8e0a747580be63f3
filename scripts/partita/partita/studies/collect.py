# SPDX-License-Identifier: BSD-3-Clause
"""The records of studies, copied flat into one folder that can be taken home."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from partita.errors import UsageError, reason
from partita.studies.state import PLAN, State, planned
from partita.studies.status import status_of
from partita.studies.study import STUDY_COPY


@dataclass(frozen=True)
class Collected:
    """From one folder."""

    source: Path
    target: Path
    copied: int
    left_out: tuple[str, ...]  # Name and why


def collect(folder: Path, target: Path) -> Collected:
    """The newest finished record of every point -> TARGET/NAME_HASH.h5, with study.toml and plan.json."""
    if target.resolve() == folder.resolve():
        raise UsageError(target, "the folder that is collected from", "another folder")
    try:
        target.mkdir(parents=True, exist_ok=True)
        records, left_out = _finished(folder)
        for name, path in records.items():
            copy(path, target / name)
        for name in (STUDY_COPY, PLAN):
            if (folder / name).is_file():
                copy(folder / name, target / name)
    except OSError as error:
        raise UsageError(target, f"cannot be written ({reason(error)})", "a folder for records") from error
    return Collected(folder, target, len(records), tuple(left_out))


def _finished(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """File name -> record; and what is not there."""
    from partita.records.header import read_header

    records: dict[str, Path] = {}
    left_out: list[str] = []
    if not planned(folder):
        for header in map(read_header, sorted(folder.glob("*.h5"))):
            if header.usable:
                records[header.path.name] = header.path
            else:
                left_out.append(f"{header.path.name}: {header.refused}")
        return records, left_out
    for point in status_of(folder).points:
        if point.state is not State.DONE or point.record is None:
            left_out.append(f"{point.name}: {point.state.value}" + (f" ({point.reason})" if point.reason else ""))
        elif (header := read_header(point.record)).refused:
            left_out.append(f"{point.name}: {header.refused} ({point.record})")
        else:
            records[f"{point.name}_{point.hash}.h5"] = point.record
    return records, left_out


def copy(source: Path, target: Path) -> None:
    """The whole file or none, with its time."""
    part = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copy2(source, part)
    part.replace(target)
