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
