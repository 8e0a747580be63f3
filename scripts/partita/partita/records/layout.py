# SPDX-License-Identifier: BSD-3-Clause
"""What lies where in a record (DESIGN.md section 9), and whether it is what it should be."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from h5py import h5f

from partita.records import hdf5
from partita.records.hdf5 import Columns

GROUPS = ("calibration", "ranks", "traffic", "evaluation", "summary", "kernels", "peaks", "strategy", "virtual")
BESIDE = frozenset((*GROUPS, "config", "environment", "steps", "events", "step", "rank", "phase", "steps_written"))
NUMBERS = {  # Columns that pictures are made of.
    "evaluation": ("step", "loss", "accuracy", "samples"),
    "peaks": ("flop_per_s", "byte_per_s"),
    "kernels": ("flop", "byte", "flop_per_s", "byte_per_s", "time_s", "ci_low_s", "ci_high_s", "peak_share"),
}
STRATEGY = ("weight_bytes", "gradient_bytes", "optimizer_bytes", "exposed_s", "hidden_s")  # Of data parallelism.
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
    phases: tuple[str, ...]
    classes: tuple[str, ...]
    counted: np.ndarray  # (written): neither warm-up nor the step after a flush.
    step_s: np.ndarray  # (counted step): seconds, the longest of its ranks.


def kind_of(file: h5f.FileID, names: Sequence[str]) -> str:
    """`training`, `kernels` (of kernel_bench) or `collectives` (of comm_bench)."""
    if "kernels" in names and "peaks" in names and hdf5.extent(file, "kernels/benchmark")[0]:
        return "kernels"
    return "collectives" if operations(file, names) else "training"


def read_toml(file: h5f.FileID) -> str:
    """The resolved deck."""
    toml = hdf5.plain(hdf5.array(file, "config/toml"))
    if not isinstance(toml, str):
        raise ValueError("/config/toml holds no text")
    return toml


def read_environment(file: h5f.FileID) -> dict[str, str]:
    """All of /environment."""
    group = hdf5.group(file, "environment")
    return {name: str(value) for name, value in hdf5.attributes(group).items()} if group else {}


def read_group(file: h5f.FileID, name: str) -> Columns:
    """One of GROUPS; ValueError or KeyError where it is not what it should be."""
    columns = hdf5.columns(hdf5.group(file, name))
    check_numbers(name, columns, NUMBERS.get(name, ()))
    if name == "strategy" and "weight_bytes" in columns:
        check_numbers(name, columns, STRATEGY)
    return columns


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


def read_times(file: h5f.FileID, ranks: int) -> StepTimes:
    """The times of /steps; ValueError or KeyError where they are not what they should be."""
    # Ahead of the columns: a run that goes on adds rows between the two.
    written = int(hdf5.numbers(file, "steps_written", "i"))
    steps = hdf5.group(file, "steps")
    planned = hdf5.extent(steps, "loss")[0]
    if not 0 <= written <= planned:
        raise ValueError(f"/steps_written is {written}, /steps has {planned} rows")
    phases, classes = (tuple(map(str, hdf5.array(steps, name))) for name in ("phase", "phase_class"))
    if len(phases) != len(classes):
        raise ValueError(f"/steps/phase_class has {len(classes)} values, /steps/phase {len(phases)}")

    def column(name: str, kind: str, *axes: int) -> np.ndarray:
        values = hdf5.numbers(steps, name, kind)
        if values.shape != (planned, *axes):
            wanted = " x ".join(map(str, (planned, *axes)))
            raise ValueError(f"/steps/{name} has {' x '.join(map(str, values.shape))} values, not {wanted}")
        return values[:written]

    counted = (column("warmup", "i") == 0) & (column("flushed", "i") == 0)
    if "start_ns" in hdf5.names(steps):
        elapsed = (column("end_ns", "i", ranks) - column("start_ns", "i", ranks)).max(axis=1) * 1e-9
        phase_s = column("phase_s", "f", ranks, len(phases))
    else:  # record.detail = "stats"
        elapsed, phase_s = column("step_max_s", "f"), column("phase_mean_s", "f", len(phases))
    if not (elapsed >= 0).all() or not (elapsed[counted] > 0).all():
        raise ValueError("/steps has steps that took no time")
    if not (phase_s >= 0).all():
        raise ValueError(f"/steps has phases that took {'less than no' if (phase_s < 0).any() else 'NaN'} seconds")
    return StepTimes(written, planned, phases, classes, counted, elapsed[counted])


def read_steps(file: h5f.FileID, written: int) -> Columns:
    """All columns of /steps that have a row for each step, cut to the steps that were written."""
    columns = hdf5.columns(hdf5.group(file, "steps"))
    planned = len(columns["loss"])
    cut = {
        name: values[:written]
        for name, values in columns.items()
        if name not in ("phase", "phase_class") and values.ndim and len(values) == planned
    }
    check_numbers("steps", cut, cut)
    return cut


def check_tables(file: h5f.FileID, names: Container[str], ranks: int) -> None:
    """ValueError or KeyError where the columns that the package uses have not the extents that they should have."""
    if "evaluation" in names:
        _check_columns(file, "evaluation", dict.fromkeys(NUMBERS["evaluation"], "f"), None)
    if "traffic" in names:
        _check_columns(file, "traffic", {"seconds": "f", "sent_bytes": "f"}, ranks)
    if "summary" in names:
        _check_columns(file, "summary", {"value": "f"}, None)


def _check_columns(file: h5f.FileID, name: str, columns: Mapping[str, str], ranks: int | None) -> None:
    """That all have the same extents, (row) or (row, rank)."""
    group = hdf5.group(file, name)
    shapes = {column: hdf5.numbers(group, column, kind).shape for column, kind in columns.items()}
    for column, shape in shapes.items():
        wanted = (*next(iter(shapes.values()))[:1], *(() if ranks is None else (ranks,)))
        if shape != wanted:
            raise ValueError(f"/{name}/{column} has {shape} values, not {wanted}")


def check_numbers(group: str, columns: Columns, names: Iterable[str]) -> None:
    """ValueError where one of these columns holds something else."""
    for name in names:
        if columns[name].dtype.kind not in "iuf":
            raise ValueError(f"/{group}/{name} holds no numbers")
