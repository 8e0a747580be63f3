# SPDX-License-Identifier: BSD-3-Clause
"""Runs of any app for tests of what becomes of them when something fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from app_runs import ROOT, command_line, is_alive, pids_by_rank, steps_written, to_the_end  # noqa: E402, F401, for the tests


def command(app: str, ranks: int, deck: str, *settings: str, output: Path, flags: tuple[str, ...] = ()) -> list[str]:
    """The command line of one run of PARTITA_MLP_DP and so on; a test of an app that is not built is skipped."""
    binary = os.environ.get(f"PARTITA_{app.upper()}", "")
    if not binary:
        pytest.skip(f"{app} is not built")
    return command_line(binary, ranks, f"inputs/{deck}.toml", *settings, output=output, flags=flags)


@pytest.fixture
def run(tmp_path):
    """Runs an app to the end and returns the record's path; the exit code must be the expected one."""

    def go(app: str, ranks: int, deck: str, *settings: str, code: int = 0, name: str = "x", flags=()) -> Path:
        output = tmp_path / f"{name}.h5"
        go.stderr = to_the_end(command(app, ranks, deck, *settings, output=output, flags=tuple(flags)), code).stderr
        return output

    return go
