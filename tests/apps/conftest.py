# SPDX-License-Identifier: BSD-3-Clause
"""Runs of an app for the tests of its folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APP = os.environ.get("PARTITA_APP", "")
TINY = f"inputs/{Path(APP).name}/tiny.toml"
MPIEXEC = os.environ.get("PARTITA_MPIEXEC", "mpiexec")


def command(ranks: int, deck: str, *settings: str, output: Path) -> list[str]:
    """The command line of one run; settings are `key=value`."""
    overrides = [part for setting in settings for part in ("--set", setting)]
    return [MPIEXEC, "-n", str(ranks), APP, deck, *overrides, "--output", str(output)]


@pytest.fixture
def run(tmp_path):
    """Runs the app to the end and returns the record's path; the exit code must be the expected one."""

    def go(ranks: int, *settings: str, deck: str = TINY, code: int = 0, name: str = "x") -> Path:
        output = tmp_path / f"{name}.h5"
        done = subprocess.run(command(ranks, deck, *settings, output=output), cwd=ROOT, capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == code, f"{done.args}\n{done.stdout}\n{done.stderr}"
        go.stderr = done.stderr
        return output

    return go
