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
from partita.analysis.point_metrics import Point, point_values
from partita.analysis.run_metrics import Run, measured
from partita.analysis.scaling import base_of
from partita.records.folder import Cell, RecordedStudy, Series

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLUMNS", "METRICS", "OVER_RUNS", "WITHIN_RUN", "Metric", "metric", "metrics_table"]

COLUMNS = (
    "study", "app", "series", "ranks", "threads", "nodes", "point", "repeat", "metric", "kind", "value", "low", "high",
    "n", "level", "scope", "unit", "reason",
)  # fmt: skip
WITHIN_RUN, OVER_RUNS = "within run", "over runs"
Columns = dict[str, list[Any]]  # Lists, not rows: ten thousand runs make a third of a million of these.


def metrics_table(studies: Iterable[RecordedStudy]) -> "pd.DataFrame":
    """All metrics of all runs and points of these studies."""
    import pandas as pd

    columns: Columns = {name: [] for name in COLUMNS}
    for study in studies:
        runs = {record.path: measured(record) for record in study.records}
        kind, said = scaling_kind(study)
        for series in study.series:
            base = base_of(series)
            of_base = [runs[r.path] for r in base.records] if base else []
            for cell in series.cells:
                members = [runs[r.path] for r in cell.records]
                for run in members:
                    _add_run(columns, study, series, run)
                _add_point(columns, study, series, cell, point_values(cell, members, of_base, kind, said))
    return pd.DataFrame(columns, columns=COLUMNS)


def _add_run(columns: Columns, study: RecordedStudy, series: Series, run: Run) -> None:
    r, values = run.record, run.values.values()
    _add(columns, tuple(run.values), study=study.name, app=study.app, series=series.label, ranks=r.ranks,
         threads=r.threads, nodes=r.nodes, point=str(r.attributes.get("point", "")) or r.path.stem,
         repeat=r.repeat, value=[v.value for v in values], low=[v.low for v in values],
         high=[v.high for v in values], n=[v.n for v in values], level=math.nan, scope=WITHIN_RUN,
         reason=[v.reason for v in values])  # fmt: skip


def _add_point(columns: Columns, study: RecordedStudy, series: Series, cell: Cell, point: Point) -> None:
    intervals = [interval for interval, _ in point.values()]
    _add(columns, tuple(point), study=study.name, app=study.app, series=series.label, ranks=cell.ranks,
         threads=cell.threads, nodes=cell.records[0].nodes, point="", repeat=0, value=[i.value for i in intervals],
         low=[i.low for i in intervals], high=[i.high for i in intervals], n=[i.n for i in intervals],
         level=[i.level for i in intervals], scope=OVER_RUNS, reason=[why for _, why in point.values()])  # fmt: skip


def _add(columns: Columns, names: tuple[str, ...], **fields: Any) -> None:
    """A row for each metric; a field is a list with one value for each, or what they have in common."""
    about = [metric(name) for name in names]
    fields |= {"metric": names, "kind": [m.kind for m in about], "unit": [m.unit for m in about]}
    for column, values in columns.items():
        of = fields[column]
        values.extend(of if isinstance(of, list | tuple) else [of] * len(names))
