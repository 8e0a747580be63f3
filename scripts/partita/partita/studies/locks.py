# SPDX-License-Identifier: BSD-3-Clause
"""One `partita run` at a time in a folder, or one for each number of nodes."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from partita.errors import UsageError, reason
from partita.studies.state import Attempt

BUSY = "another `partita run` is at work here, or what it started is being ended"


@contextmanager
def locked(folder: Path, nodes: int | None) -> Iterator[tuple[int, ...]]:
    """The descriptors that hold the lock; it goes with the last process that has them, however that ends.

    A run of all points excludes any other; runs of the points of N nodes exclude those of the same N.
    """
    with ExitStack() as stack:
        try:
            streams = [stack.enter_context((folder / ".lock").open("w"))]
            if nodes is not None:
                streams.append(stack.enter_context((folder / f".lock-{nodes}").open("w")))
        except OSError as error:
            raise UsageError(folder, f"cannot be written ({reason(error)})", "a folder for records") from error
        _lock(streams[0], fcntl.LOCK_EX if nodes is None else fcntl.LOCK_SH, folder)
        for stream in streams[1:]:
            _lock(stream, fcntl.LOCK_EX, folder)
        yield tuple(stream.fileno() for stream in streams)


def _lock(stream: IO[str], kind: int, folder: Path) -> None:
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(folder, BUSY, "its end, or --output") from None
    except OSError:
        pass  # A file system without locks.


def refuse_if_alive(tried: list[Attempt]) -> None:
    """Where locks do not reach (two nodes, one file system): an attempt whose runner shows signs of life."""
    if tried and tried[-1].is_alive():
        host = tried[-1].job.get("host", "another host")
        raise UsageError(tried[-1].folder, f"{BUSY} (on {host})", "its end, or --output")
