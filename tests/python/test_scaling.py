# SPDX-License-Identifier: BSD-3-Clause
"""Speed-up and efficiency recomputed by hand, and what must not be computed."""

import math
from pathlib import Path

import pytest

from partita.analysis.scaling import OVER_RUNS, WITHIN_RUNS, Entry, Scaling, analyse, interval_note
from partita.records.folder import read_folder
from synthetic import Synthetic


def scaling_of(folder: Path, *runs: Synthetic) -> Scaling:
    for index, run in enumerate(runs):
        run.write(folder / f"run{index}.h5")
    (study,), *_ = read_folder(folder)
    return analyse(study)


def line_of(scaling: Scaling, label: str) -> dict[int, Entry]:
    return next({e.ranks: e for e in line} for series, line in scaling.lines if series.label == label)


def test_strong_scaling_by_hand(tmp_path: Path) -> None:
    result = scaling_of(
        tmp_path,
        Synthetic(ranks=1, step_s=lambda s: 0.040),
        Synthetic(ranks=2, step_s=lambda s: 0.025),
        Synthetic(ranks=2, step_s=lambda s: 0.020, allreduce="ring"),
        Synthetic(ranks=4, step_s=lambda s: 0.016),
    )
    assert result.kind == "strong" and result.notes == () and result.base == 1
    mpi, ring = line_of(result, "mpi"), line_of(result, "ring")
    assert [mpi[p].speedup.value for p in (1, 2, 4)] == pytest.approx([1, 1.6, 2.5], rel=1e-9)
    assert [mpi[p].efficiency.value for p in (1, 2, 4)] == pytest.approx([1, 0.8, 0.625], rel=1e-9)
    assert (ring[2].speedup.value, ring[2].efficiency.value) == pytest.approx((2, 1), rel=1e-9)
    assert mpi[4].samples_per_s == pytest.approx(64 / 0.016, rel=1e-9)


def test_strong_scaling_from_two_ranks_on(tmp_path: Path) -> None:
    result = scaling_of(tmp_path, Synthetic(ranks=2, step_s=lambda s: 0.04), Synthetic(ranks=4, step_s=lambda s: 0.025))
    entry = line_of(result, "data-parallel mpi")[4]
    assert result.base == 2 and entry.speedup.value == pytest.approx(1.6, rel=1e-9)
    assert entry.efficiency.value == pytest.approx(2 * 0.04 / (4 * 0.025), rel=1e-9)


def test_weak_scaling_by_hand(tmp_path: Path) -> None:
    times = {1: 0.020, 2: 0.025, 4: 0.032}
    result = scaling_of(
        tmp_path, *[Synthetic(ranks=p, batch=32 * p, step_s=lambda s, t=t: t) for p, t in times.items()]
    )
    line = line_of(result, "data-parallel mpi")
    assert result.kind == "weak"
    assert [line[p].efficiency.value for p in times] == pytest.approx([1, 0.8, 0.625], rel=1e-9)
    assert [line[p].speedup.value for p in times] == pytest.approx([1, 1.6, 2.5], rel=1e-9)  # p E: work done per time.


def test_intervals_within_runs_below_six_repeats(tmp_path: Path) -> None:
    """Steps 3 .. 11 count, of each of two runs: 18 samples, k = 5 (binomial table)."""
    runs = [Synthetic(step_s=lambda s, r=r: 1e-3 * (2 * s + r), point=f"r{r}") for r in (0, 1)]
    result = scaling_of(tmp_path, *runs)
    entry = line_of(result, "data-parallel mpi")[1]
    assert (entry.scope, entry.runs, entry.step_s.n) == (WITHIN_RUNS, 2, 18)
    samples = sorted(1e-3 * (2 * s + r) for s in range(3, 12) for r in (0, 1))
    assert (entry.step_s.low, entry.step_s.high) == pytest.approx((samples[4], samples[13]), rel=1e-9)
    assert "within runs" in interval_note(result) and "18 counted steps of 2 runs" in interval_note(result)


def test_intervals_over_runs_from_six_repeats_on(tmp_path: Path) -> None:
    times = {1: [0.040, 0.041, 0.042, 0.043, 0.044, 0.045], 2: [0.020, 0.021, 0.022, 0.023, 0.024, 0.025]}
    runs = [Synthetic(ranks=p, step_s=lambda s, t=t: t) for p, ts in times.items() for t in ts]
    result = scaling_of(tmp_path, *runs)
    line = line_of(result, "data-parallel mpi")
    assert (line[2].scope, line[2].runs, line[2].step_s.n) == (OVER_RUNS, 6, 6)
    assert (line[2].step_s.low, line[2].step_s.high) == pytest.approx((0.020, 0.025), rel=1e-9)
    assert line[2].speedup.value == pytest.approx(0.0425 / 0.0225, rel=1e-9)
    assert (line[2].speedup.low, line[2].speedup.high) == pytest.approx((0.040 / 0.025, 0.045 / 0.020), rel=1e-9)
    assert line[2].efficiency.low == pytest.approx(0.8, rel=1e-9)
    assert (line[1].speedup.low, line[1].speedup.high) == (1, 1)
    assert "median over 6 runs" in interval_note(result)


def test_oversubscribed_points_have_a_time_and_nothing_else(tmp_path: Path) -> None:
    result = scaling_of(tmp_path, Synthetic(ranks=1), Synthetic(ranks=2), Synthetic(ranks=4, oversubscribed=1))
    entry = line_of(result, "data-parallel mpi")[4]
    assert entry.step_s.value == pytest.approx(0.03, rel=1e-9)
    assert math.isnan(entry.speedup.value) and math.isnan(entry.efficiency.value)
    assert result.notes == ("oversubscribed (more threads than cores), left out of speed-up and efficiency: 4 ranks",)
    row = list(result.table())[-1]
    assert row["oversubscribed"] and math.isnan(row["efficiency"])


def test_a_run_that_failed_its_check_is_in_no_speed_up(tmp_path: Path) -> None:
    fast_but_wrong = Synthetic(ranks=2, step_s=lambda s: 0.01, verified=0)
    result = scaling_of(tmp_path, Synthetic(ranks=1), Synthetic(ranks=2, step_s=lambda s: 0.02), fast_but_wrong)
    entry = line_of(result, "data-parallel mpi")[2]
    assert entry.runs == 1 and entry.speedup.value == pytest.approx(1.5, rel=1e-9)


def test_an_oversubscribed_base_is_no_base(tmp_path: Path) -> None:
    times = {1: 0.05, 2: 0.04, 4: 0.025}
    runs = [Synthetic(ranks=p, step_s=lambda s, t=t: t, oversubscribed=int(p == 1)) for p, t in times.items()]
    result = scaling_of(tmp_path, *runs)
    assert result.base == 2
    assert line_of(result, "data-parallel mpi")[4].speedup.value == pytest.approx(1.6, rel=1e-9)


def test_one_number_of_ranks_is_no_scaling(tmp_path: Path) -> None:
    result = scaling_of(tmp_path, Synthetic(ranks=1, oversubscribed=1), Synthetic(ranks=2))
    assert not result.comparable and "no speed-up: fewer than two numbers of ranks" in result.notes[-1]


def test_work_that_neither_stays_nor_grows_with_ranks_gives_no_scaling(tmp_path: Path) -> None:
    result = scaling_of(tmp_path, Synthetic(ranks=1, batch=64), Synthetic(ranks=2, batch=96))
    assert result.kind is None and "neither the same at every number of ranks nor the same per rank" in result.notes[0]
    assert all(e.speedup.n == 0 for _, line in result.lines for e in line)


def test_a_model_that_grows_needs_counted_flops(tmp_path: Path) -> None:
    grown = [Synthetic(ranks=p, batch=64 * p, model=f"hidden = [{32 * p}]") for p in (1, 2)]
    result = scaling_of(tmp_path, *grown)
    assert result.kind is None and "model.hidden changes with the number of ranks" in result.notes[0]


def test_counted_flops_decide(tmp_path: Path) -> None:
    runs = [Synthetic(ranks=p, batch=64 * p, model=f"hidden = [{32 * p}]", flop_per_step=1e6 * p * p) for p in (1, 2)]
    assert scaling_of(tmp_path, *runs).kind is None
    runs = [Synthetic(ranks=p, batch=64, model=f"hidden = [{32 * p}]", flop_per_step=1e6 * p) for p in (1, 2)]
    assert scaling_of(tmp_path, *runs).kind == "weak"


def test_weak_scaling_allows_two_percent_of_a_ranks_flops(tmp_path: Path) -> None:
    def grown(folder: str, apart: float) -> Scaling:
        (place := tmp_path / folder).mkdir()
        runs = [
            Synthetic(ranks=p, model=f"width = {32 * p}", flop_per_step=1e6 * p * (1 if p == 1 else 1 - apart))
            for p in (1, 2, 4)
        ]
        return scaling_of(place, *runs)

    near, far = grown("near", 0.0199), grown("far", 0.0201)
    assert near.kind == "weak" and near.notes == ("flops per step and rank are the same within 2 %",)
    assert line_of(near, "data-parallel mpi")[4].efficiency.value == pytest.approx(1, rel=1e-9)
    assert far.kind is None and "nor the same per rank (2.01 % apart, allowed are 2 %)" in far.notes[0]
    assert grown("same", 0).notes == ()


def test_a_study_that_says_weak_but_is_strong_is_caught(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('name = "synthetic"\nscaling = "weak"\n')
    result = scaling_of(tmp_path, Synthetic(ranks=1), Synthetic(ranks=2))
    assert result.kind is None
    assert "the study says weak scaling, but samples per step say strong" in result.notes[0]
