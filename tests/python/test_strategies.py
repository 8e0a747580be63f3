# SPDX-License-Identifier: BSD-3-Clause
"""The picture of strategies side by side: rows, panels, units, numbers."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.axes import Axes

from partita.analysis.scaling import analyse
from partita.pictures.picture import Picture
from partita.pictures.strategies import EXPOSED, PARTS, strategies_picture
from partita.records.folder import read_folder
from synthetic import PHASES, SHARES, Synthetic

MEMORY = {"allreduce": (4_000_000, 4_000_000, 8_000_000), "zero1": (4_000_000, 4_000_000, 4_000_000)}


def run(
    ranks: int, strategy: str, step_s: float = 0.04, overlap_s: tuple[float, float] = (0, 0), **also: object
) -> Synthetic:
    also = {"memory": MEMORY[strategy]} | also
    return Synthetic(ranks=ranks, step_s=lambda s: step_s * (1 + s % 2 / 100), parallel=f'strategy = "{strategy}"',
                     overlap_s=overlap_s, **also)  # fmt: skip


def usual(folder: Path) -> list[Synthetic]:
    runs = [run(1, "allreduce"), run(2, "allreduce", 0.03), run(2, "zero1", 0.02, (0.004, 0.001))]
    study = 'name = "synthetic"\nscaling = "strong"\nequal_at_one_rank = ["parallel.strategy"]\n'
    (folder / "study.toml").write_text(study)
    return runs


def picture(folder: Path, *runs: Synthetic) -> Picture | str:
    for index, each in enumerate(runs):
        each.write(folder / f"run{index}.h5")
    (study,), *_ = read_folder(folder)
    return strategies_picture(study, analyse(study))


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def bars(axes: Axes, colour: tuple[object, str]) -> list[tuple[float, float]]:
    """(left, width) of the bars of one colour and its hatch, from the top."""
    colour, hatch = colour
    alike = [p for p in axes.patches if (p.get_hatch() or "") == hatch]
    chosen = [p for p in alike if p.get_facecolor()[:3] == pytest.approx(_rgb(colour))]
    return [(p.get_x(), p.get_width()) for p in sorted(chosen, key=lambda p: p.get_y())]


def _rgb(colour: object) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    return to_rgb(colour)


def test_a_row_for_each_strategy_at_each_number_of_ranks(tmp_path: Path) -> None:
    figure = picture(tmp_path, *usual(tmp_path)).figure
    time = figure.axes[0]
    assert [a.get_title(loc="left") for a in figure.axes] == [
        "Time per step", "Exposed\ncommunication", "Sent by a rank", "Memory of a rank"
    ]  # fmt: skip
    assert [t.get_text() for t in time.get_yticklabels()] == ["all alike", "allreduce", "zero1"]
    assert [t for t in texts(time) if "rank" in t] == ["1 rank", "2 ranks"]
    assert time.get_ylim()[0] > time.get_ylim()[1]  # From the top.
    assert [a.get_xlabel() for a in figure.axes] == [
        "median step (ms)", "mean of a step (ms)", "in a step (kB)", "state (MB)"
    ]  # fmt: skip
    medians = [float(line.get_xdata()[0]) for line in time.lines if line.get_label() == "_median"]
    assert medians == pytest.approx([40.4, 30.3, 20.2], rel=1e-9)  # 5 odd steps and 4 even ones count.
    assert "_interval" not in [line.get_label() for line in time.lines]  # One run of each.
    spreads = [list(line.get_xdata()) for line in time.lines if line.get_label() == "_spread"]
    assert spreads[1] == pytest.approx([30, 30.3], rel=1e-9)


def test_intervals_are_over_runs(tmp_path: Path) -> None:
    runs = [run(2, s, 0.01 * t, point=f"np2-{s}-r{t}") for s in MEMORY for t in range(1, 7)]
    time = picture(tmp_path, *runs).figure.axes[0]
    intervals = [list(line.get_xdata()) for line in time.lines if line.get_label() == "_interval"]
    assert intervals == [pytest.approx([10.1, 60.6], rel=1e-9)] * 2


def test_communication_is_the_phase_and_what_is_served_between_units(tmp_path: Path) -> None:
    axes = picture(tmp_path, *usual(tmp_path)).figure.axes[1]
    phase, between = (bars(axes, colour) for colour in EXPOSED.values())
    share = SHARES[[name for name, _ in PHASES].index("allreduce")]
    mean = 1 + 5 / 9 / 100  # Of the counted steps' factors.
    assert [w for _, w in phase] == pytest.approx([30 * share * mean, 20 * share * mean], rel=1e-6)  # None at one rank.
    ((left, width),) = between
    assert left == pytest.approx(phase[1][1]) and left + width == pytest.approx(4)


def test_bytes_are_of_a_step_and_memory_of_the_rank_with_the_most(tmp_path: Path) -> None:
    shown = picture(tmp_path, *usual(tmp_path))
    rows = {(r["series"], r["ranks"]): r for r in shown.table}
    # The invented record counts 9 steps, /traffic counts from warm-up on: 10.
    assert rows["zero1", 2]["sent_bytes"] == pytest.approx(4000 * 9 / 10) and rows["all alike", 1]["sent_bytes"] == 0
    assert rows["zero1", 2]["optimizer_bytes"] == 4e6 and rows["allreduce", 2]["optimizer_bytes"] == 8e6
    memory = shown.figure.axes[3]
    stacks = [bars(memory, colour) for colour in PARTS.values()]
    assert stacks[0] == [pytest.approx((0, 4))] * 3 and stacks[1] == [pytest.approx((4, 4))] * 3
    assert stacks[2] == [pytest.approx((8, 8)), pytest.approx((8, 8)), pytest.approx((8, 4))]
    assert rows["zero1", 2]["hidden_s"] == 0.001


def test_oversubscribed_points_are_hollow_and_marked(tmp_path: Path) -> None:
    runs = [run(p, s, oversubscribed=int(p == 4)) for p in (2, 4) for s in MEMORY]
    figure = picture(tmp_path, *runs).figure
    points = [line for line in figure.axes[0].lines if line.get_label() == "_median"]
    assert [p.get_markerfacecolor() == "white" for p in points] == [False, False, True, True]
    assert [t for t in texts(figure.axes[0]) if "rank" in t] == ["2 ranks", "4 ranks*"]
    assert "oversubscribed" in [t.get_text() for t in figure.legends[0].get_texts()]


def test_no_picture_where_no_strategies_are_compared(tmp_path: Path) -> None:
    for name in ("one", "old"):
        (tmp_path / name).mkdir()
    assert "is not what tells" in picture(tmp_path / "one", *[run(2, "zero1", allreduce=a) for a in ("mpi", "ring")])
    assert "weight_bytes" in picture(tmp_path / "old", run(2, "zero1"), run(2, "allreduce", memory=None))


def test_nothing_overlaps_or_reaches_beyond_the_page(tmp_path: Path) -> None:
    figure = picture(tmp_path, *[run(p, s) for p in (1, 2, 4, 8) for s in MEMORY]).figure
    figure.draw_without_rendering()
    page, tight = figure.bbox_inches, figure.get_tightbbox()
    assert tight.x0 >= -0.01 and tight.y0 >= -0.01 and tight.x1 <= page.width + 0.01 and tight.y1 <= page.height + 0.01
    time = figure.axes[0]
    left = [
        t.get_window_extent() for t in [*time.get_yticklabels(), *[t for t in time.texts if "rank" in t.get_text()]]
    ]
    assert not any(a.overlaps(b) for i, a in enumerate(left) for b in left[:i])


def test_plot_writes_it(tmp_path: Path, partita: Callable[..., tuple[int, str, str]]) -> None:
    picture(tmp_path, *usual(tmp_path))
    code, out, err = partita("plot", tmp_path)
    assert (code, err) == (0, "") and "strategies.png" in out
    assert (tmp_path / "figures" / "strategies.png").stat().st_size > 8000
    with (tmp_path / "figures" / "strategies.csv").open(encoding="utf-8") as stream:
        assert [r["series"] for r in csv.DictReader(stream)] == ["all alike", "allreduce", "zero1"]
