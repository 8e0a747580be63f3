# SPDX-License-Identifier: BSD-3-Clause
"""The table of metrics gives back what was planted in invented records, and a reason for what is not there."""

import math
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from synthetic_efficiency import Planted

from partita.analysis.metrics import COLUMNS, METRICS, OVER_RUNS, WITHIN_RUN, metric, metrics_table
from partita.records.folder import read_folder
from synthetic import Synthetic

COMPUTE = 0.25 + 0.01 + 0.42 + 0.13  # Shares of a step that are compute in an invented record.


def table_of(folder: Path, *runs: Synthetic) -> pd.DataFrame:
    for index, run in enumerate(runs):
        run.write(folder / f"run{index}.h5")
    return metrics_table(read_folder(folder)[0])


def row(table: pd.DataFrame, name: str, scope: str = OVER_RUNS, **also: object) -> pd.Series:
    chosen = (table["metric"] == name) & (table["scope"] == scope)
    for column, value in also.items():
        chosen &= table[column] == value
    (found,) = table[chosen].itertuples()
    return found


def in_blocks(step_s: dict[int, float], repeats: int = 6, **also: object) -> list[Synthetic]:
    """Repeat r takes r percent longer at all numbers of ranks."""
    return [
        Synthetic(ranks=p, step_s=lambda s, t=t, r=r: t * (1 + r / 100), point=f"np{p}-mpi-r{r}", **also)
        for p, t in step_s.items()
        for r in range(1, repeats + 1)
    ]


def test_every_row_is_typed_and_has_a_value_or_a_reason(tmp_path: Path) -> None:
    table = table_of(tmp_path, *in_blocks({1: 0.04, 2: 0.025}), Synthetic(ranks=4, oversubscribed=1))
    assert tuple(table.columns) == COLUMNS
    assert set(table["scope"]) == {WITHIN_RUN, OVER_RUNS}
    assert (table["kind"] == [metric(name).kind for name in table["metric"]]).all()
    assert (table["unit"] == [metric(name).unit for name in table["metric"]]).all()
    assert (table["value"].notna() | (table["reason"] != "")).all()
    points = table[table["scope"] == OVER_RUNS]
    assert (points["level"].notna() | (points["reason"] != "")).all()
    assert ((points["repeat"] == 0) & (points["point"] == "")).all()
    assert set(table[table["scope"] == WITHIN_RUN]["repeat"]) == set(range(1, 7))  # np1-mpi-r1 is the default point.
    assert {m.kind for m in METRICS.values()} == {"cost", "rate", "ratio"}
    assert metric("phase_s:forward").words == "time in phase forward"
    with pytest.raises(KeyError):
        metric("nothing")


def test_a_runs_row_is_the_median_of_its_steps_with_their_spread(tmp_path: Path) -> None:
    """Steps 3 .. 11 count: 13, ..., 21 ms."""
    table = table_of(tmp_path, Synthetic(step_s=lambda s: 1e-3 * (10 + s), point="np1-mpi-r3"))
    found = row(table, "step_s", WITHIN_RUN)
    assert (found.value, found.low, found.high) == pytest.approx((17e-3, 13.8e-3, 20.2e-3), rel=1e-9)
    assert (found.n, found.point, found.repeat, found.unit) == (9, "np1-mpi-r3", 3, "s")
    rate = row(table, "samples_per_s", WITHIN_RUN)
    assert rate.value == pytest.approx(64 * 9 / sum(1e-3 * (10 + s) for s in range(3, 12)), rel=1e-9)
    assert (rate.low, rate.high) == pytest.approx((64 / 20.2e-3, 64 / 13.8e-3), rel=1e-9)
    point = row(table, "step_s")
    assert point.value == found.value and math.isnan(point.low) and point.reason == "1 run: intervals from 6 on"


def test_planted_speedup_comes_back(tmp_path: Path) -> None:
    table = table_of(tmp_path, *in_blocks({1: 0.048, 2: 0.030, 4: 0.016}))
    for p, speedup in ((1, 1.0), (2, 1.6), (4, 3.0)):
        found = row(table, "speedup", ranks=p)
        assert (found.value, found.low, found.high) == pytest.approx((speedup,) * 3, rel=1e-6)
        assert row(table, "efficiency", ranks=p).value == pytest.approx(speedup / p, rel=1e-6)
        # Shares of a step are the same at all ranks: what is lost of speed-up is lost to more computing.
        assert row(table, "computation_scaling", ranks=p).value == pytest.approx(speedup / p, rel=1e-6)
        assert row(table, "global_efficiency", ranks=p).value == pytest.approx(COMPUTE * speedup / p, rel=1e-6)
        assert row(table, "parallel_efficiency", ranks=p).value == pytest.approx(COMPUTE, rel=1e-6)
    assert row(table, "speedup", ranks=2).level == 0.96875 and row(table, "speedup", ranks=2).reason == ""
    serial = row(table, "karp_flatt", ranks=4)
    assert serial.value == pytest.approx((1 / 3 - 1 / 4) / (1 - 1 / 4), rel=1e-6) and serial.low <= serial.high
    step = row(table, "step_s", ranks=1)
    assert (step.value, step.low, step.high, step.level) == pytest.approx(
        (0.048 * 1.035, 0.048 * 1.01, 0.048 * 1.06, 0.96875), rel=1e-9
    )


def test_weak_scaling_counts_the_work_of_all_ranks(tmp_path: Path) -> None:
    runs = [r for p, t in ((1, 0.02), (2, 0.025)) for r in in_blocks({p: t}, batch=32 * p)]
    table = table_of(tmp_path, *runs)
    assert row(table, "speedup", ranks=2).value == pytest.approx(1.6, rel=1e-6)
    assert row(table, "efficiency", ranks=2).value == pytest.approx(0.8, rel=1e-6)
    assert row(table, "computation_scaling", ranks=2).value == pytest.approx(0.8, rel=1e-6)
    assert row(table, "global_efficiency", ranks=2).value == pytest.approx(0.8 * COMPUTE, rel=1e-6)
    assert "karp_flatt" not in set(table["metric"])


def test_planted_imbalance_is_the_load_balance(tmp_path: Path) -> None:
    """Rank 1 computes for half as long as rank 0: LB = 0.75."""
    path = Synthetic(ranks=2).write(tmp_path / "run.h5")
    with h5py.File(path, "r+") as f:
        classes = f["steps/phase_class"].asstr()[()]
        seconds = f["steps/phase_s"][()]
        seconds[:, 1, classes == "compute"] /= 2
        f["steps/phase_s"][...] = seconds
    table = metrics_table(read_folder(tmp_path)[0])
    assert row(table, "load_balance").value == pytest.approx(0.75, rel=1e-9)
    assert row(table, "parallel_efficiency").value == pytest.approx(0.75 * COMPUTE, rel=1e-6)
    assert row(table, "class_s:compute").value == pytest.approx(0.75 * COMPUTE * 0.03, rel=1e-6)
    for name in ("serialisation", "transfer"):
        assert math.isnan(row(table, name).value) and "no events were recorded" in row(table, name).reason


def test_planted_serialisation_and_transfer_come_back_over_runs(tmp_path: Path) -> None:
    """Rank 1 needs what rank 0 made in 4 ms, gets it after 5 and computes for 3: without a network T_id = 7 of 8 ms."""
    for repeat in range(1, 7):
        p = Planted()
        p.compute(0, 0, 4)
        p.message(1, 0, 1, sent=4, wanted=0, arrived=5)
        p.compute(1, 5, 8)
        p.write(tmp_path / f"{repeat}.h5", point=f"np2-mpi-r{repeat}")
    table = metrics_table(read_folder(tmp_path)[0])
    expected = {
        "parallel_efficiency": 3.5 / 8, "load_balance": 3.5 / 4, "serialisation": 4 / 7, "transfer": 7 / 8,
        "lost:imbalance": 0.5 / 8, "lost:serialisation": 3 / 8, "lost:communication": 1 / 8, "lost:other": 0,
    }  # fmt: skip
    for name, value in expected.items():
        found = row(table, name)
        assert (found.value, found.low, found.high) == pytest.approx((value,) * 3, abs=1e-9), name
        assert (found.n, found.level, found.reason) == (6, 0.96875, "")
    assert row(table, "exposed_s").value == pytest.approx(1e-3, rel=1e-9)


def test_costs_of_a_step_by_hand(tmp_path: Path) -> None:
    run = Synthetic(ranks=2, memory=(4000, 2000, 8000), overlap_s=(0.006, 0.002), flop_per_step=3e6)
    path = run.write(tmp_path / "run.h5")
    with h5py.File(path, "r+") as f:
        for name, column in (("quantity", ["gemm_flop_per_s"]), ("value", [1e9])):
            del f["calibration"][name]
            f["calibration"][name] = column
    table = metrics_table(read_folder(tmp_path)[0])
    expected = {
        "phase_s:forward": 0.25 * 0.03, "class_s:communication": 0.12 * 0.03, "exposed_s": 0.006, "hidden_s": 0.002,
        "overlap": 0.25, "sent_bytes": 4000 * 9 / 10, "messages": 2 * 9 / 10, "peak_memory_bytes": 2**28,
        "state_bytes": 14000, "mfu": 3e6 / (0.03 * 2e9), "flop_per_step": 3e6, "accuracy": 0.8, "loss": 0.6,
        "training_loss": 2.3 / 2.1,
    }  # fmt: skip
    found = {name: row(table, name).value for name in expected}
    assert found == pytest.approx(expected, rel=1e-6)
    assert "bubble_share" not in set(table["metric"]) and "staleness_mean" not in set(table["metric"])


def test_oversubscribed_points_keep_their_time_alone(tmp_path: Path) -> None:
    table = table_of(tmp_path, *in_blocks({1: 0.04, 2: 0.025}), *in_blocks({4: 0.02}, oversubscribed=1))
    assert row(table, "step_s", ranks=4).value == pytest.approx(0.02 * 1.035, rel=1e-9)
    assert row(table, "step_s", ranks=4).reason == "oversubscribed: more threads than cores"
    for name in ("speedup", "efficiency"):
        found = row(table, name, ranks=4)
        assert math.isnan(found.value) and found.reason == "oversubscribed: more threads than cores"
    assert not (table[table["ranks"] == 4]["metric"] == "global_efficiency").any()


def test_what_is_no_number_has_its_reason(tmp_path: Path) -> None:
    """One of three runs has a negative exposed time, one a NaN: neither enters the median of the point."""
    runs = [Synthetic(ranks=2, memory=(1, 1, 1), overlap_s=(0.0, 0.001), point=f"np2-r{r}") for r in (1, 2, 3)]
    for index, run in enumerate(runs):
        run.write(tmp_path / f"run{index}.h5")
    for index, wrong in ((0, -0.001), (1, np.nan)):
        with h5py.File(tmp_path / f"run{index}.h5", "r+") as f:
            f["strategy/hidden_s"][...] = wrong
    table = metrics_table(read_folder(tmp_path)[0])
    assert row(table, "hidden_s", WITHIN_RUN, repeat=1).reason == "the record says -0.001"
    assert row(table, "hidden_s", WITHIN_RUN, repeat=2).reason == "not a number in the record"
    point = row(table, "hidden_s")
    assert (point.value, point.n) == (pytest.approx(0.001), 1)
    assert point.reason == "of 2 runs: the record says -0.001; 1 run: intervals from 6 on"


def test_damaged_tables_are_a_reason_and_end_nothing(tmp_path: Path) -> None:
    path = Synthetic(ranks=2).write(tmp_path / "run.h5")
    with h5py.File(path, "r+") as f:
        del f["traffic/messages"]
    table = metrics_table(read_folder(tmp_path)[0])
    assert "run.h5: traffic: damaged" in row(table, "messages").reason
    assert row(table, "step_s").value == pytest.approx(0.03)


def test_a_file_that_is_gone_by_now_is_a_reason(tmp_path: Path) -> None:
    Synthetic(ranks=2, flop_per_step=1.0).write(tmp_path / "run.h5")
    studies = read_folder(tmp_path)[0]
    (tmp_path / "run.h5").unlink()
    table = metrics_table(studies)
    assert "run.h5" in row(table, "step_s").reason and "run.h5" in row(table, "accuracy").reason


def test_a_study_without_scaling_says_why(tmp_path: Path) -> None:
    table = table_of(tmp_path, Synthetic(ranks=1, batch=64), Synthetic(ranks=2, batch=96))
    assert "neither the same at every number of ranks" in row(table, "speedup", ranks=2).reason


def test_no_studies_make_an_empty_table() -> None:
    assert len(metrics_table([])) == 0 and tuple(metrics_table([]).columns) == COLUMNS
