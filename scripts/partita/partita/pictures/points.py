# SPDX-License-Identifier: BSD-3-Clause
"""The rows "over runs" of the table of metrics, as pictures use them: one point for each series and number of ranks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from partita.analysis.metrics import OVER_RUNS
from partita.records.folder import RecordedStudy
from partita.statistics import Interval

if TYPE_CHECKING:
    import pandas as pd

NONE = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Point:
    """One series at one number of ranks."""

    label: str
    ranks: int
    oversubscribed: bool
    values: dict[str, Interval]  # Metric -> value, bounds and runs.
    reasons: dict[str, str]  # Metric -> why it is not known.

    def value(self, metric: str) -> float:
        """NaN where it is not known."""
        return self.values.get(metric, NONE).value


def points(study: RecordedStudy, table: "pd.DataFrame", metrics: Sequence[str]) -> list[Point]:
    """By ascending ranks, then in the order of the series; a base that several series share is one point."""
    chosen = table[(table["scope"] == OVER_RUNS) & table["metric"].isin(metrics)]
    if "app" in table:
        chosen = chosen[(chosen["study"] == study.name) & (chosen["app"] == study.app)]
    rows: dict[tuple[str, int], list[dict]] = {}
    for row in chosen.to_dict("records"):
        rows.setdefault((row["series"], row["ranks"]), []).append(row)
    found = []
    for label, cell in study.distinct_cells():
        name = label or next(s.label for s in study.series if cell in s.cells)
        of = rows.get((name, cell.ranks), [])
        values = {r["metric"]: Interval(r["value"], r["low"], r["high"], int(r["n"])) for r in of}
        reasons = {r["metric"]: r["reason"] for r in of if r["reason"]}
        found.append(Point(label or "all alike", cell.ranks, cell.oversubscribed, values, reasons))
    return found
