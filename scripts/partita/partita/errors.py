# SPDX-License-Identifier: BSD-3-Clause
"""Errors that end the program with one line and an exit code (DESIGN.md section 8)."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell sees; the apps use the same numbers."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    CHECK_FAILED = 3
    UNFIT = 4
    INCOMPLETE = 5


class PartitaError(Exception):
    """An error that a user can act on: its text is the whole message."""

    code = ExitCode.RUN_FAILED


class UsageError(PartitaError):
    """A wrong argument, study file or record file."""

    code = ExitCode.USAGE


class EnvironmentUnfitError(PartitaError):
    """The machine lacks what the command needs."""

    code = ExitCode.UNFIT


class IncompleteError(PartitaError):
    """Stopped before the end; running the same command again goes on."""

    code = ExitCode.INCOMPLETE
