# SPDX-License-Identifier: BSD-3-Clause
"""Runs that are ended from outside: by SIGTERM in good order, by SIGKILL with a .part that opens."""

import random
import signal
import subprocess
import time

import h5py
import numpy as np
import pytest
from conftest import ROOT, command

LONG = ["train.steps=200000", "evaluate.every=200000", "record.flush_every=20"]


def start(ranks, output):
    return subprocess.Popen(command(ranks, "inputs/mlp_dp/tiny.toml", *LONG, output=output), cwd=ROOT,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(path, process):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline, "no .part appeared"
        time.sleep(0.01)


def ranks_of(mpiexec):
    """Pids of the app's processes below a running mpiexec."""
    found, todo = [], [mpiexec.pid]
    while todo:
        listed = subprocess.run(["pgrep", "-P", str(todo.pop())], capture_output=True, text=True).stdout.split()
        todo += [int(pid) for pid in listed]
        found += [int(pid) for pid in listed
                  if "mlp_dp" in open(f"/proc/{pid}/comm").read()]
    return found


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
