# SPDX-License-Identifier: BSD-3-Clause
"""What the report makes of an invented table of metrics: charts that Plotly accepts, tables, units."""

import math
from typing import Any

import pytest
from synthetic_table import row, scaling, table

from partita.pictures.colours import looks
from partita.reports import breakdown, cells, charts, plotly, units
from partita.reports.blocks import Chart, Grid


def traces(chart: Chart, name: str) -> list[dict[str, Any]]:
    return [t for t in chart.figure["data"] if t.get("name") == name]


def by_title(blocks: list, title: str) -> Any:
    return next(b for b in blocks if b.title == title)


def test_few_series_are_lines_with_intervals_and_an_ideal() -> None:
    rows = table(scaling(["mpi", "ring"], [1, 2, 4], lambda p: 0.012 / p**0.9))
    (chart,) = charts.scaling_charts(rows, "s", "strong")
    time, speedup, efficiency = traces(chart, "ring")
    assert time["y"] == pytest.approx([12.12 / p**0.9 for p in (1, 2, 4)])  # In milliseconds.
    assert time["error_y"]["array"] == pytest.approx([0.1 * y for y in time["y"]])
    assert speedup["y"] == pytest.approx([p**0.9 for p in (1, 2, 4)])
    assert efficiency["y"] == pytest.approx([100 * p**-0.1 for p in (1, 2, 4)])
    ideals = traces(chart, "ideal")
    assert ideals[0]["y"][-1] == pytest.approx(3.0) and ideals[1]["y"][-1] == pytest.approx(4.0)
    assert ideals[2]["y"] == [100.0, 100.0]
    assert "98.44 %" in chart.note and "7 runs" in chart.note


def test_weak_scaling_holds_the_time_against_a_constant() -> None:
    rows = table(scaling(["mpi"], [1, 2, 4], lambda p: 0.01 + 0.001 * p))
    (chart,) = charts.scaling_charts(rows, "s", "weak")
    assert traces(chart, "ideal")[0]["y"] == pytest.approx([11.0] * 33)


def test_many_series_become_a_heat_table() -> None:
    names = [f"strategy {i}" for i in range(40)]
    rows = table(scaling(names, [1, 2, 4, 8, 4096], lambda p: 0.01 / p**0.8))
    efficiency, time = charts.scaling_charts(rows, "s", "strong")
    for chart in (efficiency, time):
        (trace,) = chart.figure["data"]
        assert trace["type"] == "heatmap" and len(trace["y"]) == 40 and trace["x"] == ["1", "2", "4", "8", "4096"]
    assert efficiency.figure["data"][0]["z"][0][1] == pytest.approx(100 * 2**-0.2)


def test_one_number_of_ranks_is_a_row_for_each_series_fastest_first() -> None:
    rows = table(scaling([f"s{i}" for i in range(100)], [2], lambda p: 0.01))
    (chart,) = charts.scaling_charts(rows, "s", "")
    assert len(chart.figure["data"][0]["y"]) == charts.MOST_ROWS
    assert chart.figure["data"][0]["y"][0] == "s0" and chart.figure["data"][0]["y"][-1] == "s99"
    assert "Of 100 series" in chart.note


def test_too_few_runs_have_no_bars_and_say_why() -> None:
    rows = table([row("step_s", 0.01 / p, ranks=p, n=3) for p in (1, 2)])
    (chart,) = charts.scaling_charts(rows, "s", "strong")
    assert "error_y" not in chart.figure["data"][0] and "too few runs" in chart.note
    (grid,) = cells.grids(rows, "s")
    assert grid.rows[0][-1].text == "10.00" and grid.rows[0][-1].beside == ""
    assert "3 runs: intervals from 6 on" in grid.note


def test_oversubscribed_points_are_hollow() -> None:
    rows = table([row("step_s", 0.01, ranks=1), row("step_s", 0.02, ranks=2, reason="oversubscribed")])
    (chart,) = charts.scaling_charts(rows, "s", "strong")
    assert chart.figure["data"][0]["marker"]["symbol"][1].endswith("-open")
    assert not chart.figure["data"][0]["marker"]["symbol"][0].endswith("-open")


def test_a_table_has_one_unit_a_column_and_the_exact_level() -> None:
    rows = table(scaling(["mpi"], [1, 2], lambda p: 0.012 / p))
    (grid,) = cells.grids(rows, "s")
    step = grid.columns.index("time per step (ms)")
    assert (grid.rows[1][step].text, grid.rows[1][step].beside) == ("6.000", "5.400 .. 6.600")
    assert "98.44 %" in grid.note
    assert grid.numbers.column("step_s") == [0.012, 0.006] and grid.numbers.column("step_s_level") == [0.984375] * 2
    percent = grid.columns.index("efficiency (%)")
    assert grid.rows[1][percent].text == "100.0"


def test_what_nobody_measured_is_no_column() -> None:
    rows = table([row("step_s", 0.01), row("accuracy", math.nan, reason="never evaluated")])
    (grid,) = cells.grids(rows, "s")
    assert [c for c in grid.columns if "accuracy" in c] == []


def test_classes_and_the_rest_add_up_to_the_step() -> None:
    rows = table([row("step_s", 0.010, ranks=2), row("class_s:compute", 0.006, ranks=2),
                  row("class_s:communication", 0.003, ranks=2)])  # fmt: skip
    chart = by_title(breakdown.breakdown_charts(rows, "s"), "Where a step spends its time")
    assert sum(t["x"][0] for t in chart.figure["data"]) == pytest.approx(10.0)
    assert traces(chart, "no phase")[0]["x"] == pytest.approx([1.0])


def test_a_base_that_series_share_is_one_bar() -> None:
    made = [row("step_s", 0.01, s, p) for s in ("a", "b") for p in (1, 2)]
    made += [row("class_s:compute", 0.009 - 0.001 * (s == "b") * (p > 1), s, p) for s in ("a", "b") for p in (1, 2)]
    chart = by_title(breakdown.breakdown_charts(table(made), "s"), "Where a step spends its time")
    assert chart.figure["data"][0]["y"] == ["1 rank", "2 ranks, a", "2 ranks, b"]


def test_a_base_held_against_itself_has_no_interval() -> None:
    made = scaling(["a"], [1, 2], lambda p: 0.01 / p)
    base = next(r for r in made if r["metric"] == "speedup" and r["ranks"] == 1)
    base.update(low=1.0, high=1.0, level=1.0)
    (chart,) = charts.scaling_charts(table(made), "s", "strong")
    assert "exact level 98.44 %" in chart.note
    (grid,) = cells.grids(table(made), "s")
    assert "exact level 98.44 %" in grid.note and grid.rows[0][grid.columns.index("speed-up")].beside == ""


def test_lost_efficiency_is_stacked_to_the_whole() -> None:
    parts = {"imbalance": 0.07, "communication": 0.12}
    rows = table([row("parallel_efficiency", 0.81, ranks=2), row("parallel_efficiency", 1.0, ranks=1)]
                 + [row(f"lost:{name}", value, ranks=2) for name, value in parts.items()])  # fmt: skip
    chart = by_title(breakdown.breakdown_charts(rows, "s"), "Where the parallel efficiency goes")
    assert sum(t["x"][0] for t in chart.figure["data"]) == pytest.approx(100.0)
    assert traces(chart, "communication")[0]["x"] == pytest.approx([12.0])


def test_bytes_and_memory_are_those_at_most_ranks() -> None:
    rows = table([row("sent_bytes", b, ranks=p) for p, b in ((2, 4e6), (4, 6e6))] + [row("peak_memory_bytes", 2e9)])
    chart = by_title(breakdown.breakdown_charts(rows, "s"), "Communication and memory")
    assert chart.figure["data"][0]["x"] == [6.0] and "4 ranks" in chart.figure["data"][0]["y"][0]


def test_two_hundred_cells_are_drawn_as_a_few_bars() -> None:
    made = []
    for p in (1, 2, 4, 8, 16):
        for i in range(40):
            made += [row("step_s", 0.01, f"s{i}", p), row("class_s:compute", 0.009 - 1e-5 * i, f"s{i}", p)]
    chart = by_title(breakdown.breakdown_charts(table(made), "s"), "Where a step spends its time")
    assert len(chart.figure["data"][0]["y"]) == breakdown.MOST_BARS and "of 200 points" in chart.note


@pytest.mark.parametrize(("values", "name"), [([3e-3, 4e-3], "ms"), ([2.0], "s"), ([5e-6], "µs"), ([math.nan], "s")])
def test_the_unit_suits_the_median(values: list[float], name: str) -> None:
    assert units.unit_of("step_s", "s", values).name == name


def test_ranks_from_1_to_4096_have_ticks_that_do_not_touch() -> None:
    axis = plotly.rank_axis([2**k for k in range(13)])
    assert axis["type"] == "log" and 6 <= len(axis["tickvals"]) <= 13


def test_every_marker_of_a_series_has_a_symbol() -> None:
    assert {look.marker for look in looks([f"s{i}" for i in range(40)] + ["measured"]).values()} <= set(plotly.SYMBOLS)


def test_plotly_accepts_every_figure() -> None:
    import plotly.graph_objects as go

    few = table(scaling(["mpi", "ring"], [1, 2, 16], lambda p: 0.01 / p))
    more = [row("class_s:compute", 0.005, ranks=2), row("class_s:wait", 0.001, ranks=2), row("step_s", 0.01, ranks=2),
            row("parallel_efficiency", 0.8, ranks=2), row("lost:imbalance", 0.2, ranks=2),
            row("sent_bytes", 1e6, ranks=2)]  # fmt: skip
    many = table(scaling([f"s{i}" for i in range(9)], [1, 2], lambda p: 0.01 / p))
    made = [*charts.scaling_charts(few, "s", "strong"), *charts.scaling_charts(many, "s", "weak"),
            *breakdown.breakdown_charts(table(more), "s"),
            *charts.scaling_charts(table(scaling(["a", "b"], [2], lambda p: 0.01)), "s", "")]  # fmt: skip
    assert len(made) == 7
    for chart in made:
        for layout in (chart.figure["layout"], chart.figure.get("narrow", {}).get("layout", {})):
            go.Figure({"data": chart.figure["data"], "layout": layout})  # ValueError for an unknown key.


def test_names_are_text_for_plotly() -> None:
    rows = table(scaling(["<b>bold</b>&amp;"], [1, 2], lambda p: 0.01))
    (chart,) = charts.scaling_charts(rows, "s", "strong")
    assert chart.figure["data"][0]["name"] == "&lt;b&gt;bold&lt;/b&gt;&amp;amp;"


def test_grids_of_a_study_name_their_files() -> None:
    grids: list[Grid] = cells.grids(table(scaling(["a"], [1], lambda p: 0.01)), "s")
    assert [g.name for g in grids] == ["s_time_and_scaling"]
