# SPDX-License-Identifier: BSD-3-Clause
"""The section of a study of faults: what was done, a row for each drill, a picture, what was found."""

import math
from collections.abc import Callable, Iterable

from partita.analysis.drills import DrillCell, DrillRun, finding_of_drills
from partita.records.record import plural
from partita.reports.blocks import NONE, Block, Bullets, Grid, Paragraph, Shown
from partita.table import Table

WORDS = 90  # Characters of what was said first.
COLUMNS = ("app", "drill", "ranks", "runs", "exit", "expected", "noticed after", "gone after", "steps lost, record",
           "steps lost, checkpoint", "survived", "said first")  # fmt: skip
NOTE = ("Seconds from the fault, median of the runs (least to most), by the clock of the runner: noticed, until the "
        "first line of anybody says that something is wrong; gone, until the last process of the job is. Steps lost: "
        "those done when the fault came, or in the record where that has more, less those of the record, or of the "
        "checkpoint.")  # fmt: skip


def drill_blocks(study: str, cells: tuple[DrillCell, ...]) -> Iterable[Block]:
    """All of the section but the picture."""
    settings = sorted({str(cell.first.point.get("deck", "")) for cell in cells})
    ranks = ", ".join(map(str, sorted({cell.ranks for cell in cells})))
    runs = sum(len(cell.runs) for cell in cells)
    yield Paragraph(f"{plural(runs, 'run')} in which something goes wrong on purpose, at {ranks} ranks, of the decks "
                    f"{', '.join(settings)}.")  # fmt: skip
    odd = tuple(f"{sentence}." for sentence in finding_of_drills(cells)[:-1])
    if odd:
        yield Bullets(odd, "warning")
    yield _grid(study, cells)


def _grid(study: str, cells: tuple[DrillCell, ...]) -> Grid:
    numbers = Table("app", "drill", "kind", "ranks", "runs", "exit", "expected", "as_expected", "noticed_s",
                    "noticed_low_s", "noticed_high_s", "gone_s", "gone_low_s", "gone_high_s", "steps_done",
                    "lost_record", "lost_checkpoint", "survived", "said_first")  # fmt: skip
    rows = []
    for cell in cells:
        noticed, gone = cell.of(lambda r: r.noticed_s), cell.of(lambda r: r.gone_s)
        lost, late = _worst(cell, lambda r: r.lost_record), _worst(cell, lambda r: r.lost_checkpoint)
        exits, expected = cell.each(lambda r: r.status), " or ".join(map(str, cell.expected))
        words = next((run.words for run in cell.runs if run.words), "")
        as_expected = f"{len(cell.odd)} NOT as expected" if cell.odd else ""
        rows.append((
            Shown(cell.app), Shown(cell.name), Shown(str(cell.ranks)), Shown(str(len(cell.runs))),
            Shown(exits, as_expected), Shown(expected), _seconds(noticed), _seconds(gone), _steps(lost), _steps(late),
            Shown(cell.each(lambda r: r.survived)),
            Shown(_brief(words)),
        ))  # fmt: skip
        numbers.add(
            app=cell.app, drill=cell.name, kind=cell.first.point["drill"]["fault"]["kind"], ranks=cell.ranks,
            runs=len(cell.runs), exit=exits, expected=expected, as_expected=len(cell.runs) - len(cell.odd),
            noticed_s=noticed[0], noticed_low_s=noticed[1], noticed_high_s=noticed[2],
            gone_s=gone[0], gone_low_s=gone[1], gone_high_s=gone[2],
            steps_done=max(r.done for r in cell.runs), lost_record=lost, lost_checkpoint=late,
            survived=cell.each(lambda r: r.survived), said_first=words,
        )  # fmt: skip
    numeric = tuple(name not in ("app", "drill", "survived", "said first") for name in COLUMNS)
    return Grid(f"{study}_drills", "Drills", COLUMNS, numeric, tuple(rows), numbers, NOTE)


def _brief(words: str) -> str:
    """Of a run's last line its verdict alone."""
    words = words[max(0, words.find("verification FAILED")) :]
    return f"{words[:WORDS]}..." if len(words) > WORDS else words or NONE


def _worst(cell: DrillCell, value: Callable[[DrillRun], float]) -> float:
    return cell.of(value)[2]


def _seconds(of: tuple[float, float, float]) -> Shown:
    if math.isnan(of[0]):
        return Shown(NONE)
    text, low, high = (f"{s:.2f} s" for s in of)
    return Shown(text, "" if low == high else f"{low[:-2]} to {high}")


def _steps(count: float) -> Shown:
    return Shown(NONE if math.isnan(count) else f"{count:.0f}")
