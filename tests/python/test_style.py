# SPDX-License-Identifier: BSD-3-Clause
"""The Python part holds its own style: the line length always, the rest of ruff's rules where ruff is installed."""

import importlib.util
import subprocess
import sys
import tomllib

import pytest

from conftest import HERE, PACKAGE

SETTINGS = PACKAGE / "pyproject.toml"
LENGTH = tomllib.loads(SETTINGS.read_text())["tool"]["ruff"]["line-length"]


def test_no_line_is_longer_than_the_settings_say() -> None:
    files = [*PACKAGE.rglob("*.py"), *HERE.rglob("*.py")]
    assert len(files) > 30
    assert [
        f"{path}:{number}: {len(line)} columns: expected at most {LENGTH}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LENGTH
    ] == []


@pytest.mark.skipif(importlib.util.find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]], ids=lambda a: a[0])
def test_ruff(arguments: list[str]) -> None:
    command = [
        sys.executable,
        "-m",
        "ruff",
        *arguments,
        "--no-cache",
        "--config",
        str(SETTINGS),
        str(PACKAGE),
        str(HERE),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
