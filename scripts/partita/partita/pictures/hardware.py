# SPDX-License-Identifier: BSD-3-Clause
"""The same strategies on several machines, side by side: throughput of one model and batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl

from partita.analysis.scaling import Entry, analyse
from partita.pictures import bars, style
from partita.pictures.picture import Picture, code_words, machine_words, model_words
from partita.pictures.scaling import throughput
from partita.records.folder import RecordedStudy
from partita.table import Table

HATCHES = ("", "/////", "xxxx", "ooo", "||", "....")
Key = tuple[str, str, float]  # App, model, batch.


@dataclass(frozen=True)
class Row:
    """One strategy on one machine."""

    series: str
    machine: str
    code: str
    entry: Entry

    @property
    def label(self) -> str:
        """Both."""
        return f"{self.series} · {self.machine}"

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return self.entry.ranks

    @property
    def oversubscribed(self) -> bool:
        """Whether any run had more threads than cores."""
        return self.entry.oversubscribed


def hardware_picture(studies: Sequence[RecordedStudy]) -> Picture | str:
    """A bar for each strategy and machine, at the numbers of ranks that two machines or more have."""
    found = _rows(studies)
    shared = {key: rows for key, rows in found.items() if len({row.machine for row in rows}) > 1}
    if not shared:
        return "no app, model and batch ran on two machines or more"
    (app, model, batch), rows = max(shared.items(), key=lambda item: len(item[1]))
    of_ranks = {p: {row.machine for row in rows if row.ranks == p} for p in {row.ranks for row in rows}}
    rows = sorted((row for row in rows if len(of_ranks[row.ranks]) > 1), key=lambda r: (r.ranks, r.series, r.machine))
    if not rows:
        return f"no number of ranks of {app} ran on two machines or more"
    table = Table("series", "machine", "code", "ranks", "runs", "samples_per_s", "low", "high")
    for row in rows:
        rate = throughput(row.entry)
        table.add(series=row.series, machine=row.machine, code=row.code, ranks=row.ranks, runs=row.entry.runs,
                  samples_per_s=rate.value, low=rate.low, high=rate.high)  # fmt: skip
    machines = list(dict.fromkeys(row.machine for row in rows))
    rows, said = bars.fitting(rows)
    page, places = bars.page(rows, 1)
    page.width = style.TWO
    looks = style.looks(row.series for row in rows)
    axes, most = page.axes[0], max(throughput(row.entry).value for row in rows)
    with mpl.rc_context(style.SETTINGS):
        for row, y in zip(rows, places, strict=True):
            rate = throughput(row.entry)
            hatch = HATCHES[machines.index(row.machine) % len(HATCHES)]
            bars.bar(axes, y, 0, rate.value, looks[row.series].colour, hatch)
            if rate.bounded:
                axes.plot([rate.low, rate.high], [y, y], color=style.INK, lw=1.0, label="_interval")
            bars.value(axes, max(rate.value, rate.high if rate.bounded else 0), y, style.short(rate.value))
        bars.finish(page, rows, places)
        axes.set_xlim(0, 1.15 * most)
        axes.set_xlabel("samples per second")
    handles = [style.square(style.GREY, machine, HATCHES[k % len(HATCHES)]) for k, machine in enumerate(machines)]
    codes = list(dict.fromkeys(row.code for row in rows))
    heading = "  ·  ".join([model, f"batch {batch:g}", *codes])
    notes = ["medians over runs; lines: their intervals, from 6 runs on", said]
    if len(codes) > 1:
        notes.append("careful: the machines ran different code")
    figure = page.finish(f"{app} on {len(machines)} machines", heading, notes, handles)
    return Picture("hardware", figure, table)


def _rows(studies: Sequence[RecordedStudy]) -> dict[Key, list[Row]]:
    found: dict[Key, list[Row]] = {}
    for study in studies:
        for series, line in analyse(study).lines:
            for cell, entry in zip(series.cells, line, strict=True):
                first = cell.records[0]
                key = (study.app, model_words(first), first.samples_per_step)
                row = Row(series.label, machine_words(first), code_words(first), entry)
                found.setdefault(key, []).append(row)
    return found
