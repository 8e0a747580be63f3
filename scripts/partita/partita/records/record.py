# SPDX-License-Identifier: BSD-3-Clause
"""One HDF5 file (DESIGN.md section 9) -> Record: plain NumPy columns, nothing computed but medians of steps.

What every study needs is read at once: the header, the deck, the times of steps. All else is read when it is first
asked for, by name.
"""

import math
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from h5py import h5f

from partita.errors import UsageError
from partita.records import hdf5, layout
from partita.records.deck import Deck, read_deck
from partita.records.hdf5 import Columns
from partita.records.header import (
    CONVENTIONS,
    SCHEMA,
    Headed,
    Header,
    header_of,
    read_attributes,
    read_header,
    read_machine,
)
from partita.records.layout import GROUPS, StepTimes, Timeline
from partita.records.source import Lazy, Source
from partita.statistics import median

__all__ = ["CONVENTIONS", "SCHEMA", "Columns", "Record", "Timeline", "common_steps", "is_finished", "is_roofline",
           "plural", "read_record", "reading", "rows_of"]  # fmt: skip

T = TypeVar("T")
Table = Mapping[str, np.ndarray]  # Columns by name, read when they are first asked for.


@dataclass(frozen=True, eq=False)
class Record(Headed):
    """One run. Columns of /steps are cut to the steps that were written."""

    header: Header
    attributes: dict[str, Any]
    toml: str
    source: Source
    members: tuple[str, ...]  # What lies right below the root.
    times: StepTimes | None  # None: the run has no steps.
    timeline: Timeline | None  # Of chosen steps; None: nobody asked for it.
    operations: tuple[str, ...]  # Of comm_bench: the groups of `collectives`.
    _made: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @contextmanager
    def opened(self) -> Iterator["Record"]:
        """Open the file once for all groups and columns that are asked for inside."""
        with self.source.opened():
            yield self

    def once(self, make: Callable[["Record"], T]) -> T:
        """What a function makes of the record, made when it is first asked for: at best while the file is open."""
        if make not in self._made:
            self._made[make] = make(self)
        return self._made[make]

    @cached_property
    def deck(self) -> Deck:
        """The resolved deck; parsed once for all records that differ in nothing but where they lie."""
        try:
            return read_deck(self.toml)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{self.path}: /config/toml", f"not TOML ({error})", "the resolved deck") from error

    @property
    def config(self) -> dict[str, Any]:
        """The resolved deck with dotted keys."""
        return self.deck.config

    @cached_property
    def environment(self) -> dict[str, str]:
        """/environment."""
        return self.source.read(layout.read_environment)

    @cached_property
    def groups(self) -> Mapping[str, Table]:
        """GROUPS, by name; they and their columns are read when they are first asked for."""
        return Lazy(tuple(name for name in GROUPS if name in self.members), self._table)

    def _table(self, name: str) -> Table:
        return self.source.table(
            name, layout.column_names, lambda place, group, column: layout.read_column(place, group, column, self.ranks)
        )

    @property
    def steps(self) -> Table:
        """Columns of /steps; {}: the run has none."""
        times = self.times
        if times is None:
            return {}
        return self.source.table(
            "steps", layout.column_names, lambda steps, _, column: layout.read_step_column(steps, column, times)
        )

    @cached_property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases of a step."""
        return self._texts("phase")

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class of each phase: compute, communication, wait, input, other."""
        return self._texts("phase_class")

    def _texts(self, name: str) -> tuple[str, ...]:
        if self.times is None:
            return ()
        values = self.source.read(lambda _: hdf5.texts(self.source.place("steps"), name))
        return layout.shared(tuple(map(str, values.tolist())))

    @property
    def written_steps(self) -> int:
        """Steps that the file holds."""
        return self.times.written if self.times else 0

    @property
    def planned_steps(self) -> int:
        """Warm-up included; more than the columns hold when the run was stopped."""
        return self.times.planned if self.times else 0

    @cached_property
    def collectives(self) -> dict[str, Columns]:
        """Times of comm_bench, by operation."""
        with self.source.opened():
            return {
                name: self.source.read(lambda file, name=name: layout.read_operation(file, name))
                for name in self.operations
            }

    @property
    def counted(self) -> np.ndarray:
        """Mask of the steps that count: neither warm-up nor the one after a flush."""
        return self.times.counted if self.times else np.empty(0, bool)

    @property
    def step_s(self) -> np.ndarray:
        """Seconds of each counted step: the longest of its ranks (as /summary's step_s)."""
        return self.times.step_s if self.times else np.empty(0)

    @cached_property
    def median_step_s(self) -> float:
        """The number of a run: the median of its counted steps; NaN without any."""
        return median(self.step_s) if len(self.step_s) else math.nan

    @cached_property
    def samples_per_step(self) -> float:
        """Samples of all ranks in a counted step (median); NaN without steps."""
        return median(self.steps["samples"][self.counted]) if self.counted.any() else math.nan

    @cached_property
    def samples_so_far(self) -> np.ndarray:
        """(step) samples of all ranks in all steps up to its end, those before its first step included."""
        if self.times is None:
            return np.empty(0)
        samples = self.steps["samples"]
        if not self.first_step or not len(samples):
            return np.cumsum(samples)
        each = int(self.attributes.get("samples_per_step", 0)) or float(np.median(samples))
        return self.first_step * each + np.cumsum(samples)

    @property
    def phase_s(self) -> np.ndarray:
        """(counted step, phase) seconds, mean over ranks."""
        if not self.counted.any():
            return np.empty((0, len(self.phases)))
        if "phase_mean_s" in self.steps:
            return self.steps["phase_mean_s"][self.counted]
        return self.steps["phase_s"][self.counted].mean(axis=1)

    @property
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
        return (self.first_step + int(made[-1]) + 1, float(norms[made[-1]])) if made.size else None

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


def common_steps(records: Iterable[Record]) -> tuple[int, int]:
    """Steps that all of them hold: the first, and how many; runs that went on hold their own alone."""
    spans = [(r.first_step, r.first_step + r.written_steps) for r in records]
    first = max(begin for begin, _ in spans)
    return first, max(0, min(end for _, end in spans) - first)


def rows_of(record: Record, first: int, n: int, column: np.ndarray) -> np.ndarray:
    """Of a column with a row for each step, those of n steps from `first` on."""
    return column[first - record.first_step :][:n]


def plural(n: int, word: str) -> str:
    """`1 rank`, `2 ranks`."""
    return f"{n} {word}{'' if n == 1 else 's'}"


def is_roofline(record: Record) -> bool:
    """Whether the record holds kernels and the peaks that they are held against."""
    return record.header.kind == "kernels"


def is_finished(path: Path) -> bool:
    """Whether a record stands there that its run closed at its planned end, with results that passed its check."""
    return read_header(path).usable


def read_record(path: Path, steps: bool = True) -> Record:
    """Read a record or a .part; UsageError names the file and what is wrong with it."""
    with reading(path, steps) as record:
        return record


@contextmanager
def reading(path: Path, steps: bool = True) -> Iterator[Record]:
    """The same, with the file open for all that is asked for inside."""
    if not path.exists() and not path.is_symlink():
        raise UsageError(path, "no such file", "a record (.h5), or what a killed run left (.h5.part)")
    source = Source(path)
    with source.opened():
        yield source.read(lambda file: _read(source, file, steps))


def _read(source: Source, file: h5f.FileID, with_steps: bool) -> Record:
    path = source.path
    attributes = read_attributes(path, file)
    names = hdf5.names(file)
    kind = layout.kind_of(file, names)
    header = header_of(path, attributes, read_machine(file), kind)
    if header.complete:
        source.must_stay()
    layout.check_tables(source.place, names, header.ranks)
    if "summary" in names and ("engine" in attributes or "checkpoints" in names):  # Metrics of these are made of it.
        layout.check_summary(source.place("summary"))
    operations = layout.operations(file, names) if kind == "collectives" else []
    for name in operations:
        layout.read_operation(file, name)
    return Record(
        header,
        attributes,
        toml=hdf5.text(file, "config/toml") if "config" in names else "",
        source=source,
        members=tuple(names),
        times=_read_times(source, file, header.ranks) if with_steps and "steps" in names else None,
        timeline=layout.read_timeline(file) if "events" in names else None,
        operations=tuple(operations),
    )


def _read_times(source: Source, file: h5f.FileID, ranks: int) -> StepTimes:
    times, columns = layout.read_times(file, source.place("steps"), ranks)
    source.keep("steps", columns)
    return times
