# SPDX-License-Identifier: BSD-3-Clause
"""What was planned, what ran, what did not, and why: from plan.json, the attempts on disk and the records."""

from collections import Counter

from partita.records.record import plural
from partita.reports.blocks import Block, Grid, Paragraph, plain_grid
from partita.reports.material import Material, Place, title_of
from partita.studies.state import State
from partita.studies.status import PointStatus, status_of

MOST_ROWS = 200


def points(place: Place) -> tuple[PointStatus, ...]:
    """The planned points of a place, in the order of the plan; none without a plan."""
    return status_of(place.folder).points if place.planned else ()


def tally(material: Material) -> list[Block]:
    """A row for each study, then every point and every file that is not in the numbers, with the reason."""
    rows, missed = [], []
    for place in material.places:
        planned = points(place)
        counts = Counter(p.state for p in planned)
        used = len({r.path for s in place.studies for r in s.records}) + len(place.benches)
        name = place.name or title_of(place.folder)
        other = ", ".join(f"{n} {state.value}" for state, n in sorted(counts.items()) if state != State.DONE)
        plan = (str(len(planned)), str(counts[State.DONE])) if planned else ("no plan kept", "-")
        rows.append((name, *plan, other or "-", str(used), str(len(place.left_out))))
        open_ones = [p for p in planned if p.state != State.DONE]
        missed += [(name, p.name, p.state.value, p.reason or "-", str(p.attempts)) for p in open_ones]
    columns = ("study", "planned", "done", "not done", "records used", "records left out")
    blocks: list[Block] = [plain_grid("points", "Points and records", columns, rows)]
    if missed:
        columns = ("study", "point", "state", "reason", "attempts")
        blocks.append(_cut("not_done", "Points that are not done", columns, missed))
    left_out = [(place.name or ".", *_file_and_reason(text)) for place in material.places for text in place.left_out]
    if left_out:
        blocks.append(_cut("left_out", "Files left out", ("folder", "file", "reason"), left_out))
    if not missed and not left_out:
        blocks.append(Paragraph("Nothing that was found had to be left out.", "note"))
    return blocks


def _cut(name: str, title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Grid:
    """All rows in the CSV, the first ones in the report."""
    whole = plain_grid(name, title, columns, rows)
    if len(rows) <= MOST_ROWS:
        return whole
    note = f"The first {MOST_ROWS} of {plural(len(rows), 'row')}; `--csv` writes all."
    return Grid(name, title, columns, whole.numeric, whole.rows[:MOST_ROWS], whole.numbers, note)


def _file_and_reason(text: str) -> tuple[str, str]:
    """`a/b.h5: schema_version: 9, which ...` -> the file's name and the rest."""
    for end in (".h5.part", ".h5", ".json"):
        head, found, rest = text.partition(f"{end}: ")
        if found:
            return f"{head}{end}", rest
    return "-", text
