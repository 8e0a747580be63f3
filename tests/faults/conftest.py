# SPDX-License-Identifier: BSD-3-Clause
"""Runs of any app for tests of what becomes of them when something fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MPIEXEC = os.environ.get("PARTITA_MPIEXEC", "mpiexec")


def binary(app: str) -> str:
    """Where an app is: PARTITA_MLP_DP and so on; a test of one that is not built is skipped."""
    path = os.environ.get(f"PARTITA_{app.upper()}", "")
    if not path:
        pytest.skip(f"{app} is not built")
    return path


def command(app: str, ranks: int, deck: str, *settings: str, output: Path, flags: tuple[str, ...] = ()) -> list[str]:
    """The command line of one run; settings are `key=value`."""
    overrides = [part for setting in settings for part in ("--set", setting)]
    return [MPIEXEC, "-n", str(ranks), binary(app), f"inputs/{deck}.toml", *overrides, *flags, "--output", str(output)]


@pytest.fixture
def run(tmp_path):
    """Runs an app to the end and returns the record's path; the exit code must be the expected one."""

    def go(app: str, ranks: int, deck: str, *settings: str, code: int = 0, name: str = "x", flags=(), env=None) -> Path:
        output = tmp_path / f"{name}.h5"
        words = command(app, ranks, deck, *settings, output=output, flags=tuple(flags))
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, **(env or {})})
        assert done.returncode == code, f"{done.args}\n{done.stdout}\n{done.stderr}"
        go.stdout, go.stderr = done.stdout, done.stderr
        return output

    return go
