# SPDX-License-Identifier: BSD-3-Clause
"""One HDF5 file (DESIGN.md section 9) -> Record: plain NumPy columns, nothing computed but medians of steps."""

import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from partita.errors import UsageError, held_to_the_layout
from partita.records import hdf5
from partita.records.hdf5 import Columns
from partita.statistics import Interval, median_interval
from partita.studies.study import flatten

# Writers may still be at work on a .part, and some file systems have no locks. Read by the library at the first open.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

CONVENTIONS = "Partita-1"
SCHEMA = 4  # The newest schema_version that this package knows; lib/partita/io writes it.
INTEGERS = ("schema_version", "ranks", "threads_per_rank", "complete", "verified", "oversubscribed", "git_dirty",
            "workers", "servers")  # fmt: skip
TEXTS = ("app", "strategy", "study", "point", "git_sha", "exit_reason", "verification", "engine", "protocol")
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
CLASSES = ("compute", "communication", "wait", "input", "other")


@dataclass(frozen=True)
class Timeline:
    """What /events holds, without its columns: they may be large."""

    first_step: int  # Chosen steps, both included.
    last_step: int
    written: int
    dropped: int


@dataclass(frozen=True)
class Record:
    """One run. Columns of /steps are cut to the steps that were written."""

    path: Path
    attributes: dict[str, Any]
    toml: str
    environment: dict[str, str]
    phases: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    steps: Columns = field(default_factory=dict)
    planned_steps: int = 0  # Warm-up included; more than the columns hold when the run was stopped.
    groups: dict[str, Columns] = field(
        default_factory=dict
    )  # calibration, ranks, traffic, evaluation, summary, strategy; kernels, peaks
    timeline: Timeline | None = None  # Of chosen steps; None: nobody asked for it.
    collectives: dict[str, Columns] = field(default_factory=dict)  # Of comm_bench, by operation.

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved deck with dotted keys."""
        try:
            return flatten(tomllib.loads(self.toml))
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{self.path}: /config/toml", f"not TOML ({error})", "the resolved deck") from error

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return int(self.attributes.get("ranks", 0))

    @property
    def threads(self) -> int:
        """Threads per rank."""
        return int(self.attributes.get("threads_per_rank", 1))

    @property
    def complete(self) -> bool:
        """Whether the run closed its record itself."""
        return int(self.attributes.get("complete", 0)) == 1

    @property
    def verified(self) -> bool:
        """Whether the run's results passed its own check (a record without a verdict has none against it)."""
        return int(self.attributes.get("verified", 1)) == 1

    @property
    def oversubscribed(self) -> bool:
        """More threads than cores: never called scaling."""
        return int(self.attributes.get("oversubscribed", 0)) == 1

    @property
    def written_steps(self) -> int:
        """Steps that the file holds."""
        return len(self.steps["loss"]) if self.steps else 0

    @cached_property
    def counted(self) -> np.ndarray:
        """Mask of the steps that count: neither warm-up nor the one after a flush."""
        if not self.steps:
            return np.empty(0, bool)
        return (self.steps["warmup"] == 0) & (self.steps["flushed"] == 0)

    @cached_property
    def step_s(self) -> np.ndarray:
        """Seconds of each counted step: the longest of its ranks (as /summary's step_s)."""
        if not self.counted.any():
            return np.empty(0)
        if "step_max_s" in self.steps:  # record.detail = "stats"
            return self.steps["step_max_s"][self.counted]
        return (self.steps["end_ns"] - self.steps["start_ns"])[self.counted].max(axis=1) * 1e-9

    def step_interval(self) -> Interval:
        """Median step time with its interval over the steps of this run."""
        return median_interval(self.step_s)

    @cached_property
    def samples_per_step(self) -> float:
        """Samples of all ranks in a counted step (median); NaN without steps."""
        return float(np.median(self.steps["samples"][self.counted])) if self.counted.any() else float("nan")

    @cached_property
    def phase_s(self) -> np.ndarray:
        """(counted step, phase) seconds, mean over ranks."""
        if not self.counted.any():
            return np.empty((0, len(self.phases)))
        if "phase_mean_s" in self.steps:
            return self.steps["phase_mean_s"][self.counted]
        return self.steps["phase_s"][self.counted].mean(axis=1)

    @cached_property
    def mean_step_s(self) -> np.ndarray:
        """(counted step) seconds, mean over ranks: what the phases are shares of."""
        if not self.counted.any():
            return np.empty(0)
        if "step_mean_s" in self.steps:
            return self.steps["step_mean_s"][self.counted]
        return (self.steps["end_ns"] - self.steps["start_ns"])[self.counted].mean(axis=1) * 1e-9

    @cached_property
    def phase_share(self) -> np.ndarray:
        """(phase): share of a step, median over the counted steps; NaN without any."""
        if not self.counted.any():
            return np.full(len(self.phases), np.nan)
        return np.median(self.phase_s / self.mean_step_s[:, None], axis=0)

    def last_grad_norm(self) -> tuple[int, float] | None:
        """(step, counted from 1; norm) of the last step that made a gradient; None without any, or in older records."""
        norms = self.steps.get("grad_norm", np.empty(0))
        made = np.flatnonzero(~np.isnan(norms))
        return (int(made[-1]) + 1, float(norms[made[-1]])) if made.size else None

    def summary(self, metric: str) -> float:
        """A value of /summary; NaN when it has none of that name."""
        table = self.groups.get("summary", {})
        found = np.flatnonzero(table["metric"] == metric) if "metric" in table else np.empty(0, int)
        return float(table["value"][found[0]]) if found.size else float("nan")

    @property
    def title(self) -> str:
        """App, ranks and threads in words."""
        app = self.attributes.get("app", "?")
        return f"{app}, {plural(self.ranks, 'rank')} x {plural(self.threads, 'thread')}"


def plural(n: int, word: str) -> str:
    """`1 rank`, `2 ranks`."""
    return f"{n} {word}{'' if n == 1 else 's'}"


def is_roofline(record: Record) -> bool:
    """Whether the record holds kernels and the peaks that they are held against."""
    return len(record.groups.get("kernels", {}).get("benchmark", ())) > 0 and "flop_per_s" in record.groups.get(
        "peaks", {}
    )


def read_record(path: Path, steps: bool = True) -> Record:
    """Read a record or a .part; UsageError names the file and what is wrong with it."""
    if not path.is_file():
        raise UsageError(path, "no such file", "a record (.h5), or what a killed run left (.h5.part)")
    with held_to_the_layout(path), h5py.File(path, "r") as file:
        return _read(path, file, steps)


def is_finished(path: Path) -> bool:
    """Whether a record stands there that its run closed at its planned end, with results that passed its check."""
    if not path.is_file():
        return False
    try:
        record = read_record(path, steps=False)
    except UsageError:
        return False
    return record.complete and record.verified


def _read(path: Path, file: h5py.File, with_steps: bool) -> Record:
    attributes = hdf5.attributes(file)
    _check(path, attributes)
    toml = hdf5.plain(hdf5.array(file, "config/toml")) if "config/toml" in file else ""
    if not isinstance(toml, str):
        raise ValueError("/config/toml holds no text")
    environment = (
        {name: str(value) for name, value in hdf5.attributes(file["environment"]).items()}
        if "environment" in file
        else {}
    )
    groups = {
        name: hdf5.columns(file[name])
        for name in (
            "calibration",
            "ranks",
            "traffic",
            "evaluation",
            "summary",
            "kernels",
            "peaks",
            "strategy",
            "virtual",
        )
        if name in file
    }
    for name, columns in groups.items():
        _check_numbers(name, columns, NUMBERS.get(name, ()))
    if "weight_bytes" in groups.get("strategy", {}):
        _check_numbers("strategy", groups["strategy"], STRATEGY)
    record = Record(
        path, attributes, toml, environment, groups=groups, timeline=_timeline(file), collectives=_collectives(file)
    )
    if not with_steps or "steps" not in file:
        return record
    # Ahead of the columns: a run that goes on adds rows between the two.
    written = int(hdf5.array(file, "steps_written"))
    columns = hdf5.columns(file["steps"])
    phases, classes = (tuple(str(v) for v in columns[name]) for name in ("phase", "phase_class"))
    planned = len(columns["loss"])
    if not 0 <= written <= planned:
        raise ValueError(f"/steps_written is {written}, /steps has {planned} rows")
    cut = {
        name: values[:written]
        for name, values in columns.items()
        if name not in ("phase", "phase_class") and values.ndim and len(values) == planned
    }
    _check_numbers("steps", cut, cut)
    for name, axes in AXES.items():
        if name in cut and cut[name].shape != (written, *(len(columns[axis]) for axis in axes)):
            raise ValueError(
                f"/steps/{name} has {cut[name].shape} values, not one for each step and {' and '.join(axes)}"
            )
    record = replace(record, phases=phases, classes=classes, steps=cut, planned_steps=planned)
    if len(phases) != len(classes):
        raise ValueError(f"/steps/phase_class has {len(classes)} values, /steps/phase {len(phases)}")
    # Read once: columns that are missing are noticed here.
    if not (record.step_s > 0).all() or not (record.mean_step_s > 0).all() or len(record.phase_s) != len(record.step_s):
        raise ValueError("/steps has steps that took no time")
    return record


def _check(path: Path, attributes: dict[str, Any]) -> None:
    """That these are the attributes of a record that this package can read."""
    if attributes.get("Conventions") != CONVENTIONS:
        given = repr(attributes["Conventions"]) if "Conventions" in attributes else "no such attribute"
        raise UsageError(f"{path}: Conventions", f"{given}, so not a record of Partita", repr(CONVENTIONS))
    for name in INTEGERS:
        if name in attributes and not isinstance(attributes[name], int):
            raise UsageError(f"{path}: {name}", f"{attributes[name]!r} is no integer", "one integer")
    for name in ("ranks", "threads_per_rank"):
        if attributes.get(name, 1) < 1:
            raise UsageError(f"{path}: {name}", str(attributes[name]), "1 or more")
    for name in TEXTS:
        if not isinstance(attributes.get(name, ""), str):
            raise UsageError(f"{path}: {name}", f"{attributes[name]!r} is no text", "one text")
    if not isinstance(flop := attributes.get("flop_per_step", 0), int | float):
        raise UsageError(f"{path}: flop_per_step", f"{flop!r} is no number", "one number")
    if not 1 <= (schema := attributes.get("schema_version", 0)) <= SCHEMA:
        newer = ", which a later Partita wrote" if schema > SCHEMA else ""
        raise UsageError(f"{path}: schema_version", f"{schema}{newer}", f"1 to {SCHEMA}")


def _check_numbers(group: str, columns: Columns, names: Iterable[str]) -> None:
    for name in names:
        if columns[name].dtype.kind not in "iuf":
            raise ValueError(f"/{group}/{name} holds no numbers")


def _timeline(file: h5py.File) -> Timeline | None:
    if "events" not in file:
        return None
    group = file["events"]
    ends = (int(group.attrs[name]) for name in ("first_step", "last_step"))
    return Timeline(*ends, *(int(group[name][()]) for name in ("events_written", "events_dropped")))


def _collectives(file: h5py.File) -> dict[str, Columns]:
    """The groups that hold times of an operation by byte and algorithm, in the order in which they were measured."""
    found = {name: hdf5.columns(file[name]) for name in hdf5.groups_with(file, set(COLLECTIVE))}
    for name, columns in found.items():
        _check_numbers(name, columns, COLLECTIVE[:-1])
        if columns["median_s"].shape != (len(columns["byte"]), len(columns["algorithm"])):
            raise ValueError(f"/{name}/median_s has not one value for each byte and algorithm")
    return dict(sorted(found.items(), key=lambda item: OPERATIONS.index(item[0]) if item[0] in OPERATIONS else 99))
