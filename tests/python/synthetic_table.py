# SPDX-License-Identifier: BSD-3-Clause
"""SYNTHETIC TEST DATA: a table of metrics with invented numbers, as analysis/metrics.py makes it."""

import math
from collections.abc import Callable, Sequence

import pandas as pd

COLUMNS = ("study", "app", "series", "ranks", "threads", "nodes", "point", "repeat", "metric", "kind", "value", "low",
           "high", "n", "level", "scope", "unit", "reason")  # fmt: skip
KINDS = {"step_s": ("cost", "s"), "speedup": ("ratio", "1"), "efficiency": ("ratio", "1"),
         "samples_per_s": ("rate", "1/s"), "sent_bytes": ("cost", "byte"),
         "peak_memory_bytes": ("cost", "byte")}  # fmt: skip


def row(metric: str, value: float, series: str = "ring", ranks: int = 1, **more: object) -> dict[str, object]:
    """One number over seven runs, 10 % either way; fewer runs have no interval."""
    kind, unit = KINDS.get(metric, ("cost", "s") if metric.endswith("_s") or ":" in metric else ("ratio", "1"))
    runs = int(more.get("n", 7))
    bounded = runs >= 6
    made = {
        "study": "s", "app": "mlp_dp", "series": series, "ranks": ranks, "threads": 1, "nodes": 1, "point": "",
        "repeat": 0, "metric": metric, "kind": kind, "value": value, "low": 0.9 * value if bounded else math.nan,
        "high": 1.1 * value if bounded else math.nan, "n": runs, "level": 0.984375 if bounded else math.nan,
        "scope": "over runs", "unit": unit, "reason": "" if bounded else f"{runs} runs: intervals from 6 on",
    }  # fmt: skip
    return {**made, **more}


def table(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """All rows."""
    return pd.DataFrame(list(rows), columns=COLUMNS)


def scaling(series: Sequence[str], ranks: Sequence[int], step_s: Callable[[int], float]) -> list[dict[str, object]]:
    """Time, speed-up and efficiency of each series at each number of ranks, the later ones slower by 1 % each."""
    made = []
    for index, name in enumerate(series):
        for p in ranks:
            seconds = step_s(p) * (1 + 0.01 * index)
            speedup = step_s(ranks[0]) / step_s(p)
            made += [row("step_s", seconds, name, p), row("samples_per_s", 64 / seconds, name, p),
                     row("speedup", speedup, name, p),
                     row("efficiency", speedup * ranks[0] / p, name, p)]  # fmt: skip
    return made
