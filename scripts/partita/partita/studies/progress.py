# SPDX-License-Identifier: BSD-3-Clause
"""What `partita run` says while it runs: a live bar on a terminal, one line a point in a log."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from partita.studies.points import Point
from partita.studies.state import State

TAIL_LINES = 8


@dataclass(frozen=True)
class Outcome:
    """How one point ended."""

    point: Point
    state: State
    wall_s: float
    note: str  # "27.5 ms per step", or why it failed
    log: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether it left a good record."""
        return self.state is State.DONE


class Reporter(Protocol):
    """Told by `execute` what happens, in order."""

    def begin(self, point: Point) -> None:
        """A point starts."""

    def tick(self) -> None:
        """The running point goes on."""

    def again(self, outcome: Outcome) -> None:
        """An attempt ended for a reason that says nothing about the run: it is tried again."""

    def end(self, outcome: Outcome) -> None:
        """A point ended."""

    def more(self, count: int, why: str) -> None:
        """So many points are added."""

    def close(self) -> None:
        """No more points."""


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last non-empty lines of a log."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("# ")][-lines:]


class PlainReporter:
    """One line a point, and the end of the log of a point that failed."""

    def __init__(self, console: Console, done: int, total: int) -> None:
        self.console, self.number, self.total = console, done, total

    def begin(self, point: Point) -> None:
        """Nothing: a log needs no line for what is not yet known."""

    def tick(self) -> None:
        """Nothing."""

    def again(self, outcome: Outcome) -> None:
        """A line, so that a log tells of every attempt."""
        self._print(f"again: {outcome.point.name} ({outcome.state.value}: {outcome.note})", "yellow")

    def more(self, count: int, why: str) -> None:
        """A line with the reason."""
        self.total += count
        self._print(f"{count} more points: {why}", "")

    def end(self, outcome: Outcome) -> None:
        """The line of the point."""
        self.number += 1
        width = len(str(self.total))
        verdict = "ok    " if outcome.ok else "FAILED"
        self._print(
            f"[{self.number:{width}d}/{self.total}] {verdict} {outcome.point.name}  "
            f"{duration(outcome.wall_s)}  {outcome.note}",
            "" if outcome.ok else "red",
        )
        if not outcome.ok and outcome.log:
            for line in tail(outcome.log):
                self._print(f"    | {line}", "dim")
            self._print(f"    log: {outcome.log}", "dim")

    def close(self) -> None:
        """Nothing."""

    def _print(self, text: str, look: str) -> None:
        self.console.print(text, style=look or None, markup=False, highlight=False, soft_wrap=True)


class LiveReporter(PlainReporter):
    """The same lines above a bar with the running point and the time left.

    The bar is redrawn only when the runner ticks (every two seconds): on a full machine a busy display would slow down
    what is being measured.
    """

    def __init__(self, console: Console, done: int, total: int) -> None:
        super().__init__(console, done, total)
        self.skipped, self.started = done, time.monotonic()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self.task: TaskID = self.progress.add_task("", total=total, completed=done, left="")
        self.progress.start()

    def begin(self, point: Point) -> None:
        """Show the name of the running point."""
        self.progress.update(self.task, description=point.name, left=self._left())
        self.progress.refresh()

    def tick(self) -> None:
        """Redraw the clock."""
        self.progress.update(self.task, left=self._left())
        self.progress.refresh()

    def more(self, count: int, why: str) -> None:
        """The bar grows."""
        super().more(count, why)
        self.progress.update(self.task, total=self.total)

    def end(self, outcome: Outcome) -> None:
        """The line of the point, and one step of the bar."""
        super().end(outcome)
        self.progress.update(self.task, completed=self.number, left=self._left())
        self.progress.refresh()

    def close(self) -> None:
        """Take the bar away; the lines stay."""
        self.progress.stop()

    def _left(self) -> str:
        ran = self.number - self.skipped
        if ran == 0:
            return ""
        elapsed = time.monotonic() - self.started
        return f"about {duration(max(0.0, elapsed / ran * (self.total - self.skipped) - elapsed))} left"


def reporter(console: Console, done: int, total: int) -> Reporter:
    """A live one on a terminal, a plain one elsewhere."""
    kind = LiveReporter if console.is_terminal else PlainReporter
    return kind(console, done, total)
