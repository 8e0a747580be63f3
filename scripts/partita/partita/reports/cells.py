# SPDX-License-Identifier: BSD-3-Clause
"""The table of metrics as tables for people: a row for each series and number of ranks, a column for each metric."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from partita.analysis.efficiency import LOST
from partita.reports.blocks import NONE, Grid, Shown
from partita.reports.units import Unit, heading, unit_of
from partita.table import Table

if TYPE_CHECKING:
    import pandas as pd

PLACE = ("series", "ranks", "threads", "nodes")
GROUPS = {  # Title of a table -> its metrics; those that nobody measured are left out.
    "Time and scaling": ("step_s", "samples_per_s", "virtual_step_s", "samples_per_virtual_s", "speedup",
                         "efficiency"),
    "More of the scaling": ("karp_flatt", "computation_scaling", "global_efficiency", "flop_per_step"),
    "Where the efficiency goes": ("parallel_efficiency", "load_balance", "serialisation", "transfer",
                                  *(f"lost:{name}" for name in LOST), "bubble_share", "mfu"),
    "Time in a step, by class of phases": ("class_s:compute", "class_s:communication", "class_s:wait",
                                           "class_s:input", "class_s:other", "exposed_s", "hidden_s", "overlap"),
    "Communication and memory": ("sent_bytes", "messages", "state_bytes", "peak_memory_bytes"),
    "Checkpoints": ("checkpoint_s", "checkpoint_share", "checkpoint_bytes", "checkpoint_byte_per_s"),
    "Training": ("training_loss", "loss", "accuracy", "seconds_to_target", "virtual_seconds_to_target",
                 "samples_to_target", "staleness_mean"),
}  # fmt: skip


def over_runs(table: "pd.DataFrame", study: str) -> "pd.DataFrame":
    """The rows of a study that speak for all runs of a point."""
    rows = table[(table["study"] == study) & (table["scope"] == "over runs")]
    if rows["app"].nunique() < 2:
        return rows
    return rows.assign(series=rows["app"] + ": " + rows["series"])  # Two apps may have series of one name.


def grids(rows: "pd.DataFrame", study: str) -> list[Grid]:
    """The tables of one study that have anything to say."""
    made = [_grid(rows, study, title, metrics) for title, metrics in GROUPS.items()]
    return [grid for grid in made if grid]


def places(rows: "pd.DataFrame") -> list[tuple[Any, ...]]:
    """(series, ranks, threads, nodes) in the order of the table, ranks ascending inside a series."""
    found = list(dict.fromkeys(zip(*(rows[c] for c in PLACE), strict=True)))
    order = {name: i for i, name in enumerate(dict.fromkeys(p[0] for p in found))}
    return sorted(found, key=lambda p: (order[p[0]], *p[1:]))


def value_of(rows: "pd.DataFrame", metric: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Place -> the row of this metric there."""
    chosen = rows[rows["metric"] == metric]
    return {tuple(row[c] for c in PLACE): row for row in chosen.to_dict("records")}


def _grid(rows: "pd.DataFrame", study: str, title: str, metrics: Sequence[str]) -> Grid | None:
    found = {metric: value_of(rows, metric) for metric in metrics}
    found = {m: at for m, at in found.items() if _says_something(m, at)}
    if not found:
        return None
    where = [p for p in places(rows) if any(p in at for at in found.values())]
    keep = [i for i, name in enumerate(PLACE) if name in ("series", "ranks") or len({p[i] for p in where}) > 1]
    units = _units(found)
    columns = (*(PLACE[i] for i in keep), "runs", *(heading(m, units[m]) for m in found))
    numbers = Table(*PLACE, "runs", *(f"{m}{end}" for m in found for end in ("", "_low", "_high", "_level")))
    shown = []
    for place in where:
        at = {m: found[m].get(place) for m in found}
        runs = max((int(row["n"]) for row in at.values() if row), default=0)
        row = [Shown(str(place[i])) for i in keep] + [Shown(str(runs))]
        row += [_shown(at[m], units[m]) for m in found]
        shown.append(tuple(row))
        numbers.add(**dict(zip(PLACE, place, strict=True)), runs=runs, **_numbers(at))
    numeric = (*(PLACE[i] != "series" for i in keep), True, *(True for _ in found))
    name = f"{study}_{title.lower().replace(',', '').replace(' ', '_')}"
    return Grid(name, title, columns, numeric, tuple(shown), numbers, _levels(list(found.values())))


def _says_something(metric: str, at: dict[tuple[Any, ...], dict[str, Any]]) -> bool:
    """Whether it is known anywhere; a class in which no time was spent is not worth a column."""
    known = [row["value"] for row in at.values() if not math.isnan(row["value"])]
    return any(known) if metric.startswith("class_s:") else bool(known)


def _units(found: dict[str, dict[tuple[Any, ...], dict[str, Any]]]) -> dict[str, Unit]:
    """One unit for all columns of seconds of a table: they are compared with each other."""
    seconds = [m for m, at in found.items() if next(iter(at.values()))["unit"] == "s" and not m.endswith("target")]
    most = max(seconds, key=lambda m: max(r["value"] for r in found[m].values()), default="")
    units = {}
    for metric, at in found.items():
        by = found[most] if metric in seconds else at
        units[metric] = unit_of(metric, next(iter(at.values()))["unit"], [r["value"] for r in by.values()])
    return units


def _shown(row: dict[str, Any] | None, unit: Any) -> Shown:
    if row is None:
        return Shown(NONE)
    reason = str(row["reason"] or "")
    if row["low"] == row["high"]:  # A base held against itself: 1 by definition, nothing was estimated.
        return Shown(unit.text(row["value"]))
    return unit.shown(row["value"], row["low"], row["high"], reason if math.isnan(row["value"]) else "")


def _numbers(at: dict[str, dict[str, Any] | None]) -> dict[str, float]:
    made = {}
    for metric, row in at.items():
        for end, column in (("", "value"), ("_low", "low"), ("_high", "high"), ("_level", "level")):
            made[f"{metric}{end}"] = float(row.get(column, math.nan)) if row else math.nan
    return made


def _levels(found: Sequence[dict[tuple[Any, ...], dict[str, Any]]]) -> str:
    """What the small numbers are, and why they are missing where they are."""
    rows = [row for at in found for row in at.values() if not math.isnan(row["value"])]
    with_interval = [row for row in rows if row["low"] < row["high"]]
    known = [row.get("level", math.nan) for row in with_interval]
    levels = sorted({round(100 * level, 2) for level in known if not math.isnan(level)})
    parts = []
    if with_interval:
        ends = f"{levels[0]:g} %" if len(levels) == 1 else f"{levels[0]:g} to {levels[-1]:g} %" if levels else "95 %"
        parts.append(f"Small numbers: interval over runs, exact level {ends}.")
    reasons = sorted({str(row["reason"]) for row in rows if row["reason"] and math.isnan(row["low"])})
    if reasons:
        more = f", and {len(reasons) - 4} more reasons" if len(reasons) > 4 else ""
        parts.append(f"Without an interval: {'; '.join(reasons[:4])}{more}.")
    return " ".join(parts)
