# SPDX-License-Identifier: BSD-3-Clause
"""What kernel_bench writes: the record's numbers belong together, Google's JSON says the same, `partita plot` draws them."""

import json
import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

ROOT = Path(__file__).parents[3]
FLAGS = ["--benchmark_filter=gemm/128|^add/|softmax_forward/256x10", "--benchmark_min_time=0.001", "--benchmark_repetitions=6"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("kernel_bench")
    record, report = folder / "x.h5", folder / "x.json"
    command = [os.environ["PARTITA_KERNEL_BENCH"], "inputs/kernel_bench/tiny.toml", *FLAGS, f"--benchmark_out={report}",
               "--output", str(record)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return record, json.loads(report.read_text())


def test_columns_follow_from_each_other(run: tuple[Path, dict]) -> None:
    kernels = xarray.open_dataset(run[0], group="kernels")
    peaks = xarray.open_dataset(run[0], group="peaks")
    assert list(kernels.benchmark.values)[0] == "gemm/128"
    assert kernels.sizes["benchmark"] == 3
    np.testing.assert_array_equal(kernels.repetitions, 6)
    np.testing.assert_allclose(kernels.flop_per_s, kernels.flop / kernels.time_s)
    np.testing.assert_allclose(kernels.byte_per_s, kernels.byte / kernels.time_s)
    least = np.maximum(kernels.flop / peaks.flop_per_s.item(), kernels.byte / peaks.byte_per_s.item())
    np.testing.assert_allclose(kernels.peak_share, least / kernels.time_s)
    assert (kernels.ci_low_s <= kernels.time_s).all() and (kernels.time_s <= kernels.ci_high_s).all()
    assert kernels.flop.sel(benchmark="gemm/128") == 2 * 128**3
    assert peaks.gemm_flop_per_s.max() == peaks.flop_per_s


def test_times_are_those_of_google_benchmark(run: tuple[Path, dict]) -> None:
    with h5py.File(run[0]) as file:
        names = [name.decode() for name in file["kernels/benchmark"][:]]
        medians = dict(zip(names, file["kernels/time_s"][:]))
    for name in names:
        times = [b["real_time"] for b in run[1]["benchmarks"] if b["run_name"].startswith(name) and b["run_type"] == "iteration"]
        assert len(times) == 6
        assert medians[name] == pytest.approx(np.median(times) * 1e-6, rel=1e-6)


def test_partita_draws_a_roofline(run: tuple[Path, dict], tmp_path: Path) -> None:
    from partita.cli import main

    assert main(["plot", str(run[0].parent), "--output", str(tmp_path)]) == 0
    assert (tmp_path / "x_roofline.png").stat().st_size > 10000
    assert len((tmp_path / "x_roofline.csv").read_text().splitlines()) == 4
