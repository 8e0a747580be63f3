# SPDX-License-Identifier: BSD-3-Clause
"""What lies where in a record (DESIGN.md section 9), and whether it is what it should be."""

import math
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from h5py import h5f

from partita.records import hdf5
from partita.records.hdf5 import Columns, Group

GROUPS = ("calibration", "ranks", "traffic", "evaluation", "summary", "kernels", "peaks", "strategy", "virtual",
          "checkpoints")  # fmt: skip
BESIDE = frozenset((*GROUPS, "config", "environment", "steps", "events", "step", "rank", "phase", "steps_written"))
KINDS = {  # Whole numbers ("i") or any ("f"), of the columns that metrics of every run are made of.
    "steps": {"warmup": "i", "flushed": "i", "loss": "f", "samples": "i"},
    "evaluation": {"step": "i", "loss": "f", "accuracy": "f", "samples": "i"},
    "strategy": {"weight_bytes": "i", "gradient_bytes": "i", "optimizer_bytes": "i", "exposed_s": "f", "hidden_s": "f"},
    "ranks": {"peak_memory_bytes": "i"},
    "traffic": {"sent_bytes": "i", "messages": "i"},
    "calibration": {"value": "f"},
}
LEADING = {"evaluation": "step", "traffic": "sent_bytes", "calibration": "quantity"}  # Has the extents of the others.
NUMBERS = {  # Columns that pictures are made of.
    "evaluation": tuple(KINDS["evaluation"]),
    "strategy": tuple(KINDS["strategy"]),  # Of data parallelism.
    "checkpoints": ("step", "seconds", "bytes"),
    "peaks": ("flop_per_s", "byte_per_s"),
    "kernels": ("flop", "byte", "flop_per_s", "byte_per_s", "time_s", "ci_low_s", "ci_high_s", "peak_share"),
}
SCALES = ("phase", "phase_class", "rank", "steps_written")  # In /steps, beside its columns.
COLLECTIVE = ("byte", "median_s", "ci_low_s", "ci_high_s", "busbw_byte_per_s", "algorithm")
OPERATIONS = (
    "ping_pong", "allreduce", "reduce_scatter", "all_gather", "broadcast", "reduce", "gather", "scatter", "all_to_all",
    "halo", "transfer", "tree_allreduce",
)  # fmt: skip
AXES = {"start_ns": ("rank",), "end_ns": ("rank",), "phase_s": ("rank", "phase")}  # Of /steps, beside the step.


@dataclass(frozen=True)
class Timeline:
    """What /events holds, without its columns: they may be large."""

    first_step: int  # Chosen steps, both included.
    last_step: int
    written: int
    dropped: int


@dataclass(frozen=True, eq=False)
class StepTimes:
    """What is always known of /steps."""

    written: int
    planned: int  # Warm-up included; more than were written when the run was stopped.
    counted: np.ndarray  # (written): neither warm-up nor the step after a flush.
    step_s: np.ndarray  # (counted step): seconds, the longest of its ranks.


def kind_of(file: h5f.FileID, names: Sequence[str]) -> str:
    """`training`, `kernels` (of kernel_bench) or `collectives` (of comm_bench)."""
    if "kernels" in names and "peaks" in names and hdf5.extent(file, "kernels/benchmark")[0]:
        return "kernels"
    return "collectives" if operations(file, names) else "training"


def read_environment(file: h5f.FileID) -> dict[str, str]:
    """All of /environment."""
    group = hdf5.group(file, "environment")
    return {name: str(value) for name, value in hdf5.attributes(group).items()} if group else {}


def column_names(place: Group, group: str) -> tuple[str, ...]:
    """Of one of GROUPS, or of /steps: those with a row for each step. ValueError where values of /summary have no name.

    Most views ask nothing of /summary, so it is checked here and not at reading.
    """
    if group == "summary":
        check_summary(place)
    names = shared(place.names)
    return tuple(name for name in names if name not in SCALES) if group == "steps" else names


def read_column(place: Group, group: str, name: str, rows: int) -> np.ndarray:
    """One of them; ValueError where it holds no numbers and should. rows: of /steps, or ranks."""
    leading = LEADING.get(group)
    if kind := KINDS.get(group, {}).get(name):
        if name == leading or leading not in place.names:
            return hdf5.numbers(place, name, kind, None if leading else (rows,))
        wanted = hdf5.extent(place, leading)
        values = hdf5.numbers(place, name, kind, wanted)
        if values.shape != wanted:
            raise ValueError(f"/{group}/{name} has {_product(values.shape)} values, not {_product(wanted)}")
        return values
    if name == leading:
        return hdf5.texts(place, name)
    values = hdf5.array(place, name)
    if name in NUMBERS.get(group, ()) or group == "steps":
        check_numbers(group, {name: values}, (name,))
    return values


@lru_cache(maxsize=256)
def shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """Thousands of records have the same names."""
    return names


def operations(file: h5f.FileID, names: Iterable[str]) -> list[str]:
    """The groups that hold times of an operation by byte and algorithm, in the order in which they were measured."""
    found = hdf5.groups_with(file, [name for name in names if name not in BESIDE], COLLECTIVE)
    return sorted(found, key=lambda name: OPERATIONS.index(name) if name in OPERATIONS else len(OPERATIONS))


def read_operation(file: h5f.FileID, name: str) -> Columns:
    """Times of one operation."""
    columns = hdf5.columns(hdf5.group(file, name))
    check_numbers(name, columns, COLLECTIVE[:-1])
    if columns["median_s"].shape != (len(columns["byte"]), len(columns["algorithm"])):
        raise ValueError(f"/{name}/median_s has not one value for each byte and algorithm")
    return columns


def read_timeline(file: h5f.FileID) -> Timeline:
    """What /events says of itself."""
    group = hdf5.group(file, "events")
    ends = (int(hdf5.attribute(group, name)) for name in ("first_step", "last_step"))
    return Timeline(*ends, *(int(hdf5.array(group, name)) for name in ("events_written", "events_dropped")))


def read_times(file: h5f.FileID, steps: Group, ranks: int) -> tuple[StepTimes, Columns]:
    """The times of /steps and the columns that they were checked with; ValueError or KeyError where something is wrong.

    The columns are those that metrics ask for next.
    """
    # Ahead of the columns: a run that goes on adds rows between the two.
    written = int(hdf5.numbers(file, "steps_written", "i", ()))
    planned = hdf5.extent(steps, "loss")[0]
    if not 0 <= written <= planned:
        raise ValueError(f"/steps_written is {written}, /steps has {planned} rows")
    phases = hdf5.extent(steps, "phase")[0]
    if hdf5.stored(steps, "phase_class") != phases * hdf5.TEXT_BYTE:
        classes = hdf5.extent(steps, "phase_class")[0]
        if classes != phases:
            raise ValueError(f"/steps/phase_class has {classes} values, /steps/phase {phases}")

    def column(name: str, kind: str, *axes: int) -> np.ndarray:
        values = hdf5.numbers(steps, name, kind, None if axes else (planned,))
        if values.shape != (planned, *axes):
            raise ValueError(f"/steps/{name} has {_product(values.shape)} values, not {_product((planned, *axes))}")
        return values[:written]

    found = {"warmup": column("warmup", "i"), "samples": column("samples", "i")}
    counted = (found["warmup"] == 0) & (column("flushed", "i") == 0)
    if "start_ns" in steps.names:
        by_rank = column("end_ns", "i", ranks) - column("start_ns", "i", ranks)
        if by_rank.size and by_rank.min() < 0:
            raise ValueError("/steps has steps that took no time, or less")
        elapsed = by_rank.max(axis=1) * 1e-9
        phase_s = found["phase_s"] = column("phase_s", "f", ranks, phases)
    else:  # record.detail = "stats"
        elapsed = column("step_max_s", "f")
        phase_s = found["phase_mean_s"] = column("phase_mean_s", "f", phases)
    step_s = elapsed[counted]
    if not (step_s > 0).all():
        raise ValueError(f"/steps has steps that took no time{' (NaN)' if np.isnan(step_s).any() else ''}")
    if not (phase_s >= 0).all():
        said = "less than no" if (phase_s < 0).any() else "NaN"
        raise ValueError(
            f"/steps has phases that took {said} seconds ({int((~(phase_s >= 0)).sum())} of {phase_s.size})"
        )
    return StepTimes(written, planned, counted, step_s), found


def read_step_column(steps: Group, name: str, times: StepTimes) -> np.ndarray:
    """A column of /steps, cut to the steps that were written; ValueError where it has not a row for each."""
    values = read_column(steps, "steps", name, times.planned)
    if values.shape[:1] != (times.planned,):
        raise ValueError(f"/steps/{name} has {values.shape} values, not a row for each of {times.planned} steps")
    return values[: times.written]


def check_tables(place: Callable[[str], Group], names: Container[str], ranks: int) -> None:
    """ValueError or KeyError where tables that views use have not the types and extents that they should."""
    if "evaluation" in names:
        _check_table(place("evaluation"), "evaluation", "step", 8, ("step", "loss", "accuracy"))
    if "checkpoints" in names:
        _check_table(place("checkpoints"), "checkpoints", "step", 8, NUMBERS["checkpoints"][1:])
    if "traffic" in names:
        columns = ("seconds", "sent_bytes")
        _check_table(place("traffic"), "traffic", "kind", hdf5.TEXT_BYTE, columns, ranks)


def check_summary(place: Group) -> None:
    """ValueError or KeyError where values have no name."""
    _check_table(place, "summary", "metric", hdf5.TEXT_BYTE, ("value",))


def _check_table(table: Group, group: str, first: str, width: int, columns: Iterable[str], *ranks: int) -> None:
    """Columns of numbers as long as the first. Where their bytes say so nothing is read."""
    stored = hdf5.stored(table, first) // width * 8 * math.prod(ranks)
    if all(hdf5.stored(table, name) == stored for name in columns):
        return
    wanted = (hdf5.extent(table, first)[0], *ranks)
    for name in columns:
        found = hdf5.numbers(table, name, "f").shape
        if found != wanted:
            raise ValueError(f"/{group}/{name} has {_product(found)} values, not {_product(wanted)}")


def _product(extents: Iterable[int] | None) -> str:
    return " x ".join(map(str, extents or ())) or "no"


def check_unread(group: str, columns: Columns) -> None:
    """ValueError for what reading does not look at: axes of columns whose values it counts, columns of few views."""
    if group == "evaluation":
        check_numbers(group, columns, ("samples",))
        if columns["samples"].shape != columns["step"].shape:
            raise ValueError(f"/evaluation/samples has {columns['samples'].size} values, not {columns['step'].size}")
    for name in KINDS["steps"] if group == "steps" else ():
        if columns[name].ndim != 1:
            raise ValueError(f"/steps/{name} has {_product(columns[name].shape)} values, not one for each step")


def check_numbers(group: str, columns: Columns, names: Iterable[str]) -> None:
    """ValueError where one of these columns holds something else."""
    for name in names:
        if columns[name].dtype.kind not in "iuf":
            raise ValueError(f"/{group}/{name} holds no numbers")
