# SPDX-License-Identifier: BSD-3-Clause
"""Charts of the report that are made from records: loss, idle time, predicted communication."""

from pathlib import Path

import numpy as np
import pytest

from partita.records.folder import read_folder
from partita.reports.blocks import Chart
from partita.reports.learning import learning_charts
from synthetic import Synthetic


def charts(folder: Path) -> dict[str, Chart]:
    """By the end of their names."""
    (study,), _, _ = read_folder(folder)
    return {chart.name.rpartition("_")[2]: chart for chart in learning_charts(study)}


def test_loss_is_the_median_of_the_runs_against_samples(tmp_path: Path) -> None:
    for repeat, factor in enumerate((1.0, 2.0, 9.0), start=1):
        Synthetic(point=f"a-r{repeat}", loss=lambda step, f=factor: f * (20 - step)).write(tmp_path / f"{repeat}.h5")
    by_samples, by_time = charts(tmp_path)["loss"].figure["data"]
    assert by_samples["x"] == pytest.approx(64.0 * np.arange(1, 13))
    assert by_samples["y"] == by_time["y"] == pytest.approx([2.0 * (20 - step) for step in range(12)])
    assert by_time["x"] == sorted(by_time["x"])


def test_loss_of_many_series_is_a_heat_table(tmp_path: Path) -> None:
    for i in range(8):
        Synthetic(allreduce=f"a{i}", point=f"a{i}-r1", ranks=2, loss=lambda step, i=i: float(i)).write(
            tmp_path / f"{i}.h5"
        )
    (trace,) = charts(tmp_path)["loss"].figure["data"]
    assert trace["type"] == "heatmap" and [row[0] for row in trace["z"]] == pytest.approx(range(8))


def test_idle_time_is_the_mean_over_ranks(tmp_path: Path) -> None:
    columns = {"busy_s": [0.02, 0.04], "fill_s": [0.0, 0.002], "steady_idle_s": [0.004, 0.0], "wait_s": [0.0, 0.0],
               "drain_s": [0.002, 0.0]}  # fmt: skip
    bubble = {name: np.array(values) for name, values in columns.items()}
    Synthetic(ranks=2, strategy="pipeline", bubble=bubble).write(tmp_path / "a.h5")
    found = {t["name"]: t["x"] for t in charts(tmp_path)["idle"].figure["data"]}
    assert found == {"busy": pytest.approx([30.0]), "fill": pytest.approx([1.0]),
                     "steady idle": pytest.approx([2.0]), "drain": pytest.approx([1.0])}  # fmt: skip


def test_communication_is_that_of_a_step_beside_its_prediction(tmp_path: Path) -> None:
    Synthetic(ranks=2).write(tmp_path / "a.h5")  # 0.1 s in all calls of 10 steps, predicted 0.09 s.
    measured, predicted = charts(tmp_path)["predicted"].figure["data"]
    assert (measured["x"], predicted["x"]) == (pytest.approx([10.0]), pytest.approx([9.0]))


def test_one_rank_has_nothing_to_predict(tmp_path: Path) -> None:
    Synthetic(ranks=1).write(tmp_path / "a.h5")
    assert set(charts(tmp_path)) == {"loss"}
