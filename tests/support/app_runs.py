# SPDX-License-Identifier: BSD-3-Clause
"""Runs of apps below mpiexec, for tests of whatever folder: their command line, their end, their processes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import h5py

ROOT = Path(__file__).parents[2]
MPIEXEC = os.environ.get("PARTITA_MPIEXEC", "mpiexec")


def command_line(binary: str, ranks: int, deck: str, *settings: str, output: Path, flags: tuple[str, ...] = ()) -> list[str]:
    """Of one run; settings are `key=value`, the deck's path begins at the root of the tree."""
    overrides = [part for setting in settings for part in ("--set", setting)]
    return [MPIEXEC, "-n", str(ranks), binary, deck, *overrides, *flags, "--output", str(output)]


def to_the_end(words: list[str], code: int = 0) -> subprocess.CompletedProcess:
    """Runs it; its exit code must be the expected one."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done


def pids_by_rank(mpiexec: int, app: str) -> dict[int, int]:
    """Processes of an app below a running mpiexec."""
    found, todo = {}, [mpiexec]
    while todo:
        for pid in subprocess.run(["pgrep", "-P", str(todo.pop())], capture_output=True, text=True).stdout.split():
            todo.append(int(pid))
            try:
                rank = re.search(rb"PMI_RANK=(\d+)", Path(f"/proc/{pid}/environ").read_bytes())
                name = Path(f"/proc/{pid}/comm").read_text().strip()
            except OSError:  # it has ended
                continue
            if rank and name == app[:15]:
                found[int(rank[1])] = int(pid)
    return found


def is_alive(pid: int) -> bool:
    """A zombie is not: whoever adopted it has not looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def steps_written(part: Path) -> int:
    """Steps that a record holds that is being written; -1: there is none yet."""
    try:
        with h5py.File(part) as file:
            return int(file["steps_written"][()])
    except OSError:
        return -1
