# SPDX-License-Identifier: BSD-3-Clause
"""Pictures made of the table of metrics: known numbers come out, and what is lacking is said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from partita.analysis.metrics import COLUMNS
from partita.analysis.scaling import analyse
from partita.pictures import hardware, memory, phases, scaling, split, style, volume
from partita.records.folder import RecordedStudy, read_folder
from partita.statistics import Interval
from synthetic import Synthetic


def study_of(folder: Path, *runs: Synthetic) -> RecordedStudy:
    folder.mkdir(exist_ok=True)
    for index, run in enumerate(runs):
        run.write(folder / f"run{index}.h5")
    return read_folder(folder)[0][0]


def pair(folder: Path) -> RecordedStudy:
    return study_of(folder, *[Synthetic(ranks=2, allreduce=a) for a in ("mpi", "ring")])


def table(values: dict[str, dict[str, float]], reason: str = "") -> pd.DataFrame:
    """Rows over runs of two ranks: series -> metric -> value."""
    usual = dict.fromkeys(COLUMNS, "") | {"study": "synthetic", "app": "mlp_dp", "ranks": 2, "scope": "over runs",
                                          "n": 6, "low": np.nan, "high": np.nan, "reason": reason}  # fmt: skip
    rows = [usual | {"series": s, "metric": m, "value": v} for s, of in values.items() for m, v in of.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def widths(axes: Axes, colour: str, hatch: str) -> list[float]:
    from matplotlib.colors import to_rgb

    alike = [p for p in axes.patches if p.get_facecolor()[:3] == pytest.approx(to_rgb(colour))]
    return [p.get_width() for p in alike if (p.get_hatch() or "") == hatch]


def test_efficiency_and_what_is_lost_fill_the_bar(tmp_path: Path) -> None:
    lost = {"lost:imbalance": 0.07, "lost:serialisation": 0.04, "lost:communication": 0.08, "lost:bubble": 0.0}
    known = table({"mpi": {"parallel_efficiency": 0.75, **lost, "lost:other": 0.06},
                   "ring": {"parallel_efficiency": 0.9, "lost:communication": 0.06}})  # fmt: skip
    picture = split.efficiency_picture(pair(tmp_path), known)
    axes = picture.figure.axes[0]
    assert widths(axes, *split.LOOKS["parallel_efficiency"]) == pytest.approx([75, 90])
    assert widths(axes, *split.LOOKS["communication"]) == pytest.approx([8, 6])
    assert widths(axes, *split.LOOKS["other"]) == pytest.approx([6, 4])  # What ring's parts lack.
    ends: dict[float, float] = {}
    for bar in axes.patches:
        assert bar.get_x() == pytest.approx(ends.get(bar.get_y(), 0.0))  # No gap, no overlap.
        ends[bar.get_y()] = bar.get_x() + bar.get_width()
    assert list(ends.values()) == pytest.approx([100, 100])
    assert [t.get_text() for t in axes.texts if "%" in t.get_text()] == ["75 %", "90 %"]
    why = split.efficiency_picture(pair(tmp_path), table({"mpi": {"parallel_efficiency": np.nan}}, "no phases"))
    assert why == "parallel efficiency is not known: no phases"


def test_communication_stands_over_bytes(tmp_path: Path) -> None:
    known = table({"mpi": {"sent_bytes": 4e6, "exposed_s": 0.002}, "ring": {"sent_bytes": 8e6, "exposed_s": 0.004}})
    axes = volume.volume_picture(pair(tmp_path), known).figure.axes[0]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() != "None"]
    assert points == [pytest.approx((4, 2)), pytest.approx((8, 4))]
    assert axes.get_xlabel().endswith("(MB)") and axes.get_ylabel().endswith("(ms)")
    assert "no point has both" in volume.volume_picture(pair(tmp_path), table({"mpi": {"sent_bytes": 1.0}}))


def test_memory_is_of_the_fullest_rank(tmp_path: Path) -> None:
    known = table({s: {"peak_memory_bytes": 3e8, "state_bytes": b} for s, b in (("mpi", 2e6), ("ring", 1e6))})
    peak, state = memory.memory_picture(pair(tmp_path), known).figure.axes
    assert [bar.get_width() for bar in peak.patches] == pytest.approx([300, 300])
    assert [bar.get_width() for bar in state.patches] == pytest.approx([2, 1])
    ticks = {float(line.get_xdata()[0]) for line in peak.lines}
    assert list(ticks) == pytest.approx([2**28 / 1e6])  # The least, of the records.
    assert "how much memory" in memory.memory_picture(pair(tmp_path), table({}))


def test_the_law_of_amdahl_is_drawn_from_five_numbers_of_ranks_on(tmp_path: Path) -> None:
    def serial_share(name: str, counts: tuple[int, ...]) -> RecordedStudy:
        return study_of(tmp_path / name, *[Synthetic(ranks=p, step_s=lambda s, p=p: 0.04 * (0.1 + 0.9 / p))
                                           for p in counts])  # fmt: skip

    five = analyse(serial_share("five", (1, 2, 4, 8, 16)))
    (curve,) = scaling.amdahl_bounds(five).values()
    assert curve(np.array([1, 16, 1e9])) == pytest.approx([1, 1 / (0.1 + 0.9 / 16), 10], rel=1e-4)
    assert scaling.amdahl_bounds(analyse(serial_share("four", (1, 2, 4, 8)))) == {}


def test_an_interval_is_drawn_from_six_runs_on_and_a_spread_always(tmp_path: Path) -> None:
    for runs in (5, 6):
        study = study_of(tmp_path / str(runs), *[
            Synthetic(ranks=p, point=f"np{p}-r{r}", step_s=lambda s, p=p, r=r: (0.04 + 0.001 * (r + s % 2)) / p)
            for p in (1, 2) for r in range(1, runs + 1)
        ])  # fmt: skip
        time = scaling.scaling_picture(study, analyse(study)).figure.axes[0]
        assert len(time.containers) == (1 if runs == 6 else 0)  # Error bars.
        assert len([line for line in time.lines if line.get_label() == "_spread"]) == 2


def test_strategies_stand_side_by_side_on_several_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = []
    for name, time in (("a", 0.04), ("b", 0.02)):
        runs = [Synthetic(ranks=2, allreduce=a, step_s=lambda s, time=time: time) for a in ("mpi", "ring")]
        studies.append(study_of(tmp_path / name, *runs))
    assert "two machines" in hardware.hardware_picture(studies)
    monkeypatch.setattr(hardware, "machine_words", lambda record: f"machine {record.path.parent.name}")
    axes = hardware.hardware_picture(studies).figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([1600, 3200] * 2)
    assert [bar.get_hatch() or "" for bar in axes.patches] == ["", "/////"] * 2
    assert axes.get_yticklabels()[0].get_text() == "mpi · machine a"
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert colours[0] == colours[1] != colours[2] == colours[3]


def test_small_phases_are_drawn_as_one(tmp_path: Path) -> None:
    named = [(f"unit{k}", "compute") for k in range(20)] + [("exchange", "communication")]
    study = study_of(tmp_path, Synthetic(ranks=2, phases=named, shares=[0.3] + [0.01] * 19 + [0.4]))
    picture = phases.phases_picture(study)
    legend = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert "19 small, compute" in legend and "unit5" not in legend and len(picture.table) == 22
    total = sum(bar.get_width() for bar in picture.figure.axes[1].patches)
    assert total == pytest.approx(30)


def test_throughput_turns_the_interval_of_the_time_around() -> None:
    class Entry:
        step_s, samples_per_s = Interval(0.02, 0.01, 0.04, 6), 3200.0

    rate = scaling.throughput(Entry())
    assert (rate.value, rate.low, rate.high) == pytest.approx((3200, 1600, 6400))
    assert style.short(22_894) == "22.9 k" and style.short(1234) == "1234" and style.short(1.614) == "1.61"
