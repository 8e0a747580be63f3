# SPDX-License-Identifier: BSD-3-Clause
"""When a run said what: its log once more, with the seconds since its start before each line.

Both ends of a time that is measured between two lines come through the same pipes and are read off the same clock.
Of drills alone: a reader takes cycles from the ranks.
"""

import os
import re
import threading
import time
from contextlib import suppress
from pathlib import Path

DONE = re.compile(r"drill: ")  # The app, when it makes the fault.
NOTICED = re.compile(r"error: |rank \d+: |.*verification FAILED|.*BAD TERMINATION|srun: error|.*\bsteps? skipped")
WAIT_S = 2.0  # For what is still in the pipe when all processes are gone.


class Stamps:
    """Between a process and its log."""

    def __init__(self, log: Path, times: Path, start: float) -> None:
        """`start`: of time.monotonic."""
        self._start = start
        self._read, self.end = os.pipe()  # `end` is what the process writes to.
        self._files = log.open("ab"), times.open("wb")
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        with os.fdopen(self._read, "rb") as pipe, self._files[0] as log, self._files[1] as times:
            for line in pipe:
                times.write(b"%.6f %s\n" % (time.monotonic() - self._start, line.rstrip(b"\n")))
                log.write(line)
                log.flush()

    def started(self) -> None:
        """The process has its end; ours would keep the pipe open."""
        os.close(self.end)

    def finish(self) -> None:
        """All is in the files, unless somebody who lives on holds the pipe."""
        self._thread.join(WAIT_S)


def read_stamps(times: Path) -> list[tuple[float, str]]:
    """(seconds, line); none where there is no such file."""
    found = []
    with suppress(OSError):
        for line in times.read_text(encoding="utf-8", errors="replace").splitlines():
            seconds, _, text = line.partition(" ")
            with suppress(ValueError):
                found.append((float(seconds), text))
    return found


def moments(lines: list[tuple[float, str]]) -> tuple[float | None, float | None, str]:
    """When the fault was made, when it was first noticed after that, and in which words; None: never."""
    done = next((seconds for seconds, text in lines if DONE.match(text)), None)
    if done is None:
        return None, None, ""
    after = [(seconds, text) for seconds, text in lines if seconds >= done and NOTICED.match(text)]
    return done, *(after[0] if after else (None, ""))
