# SPDX-License-Identifier: BSD-3-Clause
"""Views of the table of metrics: each states the metrics that it needs, and says what of them is missing, and why."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from partita.analysis.metrics import OVER_RUNS, WITHIN_RUN

if TYPE_CHECKING:
    import pandas as pd

POINT = ["study", "app", "series", "ranks", "threads"]  # What tells two points apart.


@dataclass(frozen=True)
class View:
    """Rows that have a value, and a text for each reason why others have none."""

    rows: "pd.DataFrame"
    missing: tuple[str, ...]

    def __bool__(self) -> bool:
        return len(self.rows) > 0


def over_runs(table: "pd.DataFrame", *metrics: str) -> View:
    """These metrics of all points, over their runs."""
    return _view(table, OVER_RUNS, metrics)


def within_run(table: "pd.DataFrame", *metrics: str) -> View:
    """These metrics of every run, once: not again in each series that shares a base."""
    found = _view(table, WITHIN_RUN, metrics)
    return View(found.rows.drop_duplicates(["study", "app", "ranks", "point", "metric", "value"]), found.missing)


def wide(table: "pd.DataFrame", *metrics: str) -> "pd.DataFrame":
    """A row for each point, a column for each metric: values over runs, NaN where there is none."""
    rows = over_runs(table, *metrics).rows
    return rows.pivot(index=POINT, columns="metric", values="value").reindex(columns=list(metrics))


def _view(table: "pd.DataFrame", scope: str, metrics: tuple[str, ...]) -> View:
    asked = table[(table["scope"] == scope) & table["metric"].isin(metrics)]
    known = asked["value"].notna()
    missing = [f"{name}: no run has it" for name in metrics if name not in set(asked["metric"])]
    for (name, reason), rows in asked[~known].groupby(["metric", "reason"], sort=False):
        missing.append(f"{name}: {reason} ({len(rows)} of {(asked['metric'] == name).sum()} rows)")
    return View(asked[known], tuple(missing))
