# SPDX-License-Identifier: BSD-3-Clause
"""A rank that was killed: what the launcher's last words and the .part file tell of it, and no more."""

import re
import signal
from pathlib import Path

import numpy as np

from partita.errors import UsageError
from partita.records.record import Record, plural, read_record

BANNER = "BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES"  # MPICH's hydra.
CONFUSED = "assert (!closed) failed"  # The same, where a process died before all had told it that they live.
TAIL_BYTE = 1 << 16


def lost_rank(log: Path, record: Path) -> str:
    """One line on the rank whose signal ended the job; empty where the launcher tells of no signal."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL_BYTE))
        text = stream.read().decode(errors="replace")
    _, found, words = text.rpartition(BANNER)
    if not found and CONFUSED in text:
        return f"the launcher lost a rank while it started them ({CONFUSED}); {_left(record)}"
    number = re.search(r"EXIT STRING: .*\(signal (\d+)\)", words)
    if not found or not number:
        return ""
    place = re.search(r"PID (\d+) RUNNING AT (\S+)", words)
    named = f"pid {place[1]} on host {place[2]}, which may be one that it ended itself" if place else "no process"
    return f"ended by {_signal(int(number[1]))} of a rank (the launcher names {named}); {_left(record)}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _left(record: Path) -> str:
    part = record.with_name(record.name + ".part")
    if not part.is_file():
        return f"it left no {part.name}"
    try:
        left = read_record(part)
    except UsageError:
        return f"{part.name} cannot be read"
    return f"{plural(left.written_steps, 'step')} are in {part.name}{_roles(left)}"


def _roles(record: Record) -> str:
    table = record.groups.get("ranks", {})
    if "role" not in table:
        return ""
    roles, hosts = table["role"], table.get("hostname", np.full(len(table["role"]), ""))
    said = []
    for role in dict.fromkeys(map(str, roles)):
        ranks = np.flatnonzero(roles == role)
        said.append(f"{role}{'s' if len(ranks) > 1 else ''}: {_span(ranks)}")
    if len(names := dict.fromkeys(map(str, hosts))) > 1:
        said += [f"host {name}: {_span(np.flatnonzero(hosts == name))}" for name in names]
    return f" ({'; '.join(said)})"


def _span(ranks: np.ndarray) -> str:
    """`rank 0`, `1 to 3`, `1, 3`."""
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    together = ranks[-1] - ranks[0] == len(ranks) - 1
    return f"{ranks[0]} to {ranks[-1]}" if together else ", ".join(map(str, ranks))
