# SPDX-License-Identifier: BSD-3-Clause
"""`partita export`."""

from pathlib import Path
from typing import Annotated

import typer

from partita.console import make_console
from partita.errors import ExitCode, held_to_the_layout


def export(
    perfetto: Annotated[
        Path, typer.Option(metavar="RECORD", help="Record with events (record.events), for https://ui.perfetto.dev.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The trace's file [RECORD with .trace.json].")
    ] = None,
) -> int:
    """Write the events of a record for another program.

    A process of the trace is a node, a thread a rank; arrows lead from sends to their receives.

    \b
    Example:
        partita export --perfetto runs/one.h5 -o trace.json
    """  # noqa: D301
    from partita.exports.perfetto import trace
    from partita.records.events import read_events

    events = read_events(perfetto)
    with held_to_the_layout(perfetto, "events: "):
        made = trace(events)
    target = output or perfetto.with_name(f"{perfetto.name.partition('.h5')[0]}.trace.json")
    made.write(target)
    console = make_console()
    console.print(f"{perfetto.name}: {len(events)} events, {made.arrows} arrows -> {target}", soft_wrap=True)
    if made.late_ns > 0:
        console.print(
            f"note: a message seems to arrive {made.late_ns / 1e3:.3g} us before it was sent: the clocks are known no "
            "better",
            soft_wrap=True,
        )
    return ExitCode.DONE
