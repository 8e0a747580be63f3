# SPDX-License-Identifier: BSD-3-Clause
"""Runs as Hatchet's literal trees, each with Adiak's names for what it was: a profile of Thicket each.

The file is one JSON list. To read it:

    import json, hatchet, thicket

    def read(path):
        for run in json.load(open(path)):
            frame = hatchet.GraphFrame.from_literal(run["graph"])
            frame.metadata = run["metadata"]
            yield thicket.Thicket.thicketize_graphframe(frame, run["profile"])

    runs = thicket.Thicket.concat_thickets(list(read("runs.json")))

`time (inc)` is seconds of a step: of the whole its longest rank, of phases the mean over ranks. `time` is without what
lies below: of a step what no phase covers, and what its longest rank needs more than the mean; medians over
steps, so that parts add up to the whole but for a little.
"""

import re
from collections.abc import Sequence
from typing import Any

from partita.analysis.noise import began
from partita.exports.runs import Run
from partita.records.folder import RecordedStudy
from partita.records.record import Record

OF_A_STEP = ("samples_per_s", "sent_bytes", "messages", "peak_memory_bytes", "state_bytes")


def profiles(runs: Sequence[Run], studies: Sequence[RecordedStudy]) -> list[dict[str, Any]]:
    """A profile for each run."""
    records = {}
    for study in studies:
        for r in study.records:
            point = str(r.attributes.get("point", "")) or r.path.stem  # As the table names it.
            records[study.name, study.app, point, r.ranks, r.threads] = (study, r)
    made: dict[str, dict[str, Any]] = {}
    for run in runs:
        study, record = records[run.study, run.app, run.point, run.ranks, run.threads]
        profile = record.run_uuid or str(record.path)
        if profile not in made:  # A base that several series share is one run.
            graph = [tree(run)]
            made[profile] = {"profile": profile, "metadata": metadata(run, study, record), "graph": graph}
    return list(made.values())


def tree(run: Run) -> dict[str, Any]:
    """app -> step -> phases."""
    phases = [_node(name, seconds, seconds) for name, seconds in run.phases.items()]
    step_s = run.values["step_s"]
    step = _node("step", step_s, step_s - sum(run.phases.values()), phases)
    step["metrics"] |= {name: run.values[name] for name in OF_A_STEP if name in run.values}
    return _node(run.app, step_s, 0.0, [step])


def _node(name: str, inclusive: float, exclusive: float, children: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    metrics = {"time (inc)": inclusive, "time": exclusive}
    return {"frame": {"name": name, "type": "function"}, "metrics": metrics, "children": list(children)}


def metadata(run: Run, study: RecordedStudy, record: Record) -> dict[str, Any]:
    """Adiak's names first, then what Partita knows: the keys of the deck that differ between the runs of the study."""
    header, environment = record.header, record.environment
    at = began(record)
    known = {
        "jobsize": run.ranks,
        "numhosts": header.nodes,
        "hostname": header.hostname,
        "cluster": re.sub(r"\d+$", "", header.hostname.partition(".")[0]),  # As Adiak: a host without its number.
        "launchdate": None if at is None else int(at),  # Seconds since 1970.
        "executable": run.app,
        "cmdline": str(record.attributes.get("command", "")),
        "mpi_library": environment.get("mpi_library", ""),
        "compiler": header.compiler,
        "study": run.study,
        "series": run.series,
        "point": run.point,
        "repeat": run.repeat,
        "threads_per_rank": run.threads,
        "strategy": header.strategy,
        "git_sha": header.git_sha,
        "cpu_model": header.cpu_model,
    }
    differ = {key: record.config.get(key) for key in (*study.series_keys, *study.rank_keys) if key in record.config}
    return known | {key: str(v) if isinstance(v, list) else v for key, v in differ.items()}
