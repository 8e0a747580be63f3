# SPDX-License-Identifier: BSD-3-Clause
"""One `partita run` at a time in a folder, or one for each number of nodes."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from partita.errors import UsageError, reason
from partita.studies import family
from partita.studies.state import Attempt, is_running, this_process

ENDING_S = 3 * family.GRACE_S  # Most that the end of what a killed run has started may take.
BUSY = "another `partita run` is at work here, or what it started is being ended"


@contextmanager
def locked(folder: Path, nodes: int | None) -> Iterator[tuple[int, ...]]:
    """The descriptors that hold the lock; it goes with the last process that has them, however that ends.

    A run that was killed leaves it to its guard, until nothing is left of it: that is waited for.

    A run of all points excludes any other; runs of the points of N nodes exclude those of the same N.
    """
    with ExitStack() as stack:
        try:
            streams = [stack.enter_context((folder / ".lock").open("a+"))]
            if nodes is not None:
                streams.append(stack.enter_context((folder / f".lock-{nodes}").open("a+")))
        except OSError as error:
            raise UsageError(folder, f"cannot be written ({reason(error)})", "a folder for records") from error
        _lock(streams[0], fcntl.LOCK_EX if nodes is None else fcntl.LOCK_SH, folder)
        for stream in streams[1:]:
            _lock(stream, fcntl.LOCK_EX, folder)
        yield tuple(stream.fileno() for stream in streams)


def _lock(stream: IO[str], kind: int, folder: Path) -> None:
    deadline = time.monotonic() + ENDING_S
    while True:
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if not _was_killed(stream) or time.monotonic() > deadline:
                raise UsageError(folder, BUSY, "its end, or --output") from None
            time.sleep(0.1)
        except OSError:
            break  # A file system without locks.
    stream.seek(0)
    stream.truncate()
    json.dump(this_process(), stream)
    stream.flush()


def _was_killed(stream: IO[str]) -> bool:
    """Whether who took the lock is gone, so that only its guard can have it."""
    stream.seek(0)
    try:
        return is_running(json.loads(stream.read())) is False
    except (ValueError, TypeError, KeyError, AttributeError):
        return False  # It is being written.


def refuse_if_alive(tried: list[Attempt]) -> None:
    """Where locks do not reach (two nodes, one file system): an attempt whose runner shows signs of life."""
    if tried and tried[-1].is_alive():
        host = tried[-1].job.get("host", "another host")
        raise UsageError(tried[-1].folder, f"{BUSY} (on {host})", "its end, or --output")
