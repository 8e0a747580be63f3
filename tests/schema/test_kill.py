# SPDX-License-Identifier: BSD-3-Clause
"""SIGKILL at any moment leaves files that open, with every announced row as it was written."""

import random
import subprocess
import time

import formulas
import h5py
import pytest
import xarray as xr

KILLS = 30
RANKS = 3


def kill_after(command, lines, delay_s):
    """Start, wait for so many lines of output and a little longer, kill."""
    with subprocess.Popen([*map(str, command), "--announce"], stdout=subprocess.PIPE) as process:
        for _ in range(lines):
            assert process.stdout.readline() != b""
        time.sleep(delay_s)
        process.kill()


def check_file(path):
    """Opens, and its announced rows are right; returns how many they are and whether the record is complete."""
    with h5py.File(path) as file:
        written = int(file["steps_written"][()])
        formulas.check_steps(file["steps"], written, RANKS)
        events = int(file["events/events_written"][()])
        formulas.check_events(file["events"], events, RANKS)
        assert events >= written * RANKS * formulas.EVENTS  # they are written ahead of their steps
        return written, int(file.attrs["complete"])


@pytest.mark.parametrize("rows", [1, 7])
def test_part_opens_after_kills_while_steps_are_written(writer, tmp_path, rows):
    # Writes follow each other without a pause: nearly every kill falls into one.
    dice = random.Random(rows)
    for kill in range(KILLS // 2):
        path = tmp_path / f"{kill}.h5"
        lines = dice.randrange(4)  # "ready", then one for every hundredth write
        kill_after([writer, path, "--steps", 5000, "--rows", rows, "--ranks", RANKS], lines, dice.uniform(0, 0.01))
        part = path.with_name(path.name + ".part")
        assert part.exists() or lines == 0
        assert not path.exists()
        if part.exists():
            written, complete = check_file(part)
            assert complete == 0 and written % rows == 0 and written >= 100 * rows * (lines - 1)
            with xr.open_dataset(part, group="steps") as steps:
                assert int(steps["steps_written"]) == written
            part.unlink()


def test_files_open_after_kills_while_records_begin_and_end(writer, tmp_path):
    # The same small record over and over: kills fall into creation, renames and the final copy.
    dice = random.Random(0)
    path = tmp_path / "x.h5"
    part = tmp_path / "x.h5.part"
    for _ in range(KILLS):
        lines = dice.randrange(5)  # "ready" once for each record
        kill_after([writer, path, "--steps", 6, "--ranks", RANKS, "--repeat", 1000000], lines, dice.uniform(0, 0.02))
        assert path.exists() or lines < 2
        if path.exists():
            assert check_file(path) == (6, 1)
        if part.exists():
            written, complete = check_file(part)
            assert complete == 0 and written <= 6
    assert {p.name for p in tmp_path.iterdir()} <= {"x.h5", "x.h5.part", "x.h5.tmp"}
