# SPDX-License-Identifier: BSD-3-Clause
"""What every app does when something goes wrong on purpose: how it ends, what it says, what is left."""

import os
import re
import subprocess

import h5py
import numpy as np
import pytest
from conftest import ROOT, command, to_the_end

DECKS = {"mlp_dp": "mlp_dp/tiny", "transformer_tp": "transformer_tp/tiny", "cnn_pp": "cnn_pp/tiny",
         "param_server": "param_server/as_mlp_dp"}
EVERY = ["run.calibration=off", "record.flush_every=3"]


def drill(app, ranks, tmp_path, fault, *settings):
    """Exit code, what was said, and the record or the part of one."""
    output = tmp_path / f"{app}{ranks}.h5"
    words = command(app, ranks, DECKS[app], *EVERY, *settings, f"fault=[{{{fault}}}]", output=output)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, env=os.environ)
    part = output.with_name(output.name + ".part")
    return done.returncode, done.stdout + done.stderr, output if output.exists() else part


def steps_of(record):
    """How many steps a record has, all of them whole."""
    with h5py.File(record) as file:
        written = int(file["steps_written"][()])
        assert np.isfinite(file["steps/loss"][:written]).all() and file.attrs["complete"] == 0
        assert (file["steps/end_ns"][:written] > 0).any(axis=1).all()
        return written


@pytest.mark.parametrize(("app", "ranks"), [("mlp_dp", 2), ("transformer_tp", 4), ("cnn_pp", 4), ("param_server", 4)])
def test_a_rank_that_is_killed_takes_the_job_along_and_the_steps_before_are_there(tmp_path, app, ranks):
    code, said, record = drill(app, ranks, tmp_path, 'kind="kill",rank=1,step=12')
    assert code != 0 and "verification passed" not in said
    assert 1 <= steps_of(record) <= 13


@pytest.mark.parametrize(("app", "ranks", "phase"),
                         [("mlp_dp", 4, "exchange"), ("transformer_tp", 2, "update"), ("cnn_pp", 2, "loss"), ("param_server", 2, "")])
def test_an_error_of_one_rank_is_told_once_with_its_rank(tmp_path, app, ranks, phase):
    code, said, record = drill(app, ranks, tmp_path, f'kind="exception",rank=1,step=7,phase="{phase}"')
    assert code == 1 and said.count("error: ") == 1
    assert f"error: fault drill: exception of rank 1 in step 7{', ' * bool(phase)}{phase} (rank 1)" in said
    assert steps_of(record) <= 8


@pytest.mark.parametrize(("app", "ranks"), [("mlp_dp", 2), ("transformer_tp", 2), ("cnn_pp", 2)])
def test_numbers_that_are_not_finite_are_named(tmp_path, app, ranks):
    code, said, record = drill(app, ranks, tmp_path, 'kind="nan",rank=1,step=7')
    assert code == 3 and "error: " not in said
    verdict = next(line for line in said.splitlines() if "verification FAILED: step " in line)
    assert "is not finite" in verdict and ("step 7:" in verdict)
    with h5py.File(record) as file:
        assert file.attrs["complete"] == 0 and file.attrs["verified"] == 0 and "not finite" in file.attrs["exit_reason"]
        assert file.attrs["faults"] == "nan of rank 1 in step 7"
        assert file["steps/loss"].shape[0] <= 12


def test_the_rank_whose_input_is_damaged_is_named_and_a_step_can_be_skipped(tmp_path):
    damaged = 'kind="input",rank=2,step=7'
    code, said, _ = drill("mlp_dp", 4, tmp_path, damaged)
    assert code == 3
    assert "verification FAILED: step 7: the loss of rank 2 is not finite, the gradient of linear0.weight is not finite" in said
    code, said, record = drill("mlp_dp", 2, tmp_path, 'kind="input",rank=1,step=7', "train.not_finite=skip")
    assert code == 0 and ", 1 step skipped" in said
    with h5py.File(record) as file:
        loss = file["steps/loss"][:]
        assert np.isnan(loss[7]) and np.isfinite(np.delete(loss, 7)).all() and len(loss) == 20
        summary = dict(zip(file["summary/metric"].asstr()[:], file["summary/value"][:]))
        assert summary["skipped_steps"] == 1


@pytest.mark.parametrize(("app", "ranks", "settings"), [("mlp_dp", 4, []), ("cnn_pp", 4, ["parallel.pipeline=2", "parallel.data=2"])])
def test_a_flipped_bit_is_found_at_the_next_check(tmp_path, app, ranks, settings):
    code, said, _ = drill(app, ranks, tmp_path, 'kind="bitflip",rank=1,step=7', "run.check_replicas_every=5", *settings)
    assert code == 3 and "verification FAILED: after step 10 copies differ: " in said
    verdict = said[said.index("copies differ: "):]
    assert ("rank 1 of 0, 1, 2, 3" if app == "mlp_dp" else " of ") in verdict


def test_a_stage_without_weights_comes_along_to_a_check(tmp_path):
    words = command("cnn_pp", 3, DECKS["cnn_pp"], *EVERY, "run.check_replicas_every=5", "parallel.stages=[6,1,1]",
                    output=tmp_path / "x.h5")
    assert "verification passed" in to_the_end(words).stdout


def test_a_full_disk_keeps_the_checkpoint_before_and_the_steps(tmp_path):
    checkpoint = tmp_path / "mlp_dp2.checkpoint.h5"
    code, said, record = drill("mlp_dp", 2, tmp_path, 'kind="disk_full",rank=0,step=12', "checkpoint.every=8")
    assert code == 1 and said.count("error: ") == 1
    assert steps_of(record) >= 9
    with h5py.File(checkpoint) as file:
        assert file.attrs["step"] == 8
    assert not checkpoint.with_name(checkpoint.name + ".part").exists()


def test_memory_that_runs_out_is_an_unfit_machine(tmp_path):
    code, said, _ = drill("mlp_dp", 1, tmp_path, 'kind="allocation",step=7')
    assert code == 4 and "error: out of memory: " in said
    code, said, _ = drill("mlp_dp", 2, tmp_path, 'kind="allocation",rank=1,step=7', "run.hang_timeout_s=6")
    assert code == 4 and re.search(r"error: out of memory: .* \(rank 1\)", said) and "hang" not in said, said


def test_a_slow_rank_shows_in_its_times_alone(tmp_path):
    code, said, record = drill("mlp_dp", 2, tmp_path, 'kind="slow",rank=1,step=10,phase="update",seconds=0.05')
    assert code == 0
    with h5py.File(record) as file:
        names = file["phase"].asstr()[:].tolist()
        update = file["steps/phase_s"][:, 1, names.index("update")]
        assert update[10:].min() > 0.05 > np.median(update[:10])


@pytest.mark.parametrize(("app", "fault", "said"), [
    ("mlp_dp", 'kind="kill",rank=2', "fault.1.rank: rank 2 of 2: expected 0 .. 1"),
    ("mlp_dp", 'kind="kill",step=5000', "fault.1.step: step 5000 of "),
    ("cnn_pp", 'kind="input",rank=1', "fault.1.rank: rank 1, which reads no numbers: expected one that does"),
    ("transformer_tp", 'kind="input"', "fault.1.rank: rank 0, which reads no numbers"),
    ("mlp_dp", 'kind="kill",phase="uptade"', 'fault.1.phase: "uptade", which no step has: expected one of input, '),
    ("mlp_dp", 'kind="nan",phase="update"', "fault.1.phase: data and weights are damaged ahead of a step"),
    ("mlp_dp", 'kind="kil"', 'fault.1.kind: given the string "kil"'),
    ("mlp_dp", "rank=1", 'fault.1.kind (default "exception"): it is missing'),
])
def test_drills_that_make_no_sense_are_refused(tmp_path, app, fault, said):
    code, words, _ = drill(app, 2, tmp_path, fault)
    assert code == 2 and words.count("error: ") == 1 and said in words
    assert not list(tmp_path.iterdir())  # nothing was begun
