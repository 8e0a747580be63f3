# SPDX-License-Identifier: BSD-3-Clause
"""One command in its own process group: start, wait without stealing its cycles, time out, stop with all children."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from partita.studies import family
from partita.studies.stamps import Stamps

TICK_S = 2.0  # How often a waiting parent wakes up; a rank that shares its core with the parent loses well under 0.1 %.


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status (negative: signal) and whether the time-out ended it."""

    status: int
    timed_out: bool
    wall_s: float
    gone_s: float = 0.0  # When the last of its processes was gone, where that was asked for.
    left: int = 0  # Processes that lived on, and were ended.


def run(
    command: Sequence[str],
    log: Path,
    folder: Path,
    environment: dict[str, str],
    timeout_s: float,
    token: str,
    on_tick: Callable[[], None] = lambda: None,
    times: Path | None = None,
) -> Ended:
    """Run the command with both outputs in the log; on time-out or any exception nothing of it is left running.

    times: a file that gets the log with times; then the end of all processes is waited for, too.
    The token is that of `family.guarded`: also when this process is killed, nothing is.
    """
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        stamps = Stamps(log, times, start) if times else None
        if stamps:
            stack.callback(stamps.started)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stamps.end if stamps else stack.enter_context(log.open("ab")),
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
    ended = Ended(process.returncode, False, time.monotonic() - start)
    return _gone(ended, start, token, stamps) if stamps else ended


def _gone(ended: Ended, start: float, token: str, stamps: Stamps) -> Ended:
    """The launcher may be gone before its ranks are."""
    deadline = time.monotonic() + family.GRACE_S
    while (left := family.members(token)) and time.monotonic() < deadline:
        time.sleep(0.002)
    gone_s = time.monotonic() - start
    family.end(token, [signal.SIGKILL])
    stamps.finish()
    return replace(ended, gone_s=gone_s, left=len(left))


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
