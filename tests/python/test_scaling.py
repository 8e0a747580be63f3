# SPDX-License-Identifier: BSD-3-Clause
"""Speed-up and efficiency recomputed by hand, and what must not be computed."""

import math
from pathlib import Path

import numpy as np
import pytest

from partita.analysis.scaling import Entry, Scaling, analyse, by_block, interval_note, ratio_note
from partita.records.folder import read_folder
from partita.records.record import read_record
from partita.statistics import PAIRED, SHIFT
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


def test_few_runs_have_no_interval(tmp_path: Path) -> None:
    """Steps 3 .. 11 count; a run's steps are its spread, and are not pooled with those of others."""
    runs = [Synthetic(step_s=lambda s, r=r: 1e-3 * (2 * s + 3 * r), point=f"r{r}") for r in (0, 1)]
    result = scaling_of(tmp_path, *runs)
    entry = line_of(result, "data-parallel mpi")[1]
    assert (entry.runs, entry.step_s.n, entry.step_s.bounded) == (2, 2, False)
    assert entry.step_s.value == pytest.approx((14e-3 + 17e-3) / 2, rel=1e-9)
    tenths = [1e-3 * np.quantile([2 * s + 3 * r for s in range(3, 12)], [0.1, 0.9]) for r in (0, 1)]
    assert entry.spread_s == pytest.approx(np.mean(tenths, axis=0), rel=1e-9)
    assert "median over 2 runs" in interval_note(result) and "no intervals: they are over runs" in interval_note(result)


def in_blocks(times: dict[int, list[float]], shuffle: bool = False, **more: object) -> list[Synthetic]:
    return [
        Synthetic(ranks=p, step_s=lambda s, t=t: t, point=f"np{p}-mpi-r{r}", **more)
        for p, ts in times.items()
        for r, t in (sorted(enumerate(ts, 1), key=lambda pair: -pair[0]) if shuffle else enumerate(ts, 1))
    ]


def test_speedup_is_the_median_over_blocks(tmp_path: Path) -> None:
    """The hour of a block doubles the time of both its runs; file names are in another order than repeats."""
    hours = [1.0, 1.1, 1.2, 2.0, 1.5, 1.3, 1.05]
    wobble = [1.0, 1.01, 0.98, 1.02, 0.99, 1.03, 1.0]
    at_one = [0.040 * h for h in hours]
    at_two = [0.025 * h / w for h, w in zip(hours, wobble, strict=True)]
    result = scaling_of(tmp_path, *in_blocks({1: at_one}), *in_blocks({2: at_two}, shuffle=True))
    line = line_of(result, "data-parallel mpi")
    assert (line[2].runs, line[2].step_s.n) == (7, 7)
    assert (line[2].step_s.low, line[2].step_s.high) == pytest.approx((min(at_two), max(at_two)), rel=1e-7)
    s = line[2].speedup
    assert (s.value, s.low, s.high) == pytest.approx((1.6, 1.6 * 0.98, 1.6 * 1.03), rel=1e-7)
    assert (s.n, s.level, s.method) == (7, 63 / 64, PAIRED)
    assert line[2].efficiency.low == pytest.approx(0.8 * 0.98, rel=1e-7) and line[2].efficiency.level == 63 / 64
    assert (line[1].speedup.low, line[1].speedup.high) == (1, 1)
    assert "median over 7 runs" in interval_note(result) and "98.4 % interval" in interval_note(result)
    assert "median of paired ratios; bars: 98.4 % interval" in ratio_note(result)


def test_four_runs_of_each_have_a_ratio_and_no_interval_of_time(tmp_path: Path) -> None:
    result = scaling_of(tmp_path, *in_blocks({1: [0.04, 0.041, 0.042, 0.043], 2: [0.025] * 4}))
    entry = line_of(result, "data-parallel mpi")[2]
    assert not entry.step_s.bounded and entry.speedup.method == SHIFT
    ratios = [1e3 * t / 25 for t in (0.04, 0.041, 0.042, 0.043)]
    assert (entry.speedup.low, entry.speedup.high) == pytest.approx((ratios[0], ratios[3]), rel=1e-7)
    assert "95.7 % interval" in ratio_note(result)


def test_runs_without_a_block_are_in_no_pair(tmp_path: Path) -> None:
    runs = [Synthetic(point="np1-r2"), Synthetic(point="np1-r2"), Synthetic(point="np1-r3"), Synthetic(point="np1")]
    records = [read_record(run.write(tmp_path / f"{i}.h5")) for i, run in enumerate(runs)]
    assert [r.repeat for r in records] == [2, 2, 3, 0]
    assert list(by_block(records, lambda _: 1.0)) == [records[0].path, records[1].path, (3, "1"), records[3].path]


def test_planted_serial_share_comes_back(tmp_path: Path) -> None:
    """Amdahl's law with a serial tenth: Karp and Flatt's share is that at every number of ranks."""
    times = {p: 0.1 * (0.1 + 0.9 / p) for p in (1, 2, 4, 8)}
    result = scaling_of(tmp_path, *[Synthetic(ranks=p, step_s=lambda s, t=t: t) for p, t in times.items()])
    line = line_of(result, "data-parallel mpi")
    assert [line[p].speedup.value for p in times] == pytest.approx([1 / (0.1 + 0.9 / p) for p in times], rel=1e-6)
    assert math.isnan(line[1].karp_flatt)
    assert [line[p].karp_flatt for p in (2, 4, 8)] == pytest.approx([0.1] * 3, rel=1e-5)


def test_throughput_is_compared_as_samples_over_time(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('name = "synthetic"\nkind = "throughput"\n')
    runs = [Synthetic(ranks=1, batch=64, step_s=lambda s: 0.032), Synthetic(ranks=2, batch=96, step_s=lambda s: 0.03)]
    result = scaling_of(tmp_path, *runs)
    entry = line_of(result, "data-parallel mpi")[2]
    assert result.kind == "throughput" and entry.speedup.value == pytest.approx((96 / 0.03) / (64 / 0.032), rel=1e-9)
    assert entry.efficiency.value == pytest.approx(0.8, rel=1e-9) and math.isnan(entry.karp_flatt)


def test_a_study_that_compares_has_times_alone(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('name = "synthetic"\nscaling = "none"\n')
    result = scaling_of(tmp_path, Synthetic(ranks=1), Synthetic(ranks=2))
    assert result.kind is None and result.notes == ("no speed-up or efficiency: the study compares something else",)


def test_threads_that_follow_ranks_give_no_speedup_by_ranks(tmp_path: Path) -> None:
    result = scaling_of(tmp_path, Synthetic(ranks=1, threads=4), Synthetic(ranks=2, threads=2))
    assert result.kind is None
    assert "threads per rank change with the number of ranks (4 at 1, 2 at 2)" in result.notes[0]


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
    assert near.kind == "weak" and near.notes == (
        "flops per step and rank are the same within 2 % (no study file says what is allowed: 2 % are)",
    )
    assert line_of(near, "data-parallel mpi")[4].efficiency.value == pytest.approx(1, rel=1e-9)
    assert far.kind is None and "nor the same per rank (2.01 % apart, allowed are 2 %" in far.notes[0]
    assert grown("same", 0).notes == ()


def test_a_study_says_how_far_the_work_of_ranks_may_be_apart(tmp_path: Path) -> None:
    def near(text: str) -> Scaling:
        (tmp_path / "study.toml").write_text(f'name = "synthetic"\nkind = "weak"\n{text}')
        return scaling_of(tmp_path, *[Synthetic(ranks=p, flop_per_step=1e6 * p * (1 - p / 1000)) for p in (1, 2)])

    assert near("work_tolerance = 0.02").notes == ("flops per step and rank are the same within 0.1 %",)
    assert near("").kind is None and "0.1 % apart, allowed are 0.0001 %)" in near("").notes[0]


def test_a_study_that_says_weak_but_is_strong_is_caught(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('name = "synthetic"\nscaling = "weak"\n')
    result = scaling_of(tmp_path, Synthetic(ranks=1), Synthetic(ranks=2))
    assert result.kind is None
    assert "the study says weak scaling, but samples per step say strong" in result.notes[0]
