# SPDX-License-Identifier: BSD-3-Clause
"""What the charts of a report share: panels, axes of ranks, looks of series; figures are plain {"data", "layout"}.

A figure has panels side by side, and as `narrow` the same one below the other, for a phone.
"""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from partita.pictures.colours import Look, looks
from partita.pictures.style import GREY, INK, RULE

HEIGHT, LEGEND_ROW = 370, 24  # Pixels: of a panel with its axes, of a row of the legend.
SYMBOLS = {
    "o": "circle", "s": "square", "^": "triangle-up", "D": "diamond", "v": "triangle-down", "P": "cross", "X": "x",
    "p": "pentagon", "<": "triangle-left", ">": "triangle-right", "h": "hexagon", "*": "star", "d": "diamond-tall",
}  # fmt: skip
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
TOP, BOTTOM, GAP, NARROW_GAP = 34, 54, 0.085, 96  # Pixels; share of the width between panels; pixels between rows.
WIDE, NARROW = 1090, 340  # Pixels of a chart on a desktop, on a phone.
LOG_FROM = 8  # Numbers of ranks above it stand on a logarithmic axis.

Trace = dict[str, Any]


def said(text: str) -> str:
    """A text for Plotly, which would read <b> and &amp; as HTML."""
    return html.escape(str(text), quote=False)


def wrapped(text: str, most: int = 28) -> str:
    """The name of a row, broken after commas where it is long."""
    lines = [""]
    for piece in str(text).split(", "):
        joined = f"{lines[-1]}, {piece}" if lines[-1] else piece
        if len(joined) > most and lines[-1]:
            lines[-1] += ","
            lines.append(piece)
        else:
            lines[-1] = joined
    return "<br>".join(said(line) for line in lines)


def row_px(names: Iterable[str], least: int) -> int:
    """Pixels of a row, so that the longest name finds room."""
    return max((least, *(16 * (wrapped(name).count("<br>") + 1) + 6 for name in names)))


def legend_rows(names: Sequence[str], width: int) -> int:
    """Rows that the names of a legend need: Plotly gives all the width of the longest."""
    if not names:
        return 0
    each = 52 + 7.2 * max(map(len, names))
    total = sum(52 + 7.2 * len(n) for n in names)
    return 1 if total <= width else -(-len(names) // max(1, int(width / each)))


def finite(values: Iterable[float]) -> list[float | None]:
    """JSON has no NaN; nine digits are enough for a picture."""
    return [float(f"{v:.9g}") if v is not None and math.isfinite(v) else None for v in values]


def look_of(names: Sequence[str]) -> dict[str, Look]:
    """The look of each series of a chart."""
    return looks(names)


def line_style(look: Look, marks: bool = True) -> Trace:
    """Line, marker and mode of a trace."""
    dash = "solid" if look.dashes == "-" else ",".join(f"{2 * n:g}px" for n in look.dashes[1])
    line = {"color": look.colour, "width": 2, "dash": dash}
    marker = {"color": look.colour, "symbol": SYMBOLS[look.marker], "size": 8}
    return {"mode": "lines+markers" if marks else "lines", "line": line, **({"marker": marker} if marks else {})}


def bars(
    low: Sequence[float],
    value: Sequence[float],
    high: Sequence[float],
    along: str = "error_y",
    colour: str | None = None,
) -> Trace:
    """Intervals as error bars; none where a bound is not known."""
    up = [h - v if math.isfinite(h) and math.isfinite(low_) else math.nan
          for low_, v, h in zip(low, value, high, strict=True)]  # fmt: skip
    down = [v - low_ if math.isfinite(u) else math.nan for low_, v, u in zip(low, value, up, strict=True)]
    if not any(math.isfinite(u) for u in up):
        return {}
    return {along: {"type": "data", "symmetric": False, "array": finite(up), "arrayminus": finite(down),
                    "thickness": 1.3, "width": 4, **({"color": colour} if colour else {})}}  # fmt: skip


def rank_axis(ranks: Iterable[int], title: str = "ranks") -> Trace:
    """Ticks at the numbers of ranks that ran, thinned where they would touch; logarithmic from LOG_FROM on."""
    values = sorted(set(ranks))
    if not values or values[-1] <= LOG_FROM:
        room = 0.12 * max(1, values[-1] - values[0]) if values else 1
        ends = [values[0] - room, values[-1] + room] if values else [0, 1]
        return {"title": {"text": title}, "tickvals": values, "range": ends, "showgrid": False}
    shown = [values[0]]
    for value in values[1:]:
        if value / shown[-1] >= (values[-1] / values[0]) ** 0.09:
            shown.append(value)
    log = math.log10
    room = 0.05 * log(values[-1] / values[0])
    return {"title": {"text": title}, "type": "log", "tickvals": shown, "ticktext": [str(v) for v in shown],
            "range": [log(values[0]) - room, log(values[-1]) + room], "showgrid": False}  # fmt: skip


def figure(
    traces: Sequence[tuple[int, Trace]], panels: Sequence[dict[str, Any]], legend: Sequence[str] = (),
    height: int = HEIGHT, left: int = 66, **layout: Any,
) -> tuple[Trace, int]:  # fmt: skip
    """(figure, its height): traces with the number of their panel; a panel is {"title", "x": axis, "y": axis}.

    `legend`: the names in it; none: there is no legend.
    """
    n = len(panels)
    data = [{**t, "xaxis": _axis("x", i), "yaxis": _axis("y", i)} for i, t in traces]
    top = TOP + (LEGEND_ROW * legend_rows(legend, WIDE) + 8 if legend else 0)
    base = {
        "font": {"family": FONT, "size": 13, "color": INK}, "paper_bgcolor": "#fff", "plot_bgcolor": "#fff",
        "margin": {"l": left, "r": 18, "t": top, "b": BOTTOM}, "hovermode": "closest", "showlegend": bool(legend),
        "legend": {"orientation": "h", "traceorder": "normal", "maxheight": 1, "x": 0, "xanchor": "left",
                   "xref": "container", "y": 1, "yanchor": "top", "yref": "container"},
        **layout,
    }  # fmt: skip
    total = height + top - TOP
    width = (1 - GAP * (n - 1)) / n
    wide = [([i * (width + GAP), i * (width + GAP) + width], [0.0, 1.0]) for i in range(n)]
    made = {"data": data, "layout": {**base, **_axes(panels, wide)}}
    if n == 1 and not legend:
        return made, total
    narrow_top = TOP + (LEGEND_ROW * legend_rows(legend, NARROW) + 8 if legend else 0)
    inner = height - TOP - BOTTOM
    area = n * inner + (n - 1) * NARROW_GAP
    tall = [([0.0, 1.0], [1 - (i * (inner + NARROW_GAP) + inner) / area, 1 - i * (inner + NARROW_GAP) / area])
            for i in range(n)]  # fmt: skip
    margin = {"l": min(left, 130), "r": 10, "t": narrow_top, "b": BOTTOM}
    layout = {**base, "margin": margin, **_axes(panels, tall)}
    made["narrow"] = {"layout": layout, "height": area + narrow_top + BOTTOM}
    return made, total


def _axes(panels: Sequence[dict[str, Any]], domains: Sequence[tuple[list[float], list[float]]]) -> dict[str, Any]:
    made: dict[str, Any] = {"annotations": []}
    for i, (panel, (x, y)) in enumerate(zip(panels, domains, strict=True)):
        common = {"gridcolor": RULE, "linecolor": GREY, "showline": True, "zeroline": False, "ticks": "outside",
                  "tickcolor": GREY, "ticklen": 4, "automargin": True}  # fmt: skip
        number = str(i + 1) if i else ""
        for own, other, domain in (("x", "y", x), ("y", "x", y)):
            its = _titled(panel.get(own, {}))
            if own == "y" and its.get("type") == "category" and i and domains[i][1] == domains[0][1]:
                its["showticklabels"] = False  # Rows of panels side by side are named once.
            made[f"{own}axis{number}"] = {**common, **its, "domain": _rounded(domain), "anchor": _axis(other, i)}
        if panel.get("title"):
            made["annotations"].append(
                {"text": f"<b>{said(panel['title'])}</b>", "x": x[0], "y": y[1], "xref": "paper", "yref": "paper",
                 "xanchor": "left", "yanchor": "bottom", "yshift": 7, "showarrow": False, "font": {"size": 14}}
            )  # fmt: skip
    return made


def _titled(axis: dict[str, Any]) -> dict[str, Any]:
    """The axis with its title as large as all other text, and close to the ticks."""
    given = axis.get("title")
    return {**axis, **({"title": {**given, "font": {"size": 13}, "standoff": 8}} if given else {})}


def _axis(letter: str, index: int) -> str:
    return f"{letter}{index + 1}" if index else letter


def _rounded(domain: Sequence[float]) -> list[float]:
    return [min(1.0, max(0.0, round(v, 6))) for v in domain]


def heat_px(columns: int) -> int:
    """The least width at which the numbers of a heat table can be read."""
    return 190 + 54 * columns


def heat(
    rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float]], unit: str, better: str = "more",
    title: str = "", text: Sequence[Sequence[str]] | None = None,
) -> tuple[Trace, int]:  # fmt: skip
    """A heat table: a row for each series, the number in each field; darker is more."""
    shown = text or [["" if v is None or not math.isfinite(v) else f"{v:.3g}" for v in row] for row in values]
    scale = [[0, "#f3f7fb"], [0.5, "#9cc3e0"], [1, "#2b7bba"]]
    trace = {
        "type": "heatmap", "x": [said(c) for c in columns], "y": [wrapped(r) for r in rows],
        "z": [finite(row) for row in values], "text": [list(row) for row in shown], "texttemplate": "%{text}",
        "colorscale": scale, "reversescale": better == "less", "showscale": False, "xgap": 2, "ygap": 2,
        "hovertemplate": f"%{{y}}, %{{x}}: %{{text}} {said(unit)}<extra></extra>",
    }  # fmt: skip
    y = {"autorange": "reversed", "type": "category", "showgrid": False, "showline": False, "ticks": ""}
    x = {
        "type": "category",
        "side": "top",
        "showgrid": False,
        "showline": False,
        "ticks": "",
        "tickangle": 0,
        "title": {"text": title},
    }
    made, _ = figure([(0, trace)], [{"x": x, "y": y}], left=20)
    made["layout"]["margin"] |= {"t": 64, "b": 12}
    return made, 80 + row_px(rows, 26) * len(rows)
