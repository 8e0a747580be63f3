# SPDX-License-Identifier: BSD-3-Clause
"""The one long table of metrics, which report, compare, league and exports read; DESIGN.md section 10.

    scope "within run"   a row for each run and metric: point its name, repeat from 1 on (0: it says none), low and
                         high a tenth and nine tenths of its steps (a spread), n steps
    scope "over runs"    a row for each series, number of ranks and metric: point "", repeat 0, low and high an interval
                         of that exact level, n runs

`reason` says why a value or interval is missing. A base that several series share is in each of them.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from partita.analysis.kinds import scaling_kind
from partita.analysis.metric_names import METRICS, Metric, metric
from partita.analysis.point_metrics import point_values
from partita.analysis.run_metrics import Run, measured
from partita.analysis.scaling import base_of, repeat_of
from partita.records.folder import Cell, RecordedStudy, Series

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "METRICS", "OVER_RUNS", "WITHIN_RUN", "Metric", "metric", "metrics_table"]

COLUMNS = (
    "study", "app", "series", "ranks", "threads", "nodes", "point", "repeat", "metric", "kind", "value", "low", "high",
    "n", "level", "scope", "unit", "reason",
)  # fmt: skip
WITHIN_RUN, OVER_RUNS = "within run", "over runs"
Row = tuple[Any, ...]


def metrics_table(studies: Iterable[RecordedStudy]) -> "pd.DataFrame":
    """All metrics of all runs and points of these studies."""
    import pandas as pd

    rows: list[Row] = []
    for study in studies:
        runs = {record.path: measured(record) for record in study.records}
        kind, said = scaling_kind(study)
        for series in study.series:
            base = base_of(series)
            of_base = [runs[r.path] for r in base.records] if base else []
            for cell in series.cells:
                members = [runs[r.path] for r in cell.records]
                for run in members:
                    rows += _of_run(study, series, run)
                rows += _over_runs(study, series, cell, members, of_base, kind, said)
    return pd.DataFrame(dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)) if rows else [], columns=COLUMNS)


def _of_run(study: RecordedStudy, series: Series, run: Run) -> list[Row]:
    r = run.record
    point = str(r.attributes.get("point", "")) or r.path.stem
    before = (study.name, study.app, series.label, r.ranks, r.threads, _nodes(r.attributes), point, repeat_of(r))
    return [
        (*before, name, (about := metric(name)).kind, v.value, v.low, v.high, v.n, math.nan, WITHIN_RUN, about.unit,
         v.reason)
        for name, v in run.values.items()
    ]  # fmt: skip


def _over_runs(
    study: RecordedStudy, series: Series, cell: Cell, runs: list[Run], base: list[Run], kind: str | None, said: str
) -> list[Row]:
    nodes = _nodes(cell.records[0].attributes)
    before = (study.name, study.app, series.label, cell.ranks, cell.threads, nodes, "", 0)
    return [
        (*before, name, (about := metric(name)).kind, i.value, i.low, i.high, i.n, i.level, OVER_RUNS, about.unit,
         reason)
        for name, (i, reason) in point_values(cell, runs, base, kind, said).items()
    ]  # fmt: skip


def _nodes(attributes: dict[str, Any]) -> int:
    return max(1, int(attributes.get("nodes", 1) or 1))
