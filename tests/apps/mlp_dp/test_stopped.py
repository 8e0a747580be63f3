# SPDX-License-Identifier: BSD-3-Clause
"""Runs that are ended from outside: by SIGTERM in good order, by SIGKILL with a .part that opens."""

import os
import random
import signal
import subprocess
import time

import h5py
import numpy as np
import pytest
from conftest import MPIEXEC, ROOT, command, ranks_of

LONG = ["train.steps=200000", "evaluate.every=200000", "record.flush_every=20"]


def start(ranks, output, *settings):
    return launch(command(ranks, "inputs/mlp_dp/tiny.toml", *(settings or LONG), output=output))


def launch(words):
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(path, process):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline, "no .part appeared"
        time.sleep(0.01)


@pytest.mark.parametrize("ranks", [1, 2])
def test_sigterm_ends_in_good_order(tmp_path, ranks):
    output = tmp_path / "x.h5"
    process = start(ranks, output)
    wait_for(output.with_name("x.h5.part"), process)
    time.sleep(0.3)
    subprocess.run(["kill", "-TERM", str(ranks_of(process)[-1])], check=True)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 5, stderr
    assert stderr.count("error: ") == 1 and "SIGTERM" in stderr
    with h5py.File(output) as file:
        assert file.attrs["complete"] == 0
        assert "SIGTERM" in str(file.attrs["exit_reason"])
        assert np.isfinite(file["steps/loss"][:]).all()


def stop(process, app="mlp_dp"):
    """SIGTERM to the last rank; how long the job then took to end in good order, in seconds."""
    subprocess.run(["kill", "-TERM", str(ranks_of(process, app)[-1])], check=True)
    sent = time.monotonic()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 5, stderr
    assert stderr.count("error: ") == 1 and "SIGTERM" in stderr, stderr
    return time.monotonic() - sent


def test_a_stop_does_not_wait_for_a_flush_nor_for_the_end_of_an_evaluation(tmp_path):
    steps = ["train.steps=2000000", "record.flush_every=1000000", "evaluate.every=1000000"]
    evaluation = ["evaluate.every=10", "train.steps=20", "data.held_out=100000000"]
    for name, settings in [("steps", steps), ("evaluation", evaluation)]:
        output = tmp_path / f"{name}.h5"
        process = start(2, output, *settings)
        wait_for(output.with_name(output.name + ".part"), process)
        time.sleep(1)
        assert stop(process) < 10  # a second on an idle machine
        with h5py.File(output) as file:
            assert file.attrs["complete"] == 0
            assert file["evaluation/step"].shape == (0,)


def test_a_stop_during_start_up_ends_the_job(tmp_path):
    output = tmp_path / "x.h5"
    process = start(2, output, "run.calibration=fresh", *LONG)
    wait_for(output.with_name("x.h5.tmp"), process)  # it calibrates
    assert stop(process) < 10
    assert not output.exists()


def test_a_hang_during_start_up_ends_the_job(tmp_path):
    output = tmp_path / "x.h5"
    process = start(2, output, "run.calibration=fresh", "run.hang_timeout_s=3", *LONG)
    wait_for(output.with_name("x.h5.tmp"), process)  # it calibrates
    subprocess.run(["kill", "-STOP", str(ranks_of(process)[-1])], check=True)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 5, stderr
    assert "run.hang_timeout_s: no progress for 3 s after step 0, in describing and calibrating the machine" in stderr


@pytest.mark.parametrize("app", ["comm_bench", "kernel_bench"])
def test_a_benchmark_can_be_stopped(tmp_path, app):
    binary = os.environ.get(f"PARTITA_{app.upper()}", "")
    if not binary:
        pytest.skip(f"{app} is not built")
    output = tmp_path / "x.h5"
    endless = {"comm_bench": ["--set", "bench.repeats=1000000"], "kernel_bench": ["--benchmark_min_time=1000"]}[app]
    ranks = "2" if app == "comm_bench" else "1"
    process = launch([MPIEXEC, "-n", ranks, binary, f"inputs/{app}/tiny.toml", *endless, "--output", str(output)])
    wait_for(output.with_name("x.h5.part"), process)
    time.sleep(1)
    assert stop(process, app) < 10
    with h5py.File(output.with_name("x.h5.part")) as file:
        assert file.attrs["complete"] == 0


def test_a_complete_record_outlives_a_run_that_was_stopped(run, tmp_path):
    output = run(1)
    before = output.read_bytes()
    process = start(1, output)
    part = output.with_name("x.h5.part")
    wait_for(part, process)
    second = subprocess.run(command(1, "inputs/mlp_dp/tiny.toml", output=output), cwd=ROOT, capture_output=True, text=True)
    assert second.returncode == 2 and "another run is writing this record" in second.stderr
    subprocess.run(["kill", "-TERM", str(ranks_of(process)[-1])], check=True)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 5
    assert f"the complete record {output} is kept, this one is {part}" in stderr
    assert output.read_bytes() == before
    with h5py.File(part) as file:
        assert file.attrs["complete"] == 0 and "SIGTERM" in str(file.attrs["exit_reason"])
    run(1)
    assert not part.exists()


def test_sigkill_leaves_a_part_that_opens(tmp_path):
    chance = random.Random(1)
    steps = []
    for k in range(6):
        output = tmp_path / f"{k}.h5"
        part = output.with_name(output.name + ".part")
        process = start(1, output)
        wait_for(part, process)
        time.sleep(0.05 + 0.3 * chance.random())
        for pid in ranks_of(process):
            subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(pid)], check=False)
        process.communicate(timeout=60)
        assert process.returncode != 0
        with h5py.File(part) as file:
            written = int(file["steps_written"][()])
            assert np.isfinite(file["steps/loss"][:written]).all()
            assert (file["steps/end_ns"][:written] > file["steps/start_ns"][:written]).all()
            steps.append(written)
        assert not output.exists()
    assert max(steps) > 0
