# SPDX-License-Identifier: BSD-3-Clause
"""What became of the drills of a study of faults: from the attempts on disk, and from what the runs left behind.

noticed    from the line of the app that says the fault is made to the first of anybody that says something is wrong
gone       from that line until the last process of the job was gone
lost       steps that were done when the fault came, or that the record holds where those are more, less those of the
           record, or those of the checkpoint: what would have to be done once more
"""

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from partita.errors import PartitaError
from partita.records.record import Record, plural, read_record
from partita.studies.resuming import read_progress
from partita.studies.stamps import moments, read_stamps
from partita.studies.state import Attempt, State, attempts, planned

DAMAGING = ("nan", "bitflip", "input")  # A checkpoint that is left after these has the damage in it.


@dataclass(frozen=True)
class DrillRun:
    """One attempt, the newest at its point."""

    point: dict[str, Any]  # Of plan.json
    state: str
    status: int
    reason: str
    noticed_s: float  # NaN: nobody did.
    gone_s: float
    words: str  # Of who noticed first.
    record: Record | None  # What it left; None: none that can be read.
    record_left: bool  # Whether there is a file.
    checkpoint: int | None  # Steps of its checkpoint.

    @property
    def step(self) -> int:
        """Steps that were done when the fault came."""
        return int(self.point["drill"]["fault"].get("step", 0))

    @property
    def done(self) -> int:
        """Steps that were computed, as far as is known."""
        return max(self.step, self.in_record)

    @property
    def in_record(self) -> int:
        """Steps that the record holds."""
        return self.record.written_steps if self.record else 0

    @property
    def lost_record(self) -> int:
        """Steps that the record has not."""
        return self.done - self.in_record

    @property
    def lost_checkpoint(self) -> float:
        """Steps after the checkpoint; NaN: the run ended as planned, or left none."""
        return math.nan if self.checkpoint is None or self.ended_well else max(0, self.done - self.checkpoint)

    @property
    def ended_well(self) -> bool:
        """Whether the run came to its planned end all the same."""
        return self.record is not None and self.record.complete

    @property
    def survived(self) -> str:
        """What can be used afterwards."""
        if self.record is None:
            said = "a record that cannot be opened" if self.record_left else "no record"
        else:
            said = f"{'whole ' if self.ended_well else ''}record of {plural(self.record.written_steps, 'step')}"
        if self.checkpoint is None:
            return said
        late = self.point["drill"]["fault"].get("kind") in DAMAGING and self.checkpoint > self.step
        return f"{said}, checkpoint after {self.checkpoint}{' (with the damage)' if late else ''}"

    @property
    def as_expected(self) -> bool:
        """Whether it ended as the study says."""
        return self.state == State.DONE


@dataclass(frozen=True)
class DrillCell:
    """The repeats of a configuration."""

    runs: tuple[DrillRun, ...]

    @property
    def first(self) -> DrillRun:
        """Any of them, for what they share."""
        return self.runs[0]

    @property
    def app(self) -> str:
        """Its app."""
        return str(self.first.point["app"])

    @property
    def name(self) -> str:
        """Of the drill."""
        return str(self.first.point["drill"]["name"])

    @property
    def ranks(self) -> int:
        """Of the job."""
        return int(self.first.point["ranks"])

    @property
    def expected(self) -> tuple[int, ...]:
        """Exit codes that will do."""
        return tuple(self.first.point["drill"]["exit"])

    @property
    def odd(self) -> tuple[DrillRun, ...]:
        """Runs that ended otherwise."""
        return tuple(run for run in self.runs if not run.as_expected)

    def of(self, value: Callable[[DrillRun], float]) -> tuple[float, float, float]:
        """(median, least, most) of the runs that have one; NaN: none has."""
        known = [v for v in map(value, self.runs) if not math.isnan(v)]
        return (median(known), min(known), max(known)) if known else (math.nan,) * 3

    def each(self, text: Callable[[DrillRun], Any]) -> str:
        """What the runs say, each once."""
        return "; ".join(dict.fromkeys(str(text(run)) for run in self.runs))


def has_drills(folder: Path) -> bool:
    """Whether the study of the folder is one of faults."""
    return any("drill" in point for point in planned(folder))


def drill_cells(folder: Path) -> tuple[DrillCell, ...]:
    """What was run, in the order of apps, drills and ranks in the plan's names."""
    found: dict[str, list[DrillRun]] = {}
    for point in planned(folder):
        ended = [a for a in attempts(folder, str(point["hash"])) if a.exit] if "drill" in point else []
        if ended:
            found.setdefault(str(point["configuration"]), []).append(_run(point, ended[-1]))
    cells = [DrillCell(tuple(sorted(runs, key=lambda r: int(r.point["repeat"])))) for runs in found.values()]
    apps = sorted({cell.app for cell in cells})
    return tuple(sorted(cells, key=lambda c: (apps.index(c.app), c.name, c.ranks, str(c.first.point["configuration"]))))


def _run(point: dict[str, Any], attempt: Attempt) -> DrillRun:
    done, noticed, words = moments(read_stamps(attempt.times))
    gone = attempt.exit.get("gone_s")
    left = [p for p in (attempt.record, attempt.record.with_name(f"{attempt.record.name}.part")) if p.is_file()]
    record = checkpoint = None
    if left:
        with suppress(PartitaError):
            record = read_record(left[0])
    saved = attempt.record.with_name(f"{attempt.record.stem}.checkpoint.h5")
    if saved.is_file():
        with suppress(PartitaError):
            checkpoint, _ = read_progress(saved)
    return DrillRun(
        point, str(attempt.exit.get("state", State.LOST)), int(attempt.exit.get("status", 0)),
        str(attempt.exit.get("reason", "")),
        math.nan if done is None or noticed is None else noticed - done,
        math.nan if done is None or gone is None else float(gone) - done,
        words, record, bool(left), checkpoint,
    )  # fmt: skip


def finding_of_drills(cells: Sequence[DrillCell]) -> list[str]:
    """What stands out first, then how soon jobs were gone, and what was lost."""
    runs = [run for cell in cells for run in cell.runs]
    odd = [cell for cell in cells if cell.odd]
    said = []
    for cell in odd:
        why = cell.odd[0].reason or cell.odd[0].state
        said.append(f"{cell.app}, {cell.name}: {len(cell.odd)} of {len(cell.runs)} did not end as expected ({why})")
    fine = len(runs) - sum(len(cell.odd) for cell in cells)
    text = f"{fine} of {plural(len(runs), 'drill')} ended as they were to"
    ended = [(cell.of(lambda r: r.gone_s)[2], cell) for cell in cells if not all(r.ended_well for r in cell.runs)]
    if known := [(s, cell) for s, cell in ended if not math.isnan(s)]:
        most, slowest = max(known, key=lambda pair: pair[0])
        text += f"; the last process was gone after {most:.3g} s at most ({slowest.app}, {slowest.name})"
    if runs:
        text += f", and at most {plural(max(r.lost_record for r in runs), 'step')} were missing in a record"
    return [*said, text]
