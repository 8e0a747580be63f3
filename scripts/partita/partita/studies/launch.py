# SPDX-License-Identifier: BSD-3-Clause
"""One command in its own process group: start, wait without stealing its cycles, time out, stop with all children."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from partita.studies import family

TICK_S = 2.0  # How often a waiting parent wakes up; a rank that shares its core with the parent loses well under 0.1 %.


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status (negative: signal) and whether the time-out ended it."""

    status: int
    timed_out: bool
    wall_s: float


def run(
    command: Sequence[str],
    log: Path,
    folder: Path,
    environment: dict[str, str],
    timeout_s: float,
    token: str,
    on_tick: Callable[[], None] = lambda: None,
) -> Ended:
    """Run the command with both outputs in the log; on time-out or any exception nothing of it is left running.

    The token is that of `family.guarded`: also when this process is killed, nothing is.
    """
    start = time.monotonic()
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**environment, family.MARK: token},
            start_new_session=True,  # A Ctrl-C on the terminal reaches us alone, and we stop the whole group.
        )
    try:
        while not _wait(process, min(TICK_S, max(0.0, start + timeout_s - time.monotonic()))):
            if time.monotonic() - start >= timeout_s:
                stop(process, token)
                return Ended(process.returncode, True, time.monotonic() - start)
            on_tick()
    except BaseException:
        stop(process, token)
        raise
    return Ended(process.returncode, False, time.monotonic() - start)


def _wait(process: subprocess.Popen, seconds: float) -> bool:
    """Whether the process ended within the time; sleeps in the kernel (Popen.wait polls 20 times a second)."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.poll() is not None
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(max(1, round(seconds * 1000)))
    finally:
        os.close(descriptor)
    return process.poll() is not None


def stop(process: subprocess.Popen, token: str) -> None:
    """SIGTERM to the launcher's group, then SIGKILL to all with the token: ranks may be in groups of their own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + family.GRACE_S
    while time.monotonic() < deadline and (process.poll() is None or family.members(token)):
        time.sleep(0.05)
    family.end(token, [signal.SIGKILL])
    process.kill()
    process.wait()
