# SPDX-License-Identifier: BSD-3-Clause
"""`partita export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from partita.console import make_console
from partita.errors import ExitCode, UsageError, held_to_the_layout
from partita.exports.work import Work


class To(StrEnum):
    """What a folder is written as."""

    CSV = "csv"
    JSON = "json"
    XARRAY = "xarray"
    EXTRAP = "extrap"
    THICKET = "thicket"


def export(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of records; for xarray also one record.", show_default=False)
    ] = None,
    to: Annotated[
        To | None,
        typer.Option(
            help="csv, json: the long table; xarray: netCDF files of steps; extrap, thicket: for these tools."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file, or the folder of several [beside what is exported]."),
    ] = None,
    work: Annotated[
        Work | None,
        typer.Option(help="extrap: time of a rank, or total of all ranks [total for strong scaling, else rank]."),
    ] = None,
    perfetto: Annotated[
        Path | None,
        typer.Option(metavar="RECORD", help="Record with events (record.events), for https://ui.perfetto.dev."),
    ] = None,
) -> int:
    """Write records for other programs: what counts, without warm-up.

    Extra-P: JSON lines with all repeats, a file for each series. Its models grow with p, as weak scaling does, so
    `time` is of a rank and `total_time` that of all ranks: p times as much. Thicket: Hatchet's literal trees with
    Adiak's names, a profile for each run.

    Of a trace, a process is a node, a thread a rank; arrows lead from sends to their receives.

    \b
    Examples:
        partita export runs/quickstart_strong --to csv -o table.csv
        partita export runs/quickstart_weak --to extrap -o weak.jsonl
        partita export --perfetto runs/one.h5 -o trace.json
    """  # noqa: D301
    console = make_console()
    if perfetto is not None:
        if folder is not None or to is not None:
            raise UsageError("partita export", f"--perfetto {perfetto} and more", "one of them alone")
        return _trace(perfetto, output, console)
    if folder is None or to is None:
        raise UsageError("partita export", "nothing to write", "FOLDER --to KIND, or --perfetto RECORD")
    if work is not None and to is not To.EXTRAP:
        raise UsageError(f"--work {work.value}", f"--to {to.value}", "--to extrap with it")
    from partita.exports import files

    for line in files.write(folder, to.value, output, work):
        console.print(line, soft_wrap=True, markup=False)
    return ExitCode.DONE


def _trace(perfetto: Path, output: Path | None, console: Console) -> int:
    from partita.exports.perfetto import trace
    from partita.records.events import read_events

    events = read_events(perfetto)
    with held_to_the_layout(perfetto, "events: "):
        made = trace(events)
    target = output or perfetto.with_name(f"{perfetto.name.partition('.h5')[0]}.trace.json")
    made.write(target)
    console.print(f"{perfetto.name}: {len(events)} events, {made.arrows} arrows -> {target}", soft_wrap=True)
    if made.late_ns > 0:
        console.print(
            f"note: a message seems to arrive {made.late_ns / 1e3:.3g} us before it was sent: the clocks are known no "
            "better",
            soft_wrap=True,
        )
    return ExitCode.DONE
