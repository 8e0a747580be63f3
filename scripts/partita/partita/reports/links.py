# SPDX-License-Identifier: BSD-3-Clause
"""Alpha-beta fits as a table of the report and of `partita show`; what has no fit is named with the reason."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from partita.analysis.fits import Fit
from partita.analysis.links import Timed, bench_times, fitted, run_times, unfitted
from partita.records.record import Record
from partita.reports.blocks import Block, Grid, Paragraph, Shown
from partita.reports.numbers import in_bytes, in_seconds, significant
from partita.table import Table

TITLE = "Latency and bandwidth: fits of time = alpha + beta x bytes"
MEANS = ("Latency: alpha; bandwidth: 1 / beta; half of it is reached at alpha / beta bytes. Least squares of relative "
         "residuals, from 5 sizes on; residual: fit over median time, minus 1.")  # fmt: skip
OF_EVENTS = ("Message: from the begin of its send to the end of a receive that waited for it; exchange: from where the "
             "last rank comes to it to where the last one leaves.")  # fmt: skip
CROWDED = "More threads than cores: times are of time slices, not of messages."
MOST_NAMED = 6


def _bytes(value: float) -> str:
    return in_bytes(value).replace(".00 ", " ")


def _three(value: float) -> str:
    """With three digits that count, also where the fourth makes 0.9999 a whole number."""
    return significant(float(f"{value:.3g}"), 3)


@dataclass(frozen=True)
class _Column:
    heading: str
    text: Callable[[Timed, Fit], str]
    numeric: bool = True


COLUMNS = (
    _Column("operation", lambda t, f: t.name.replace("_", "-"), numeric=False),
    _Column("ranks", lambda t, f: t.ranks),
    _Column("sizes", lambda t, f: f"{len(set(t.sizes))}: {_bytes(t.sizes[0])} .. {_bytes(t.sizes[-1])}"),
    _Column("latency (µs)", lambda t, f: _three(1e6 * f.parameters["alpha"])),
    _Column("bandwidth (GB/s)", lambda t, f: _three(1e-9 * f.implied["bandwidth"])),
    _Column("half of it at", lambda t, f: _bytes(f.implied["half"])),
    _Column("residual, rms", lambda t, f: f"{100 * f.rms:.2g} %"),
    _Column("residual, largest", lambda t, f: f"{100 * t.worst[1]:+.2g} % at {_bytes(t.worst[0])}"),
)


def link_blocks(name: str, title: str, times: Sequence[Timed] | str, crowded: bool = False) -> list[Block]:
    """A table of the fits and why others have none; one note where nothing was fitted."""
    if isinstance(times, str):
        return [Paragraph(f"{title}: no alpha-beta fit: {times}.", "note")]
    found = fitted(times)
    why = _missing(times)
    if not found:
        return [Paragraph(f"{title}: no alpha-beta fit: {why}.", "note")]
    every = [_numbers(t) for t in found]
    numbers = Table(*every[0])
    for values in every:
        numbers.add(**values)
    rows = tuple(tuple(Shown(c.text(t, t.fit)) for c in COLUMNS) for t in found if isinstance(t.fit, Fit))
    note = " ".join([MEANS, *_notes(times, crowded), *([f"Without a fit: {why}."] if why else [])])
    shown = tuple(c.heading for c in COLUMNS), tuple(c.numeric for c in COLUMNS)
    return [Grid(f"{name}_links", title, *shown, rows, numbers, note)]


def show_links(record: Record, console: Console) -> None:
    """What `partita show` says: of comm_bench, and of runs that recorded events."""
    if not record.collectives and record.timeline is None:
        return
    times = bench_times(record) if record.collectives else run_times(record)
    console.print()
    console.print(Text(TITLE, style="bold"))
    found = [] if isinstance(times, str) else fitted(times)
    why = times if isinstance(times, str) else _missing(times)
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for t in found:
        words = t.fit.words if isinstance(t.fit, Fit) else t.fit
        grid.add_row(Text(t.name.replace("_", "-")), Text(f"{words} at {_bytes(t.worst[0])}"))
    if found:
        console.print(grid)
        for note in _notes(times, record.oversubscribed):
            console.print(Text(note))
    if why:
        console.print(Text(f"no fit: {why}"))


def _missing(times: Sequence[Timed]) -> str:
    """`4 sizes: fits from 5 on (halo direct, transfer direct)`."""
    parts = []
    for reason, names in unfitted(times).items():
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        parts.append(f"{reason} ({', '.join(names[:MOST_NAMED])}{more})")
    return "; ".join(parts)


def _notes(times: Sequence[Timed] | str, crowded: bool) -> list[str]:
    """What a reader must know of where the times come from."""
    if isinstance(times, str):
        return []
    off = [t for t in times if t.disagrees]
    said = [f"{t.name} ({in_seconds(t.recorded[0])} + {t.recorded[1]:.3g} s/byte)" for t in off[:MOST_NAMED]]
    notes = [f"The record's own fit is another one: {', '.join(said)}."] if said else []
    if any("along" in t.way for t in times):
        notes.append(OF_EVENTS)
    return [*notes, CROWDED] if crowded else notes


def _numbers(t: Timed) -> dict[str, object]:
    assert isinstance(t.fit, Fit)
    size, residual = t.worst
    half = t.fit.implied["half"]
    return {
        "operation": t.operation, "way": t.way, "ranks": t.ranks, "sizes": len(set(t.sizes)),
        "least_byte": t.sizes[0], "most_byte": t.sizes[-1], "alpha_s": t.fit.parameters["alpha"],
        "beta_s_per_byte": t.fit.parameters["beta"], "byte_per_s": t.fit.implied["bandwidth"],
        "half_byte": half if math.isfinite(half) else math.nan, "residual_rms": t.fit.rms,
        "residual_largest": residual, "worst_byte": size,
    }  # fmt: skip
