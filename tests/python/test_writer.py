# SPDX-License-Identifier: BSD-3-Clause
"""What lib/partita/io writes is what this package reads: records of tests/schema/record_writer.

CMake names the program in PARTITA_RECORD_WRITER; without it there is nothing to test.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from partita.records.events import read_events
from partita.records.record import SCHEMA, Timeline, is_finished, read_record

WRITER = os.environ.get("PARTITA_RECORD_WRITER", "")
pytestmark = pytest.mark.skipif(not Path(WRITER).is_file(), reason="PARTITA_RECORD_WRITER names no program")


def write(path: Path, *arguments: str) -> Path:
    subprocess.run([WRITER, str(path), *arguments], check=True)
    return path


def counted(steps: int, rows: int) -> list[int]:
    """As record_writer marks them: two steps of warm-up, one after every flush."""
    return [s for s in range(2, steps) if s % rows != 0]


def test_full_detail(tmp_path: Path) -> None:
    record = read_record(write(tmp_path / "a.h5", "--steps", "12", "--rows", "4", "--ranks", "3"))
    expected = counted(12, 4)
    assert is_finished(record.path) and record.ranks == 3
    assert record.attributes["schema_version"] == SCHEMA  # A newer writer needs a newer reader.
    assert np.flatnonzero(record.counted).tolist() == expected
    assert np.allclose(record.step_s, 1e-3 + 2e-9, rtol=1e-12)  # Rank r takes 1 ms + r ns.
    phase_s = [[1e-6 * (100 * s + 10 + p) for p in range(3)] for s in expected]  # Mean over ranks 0, 1, 2.
    assert np.allclose(record.phase_s, phase_s, rtol=1e-12)
    assert record.phases == ("forward", "allreduce", "wait") and record.classes == ("compute", "communication", "wait")
    assert record.steps["loss"].tolist() == [1.0 / (1 + s) for s in range(12)]
    assert record.last_grad_norm() == (12, 6.0)
    assert record.timeline == Timeline(first_step=0, last_step=11, written=12 * 3 * 4, dropped=12)
    assert record.config["train.steps"] == 3 and record.environment["compiler"] == "g++"
    assert record.summary("step_s") == pytest.approx(float(np.median(record.step_s)), rel=1e-12)


def test_events_on_the_clock_of_rank_0(tmp_path: Path) -> None:
    """Rank r of the writer is r ns ahead at first, and r ns less in 10 ms."""
    events = read_events(write(tmp_path / "a.h5", "--steps", "12", "--rows", "4", "--ranks", "3"))
    step, rank, k = (a.ravel() for a in np.mgrid[:12, :3, :4])
    assert events.parts == ("forward", "send") and events.steps == list(range(12))
    np.testing.assert_array_equal(events.columns["match"], np.where(k % 2, 10 * k, -1))
    for name, after in (("start_ns", 0), ("end_ns", 5)):
        own = 1_000_000 * step + 10 * k + after
        np.testing.assert_array_equal(events.columns[name], own - rank + np.rint(1e-7 * rank * (own - 5 * rank)))
    assert (events.step_start_ns[0] == 0).all() and events.begin_ns(0) == 0
    assert not list(events.messages())  # Sends to nobody.


def test_statistics_over_ranks(tmp_path: Path) -> None:
    full = read_record(write(tmp_path / "full.h5", "--steps", "12", "--rows", "4", "--ranks", "3"))
    stats = read_record(write(tmp_path / "stats.h5", "--steps", "12", "--rows", "4", "--ranks", "3", "--every", "5"))
    assert np.allclose(stats.step_s, full.step_s, rtol=1e-12)
    assert np.allclose(stats.phase_share, full.phase_share, rtol=1e-12)


def test_a_run_that_stopped_early(tmp_path: Path) -> None:
    record = read_record(write(tmp_path / "a.h5", "--steps", "12", "--rows", "2", "--stop-at", "6"))
    assert not record.complete and record.written_steps == 6 and record.attributes["exit_reason"] == "signal 15"
    assert record.last_grad_norm() == (6, 3.0) and record.timeline.written == 6 * 2 * 4


def test_a_run_that_is_killed(tmp_path: Path, partita: Callable[..., tuple[int, str, str]]) -> None:
    command = [WRITER, str(tmp_path / "a.h5"), "--steps", "20000", "--rows", "5", "--pause-us", "1000", "--announce"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.readline()
    part = tmp_path / "a.h5.part"
    while read_record(part).written_steps == 0:
        pass
    process.kill()
    process.wait()
    record = read_record(part)
    assert 0 < record.written_steps < 20000 and np.isfinite(record.steps["loss"]).all()
    code, out, _ = partita("show", part)
    assert code == 0 and f"warning: incomplete: exit reason: running; {record.written_steps} of 20000 steps" in out


def test_show(tmp_path: Path, partita: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = partita("show", write(tmp_path / "a.h5", "--steps", "12", "--ranks", "2"))
    assert code == 0 and "allreduce/data/ring" in out and "equal" in out and "10.00 GB/s" in out and "50.00 %" in out
