# SPDX-License-Identifier: BSD-3-Clause
"""Runs of an app for the tests of its folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from app_runs import MPIEXEC, ROOT, command_line, pids_by_rank, to_the_end  # noqa: E402, F401, for the tests

APP = os.environ.get("PARTITA_APP", "")
TINY = f"inputs/{Path(APP).name}/tiny.toml"


def command(ranks: int, deck: str, *settings: str, output: Path) -> list[str]:
    """The command line of one run; settings are `key=value`."""
    return command_line(APP, ranks, deck, *settings, output=output)


def ranks_of(mpiexec, app: str = Path(APP).name) -> list[int]:
    """Pids of an app's processes below a running mpiexec, in the order of ranks."""
    return [pid for _, pid in sorted(pids_by_rank(mpiexec.pid, app).items())]


@pytest.fixture
def run(tmp_path):
    """Runs the app to the end and returns the record's path; the exit code must be the expected one."""

    def go(ranks: int, *settings: str, deck: str = TINY, code: int = 0, name: str = "x") -> Path:
        output = tmp_path / f"{name}.h5"
        go.stderr = to_the_end(command(ranks, deck, *settings, output=output), code).stderr
        return output

    return go
