# SPDX-License-Identifier: BSD-3-Clause
"""The text of `partita show`: one record on one page."""

import math
from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from partita.analysis.noise import record_warnings
from partita.errors import held_to_the_layout
from partita.records.pipeline import FORMS, PARTS, bubble
from partita.records.record import Columns, Record, plural
from partita.records.spatial import halos
from partita.reports.checkpoints import show_checkpoints
from partita.reports.links import show_links
from partita.reports.numbers import in_bytes, in_seconds, in_unit, prefixed, significant
from partita.reports.server_summary import show_server
from partita.statistics import median, quantiles

MACHINE = (
    ("host", ("hostname", "operating_system")),
    ("cpu", ("cpu_model", "cores_online", "instruction_set")),
    ("built with", ("compiler", "build_type", "instruction_set_compiled")),
    ("libraries", ("kokkos_version", "kokkos_execution_space", "math_backend", "mpi_library", "hdf5_version")),
)
WORDS = {  # How a bare number reads in a line.
    "cores_online": "{} hardware threads", "kokkos_version": "Kokkos {}", "kokkos_execution_space": "({})",
    "hdf5_version": "HDF5 {}", "instruction_set_compiled": "for {}",
}  # fmt: skip


def show(record: Record, console: Console) -> None:
    """Print everything a reader wants first, warnings before numbers."""
    console.print(Text(record.title, style="bold"))
    for warning in warnings(record):
        console.print(Text(f"warning: {warning}", style="bold yellow"))
    parts = (
        _about,
        _machine,
        _steps,
        _phases,
        _bubble,
        _halos,
        show_server,
        _training,
        _evaluation,
        _traffic,
        show_links,
        show_checkpoints,
        _calibration,
        _summary,
    )
    for part in parts:
        with held_to_the_layout(record.path, f"{part.__name__.strip('_')}: "):
            part(record, console)


def warnings(record: Record) -> list[str]:
    """What a reader must know before believing a number."""
    found = []
    if not record.complete:
        reason = record.attributes.get("exit_reason", "not known")
        planned = f" of {record.planned_steps}" if record.planned_steps > record.written_steps else ""
        steps = f"; {record.written_steps}{planned} steps written" if record.steps else ""
        found.append(f"incomplete: exit reason: {reason}{steps}")
    elif not record.verified:
        found.append(
            f"its results failed the run's own check: {record.attributes.get('verification', '')}".rstrip(": ")
        )
    if record.oversubscribed:
        found.append("oversubscribed: more threads than cores; its times say nothing about scaling")
    if int(record.attributes.get("git_dirty", 0) or 0):
        found.append("built from a changed checkout (git_dirty): the commit alone does not give this code")
    return found + record_warnings(record)


def _about(record: Record, console: Console) -> None:
    grid = _pairs()
    for name in (
        "strategy",
        "study",
        "point",
        "created_utc",
        "run_uuid",
        "git_sha",
        "exit_reason",
        "verification",
        "command",
    ):
        value = str(record.attributes.get(name, ""))
        if value:
            grid.add_row(name.replace("_", " "), Text(value, overflow="fold"))
    grid.add_row("file", Text(str(record.path), overflow="fold"))
    console.print(grid)


def _machine(record: Record, console: Console) -> None:
    grid = _pairs()
    for label, names in MACHINE:
        values = [
            WORDS.get(n, "{}").format(record.environment[n].splitlines()[0]) for n in names if record.environment.get(n)
        ]
        if values:
            grid.add_row(label, Text(", ".join(values).replace(", (", " (")))
    if grid.row_count:
        _section(console, "Machine", grid)


def _steps(record: Record, console: Console) -> None:
    if not len(record.step_s):
        return
    step_s = median(record.step_s)
    grid = _pairs()
    if record.header.note:
        before = f"the {plural(record.first_step, 'step')} before are in no row here"
        grid.add_row("began", f"{record.header.note} ({record.attributes.get('resumed_from', '?')}); {before}")
    warm, flushed = (int(np.sum(record.steps[c])) for c in ("warmup", "flushed"))
    apart = f"{record.written_steps} written: {warm} of warm-up, {flushed} after a flush"
    grid.add_row("steps counted", f"{len(record.step_s)} ({apart}; a step may be both)")
    grid.add_row("step", f"median {step_s * 1e3:.3f} ms, 80 % of steps {_spread(record.step_s)}")
    grid.add_row(
        "samples / s",
        f"{significant(record.samples_per_step / step_s)} (median step of {record.samples_per_step:g} samples)",
    )
    flop = float(record.attributes.get("flop_per_step", 0) or 0)
    if flop > 0:
        grid.add_row(
            "useful work", f"{prefixed(flop / step_s, 'flop/s')} ({prefixed(flop, 'flop')} per step, all ranks)"
        )
    if (events := record.timeline) is not None:
        lost = f"; {events.dropped} more found no room" if events.dropped else ""
        grid.add_row("events", f"{events.written} of steps {events.first_step} to {events.last_step}, from 0 on{lost}")
    _section(console, "Steps", grid)


def _phases(record: Record, console: Console) -> None:
    if not record.counted.any():
        return
    table = _table(
        ("phase", "left"), ("class", "left"), ("share", "right"), ("median step", "right"), ("80 % of steps", "right")
    )
    phase_s = record.phase_s
    for name, cls, share, seconds in zip(record.phases, record.classes, record.phase_share, phase_s.T, strict=True):
        table.add_row(name, cls, f"{100 * share:.1f} %", f"{median(seconds) * 1e3:.3f} ms", _spread(seconds))
    rest = record.mean_step_s - phase_s.sum(axis=1)
    share = median(rest / record.mean_step_s)
    table.add_row("unattributed", "", f"{100 * share:.1f} %", f"{median(rest) * 1e3:.3f} ms", _spread(rest))
    _section(console, "Phases (mean over ranks, median over counted steps)", table)


def _bubble(record: Record, console: Console) -> None:
    if (found := bubble(record)) is None:
        return
    columns = ("rank", *PARTS.values(), "idle", *FORMS.values(), "idle share")
    table = _table(*((name, "right") for name in columns))
    for rank in _few(range(record.ranks)):
        if rank is None:
            table.add_row(*["..."] * len(columns))
            continue
        times = (*found.parts.values(), found.idle_s, *found.forms.values())
        share = "-" if math.isnan(found.share[rank]) else f"{100 * found.share[rank]:.1f} %"
        table.add_row(str(rank), *(in_seconds(float(values[rank])) for values in times), share)
    _section(console, "Pipeline bubble (in a step, mean over counted steps)", table)


def _halos(record: Record, console: Console) -> None:
    if (found := halos(record)) is None:
        return
    columns = ("rank", "image rows", "halo rows", "exposed", "hidden", "exposed share", "sent")
    table = _table(*((name, "right") for name in columns))
    for rank in _few(range(record.ranks)):
        if rank is None:
            table.add_row(*["..."] * len(columns))
            continue
        counts = (f"{found.rows[rank]:.0f}", f"{found.halo_rows[rank]:.0f}")
        times = (in_seconds(float(values[rank])) for values in (found.exposed_s, found.hidden_s))
        share = "-" if math.isnan(found.share[rank]) else f"{100 * found.share[rank]:.1f} %"
        table.add_row(str(rank), *counts, *times, share, in_bytes(float(found.sent_bytes[rank])))
    _section(console, "Halos (in a step, mean over counted steps)", table)


def _training(record: Record, console: Console) -> None:
    if not record.written_steps:
        return
    loss = record.steps["loss"]
    grid = _pairs()
    first = f"step {record.first_step + 1}, its first" if record.first_step else "first step"
    grid.add_row(f"loss, {first}", f"{loss[0]:.6g}")
    grid.add_row(f"loss, step {record.first_step + len(loss)}", f"{loss[-1]:.6g}")
    if last := record.last_grad_norm():
        grid.add_row(f"gradient norm, step {last[0]}", f"{last[1]:.6g}")
    _section(console, "Training", grid)


def _evaluation(record: Record, console: Console) -> None:
    columns = record.groups.get("evaluation", {})
    done = [i for i, step in enumerate(columns.get("step", ())) if step >= 0]
    if not done:
        return
    table = _table(("after step", "right"), ("held-out loss", "right"), ("accuracy", "right"), ("samples", "right"))
    for i in _few(done):
        if i is None:
            table.add_row("...", "", "", "")
            continue
        accuracy = f"{100 * columns['accuracy'][i]:.2f} %"
        table.add_row(str(columns["step"][i]), f"{columns['loss'][i]:.6g}", accuracy, str(columns["samples"][i]))
    _section(console, "Evaluation", table)


def _traffic(record: Record, console: Console) -> None:
    columns = record.groups.get("traffic", {})
    if not len(columns.get("operation", ())):
        return
    table = _table(("operation", "left"), ("calls", "right"), ("messages", "right"), ("sent, all ranks", "right"),
                   ("closed form", "right"), ("", "left"), ("longest rank", "right"),
                   ("predicted", "right"))  # fmt: skip
    for i, label in enumerate(columns["operation"]):
        sent, expected = float(columns["sent_bytes"][i].sum()), float(columns["expected_bytes"][i].sum())
        known = not math.isnan(expected)
        verdict = (
            ""
            if not known
            else "equal"
            if np.array_equal(columns["sent_bytes"][i], columns["expected_bytes"][i])
            and np.array_equal(columns["messages"][i], columns.get("expected_messages", columns["messages"])[i])
            else "DIFFERS"
        )
        table.add_row(
            str(label), str(columns["calls"][i].max()), str(columns["messages"][i].sum()), in_bytes(sent),
            in_bytes(expected) if known else "-", verdict, in_seconds(columns["seconds"][i].max()),
            in_seconds(columns["predicted_s"][i]),
        )  # fmt: skip
    _section(console, "Traffic in the timed steps", table)


def _calibration(record: Record, console: Console) -> None:
    columns = record.groups.get("calibration", {})
    if not len(columns.get("value", ())):
        return
    grid = _pairs()
    for name, value, unit in zip(columns["quantity"], columns["value"], columns["unit"], strict=True):
        grid.add_row(str(name), in_unit(float(value), str(unit)))
    _section(console, "Calibration of this machine", grid)


def _summary(record: Record, console: Console) -> None:
    columns: Columns = record.groups.get("summary", {})
    if not len(columns.get("metric", ())):
        return
    table = _table(
        ("metric", "left"),
        ("value", "right"),
        ("unit", "left"),
        ("n", "right"),
        ("scope", "left"),
    )
    for i, metric in enumerate(columns["metric"]):
        unit = str(columns["unit"][i])
        table.add_row(str(metric), f"{columns['value'][i]:.5g}", "" if unit == "1" else unit,
                      str(columns["n"][i]), str(columns["scope"][i]))  # fmt: skip
    _section(console, "Summary", table)


def _pairs() -> RichTable:
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    return grid


def _table(*columns: tuple[str, str]) -> RichTable:
    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for name, justify in columns:
        table.add_column(name, justify=justify, no_wrap=justify == "right")
    return table


def _section(console: Console, title: str, body: RichTable) -> None:
    console.print()
    console.print(Text(title, style="bold"))
    console.print(body)


def _few(items: Sequence[int], most: int = 8) -> list[int | None]:
    """All of them, or the first and last with None between."""
    return list(items) if len(items) <= most else [*items[: most // 2], None, *items[-most // 2 :]]


def _spread(samples: np.ndarray) -> str:
    """Where eight of ten steps lie: no interval, which is over runs alone."""
    low, high = quantiles(samples)
    return f"{low * 1e3:.3f} .. {high * 1e3:.3f} ms"
