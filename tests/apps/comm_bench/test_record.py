# SPDX-License-Identifier: BSD-3-Clause
"""The record of comm_bench, as xarray and h5py see it."""

import json
import os
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray

ROOT = Path(__file__).parents[3]
RANKS = 2
SIZES = [8, 128, 2048, 32768, 262144]  # of inputs/comm_bench/tiny.toml
REPEATS = 10


def run(path, ranks, *arguments, cache=None):
    """comm_bench on the tiny deck."""
    app, mpiexec = os.environ["PARTITA_COMM_BENCH"], os.environ["PARTITA_MPIEXEC"]
    command = [mpiexec, "-n", str(ranks), app, "inputs/comm_bench/tiny.toml", "--output", path, *arguments]
    environment = {**os.environ, **({"PARTITA_CACHE": str(cache)} if cache else {})}
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The record of one run at two ranks."""
    path = tmp_path_factory.mktemp("comm_bench") / "x.h5"
    run(path, RANKS, "--set", "run.calibration=fresh")
    return path


def test_allreduce_by_size_algorithm_and_repeat(record):
    with xarray.open_dataset(record, group="allreduce") as data:
        assert data.time_s.dims == ("byte", "algorithm", "repeat")
        assert data.time_s.shape == (len(SIZES), 3, REPEATS)
        assert list(data.byte.values) == SIZES
        assert list(data.algorithm.values) == ["mpi", "ring", "recursive"]
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


OPERATIONS = {
    "allreduce": (2 * (RANKS - 1) / RANKS, ["mpi", "ring", "recursive"]),
    "reduce_scatter": ((RANKS - 1) / RANKS, ["mpi", "ring"]),
    "all_gather": ((RANKS - 1) / RANKS, ["mpi", "ring"]),
    "broadcast": (1, ["mpi", "tree"]),
    "reduce": (1, ["mpi", "tree", "central"]),
    "gather": ((RANKS - 1) / RANKS, ["mpi", "direct"]),
    "scatter": ((RANKS - 1) / RANKS, ["mpi", "direct"]),
    "all_to_all": ((RANKS - 1) / RANKS, ["mpi", "pairwise"]),
    "halo": (1, ["direct"]),
    "transfer": (1, ["direct"]),
    "tree_allreduce": (2 * (RANKS - 1) / RANKS, ["mpi", "ring"]),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_collective(record, operation):
    factor, algorithms = OPERATIONS[operation]
    with xarray.open_dataset(record, group=operation) as data:
        assert list(data.algorithm.values) == algorithms and list(data.byte.values) == SIZES
        assert bool((data.time_s > 0).all()) and data.attrs["bus_factor"] == factor
        np.testing.assert_allclose(data.busbw_byte_per_s, data.byte / data.median_s * factor, rtol=1e-12)
        hidden = data.alone_s + data.compute_s - data.overlapped_s
        ours = np.maximum(0, 1 - (data.overlapped_s - data.compute_s) / data.alone_s)
        np.testing.assert_allclose(data.overlap_of_communication, ours, atol=1e-12)
        possible = hidden / np.minimum(data.alone_s, data.compute_s)
        np.testing.assert_allclose(data.overlap_of_possible, np.clip(possible, 0, 1), atol=1e-12)
        for k in range(len(algorithms)):
            time = data.median_s.values[:, k]
            rows = np.column_stack([np.ones(len(SIZES)), SIZES]) / time[:, None]
            (alpha, beta), *_ = np.linalg.lstsq(rows, np.ones(len(SIZES)), rcond=None)
            np.testing.assert_allclose([data.alpha_s[k], data.beta_s_per_byte[k]], [alpha, beta], rtol=1e-6)
            residual = 1 - (alpha + beta * np.array(SIZES)) / time
            np.testing.assert_allclose(data.fit_residual[:, k], residual, atol=1e-6)
            np.testing.assert_allclose(data.fit_residual_rms[k], np.sqrt(np.mean(residual**2)), rtol=1e-6)


def test_four_sizes_make_no_fit(tmp_path):
    done = run(tmp_path / "x.h5", RANKS, "--set", "bench.operation=halo", "--set", "bench.max_bytes=32768")
    assert "# fit" not in done.stdout
    with h5py.File(tmp_path / "x.h5") as file:
        assert np.isnan(file["halo/alpha_s"][:]).all() and "allreduce" not in file


# One checked call; samples of as many calls as move 64 KiB, at most 32: warm-up and timed, those that find out how long
# to compute, and each repeat alone and overlapped.
CALLS = [1 + (2 + REPEATS + 3 + 2 * REPEATS) * min(max(64 * 1024 // size, 1), 32) for size in SIZES]


def traffic_rows(file):
    """(operation, algorithm) -> row of /traffic."""
    return {pair: i for i, pair in enumerate(zip(file["traffic/kind"].asstr()[:], file["traffic/algorithm"].asstr()[:]))}


def test_traffic_is_the_closed_form(record):
    with h5py.File(record) as file:
        assert "steps" not in file
        rows = traffic_rows(file)
        assert set(OPERATIONS) <= {operation for operation, _ in rows}
        np.testing.assert_array_equal(file["traffic/sent_bytes"][:], file["traffic/expected_bytes"][:])
        sent = file["traffic/sent_bytes"][rows["allreduce", "ring"]]
        assert sent.sum() == sum(2 * (RANKS - 1) * n * size for n, size in zip(CALLS, SIZES))


def test_summary_and_verdict(record):
    with h5py.File(record) as file:
        value = dict(zip(file["summary/metric"].asstr()[:], file["summary/value"][:]))
        assert value["allreduce_ring_busbw"] == file["allreduce/busbw_byte_per_s"][-1, 1]
        assert value["ring_speed_vs_mpi_least"] == file["allreduce/speed_vs_mpi"][-1, 1]  # one size is 64 KiB or more
        assert value["ping_pong_latency_s"] == file["ping_pong/median_s"][0, 0]
        assert file.attrs["verified"] == 1 and file.attrs["complete"] == 1


def test_prediction_counts_every_message_and_byte(record):
    """Seconds are reported, not judged: the ratio is of this machine at this hour."""
    with h5py.File(record) as file:
        rates = dict(zip(file["calibration/quantity"].asstr()[:], file["calibration/value"][:]))
        latency, link = rates["ping_pong_latency_s"], rates["shift_byte_per_s"]
        traffic = {name: file[f"traffic/{name}"] for name in ("calls", "messages", "sent_bytes", "seconds", "predicted_s")}
        for (operation, algorithm), row in traffic_rows(file).items():
            if operation != "allreduce" or algorithm == "recursive":
                continue
            sent = float(traffic["sent_bytes"][row].max())
            if algorithm == "ring":
                # At two ranks: half of what is sent is a partial sum; as much arrives, and is added.
                messages, link_bytes, memory = float(traffic["messages"][row].max()), sent, 3 * sent / 2
            else:
                # Two messages of half the buffer, of which the first is added; up to 2 KiB one of all, added.
                messages = sum(n * (1 if size <= 2048 else 2) for n, size in zip(CALLS, SIZES))
                link_bytes = sent
                memory = 3 * sum(n * size * (1 if size <= 2048 else 0.5) for n, size in zip(CALLS, SIZES))
            expected = messages * latency + link_bytes / link + memory / rates["triad_byte_per_s"]
            predicted = float(traffic["predicted_s"][row])
            np.testing.assert_allclose(predicted, expected, rtol=1e-9)
            measured = float(traffic["seconds"][row].max())
            print(f"{algorithm}: predicted {predicted:.3g} s, measured {measured:.3g} s, {measured / predicted:.2f} times")


@pytest.mark.parametrize("ranks", [1, len(os.sched_getaffinity(0)) + 1])
def test_no_ratio_is_claimed_of_one_rank_or_without_a_core_for_each(tmp_path, ranks):
    if ranks > 8:
        pytest.skip("too many cores to be short of them")
    gate = ["--set", "verify.least_speed=0.001", "--set", "bench.operation=allreduce", "--set", "bench.repeats=2"]
    done = run(tmp_path / "x.h5", ranks, *gate)
    assert "times as fast" not in done.stdout and "# speed_vs_mpi, overlap and fits are left out" in done.stdout
    assert "verify.least_speed is not checked" in done.stdout
    with h5py.File(tmp_path / "x.h5") as file:
        for column in ("speed_vs_mpi", "overlap_of_communication", "overlap_of_possible", "alpha_s", "fit_residual"):
            assert np.isnan(file[f"allreduce/{column}"][:]).all()
        assert "ring_speed_vs_mpi_least" not in file["summary/metric"].asstr()[:]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": 7}', "cut", "text", "empty"])
def test_a_damaged_calibration_is_said_and_measured_again(tmp_path, cached, damage):
    (kept,) = (cached / "calibration").glob("*.json")
    whole = kept.read_text()
    tree = json.loads(whole)
    if damage == "text":
        tree["entries"][0]["value"] = "fast"
        kept.write_text(json.dumps(tree))
    elif damage == "empty":
        kept.write_text(json.dumps({**tree, "entries": []}))
    else:
        kept.write_text(whole[: len(whole) // 2] if damage == "cut" else damage)
    done = run(tmp_path / "x.h5", 1, *QUICK, cache=cached)
    assert f"warning: {kept}: damaged: this machine is measured again\n" in done.stderr
    assert [e["name"] for e in json.loads(kept.read_text())["entries"]] == [e["name"] for e in tree["entries"]]
    with h5py.File(tmp_path / "x.h5") as file:
        assert (file["calibration/value"][:] > 0).all() and len(file["calibration/value"]) == len(tree["entries"])


QUICK = ["--set", "run.calibration=cached", "--set", "bench.operation=allreduce", "--set", "bench.max_bytes=64"]


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """A cache with the calibration of one rank, which is then read without a word."""
    cache = tmp_path_factory.mktemp("cache")
    for _ in range(2):
        assert "warning" not in run(cache / "x.h5", 1, *QUICK, cache=cache).stderr
    return cache
