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


LONGEST = 1000  # Characters of what was found.


class PartitaError(Exception):
    """An error that a user can act on, in the grammar of the apps: `WHERE: FOUND: expected EXPECTED`."""

    code = ExitCode.RUN_FAILED

    def __init__(self, where: object, found: str, expected: str = "") -> None:
        if len(found) > LONGEST:  # Out of a file, which may hold anything.
            found = found[:LONGEST] + "..."
        line = f"{where}: {found}" + (f": expected {expected}" if expected else "")
        words = " ".join(line.split())
        super().__init__("".join(c if c.isprintable() else "?" for c in words))


class UsageError(PartitaError):
    """A wrong argument, study file or record file."""

    code = ExitCode.USAGE


class EnvironmentUnfitError(PartitaError):
    """The machine lacks what the command needs."""

    code = ExitCode.UNFIT


class CheckFailedError(PartitaError):
    """Results are there, and are not what they should be."""

    code = ExitCode.CHECK_FAILED


class IncompleteError(PartitaError):
    """Stopped before the end; running the same command again goes on."""

    code = ExitCode.INCOMPLETE


def reason(error: BaseException) -> str:
    """What an exception of a library says, without its class or the file that it names."""
    return getattr(error, "strerror", None) or str(error.args[0] if error.args else error)


class held_to_the_layout:  # noqa: N801, it is called like a function.
    """Whatever does not fit inside is the fault of the file: UsageError names it and what was read of it.

    A class, since reading many small arrays enters it as often, and a generator takes five times as long.
    """

    FAULTS = (OSError, LookupError, ArithmeticError, ValueError, TypeError, AttributeError, RuntimeError)

    def __init__(self, path: object, what: str = "") -> None:
        self.path, self.what = path, what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, self.FAULTS):
            raise UsageError(
                self.path,
                f"{self.what}damaged, or not a record of Partita: {reason(error)}",
                "a file that an app of Partita wrote",
            ) from error
