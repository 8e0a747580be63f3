# SPDX-License-Identifier: BSD-3-Clause
"""Charts of scaling from the table of metrics: time, speed-up, efficiency against ranks; heat tables of many series."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from partita.pictures.style import GREY
from partita.records.record import plural
from partita.reports import plotly
from partita.reports.blocks import Chart
from partita.reports.cells import places, value_of
from partita.reports.units import Unit, heading, unit_of, words

if TYPE_CHECKING:
    import pandas as pd

    from partita.analysis.fits import Fit

TIMES, RATES = ("step_s", "virtual_step_s"), ("samples_per_s", "samples_per_virtual_s")
FEW = 6  # More series than that become a heat table.
MOST_ROWS = 60  # Of a chart with a row for each series.
Values = dict[tuple[Any, ...], dict[str, Any]]


def scaling_charts(
    rows: "pd.DataFrame", study: str, kind: str, finding: str = "", fits: "Sequence[tuple[str, Fit]]" = ()
) -> list[Chart]:
    """Lines of a few series over several numbers of ranks, heat tables of many, points where ranks do not differ."""
    found = {m: measured(rows, m) for m in (*TIMES, *RATES, "speedup", "efficiency")}
    found = {m: at for m, at in found.items() if at}
    time = next((m for m in TIMES if m in found), "")
    if not time:
        return []
    series = list(dict.fromkeys(p[0] for p in places(rows)))
    if len({p[1] for p in found[time]}) == 1:
        return [_points(found, time, study, finding)]
    compared = [m for m in ("speedup", "efficiency") if len({p[1] for p in found.get(m, ())}) > 1]
    if len(series) <= FEW:
        return [_lines(found, [time, *compared], study, kind, finding, fits)]
    wanted = [*compared[-1:], time]
    return [_heat(found[m], m, study, finding if m == wanted[0] else "") for m in wanted]


def measured(rows: "pd.DataFrame", metric: str) -> Values:
    """Place -> row of a metric where it has a value; oversubscribed points too."""
    return {place: row for place, row in value_of(rows, metric).items() if not math.isnan(row["value"])}


def lines_of(at: Values) -> dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]]:
    """Series -> its (place, row), ranks ascending."""
    made: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {}
    for place, row in sorted(at.items(), key=lambda item: item[0][1:]):
        made.setdefault(place[0], []).append((place, row))
    return made


def unit_for(at: Values, metric: str) -> Unit:
    """The unit of all values of a metric."""
    return unit_of(metric, next(iter(at.values()))["unit"], [row["value"] for row in at.values()])


def _lines(
    found: dict[str, Values], metrics: Sequence[str], study: str, kind: str, finding: str, fits: Sequence[Any]
) -> Chart:
    every = [p for m in metrics for p in found[m]]
    names = list(dict.fromkeys(p[0] for p in found[metrics[0]]))
    looks, traces, panels = plotly.look_of(names), [], []
    wide = max(p[1] for p in every) > plotly.LOG_FROM
    for index, metric in enumerate(metrics):
        at, unit = found[metric], unit_for(found[metric], metric)
        for number, (name, line) in enumerate(lines_of(at).items()):
            shift = 0.0 if wide else 0.05 * (number - (len(names) - 1) / 2)
            x = [p[1] * (1.0 if not wide else 1.012 ** (number - (len(names) - 1) / 2)) + shift for p, _ in line]
            traces.append((index, _line(name, x, line, unit, metric, plotly.line_style(looks[name]), not index)))
        ideal = _ideal(found, metric, unit, kind)
        if ideal:
            traces.append((index, {"type": "scatter", "name": "ideal", "legendgroup": "ideal", "showlegend": index == 0,
                                   "mode": "lines", "line": {"color": GREY, "dash": "dash", "width": 1.4},
                                   "hoverinfo": "skip", **ideal}))  # fmt: skip
        log = wide and metric != "efficiency"
        y = {"title": {"text": heading(metric, unit)}, "rangemode": "tozero", **({"type": "log"} if log else {})}
        if metric == "efficiency":
            y["ticksuffix"] = " %"
        threads = sorted({p[2] for p in at})
        each = f" ({plural(threads[0], 'thread')} each)" if len(threads) == 1 else ""
        panels.append({"title": words(metric).capitalize(), "x": plotly.rank_axis([p[1] for p in at], f"ranks{each}"),
                       "y": y})  # fmt: skip
    for series, fit in fits:
        traces += _fit(series, fit, found[metrics[0]], unit_for(found[metrics[0]], metrics[0]))
    figure, height = plotly.figure(traces, panels, legend=list(dict.fromkeys(t["name"] for _, t in traces)))
    title = f"{kind.capitalize()} scaling" if kind in ("strong", "weak") and len(metrics) > 1 else "Time per step"
    return Chart(f"{study}_scaling", title, figure, height, finding, interval_words(found, metrics))


def _line(name: str, x: list[float], line: list, unit: Unit, metric: str, look: dict, legend: bool) -> dict[str, Any]:
    value, low, high = ([row[c] / unit.factor for _, row in line] for c in ("value", "low", "high"))
    hover = [f"{plotly.said(name)}<br>{plural(p[1], 'rank')}: {unit.shown(row['value'], row['low'], row['high'])} "
             f"{unit.name}, {plural(int(row['n']), 'run')}" for p, row in line]  # fmt: skip
    made = {"type": "scatter", "name": plotly.said(name), "legendgroup": name, "showlegend": legend,
            "x": plotly.finite(x), "y": plotly.finite(value), "text": hover, "hoverinfo": "text", **look,
            **plotly.bars(low, value, high)}  # fmt: skip
    hollow = [str(row["reason"]).startswith("oversubscribed") for _, row in line]
    if any(hollow):
        symbol = made["marker"]["symbol"]
        made["marker"] = {**made["marker"], "symbol": [f"{symbol}-open" if h else symbol for h in hollow]}
    return made


def _ideal(found: dict[str, Values], metric: str, unit: Unit, kind: str) -> dict[str, Any]:
    """From the base of the speed-up on; {}: nothing to hold it against."""
    base = [p[1] for p, row in found.get("speedup", {}).items() if abs(row["value"] - 1) < 1e-9]
    ranks = sorted({p[1] for p in found.get("speedup", {})})
    if not base or len(ranks) < 2:
        return {}
    first, last = min(base), ranks[-1]
    x = [first * (last / first) ** (k / 32) for k in range(33)]
    if metric == "efficiency":
        return {"x": plotly.finite([first, last]), "y": [100.0, 100.0]}
    if metric == "speedup":
        return {"x": plotly.finite(x), "y": plotly.finite([v / first for v in x])}
    fastest = [row["value"] for p, row in found[metric].items() if p[1] == first]
    if not fastest:
        return {}
    y = [min(fastest) / unit.factor * (1 if kind == "weak" else first / v) for v in x]
    return {"x": plotly.finite(x), "y": plotly.finite(y)}


def _fit(series: str, fit: Any, at: Values, unit: Unit) -> list[tuple[int, dict[str, Any]]]:
    ranks = sorted({p[1] for p in at if p[0] == series})
    x = [ranks[0] * (ranks[-1] / ranks[0]) ** (k / 48) for k in range(49)]
    y = [float(fit.predict(v)) / unit.factor for v in x]
    name, dash = plotly.said(f"{fit.name}, {series}"), "dot" if fit.name == "Amdahl" else "dashdot"
    return [(0, {"type": "scatter", "mode": "lines", "name": name, "x": plotly.finite(x), "y": plotly.finite(y),
                 "line": {"color": GREY, "dash": dash, "width": 1.6}, "hoverinfo": "skip"})]  # fmt: skip


def _points(found: dict[str, Values], time: str, study: str, finding: str) -> Chart:
    """One number of ranks: a row for each series, its time and its throughput."""
    metrics = [m for m in (time, RATES[TIMES.index(time)]) if m in found]
    every = sorted(found[time].items(), key=lambda item: item[1]["value"])
    half = MOST_ROWS // 2
    chosen = every if len(every) <= MOST_ROWS else [*every[:half], *every[-half:]]
    several = len({p[2:] for p, _ in chosen}) > 1
    names = [(p, f"{p[0]}, {p[2]} threads" if several else p[0]) for p, _ in chosen]
    looks, traces, panels = plotly.look_of([n for _, n in names]), [], []
    for index, metric in enumerate(metrics):
        at, unit = found[metric], unit_for(found[metric], metric)
        rows = [(n, at[p]) for p, n in names if p in at]
        value, low, high = ([row[c] / unit.factor for _, row in rows] for c in ("value", "low", "high"))
        traces.append((index, {
            "type": "scatter", "mode": "markers", "x": plotly.finite(value), "y": [plotly.wrapped(n) for n, _ in rows],
            "marker": {"size": 9, "color": [looks[n].colour for n, _ in rows],
                       "symbol": [plotly.SYMBOLS[looks[n].marker] for n, _ in rows]},
            "hovertemplate": f"%{{y}}: %{{x:.4g}} {unit.name}<extra></extra>",
            **plotly.bars(low, value, high, "error_x", GREY),
        }))  # fmt: skip
        y = {"range": [len(names) - 0.5, -0.5], "type": "category"}
        panels.append({"y": y, "x": {"title": {"text": heading(metric, unit)}, "rangemode": "tozero"}})  # fmt: skip
    rows_px = 120 + plotly.row_px([n for _, n in names], 26) * len(names)
    figure, height = plotly.figure(traces, panels, height=rows_px, left=20)
    ranks = chosen[0][0][1]
    note = interval_words(found, metrics)
    if len(chosen) < len(every):
        note += f" Of {len(every)} series the {half} fastest and the {half} slowest are drawn; the table has all."
    title = f"Time per step at {plural(ranks, 'rank')}"
    return Chart(f"{study}_strategies", title, figure, height, finding, note)


def _heat(at: Values, metric: str, study: str, finding: str) -> Chart:
    unit, lines = unit_for(at, metric), lines_of(at)
    columns = sorted({p[1:] for p in at})
    several = len({c[1:] for c in columns}) > 1
    names = [f"{r} ranks x {t}" if several else f"{r}" for r, t, _ in columns]
    rows = list(lines)[:MOST_ROWS]
    values = [[at[(n, *c)]["value"] / unit.factor if (n, *c) in at else math.nan for c in columns] for n in rows]
    text = [[unit.text(v * unit.factor) if math.isfinite(v) else "" for v in row] for row in values]
    better = "less" if metric in TIMES else "more"
    figure, height = plotly.heat(rows, names, values, unit.name, better, "ranks", text)
    note = "Darker is better." if better == "more" else "Darker is faster."
    if len(rows) < len(lines):
        note += f" The first {MOST_ROWS} of {len(lines)} series; the table has all."
    title = heading(metric, unit).capitalize()
    return Chart(f"{study}_{metric}", title, figure, height, finding, note, plotly.heat_px(len(names)))


def interval_words(found: dict[str, Values], metrics: Sequence[str]) -> str:
    """What points and bars are."""
    rows = [row for m in metrics for row in found[m].values()]
    runs = sorted({int(row["n"]) for row in rows})
    count = plural(runs[0], "run") if len(runs) == 1 else f"{runs[0]} to {runs[-1]} runs"
    text = f"Points: median over {count}."
    bounded = [row for row in rows if row["low"] < row["high"]]  # Not a base held against itself.
    levels = sorted({round(100 * row["level"], 2) for row in bounded if row["level"] > 0})
    if bounded:
        exact = f" of exact level {levels[0]:g} %" if len(levels) == 1 else ""
        exact = f" of exact levels {levels[0]:g} to {levels[-1]:g} %" if len(levels) > 1 else exact
        return f"{text} Bars: interval over runs{exact}; one shorter than its marker hides behind it."
    return f"{text} No bars: too few runs for an interval."
