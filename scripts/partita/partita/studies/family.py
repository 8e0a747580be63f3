# SPDX-License-Identifier: BSD-3-Clause
"""All processes that one study started, found again by a mark in their environment, and ended together.

A study that is killed with SIGKILL cannot end what it started, and neither does a launcher that puts its ranks into
sessions of their own. So a guard, a process beside the study, reads from a pipe that the study alone holds open: when
the study is gone, however that came, the pipe ends, and the guard ends the family. It also keeps the lock of the
study's folder until nothing is left. This file is run by itself (`python family.py TOKEN`): the standard library alone.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

GRACE_S = 5.0  # From SIGTERM to SIGKILL: a launcher needs a moment to end its ranks on other nodes.
MARK = "PARTITA_LAUNCH"  # Environment variable with the token.


def members(token: str) -> list[int]:
    """Living processes of this machine that were started with the token: also those whose parents are gone."""
    mark = f"{MARK}={token}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
    return found


def end(token: str, numbers: Sequence[int] = (signal.SIGTERM, signal.SIGKILL)) -> None:
    """Each signal once to each process, also to those that appear meanwhile, until none is left or GRACE_S is over."""
    for number in numbers:
        told: set[int] = set()
        deadline = time.monotonic() + GRACE_S
        while (living := members(token)) and time.monotonic() < deadline:
            for pid in set(living) - told:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            told.update(living)
            time.sleep(0.05)


@contextlib.contextmanager
def guarded(keep: Sequence[int] = ()) -> Iterator[str]:
    """A token for what is started inside; a guard ends that when this process is gone, and holds `keep` until then."""
    token = uuid.uuid4().hex
    reader, writer = os.pipe()
    command = [sys.executable, "-I", "-S", __file__, token]
    guard = subprocess.Popen(
        command,
        stdin=reader,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=keep,
        start_new_session=True,  # What is sent to the study's group is not meant for its guard.
    )
    os.close(reader)
    try:
        yield token
    finally:
        os.close(writer)
        guard.wait()


if __name__ == "__main__":
    os.read(0, 1)  # Nobody writes: it returns when the other end is closed.
    time.sleep(0.2)  # What the study was about to start when it was killed has its mark by now.
    end(sys.argv[1])
