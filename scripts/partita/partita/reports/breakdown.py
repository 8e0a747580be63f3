# SPDX-License-Identifier: BSD-3-Clause
"""Charts that take a step apart, from the table of metrics: classes of phases, lost efficiency, bytes and memory."""

import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from partita.analysis.efficiency import LOST
from partita.pictures.style import CLASS, REST
from partita.records.record import plural
from partita.reports import plotly
from partita.reports.blocks import Chart
from partita.reports.cells import value_of
from partita.reports.charts import Values, unit_for
from partita.reports.units import heading, unit_of

if TYPE_CHECKING:
    import pandas as pd

MOST_BARS = 24
NOTHING: Mapping[str, str] = MappingProxyType({})
PATTERN = {"compute": "", "input": ".", "communication": "/", "wait": "x", "other": "-"}
PARTS = {  # What a rank does in a step, and what takes efficiency away -> (colour, pattern).
    "useful": (CLASS["compute"], ""), "imbalance": (CLASS["wait"], "x"), "serialisation": ("#CC79A7", "\\"),
    "bubble": ("#56B4E9", "."), "communication": (CLASS["communication"], "/"), "other": (CLASS["other"], "-"),
}  # fmt: skip
Bars = Sequence[tuple[tuple[Any, ...], str]]


def breakdown_charts(rows: "pd.DataFrame", study: str, findings: Mapping[str, str] = NOTHING) -> list[Chart]:
    """Those that there are numbers for, each with its sentence of `classes`, `split` and `volume`."""
    made = {"classes": _classes(rows, study), "split": _split(rows, study), "volume": _volume(rows, study)}
    return [replace(chart, finding=findings.get(name, "")) for name, chart in made.items() if chart]


def chosen_bars(
    every: Sequence[tuple[Any, ...]], same: Callable[[tuple[Any, ...]], Hashable] | None = None
) -> tuple[Bars, str]:
    """(place, name) of the bars of a chart, and a note where there is no room for all: most ranks go first.

    Places that are the `same` but for their series are one bar without the name of a series: a base that all share.
    """
    places = sorted(every, key=lambda p: (p[1], natural(p[0]), *p[2:]))
    alike: dict[Hashable, list[tuple[Any, ...]]] = {}
    for p in places:
        alike.setdefault((p[1:], same(p) if same else p[0]), []).append(p)
    places = [members[0] for members in alike.values()]
    shared = {members[0] for members in alike.values() if len(members) > 1}
    notes = []
    if len(places) > MOST_BARS:
        kept = sorted(places, key=lambda p: -p[1])[:MOST_BARS]
        notes.append(f"{MOST_BARS} of {len(places)} points are drawn, those with most ranks; the table has all.")
        places = [p for p in places if p in kept]
    series, ranks, threads = (len({p[i] for p in places}) > 1 for i in range(3))
    if series and not ranks:
        notes.append(f"All at {plural(places[0][1], 'rank')}.")
    named = []
    for p in places:
        count = plural(p[1], "rank") + (f" x {p[2]}" if threads else "")
        own = series and p not in shared
        parts = [count] * (ranks or threads or not own) + [p[0]] * own
        named.append((p, ", ".join(parts)))
    return named, " ".join(notes)


def natural(text: str) -> list[tuple[int, str]]:
    """Order in which 2 comes before 10."""
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", text)]


def stacked(
    bars: Bars, parts: Sequence[tuple[str, str, str]], value: Callable[[tuple[Any, ...], str], float], axis: str,
    share: bool = True,
) -> tuple[dict[str, Any], int]:  # fmt: skip
    """Horizontal bars, one below the other; parts are (key, colour, pattern)."""
    total = {p: sum(v for key, *_ in parts if not math.isnan(v := value(p, key))) for p, _ in bars}
    traces = []
    for key, colour, pattern in parts:
        x = [value(p, key) for p, _ in bars]
        if not any(v > 0 for v in x):
            continue
        shares = [v / total[p] if total[p] > 0 else 0.0 for v, (p, _) in zip(x, bars, strict=True)]
        text = [f"{100 * s:.0f} %" if s > 0.055 else "" for s in shares]
        traces.append((0, {
            "type": "bar", "orientation": "h", "name": key, "x": plotly.finite(x),
            "y": [plotly.wrapped(n) for _, n in bars], "text": text if share else None, "textposition": "inside",
            "insidetextanchor": "middle", "textangle": 0,
            "marker": {"color": colour, "line": {"color": "#fff", "width": 1},
                       "pattern": {"shape": pattern, "fillmode": "overlay", "fgcolor": "#fff", "fgopacity": 0.45,
                                   "size": 7, "solidity": 0.25}},
            "hovertemplate": f"%{{y}}<br>{key}: %{{x:.4g}}<extra></extra>",
        }))  # fmt: skip
    panel = {"x": {"title": {"text": axis}}, "y": {"type": "category", "autorange": "reversed", "showgrid": False}}
    height = 100 + plotly.row_px([n for _, n in bars], 34) * len(bars)
    return plotly.figure(traces, [panel], [t["name"] for _, t in traces], height, left=20, barmode="stack", bargap=0.28,
                         uniformtext={"minsize": 11, "mode": "hide"})  # fmt: skip


def _classes(rows: "pd.DataFrame", study: str) -> Chart | None:
    found = {c: value_of(rows, f"class_s:{c}") for c in CLASS}
    places = {p for at in found.values() for p, row in at.items() if not math.isnan(row["value"])}
    steps = value_of(rows, "step_s")
    places = {p for p in places if p in steps}
    if not places:
        return None
    unit = unit_for({p: steps[p] for p in places}, "step_s")
    classes = {p: tuple(at[p]["value"] for at in found.values() if p in at) for p in places}
    bars, note = chosen_bars(list(places), classes.get)

    def value(place: tuple[Any, ...], cls: str) -> float:
        if cls == "no phase":
            known = [at[place]["value"] for at in found.values() if place in at]
            return max(0.0, steps[place]["value"] - sum(v for v in known if not math.isnan(v))) / unit.factor
        row = found[cls].get(place)
        return row["value"] / unit.factor if row and not math.isnan(row["value"]) else 0.0

    parts = [(c, colour, PATTERN[c]) for c, colour in CLASS.items()] + [("no phase", REST, "")]
    figure, height = stacked(bars, parts, value, f"time in a step ({unit.name})")
    note = f"Mean over ranks of the time in phases of each class. {note}".rstrip()
    return Chart(f"{study}_classes", "Where a step spends its time", figure, height, "", note)


def _split(rows: "pd.DataFrame", study: str) -> Chart | None:
    """What is left of a step's efficiency, and what took the rest."""
    pe = value_of(rows, "parallel_efficiency")
    lost = {name: value_of(rows, f"lost:{name}") for name in LOST}
    places = [p for p, row in pe.items() if not math.isnan(row["value"]) and p[1] > 1]
    if not places or not any(lost.values()):
        return None
    bars, note = chosen_bars(places)

    def value(place: tuple[Any, ...], part: str) -> float:
        row = pe[place] if part == "useful" else lost[part].get(place)
        return 0.0 if row is None or math.isnan(row["value"]) else 100 * max(0.0, row["value"])

    parts = [(name, *look) for name, look in PARTS.items()]
    figure, height = stacked(bars, parts, value, "share of the time of all ranks (%)")
    note = f"Useful: computing, which is the parallel efficiency; the others are what takes the rest. {note}".rstrip()
    return Chart(f"{study}_split", "Where the parallel efficiency goes", figure, height, "", note)


def _volume(rows: "pd.DataFrame", study: str) -> Chart | None:
    """Bytes that a rank sends in a step, and its memory, at the largest number of ranks of each series."""
    metrics = ("sent_bytes", "state_bytes", "peak_memory_bytes")
    found: dict[str, Values] = {}
    for metric in metrics:
        at = {p: row for p, row in value_of(rows, metric).items() if row["value"] > 0}
        if at:
            found[metric] = at
    last: dict[str, tuple[Any, ...]] = {}
    for place in sorted({p for at in found.values() for p in at}, key=lambda p: p[1:]):
        last[place[0]] = place
    if not last:
        return None
    bars, note = chosen_bars(list(last.values()))
    looks = plotly.look_of([p[0] for p, _ in bars])
    traces, panels = [], []
    for index, (metric, at) in enumerate(found.items()):
        unit = unit_of(metric, "byte", [at[p]["value"] for p, _ in bars if p in at])
        x = [at[p]["value"] / unit.factor if p in at else math.nan for p, _ in bars]
        traces.append((index, {
            "type": "bar", "orientation": "h", "x": plotly.finite(x), "y": [plotly.wrapped(n) for _, n in bars],
            "text": ["" if math.isnan(v) else f"{v:.3g}" for v in x], "textposition": "auto",
            "marker": {"color": [looks[p[0]].colour for p, _ in bars]},
            "hovertemplate": f"%{{y}}: %{{x:.4g}} {unit.name}<extra></extra>",
        }))  # fmt: skip
        panels.append({"x": {"title": {"text": heading(metric, unit)}},
                       "y": {"type": "category", "autorange": "reversed", "showgrid": False}})  # fmt: skip
    rows_px = 110 + plotly.row_px([n for _, n in bars], 30) * len(bars)
    figure, height = plotly.figure(traces, panels, height=rows_px, left=20, bargap=0.3)
    note = f"Sent: of a step, mean over ranks; memory: of the rank with the most. {note}".rstrip()
    return Chart(f"{study}_volume", "Communication and memory", figure, height, "", note)
