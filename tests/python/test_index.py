# SPDX-License-Identifier: BSD-3-Clause
"""The index of a folder: headers, files left out, planned points without a record."""

from pathlib import Path

import h5py
import pytest

from partita.errors import UsageError
from partita.records import hdf5, layout
from partita.records.folder import read_folder
from partita.records.header import read_header
from partita.records.index import Missing, read_index
from partita.records.record import read_record
from partita.studies.state import PLAN, State, attempts, new_attempt, write_json
from synthetic import Synthetic


def study(folder: Path, *names: str) -> Path:
    """A plan of these points, whose hash is their name."""
    write_json(
        folder / PLAN, {"study": "synthetic", "points": [{"hash": name, "name": f"{name}-r1"} for name in names]}
    )
    return folder


def test_a_header_says_what_was_run_and_where(tmp_path: Path) -> None:
    Synthetic(ranks=2, threads=3, point="np2-mpi-r12", study="s", git_sha="a1b2c3d4e5", run_uuid="u",
              strategy="ring", oversubscribed=1, cpu="EPYC", compiler="GNU 12").write(tmp_path / "a.h5")  # fmt: skip
    (h,) = read_index(tmp_path).headers
    assert (h.refused, h.app, h.study, h.point, h.repeat) == ("", "mlp_dp", "s", "np2-mpi-r12", 12)
    assert (h.ranks, h.threads, h.nodes, h.strategy, h.run_uuid, h.kind) == (2, 3, 1, "ring", "u", "training")
    assert (h.git_sha, h.git_dirty, h.code, h.schema) == ("a1b2c3d4e5", False, "a1b2c3d", 4)
    assert (h.complete, h.verified, h.oversubscribed) == (True, True, True)
    assert (h.cpu_model, h.cores, h.hostname, h.compiler) == ("EPYC", "2", "nowhere", "GNU 12")
    assert (h.created_utc, h.config_hash) == ("2026-01-01T00:00:00Z", "00")


@pytest.mark.parametrize(("point", "repeat"), [("np2-r1-r7", 7), ("r3", 3), ("np2", 0), ("np2-r", 0), ("bar4", 0)])
def test_a_repeat_is_read_from_the_name_of_the_point(tmp_path: Path, point: str, repeat: int) -> None:
    record = read_record(Synthetic(point=point).write(tmp_path / "a.h5"))
    assert (record.repeat, record.nodes, bool(record.run_uuid)) == (repeat, 1, True)


def test_an_index_opens_a_file_once_and_reads_no_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for ranks in (1, 2, 3):
        Synthetic(ranks=ranks).write(tmp_path / f"{ranks}.h5")
    opened: list[Path] = []
    real = hdf5.open_file
    monkeypatch.setattr(hdf5, "open_file", lambda path: opened.append(path) or real(path))
    monkeypatch.setattr(layout, "read_times", lambda *_: pytest.fail("steps are read"))
    assert [h.ranks for h in read_index(tmp_path).usable] == [1, 2, 3]
    assert [path.name for path in opened] == ["1.h5", "2.h5", "3.h5"]


def test_records_of_attempts_are_found_and_missing_points_have_their_last_state(tmp_path: Path) -> None:
    study(tmp_path, "done", "never", "failed", "again", "silent")
    Synthetic(point="done-r1").write(new_attempt(tmp_path, "done", {}).record)
    new_attempt(tmp_path, "failed", {}).close(State.OUT_OF_MEMORY, 137, 2.0, "killed by the kernel")
    new_attempt(tmp_path, "again", {}).close(State.FAILED, 1, 2.0, "exit code 1")
    new_attempt(tmp_path, "again", {}).close(State.TIMEOUT, 1, 9.0)
    new_attempt(tmp_path, "silent", {})
    write_json(attempts(tmp_path, "silent")[0].folder / "job.json", {"host": "elsewhere"})
    index = read_index(tmp_path)
    assert [h.path.parent.parent.name for h in index.usable] == ["done"] and index.refused == ()
    assert index.missing[:3] == (
        Missing("never-r1", State.PLANNED),
        Missing("failed-r1", State.OUT_OF_MEMORY, "killed by the kernel"),
        Missing("again-r1", State.TIMEOUT),
    )
    assert index.missing[3].name == "silent-r1" and index.missing[3].state in (State.RUNNING, State.LOST)
    (found,), _, notes = read_folder(tmp_path)
    assert [r.path for r in found.records] == [h.path for h in index.usable]
    assert notes[:3] == [
        "left out: never-r1: planned, never run",
        "left out: failed-r1: no record (out of memory): killed by the kernel",
        "left out: again-r1: no record (timeout)",
    ]


def test_a_point_whose_record_is_refused_is_not_missing(tmp_path: Path) -> None:
    study(tmp_path, "a", "b")
    Synthetic(point="a-r1").write(new_attempt(tmp_path, "a", {}).record)
    new_attempt(tmp_path, "b", {}).record.write_text("no record")
    index = read_index(tmp_path)
    assert index.missing == () and [(path.parent.parent.name, why) for path, why in index.refused] == [
        ("b", "damaged, or not a record of Partita: no HDF5 file: expected a file that an app of Partita wrote")
    ]


def test_records_beside_a_plan_are_found_by_their_point(tmp_path: Path) -> None:
    study(tmp_path, "a", "b")
    Synthetic(point="a-r1").write(tmp_path / "moved.h5")
    assert [missing.name for missing in read_index(tmp_path).missing] == ["b-r1"]


def test_the_same_run_twice_is_kept_once(tmp_path: Path) -> None:
    for name, uuid in (("a", "1"), ("b", "1"), ("c", ""), ("d", "2")):
        Synthetic(run_uuid=uuid).write(tmp_path / f"{name}.h5")
    Synthetic(run_uuid="2", complete=0).write(tmp_path / "0.h5")  # Left out: it does not stand for d.
    index = read_index(tmp_path)
    assert [h.path.stem for h in index.usable] == ["a", "c", "d"]
    assert dict(index.refused)[tmp_path / "b.h5"] == f"the same run as {tmp_path / 'a.h5'}"


def test_a_drill_is_a_run_that_ended_well_and_measures_nothing(tmp_path: Path) -> None:
    path = Synthetic(point="a-r1").write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["faults"] = "slow of rank 1 in step 5, update"
    assert read_header(path).usable  # `partita run` does not do it again
    said = "something went wrong on purpose: slow of rank 1 in step 5, update"
    assert [why for _, why in read_index(tmp_path).refused] == [said]


def test_no_folder_and_a_damaged_plan_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        read_index(tmp_path / "none")
    Synthetic().write(tmp_path / "a.h5")
    (tmp_path / PLAN).write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        read_index(tmp_path)


@pytest.mark.parametrize(("sha", "dirty", "code"), [("0123456789", 0, "0123456"), ("", 1, "? + changes")])
def test_code_is_commit_and_whether_it_was_changed(tmp_path: Path, sha: str, dirty: int, code: str) -> None:
    import h5py

    with h5py.File(Synthetic(git_sha=sha).write(tmp_path / "a.h5"), "r+") as file:
        file.attrs["git_dirty"] = dirty
    assert read_index(tmp_path).headers[0].code == code
