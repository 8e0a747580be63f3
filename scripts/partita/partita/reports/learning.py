# SPDX-License-Identifier: BSD-3-Clause
"""Charts from the records themselves: loss against samples and time, staleness, idle time, predicted communication.

Each series is shown at its largest number of ranks, as the median over its first MOST_RUNS runs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from partita.pictures.style import CLASS
from partita.records.folder import Cell, RecordedStudy, Series
from partita.records.pipeline import PARTS, bubble
from partita.records.record import Record, plural
from partita.records.server import ServerRun, server_run
from partita.reports import plotly
from partita.reports.blocks import Chart
from partita.reports.breakdown import chosen_bars, stacked
from partita.reports.charts import FEW, MOST_ROWS
from partita.reports.units import unit_of

MOST_RUNS, POINTS, COLUMNS = 12, 120, 10  # Runs of a median; points of a line; columns of a heat table.
WENT_ON = "Runs that went on from a checkpoint are shown with their own steps and time alone."
IDLE = {"busy_s": (CLASS["compute"], ""), "fill_s": ("#56B4E9", "."), "steady_idle_s": (CLASS["other"], "-"),
        "wait_s": (CLASS["wait"], "x"), "drain_s": (CLASS["communication"], "/")}  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """Loss of a series, over the samples and the seconds in which it was reached."""

    samples: np.ndarray
    seconds: np.ndarray
    loss: np.ndarray
    virtual: bool
    what: str


def learning_charts(study: RecordedStudy) -> list[Chart]:
    """Those that the records have data for."""
    made = (_loss(study), _staleness(study), _idle(study), _predicted(study))
    return [chart for chart in made if chart]


def _last(series: Series) -> Cell:
    plain = [c for c in series.cells if not c.oversubscribed]
    return (plain or series.cells)[-1]


def _runs(cell: Cell) -> tuple[Record, ...]:
    return cell.records[:MOST_RUNS]


def curve(cell: Cell) -> Curve | None:
    """Median over the runs, on a grid of samples that all of them reached; None without a step."""
    drawn = []
    for record in _runs(cell):
        with record.opened():
            if (run := server_run(record)) is not None:
                drawn.append((*run.curve(), run.virtual))
            elif record.written_steps:
                drawn.append((*_of_steps(record), "training loss", False))
    drawn = [d for d in drawn if len(d[0]) > 1 and np.isfinite(d[2]).any()]
    if not drawn:
        return None
    grid = np.linspace(max(d[0][0] for d in drawn), min(d[0][-1] for d in drawn), min(POINTS, len(drawn[0][0])))
    seconds, loss = (np.median([np.interp(grid, d[0], d[i]) for d in drawn], axis=0) for i in (1, 2))
    return Curve(grid, seconds, loss, drawn[0][4], drawn[0][3])


def _of_steps(record: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    steps = record.steps
    if "end_ns" in steps:
        seconds = (steps["end_ns"].max(axis=1) - steps["start_ns"][0].min()) * 1e-9
    else:
        seconds = np.cumsum(steps["step_max_s"])
    return record.samples_so_far, seconds, steps["loss"]


def _loss(study: RecordedStudy) -> Chart | None:
    curves = {s.label: (c, _last(s).ranks) for s in study.series if (c := curve(_last(s)))}
    if not curves:
        return None
    whats = sorted({c.what for c, _ in curves.values()})
    label = " or ".join(whats)
    several = len({r for _, r in curves.values()}) > 1
    names = {n: f"{n}, {plural(r, 'rank')}" if several or len(curves) == 1 else n for n, (_, r) in curves.items()}
    ranks = "" if several else f" at {plural(next(iter(curves.values()))[1], 'rank')}"
    note = f"Median over the runs, up to {MOST_RUNS}; each series at its largest number of ranks."
    if any(r.first_step for s in study.series for r in _runs(_last(s))):
        note += f" {WENT_ON}"
    if len(curves) > FEW:
        return _loss_heat(study, curves, names, label, note)
    unit = "virtual s" if any(c.virtual for c, _ in curves.values()) else "s"
    looks, traces = plotly.look_of(list(curves)), []
    for name, (c, _) in curves.items():
        for panel, x in enumerate((c.samples, c.seconds)):
            traces.append((panel, {
                "type": "scatter", "name": plotly.said(names[name]), "legendgroup": name, "showlegend": panel == 0,
                "x": plotly.finite(x), "y": plotly.finite(c.loss), **plotly.line_style(looks[name], marks=False),
                "hovertemplate": f"{plotly.said(names[name])}<br>%{{x:.4g}}: %{{y:.4g}}<extra></extra>",
            }))  # fmt: skip
    y = {"title": {"text": label}}
    panels = [
        {"title": "Against samples", "x": {"title": {"text": "samples"}, "rangemode": "tozero"}, "y": y},
        {"title": "Against time", "x": {"title": {"text": f"time ({unit})"}, "rangemode": "tozero"}, "y": y},
    ]
    figure, height = plotly.figure(traces, panels, legend=list(names.values()))
    return Chart(f"{study.name}_loss", f"Loss{ranks}", figure, height, "", note)


def _loss_heat(
    study: RecordedStudy, curves: dict[str, tuple[Curve, int]], names: dict[str, str], label: str, note: str
) -> Chart:
    shown = list(curves)[:MOST_ROWS]
    most = min(c.samples[-1] for c, _ in curves.values())
    at = most * np.arange(1, COLUMNS + 1) / COLUMNS
    values = [[float(np.interp(x, curves[n][0].samples, curves[n][0].loss)) for x in at] for n in shown]
    figure, height = plotly.heat([names[n] for n in shown], [f"{x:,.0f}" for x in at], values, "", "less", "samples")
    if len(shown) < len(curves):
        note += f" The first {MOST_ROWS} of {len(curves)} series."
    title = f"{label.capitalize()} after so many samples"
    return Chart(f"{study.name}_loss", title, figure, height, "", note, plotly.heat_px(COLUMNS))


def _over_series(study: RecordedStudy, of: Callable[[Record], np.ndarray | None]) -> dict[str, np.ndarray]:
    """Series -> mean over runs of what `of` finds in a record, cut to the shortest."""
    found = {}
    for series in study.series:
        values = [v for r in _runs(_last(series)) if (v := of(r)) is not None]
        if values:
            n = max(len(v) for v in values)
            found[series.label] = np.mean([np.pad(v, (0, n - len(v))) for v in values], axis=0)
    return found


def _staleness(study: RecordedStudy) -> Chart | None:
    def of(record: Record) -> np.ndarray | None:
        run: ServerRun | None = server_run(record)
        return run.staleness() if run else None

    found = _over_series(study, of)
    if not found:
        return None
    width = 0
    last = max(int(np.flatnonzero(v > 5e-4).max(initial=0)) for v in found.values())
    note = "Share of the pushes that a server used, by server clock at push less server clock at pull."
    if len(found) > FEW or last > 24:
        groups = np.array_split(np.arange(last + 1), min(last + 1, 16))
        names = [f"{g[0]}" if len(g) == 1 else f"{g[0]}-{g[-1]}" for g in groups]
        rows = list(found)[:MOST_ROWS]
        values = [[100 * float(found[n][g[g < len(found[n])]].sum()) for g in groups] for n in rows]
        text = [[f"{v:.0f}" if v >= 0.5 else "" for v in row] for row in values]
        figure, height = plotly.heat(rows, names, values, "%", "more", "staleness (share in %)", text)
        width = plotly.heat_px(len(groups))
    else:
        looks = plotly.look_of(list(found))
        traces = [(0, {"type": "bar", "name": plotly.said(n), "x": list(range(len(v[: last + 1]))),
                       "y": plotly.finite(100 * v[: last + 1]), "marker": {"color": looks[n].colour},
                       "hovertemplate": "staleness %{x}: %{y:.1f} %<extra></extra>"})
                  for n, v in found.items()]  # fmt: skip
        panel = {"x": {"title": {"text": "staleness (updates)"}, "dtick": 1 if last <= 12 else 2, "showgrid": False},
                 "y": {"title": {"text": "share of pushes (%)"}}}  # fmt: skip
        figure, height = plotly.figure(traces, [panel], legend=list(found), barmode="group")
    return Chart(f"{study.name}_staleness", "Staleness of the gradients", figure, height, "", note, width)


def _idle(study: RecordedStudy) -> Chart | None:
    """Seconds of a step that the ranks are busy and idle, mean over ranks and runs."""
    found: dict[tuple[Any, ...], dict[str, float]] = {}
    for series in study.series:
        for cell in series.cells:
            parts = [b.parts for r in _runs(cell) if (b := bubble(r))]
            if parts:
                found[series.label, cell.ranks, cell.threads, 0] = {
                    name: float(np.mean([p[name].mean() for p in parts])) for name in PARTS
                }
    if not found:
        return None
    bars, note = chosen_bars(list(found))
    unit = unit_of("step_s", "s", [sum(parts.values()) for parts in found.values()])
    words = {PARTS[name]: name for name in PARTS}
    parts = [(word, *IDLE[name]) for word, name in words.items()]
    figure, height = stacked(bars, parts, lambda p, word: found[p][words[word]] / unit.factor, f"a step ({unit.name})")
    note = f"Mean over ranks and runs. Fill and drain are the schedule's; the rest is waiting. {note}".rstrip()
    return Chart(f"{study.name}_idle", "Busy and idle time of the pipeline", figure, height, "", note)


def _predicted(study: RecordedStudy) -> Chart | None:
    """Seconds of all operations in a step: measured by the longest rank, predicted from the calibrated link."""
    found: dict[tuple[Any, ...], tuple[float, float]] = {}
    for series in study.series:
        for cell in series.cells:
            pairs = [p for r in _runs(cell) if (p := _communication(r))]
            if pairs:
                found[series.label, cell.ranks, cell.threads, 0] = (
                    float(np.median([p[0] for p in pairs])), float(np.median([p[1] for p in pairs]))
                )  # fmt: skip
    if not found:
        return None
    bars, note = chosen_bars(list(found))
    unit = unit_of("step_s", "s", [v for pair in found.values() for v in pair])
    traces = [(0, {"type": "scatter", "mode": "markers", "name": name, "y": [plotly.wrapped(n) for _, n in bars],
                   "x": plotly.finite(found[p][i] / unit.factor for p, _ in bars),
                   "marker": {"size": 11, "symbol": symbol, "color": colour},
                   "hovertemplate": f"%{{y}}: {name} %{{x:.4g}} {unit.name}<extra></extra>"})
              for i, (name, symbol, colour) in enumerate((("measured", "circle", CLASS["communication"]),
                                                          ("predicted", "line-ns-open", "#1a1a1a")))]  # fmt: skip
    panel = {"x": {"title": {"text": f"communication in a step ({unit.name})"}, "rangemode": "tozero"},
             "y": {"type": "category", "range": [len(bars) - 0.5, -0.5]}}  # fmt: skip
    figure, height = plotly.figure(
        traces,
        [panel],
        legend=("measured", "predicted"),
        height=110 + plotly.row_px([n for _, n in bars], 30) * len(bars),
        left=20,
    )
    note = f"Predicted from latency and bandwidth of the calibration, without waiting for other ranks. {note}".rstrip()
    return Chart(f"{study.name}_predicted", "Communication: measured and predicted", figure, height, "", note)


def _communication(record: Record) -> tuple[float, float] | None:
    """(measured, predicted) seconds of a step; None where a part of it has no prediction."""
    with record.opened():
        return _seconds(record)


def _seconds(record: Record) -> tuple[float, float] | None:
    table = record.groups.get("traffic", {})
    steps = int(np.sum(record.steps["warmup"] == 0)) if record.steps else 0
    if not steps or not {"seconds", "predicted_s"} <= set(table) or record.ranks < 2:
        return None
    measured = float(np.max(np.atleast_2d(table["seconds"]).sum(axis=0))) / steps
    predicted = float(np.sum(table["predicted_s"])) / steps
    return (measured, predicted) if measured > 0 and predicted > 0 and math.isfinite(predicted) else None
