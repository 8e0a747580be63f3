# SPDX-License-Identifier: BSD-3-Clause
"""Tests of the record format against the readers that people use. `--writer` names the binary of record_writer.cpp."""

import subprocess
from pathlib import Path

import pytest


def pytest_addoption(parser):
    """--writer BINARY, --update-golden."""
    parser.addoption("--writer", required=True, help="record_writer binary")
    parser.addoption("--update-golden", action="store_true", help="accept the present structure as the golden one")


@pytest.fixture(scope="session")
def writer(request):
    """Path of the writer."""
    return Path(request.config.getoption("--writer")).resolve()


@pytest.fixture(scope="session")
def write(writer):
    """Run the writer to its end: write(path, "--steps", 6, ...) -> path."""

    def run(path, *options):
        subprocess.run([writer, path, *map(str, options)], check=True)
        return path

    return run
