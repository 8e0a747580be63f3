# SPDX-License-Identifier: BSD-3-Clause
"""The record of comm_bench, as xarray and h5py see it."""

import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

ROOT = Path(__file__).parents[3]
RANKS = 2
SIZES = [8, 256, 8192, 262144]  # of inputs/comm_bench/tiny.toml
REPEATS = 10


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The record of one run at two ranks."""
    path = tmp_path_factory.mktemp("comm_bench") / "x.h5"
    app, mpiexec = os.environ["PARTITA_COMM_BENCH"], os.environ["PARTITA_MPIEXEC"]
    deck = "inputs/comm_bench/tiny.toml"
    subprocess.run([mpiexec, "-n", str(RANKS), app, deck, "--output", path], cwd=ROOT, check=True)
    return path


def test_allreduce_by_size_algorithm_and_repeat(record):
    with xarray.open_dataset(record, group="allreduce") as data:
        assert data.time_s.dims == ("byte", "algorithm", "repeat")
        assert data.time_s.shape == (len(SIZES), 2, REPEATS)
        assert list(data.byte.values) == SIZES
        assert list(data.algorithm.values) == ["mpi", "ring"]
        assert bool((data.time_s > 0).all())
        np.testing.assert_allclose(data.median_s, data.time_s.median("repeat"), rtol=1e-12)
        assert bool((data.ci_low_s <= data.median_s).all()) and bool((data.median_s <= data.ci_high_s).all())
        np.testing.assert_allclose(data.algbw_byte_per_s, data.byte / data.median_s, rtol=1e-12)
        np.testing.assert_allclose(data.busbw_byte_per_s, data.algbw_byte_per_s * 2 * (RANKS - 1) / RANKS, rtol=1e-12)
        speed = data.median_s.sel(algorithm="mpi") / data.median_s.sel(algorithm="ring")
        np.testing.assert_allclose(data.speed_vs_mpi.sel(algorithm="ring"), speed, rtol=1e-12)


def test_ping_pong(record):
    with xarray.open_dataset(record, group="ping_pong") as data:
        assert data.time_s.shape == (len(SIZES), 1, REPEATS)
        np.testing.assert_allclose(data.busbw_byte_per_s, data.algbw_byte_per_s)


def test_ring_traffic_is_the_closed_form(record):
    with h5py.File(record) as file:
        assert "steps" not in file
        rows = dict(zip(file["traffic/algorithm"].asstr()[:], range(9)))
        sent, expected = file["traffic/sent_bytes"][rows["ring"]], file["traffic/expected_bytes"][rows["ring"]]
        assert (sent == expected).all()
        # One checked call, and warm-up and timed samples of as many calls as move 64 KiB, at most 32.
        calls = [1 + (2 + REPEATS) * min(max(64 * 1024 // size, 1), 32) for size in SIZES]
        assert sent.sum() == sum(2 * (RANKS - 1) * n * size for n, size in zip(calls, SIZES))


def test_summary_and_verdict(record):
    with h5py.File(record) as file:
        value = dict(zip(file["summary/metric"].asstr()[:], file["summary/value"][:]))
        assert value["allreduce_ring_busbw"] == file["allreduce/busbw_byte_per_s"][-1, 1]
        assert value["ring_speed_vs_mpi_least"] == file["allreduce/speed_vs_mpi"][-1, 1]  # one size is 64 KiB or more
        assert value["ping_pong_latency_s"] == file["ping_pong/median_s"][0, 0]
        assert file.attrs["verified"] == 1 and file.attrs["complete"] == 1
