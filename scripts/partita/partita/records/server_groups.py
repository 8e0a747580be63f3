# SPDX-License-Identifier: BSD-3-Clause
"""Runs of parameter servers -> groups that differ in seeds alone, each with a name and a place on the study's axes."""

from dataclasses import dataclass

import numpy as np

from partita.records.folder import RecordedStudy
from partita.records.server import AXES, LEARNS, ServerRun, run_name, server_run
from partita.statistics import Interval, median_interval

NAMED = ("server.protocol", "server.staleness", "server.k", "server.backup")  # Keys that a run's name already holds.

Place = tuple[tuple[str, str], ...]  # (key, value) of the axes that vary.


@dataclass(frozen=True)
class Group:
    """Runs with one name at one place: they differ in seeds."""

    name: str
    place: Place
    runs: tuple[ServerRun, ...]

    def of(self, value: str) -> np.ndarray:
        """A property of each run, as numbers."""
        return np.array([float(getattr(run, value)) for run in self.runs])

    def at(self, axis: str) -> str:
        """The value of an axis, as in the deck."""
        return dict(self.place).get(axis, "")


def grouped(study: RecordedStudy) -> tuple[list[Group], list[str]]:
    """The groups in the order of their places, and the axes that vary: the second stands in panels."""
    runs = [run for record in study.records if (run := server_run(record))]
    axes = [key for key in AXES if len({_axis(run, key) for run in runs}) > 1]
    several = len({run.workers for run in runs}) > 1
    rest = [k for k in study.series_keys if k not in (*NAMED, *axes, *AXES) and not k.startswith(LEARNS)]
    found: dict[tuple[str, Place, str], list[ServerRun]] = {}
    for run in runs:
        place = tuple((key, _axis(run, key)) for key in axes)
        found.setdefault((run_name(run, several), place, run.engine), []).append(run)
    # A key that is neither an axis nor in the name must not pass for a seed.
    apart = [k for k in rest if any(len({str(r.record.config.get(k)) for r in g}) > 1 for g in found.values())]
    split: dict[tuple[str, Place, str], list[ServerRun]] = {}
    for (name, place, engine), members in found.items():
        for run in members:
            more = "".join(f", {k.rpartition('.')[2]} {run.record.config.get(k)}" for k in apart)
            split.setdefault((name + more, place, engine), []).append(run)
    groups = [Group(name, place, tuple(members)) for (name, place, _), members in split.items()]
    return sorted(groups, key=lambda g: ([_natural(v) for _, v in g.place], _natural(g.name))), axes


def _axis(run: ServerRun, key: str) -> str:
    known = {"virtual.workers": run.workers, "server.count": run.servers}
    return str(known.get(key, run.record.config.get(key, "")))


def _natural(text: str) -> tuple[float, str]:
    """Numbers by value, before texts."""
    try:
        return (float(text), "")
    except ValueError:
        return (float("inf"), text)


def over_seeds(values: np.ndarray) -> Interval:
    """Median over the runs that have a value; an interval from six of them on."""
    return median_interval(values[~np.isnan(values)])
