# SPDX-License-Identifier: BSD-3-Clause
"""Ranks that stop: the others name them, rank 0 marks the record, and the job is gone."""

import os
import re
import signal
import subprocess
import time

import h5py
import numpy as np
import pytest
from conftest import ROOT, command, is_alive, pids_by_rank, steps_written

LIMIT_S = 4
LONG = ["train.steps=200000", "record.flush_every=20", f"run.hang_timeout_s={LIMIT_S}", "run.calibration=off"]


class Job:
    """A run that goes on until it is stopped; its ranks' processes in the order of ranks."""

    def __init__(self, app, ranks, deck, output, *settings):
        self.part = output.with_name(output.name + ".part")
        self.mpiexec = subprocess.Popen(command(app, ranks, deck, *LONG, *settings, output=output), cwd=ROOT,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while steps_written(self.part) < 20:
            assert self.mpiexec.poll() is None and time.monotonic() < deadline, "no step was written"
            time.sleep(0.05)
        self.pids = [pid for _, pid in sorted(pids_by_rank(self.mpiexec.pid, app).items())]

    def end(self):
        _, stderr = self.mpiexec.communicate(timeout=60)
        return self.mpiexec.returncode, stderr


def check_part(job, mark):
    with h5py.File(job.part) as file:
        written = int(file["steps_written"][()])
        assert written >= 20 and np.isfinite(file["steps/loss"][:written]).all()
        assert file.attrs["complete"] == 0
        assert str(file.attrs["exit_reason"]).startswith(mark)


@pytest.mark.parametrize("app, deck, ranks, stopped, settings",
                         [("mlp_dp", "mlp_dp/tiny", 3, 1, ["parallel.allreduce=ring"]), ("mlp_dp", "mlp_dp/tiny", 2, 0, []),
                          ("mlp_dp", "mlp_dp/tiny", 2, 1, ["checkpoint.every=1"]),  # nearly always within a checkpoint
                          ("param_server", "param_server/as_mlp_dp", 2, 1, [])])
def test_a_rank_that_stops_is_named(tmp_path, app, deck, ranks, stopped, settings):
    job = Job(app, ranks, deck, tmp_path / "x.h5", *settings)
    os.kill(job.pids[stopped], signal.SIGSTOP)
    code, stderr = job.end()
    assert code == 5, stderr
    assert stderr.count("error: ") == 1
    said = re.search(rf"error: run.hang_timeout_s: no progress for {LIMIT_S} s after step \d+, in .*: "
                     rf"rank {stopped} does not answer\n", stderr)
    assert said, stderr
    if app == "mlp_dp":
        axis = r"\((ring|mpi), axis (data|world)\)|\(axis (data|world)\)"
        assert re.search(rf"^rank \d: step \d+, [\w ]+, \w+ \d+ ({axis}), \d+ bytes, waits for ", stderr, re.M), stderr
    check_part(job, "running" if stopped == 0 else "hang: no progress")
    deadline = time.monotonic() + 5  # the launcher does not wait for a process that it kills
    while any(is_alive(pid) for pid in job.pids):
        assert time.monotonic() < deadline, "a process is left"
        time.sleep(0.05)


def test_a_job_that_is_suspended_as_a_whole_goes_on(tmp_path):
    job = Job("mlp_dp", 2, "mlp_dp/tiny", tmp_path / "x.h5")
    for pid in job.pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(2 * LIMIT_S)
    before = steps_written(job.part)
    for pid in job.pids:
        os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + 60
    while steps_written(job.part) < before + 40:
        assert job.mpiexec.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(job.pids[0], signal.SIGTERM)
    code, stderr = job.end()
    assert code == 5 and "signal SIGTERM" in stderr and "hang" not in stderr, stderr


def test_a_rank_that_hangs_is_named_by_itself_and_by_those_that_wait(tmp_path):
    output = tmp_path / "x.h5"
    words = command("mlp_dp", 3, "mlp_dp/tiny", *LONG, 'fault=[{kind="hang",rank=1,step=25,phase="update"}]', output=output)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5, done.stderr
    assert re.search(r"^rank 1: step 25, update since \d+\.\d s, waits for nobody$", done.stderr, re.M), done.stderr
    assert re.search(r": rank 1 waits for nobody and is in update of step 25 since \d+\.\d s\n", done.stderr), done.stderr
    with h5py.File(output.with_name("x.h5.part")) as file:
        assert "rank 1 waits for nobody" in str(file.attrs["exit_reason"])
        assert int(file["steps_written"][()]) >= 20


@pytest.mark.parametrize("app, deck, ranks, settings",
                         [("mlp_dp", "mlp_dp/tiny", 3, ["parallel.strategy=zero3"]),
                          ("transformer_tp", "transformer_tp/tiny", 4, ["parallel.data=2", "train.steps=3"]),
                          ("cnn_pp", "cnn_pp/tiny", 4, ["parallel.spatial=2", "parallel.pipeline=2", "train.steps=3"]),
                          ("param_server", "param_server/as_mlp_dp", 3, ["server.protocol=ssp", "server.staleness=3"])])
def test_calls_that_match_pass_the_check(run, tmp_path, app, deck, ranks, settings):
    record = run(app, ranks, deck, *settings, "run.calibration=off", "run.check_collectives=true", "checkpoint.every=2",
                 f"checkpoint.path={tmp_path / 'c.h5'}")
    with h5py.File(record) as file:
        assert file.attrs["complete"] == 1
