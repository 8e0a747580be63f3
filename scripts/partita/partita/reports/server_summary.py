# SPDX-License-Identifier: BSD-3-Clause
"""What `partita show` says of a parameter server."""

import math

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from partita.records.record import Record, plural
from partita.records.server import QUANTILES, ServerRun, server_run


def show_server(record: Record, console: Console) -> None:
    """Protocol and what it cost; every line with virtual seconds says so itself."""
    if (run := server_run(record)) is None:
        return
    console.print()
    console.print(Text("Parameter server", style="bold"))
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, text in _lines(run):
        grid.add_row(name, Text(text, overflow="fold"))
    console.print(grid)


def _lines(run: ServerRun) -> list[tuple[str, str]]:
    summary = run.record.summary
    lines = [
        ("protocol", f"{run.protocol}: {plural(run.workers, 'worker')}, {plural(run.servers, 'server')}"),
        ("engine", run.engine),
        ("staleness", f"mean {_number(summary('staleness_mean'))}, max {_number(summary('staleness_max'))}"),
        ("conflict rate", _percent(summary("conflict_rate"))),
        ("dropped share", _percent(summary("dropped_share"))),
        ("utilisation", _percent(summary("utilisation"))),
    ]
    if (depth := run.column("queue_depth")) is not None:
        p95 = depth[:, QUANTILES.index("p95")]
        lines.append(("queue depth p95", f"{_number(p95.max())} (largest of {plural(len(p95), 'server')})"))
    for name, label in (("pull_latency", "pull"), ("push_latency", "push"), ("service", "service")):
        if (times := run.time(name)) is not None:
            of = "servers" if name == "service" else "workers"
            values = zip(QUANTILES, np.median(times, axis=0), times.max(axis=0), strict=True)
            said = ", ".join(f"{q} {_number(middle)} ({_number(most)})" for q, middle, most in values)
            lines.append((f"{label}, {run.unit}", f"{said}; median over {of} (largest)"))
    lines += _bytes(run)
    if run.has_target:
        reached = not math.isnan(run.to_target)
        lines.append((f"to target, {run.unit}", _number(run.to_target) if reached else "not reached"))
        lines.append(("to target, samples", _number(summary("samples_to_target")) if reached else "not reached"))
    return lines


def _bytes(run: ServerRun) -> list[tuple[str, str]]:
    lines = []
    for way in ("received", "sent"):
        moved, expected = run.column(f"{way}_bytes"), run.column(f"expected_{way}_bytes")
        if moved is None or expected is None:
            continue
        known = not np.isnan(np.asarray(expected, float)).any()
        verdict = "equal" if np.array_equal(moved, expected) else "DIFFERS"
        form = f"closed form {float(np.sum(expected)):.0f} B: {verdict}" if known else "no closed form"
        lines.append((f"{way} by servers", f"{int(np.sum(moved))} B; {form}"))
    return lines


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"
