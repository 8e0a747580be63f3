# SPDX-License-Identifier: BSD-3-Clause
"""A schedule is drawn, written and read without a run, on one rank; one from a file is run, if it can end."""

import subprocess

import h5py
import numpy as np
import pytest
from conftest import MPIEXEC, ROOT, TINY, command


def ask(tmp_path, *arguments, ranks=1):
    line = command(ranks, TINY, output=tmp_path / "x.h5")
    done = subprocess.run([*line, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert line[0] == MPIEXEC and not (tmp_path / "x.h5").exists()
    return done


def keys(**settings):
    return [part for key, value in settings.items()
            for part in ("--set", f"{'train' if key == 'micro_batches' else 'parallel'}.{key}={value}")]


def test_a_schedule_is_written_and_drawn(tmp_path):
    csv = tmp_path / "s.csv"
    done = ask(tmp_path, *keys(pipeline=2, schedule="gpipe", micro_batches=2), "--show-schedule", "--schedule-csv", csv)
    assert done.returncode == 0, done.stderr
    assert csv.read_text() == "0F0,0F1,,,,0B0,,0B1,\n,1F0,1F1,1B0,,1B1,,,\n"
    assert done.stdout.splitlines()[0].startswith("rank 0   |0F0 0F1 ")
    more = ask(tmp_path, *keys(pipeline=8, schedule="zb-v", micro_batches=64), "--schedule-csv", csv)  # of no batch
    assert more.returncode == 0 and len(csv.read_text().splitlines()) == 8, more.stderr


def test_a_schedule_from_a_file_trains_the_same(run, tmp_path):
    csv = tmp_path / "zb.csv"
    assert ask(tmp_path, *keys(pipeline=3, schedule="zb-h1", micro_batches=4), "--schedule-csv", csv).returncode == 0
    bits = []
    for schedule in (csv, "zb-h1"):
        with h5py.File(run(3, f"parallel.schedule={schedule}", "train.deterministic=true", "train.steps=3")) as file:
            bits.append((file.attrs["parameters_fnv1a"], file["steps/grad_norm"][:].tobytes()))
    assert bits[0] == bits[1]


def test_stages_of_a_file_may_lie_anywhere(run, tmp_path):
    """Three stages on two ranks, the first and the last on the second of them."""
    csv = tmp_path / "odd.csv"
    csv.write_text("1F0,1F1,1B0,1B1\n0F0,0F1,2F0,2B0,2F1,2B1,0B0,0B1\n")
    losses = []
    for ranks, schedule in ((2, csv), (1, "1f1b")):
        with h5py.File(run(ranks, f"parallel.schedule={schedule}", "train.micro_batches=2", "train.steps=5",
                           "train.deterministic=true")) as file:
            losses.append(file["steps/loss"][:])
    assert np.array_equal(*losses)


@pytest.mark.parametrize("text, error", [
    ("0F0,0B0\n1B0,1F0\n", "backward"),
    ("0F0,0B0\n1F0,1X0\n", "s.csv:2: 1X0"),
    ("0F0,0B0\n", "1 rows: expected parallel.pipeline = 2"),
    ("0F0,0F1,0B0,0B1\n1F0,1B0\n", "stage 1"),
    ("0F0,0B0,0F1,0B1\n1F0,1F1,1B0,1B1\n", "rank 1"),
])
def test_a_schedule_that_cannot_run_is_refused(tmp_path, text, error):
    csv = tmp_path / "s.csv"
    csv.write_text(text)
    micro_batches = 1 if "F1" not in text else 2
    done = ask(tmp_path, *keys(schedule=csv, micro_batches=micro_batches), ranks=2)
    assert done.returncode == 2 and error in done.stderr and done.stderr.count("error:") == 1, done.stderr
