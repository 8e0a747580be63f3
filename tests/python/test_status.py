# SPDX-License-Identifier: BSD-3-Clause
"""States of points, from invented folders."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from partita.studies.state import Attempt, State, new_attempt, write_json
from partita.studies.status import PointStatus, StudyStatus, status_of
from partita.studies.submissions import SILENT_JOB_S, Submission, new_submission
from synthetic import Synthetic

Partita = Callable[..., tuple[int, str, str]]
LIMIT = "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-11-30T14:40:40 DUE TO TIME LIMIT ***\n"
PREEMPTED = LIMIT.replace("TIME LIMIT", "PREEMPTION")
CANCELLED = LIMIT.replace(" DUE TO TIME LIMIT", "")
BEGINS = "partita: job 7 of slurm begins on 1 nodes\n"


class Folder:
    """A study of one point, or of so many."""

    def __init__(self, path: Path, points: int = 1) -> None:
        self.path = path
        path.mkdir()
        described = [{"hash": f"{n:012x}", "name": f"np1-r{n}", "nodes": 1} for n in range(1, points + 1)]
        write_json(path / "plan.json", {"study": "invented", "points": described})

    def attempt(self, point: int = 1, **job: str) -> Attempt:
        return new_attempt(self.path, f"{point:012x}", job)

    def gone(self, point: int = 1, **job: str) -> Attempt:
        """An attempt of another machine, long ago."""
        attempt = self.attempt(point, **job)
        write_json(attempt.folder / "job.json", {**job, "host": "far", "started_utc": "2026-01-01T00:00:00Z"})
        os.utime(attempt.folder / "job.json", (1, 1))
        return Attempt(attempt.folder)

    def job(self, points: int = 1, output: str = "", words: str = "", **changes: str) -> Submission:
        job = new_submission(self.path, "slurm", 1, tuple(f"{n:012x}" for n in range(1, points + 1)), 60).with_job("7")
        for name, value in changes.items():
            object.__setattr__(job, name, value)
        job.write()
        if output:
            job.output.write_text(output)
        if words:
            job.scheduler_output.write_text(words)
        return job

    def status(self) -> StudyStatus:
        return status_of(self.path)

    @property
    def point(self) -> PointStatus:
        return self.status().points[0]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """One point."""
    return Folder(tmp_path / "study")


IN_JOB = {"scheduler": "slurm", "scheduler_job": "7"}


def test_without_a_trace_it_is_planned(folder: Folder) -> None:
    assert (folder.point.state, folder.point.reason) == (State.PLANNED, "")


@pytest.mark.parametrize("state", [State.DONE, State.FAILED, State.TIMEOUT, State.OUT_OF_MEMORY, State.PREEMPTED])
def test_a_closed_attempt_says_what_it_is(folder: Folder, state: State) -> None:
    folder.attempt().close(state, 1, 2.0, "its reason")
    assert folder.point.state is state
    assert folder.point.reason == ("" if state is State.DONE else "its reason")


def test_an_attempt_of_this_process_runs(folder: Folder) -> None:
    folder.attempt()
    assert folder.point.state is State.RUNNING


def test_an_attempt_elsewhere_runs_while_it_is_touched(folder: Folder) -> None:
    attempt = folder.gone()
    assert folder.point.state is State.LOST
    assert "on far since 2026-01-01" in folder.point.reason
    attempt.touch()
    assert folder.point.state is State.RUNNING


def test_a_complete_record_is_enough(folder: Folder) -> None:
    attempt = folder.gone()
    Synthetic().write(attempt.record)
    assert (folder.point.state, folder.point.record) == (State.DONE, attempt.record)
    Synthetic(complete=0).write(attempt.record)
    assert folder.point.state is State.LOST


def test_any_attempt_that_is_done_makes_it_done(folder: Folder) -> None:
    folder.attempt().close(State.LOST, 1, 1.0, "a node failed")
    folder.attempt().close(State.DONE, 0, 1.0)
    assert (folder.point.state, folder.point.attempts) == (State.DONE, 2)


def test_a_job_that_waits_or_runs_makes_it_submitted(folder: Folder) -> None:
    job = folder.job()
    assert (folder.point.state, folder.point.reason) == (State.SUBMITTED, "slurm job 7, waiting")
    job.output.write_text(BEGINS)
    assert (folder.point.state, folder.point.reason) == (State.SUBMITTED, "slurm job 7, running")


def test_what_failed_before_the_job_came_is_submitted_again(folder: Folder) -> None:
    attempt = folder.attempt()
    write_json(attempt.folder / "job.json", {"started_utc": "2026-01-01T00:00:00Z"})
    attempt.close(State.FAILED, 1, 1.0, "exit code 1")
    assert folder.point.state is State.FAILED
    folder.job()
    assert folder.point.state is State.SUBMITTED
    assert "attempt 1 before: failed" in folder.point.reason


def test_what_failed_in_the_job_itself_has_failed(folder: Folder) -> None:
    folder.job(output=BEGINS)
    folder.attempt(**IN_JOB).close(State.FAILED, 1, 1.0, "exit code 1")
    assert folder.point.state is State.FAILED


@pytest.mark.parametrize(
    ("output", "words", "state", "said"),
    [
        (BEGINS, LIMIT, State.TIMEOUT, "slurm job 7: time limit of the job (Slurm)"),
        (BEGINS, PREEMPTED, State.PREEMPTED, "another job took the nodes"),
        (BEGINS, CANCELLED, State.LOST, "cancelled (Slurm)"),
        (
            BEGINS + "partita: the time limit of this job is near\npartita: job 7 of slurm ends with status 5\n", "",
            State.TIMEOUT, "slurm job 7: time limit of the job",
        ),
        (
            BEGINS + "    | std::bad_alloc\npartita: job 7 of slurm ends with status 5\n", "",
            State.LOST, "it ended with status 5 (incomplete)",
        ),
        (BEGINS, "", State.LOST, "its runner is gone and left no word (slurm job 7, on far"),
        # Requeued: what was said before it began again is of the past.
        (BEGINS, LIMIT + "partita: job 7 of slurm begins\n", State.LOST, "its runner is gone"),
    ],
)  # fmt: skip
def test_what_ran_when_its_job_ended_has_the_job_s_reason(
    folder: Folder, output: str, words: str, state: State, said: str
) -> None:
    folder.job(output=output, words=words)
    folder.gone(**IN_JOB)
    assert folder.point.state is state
    assert said in folder.point.reason


def test_an_attempt_that_was_told_to_stop_has_the_job_s_reason(folder: Folder) -> None:
    folder.job(output=BEGINS, words=LIMIT)
    folder.attempt(**IN_JOB).close(State.PREEMPTED, -15, 1.0, "told to stop")
    assert (folder.point.state, "time limit" in folder.point.reason) == (State.TIMEOUT, True)


def test_a_job_that_is_ending_has_said_why(folder: Folder) -> None:
    folder.job(output=BEGINS + "partita: the time limit of this job is near\n")
    folder.attempt(**IN_JOB).close(State.PREEMPTED, -15, 1.0, "told to stop")
    assert (folder.point.state, folder.point.reason) == (State.TIMEOUT, "slurm job 7: time limit of the job")


def test_what_failed_of_itself_keeps_its_reason_when_the_job_ends(folder: Folder) -> None:
    folder.job(output=BEGINS, words=LIMIT)
    folder.attempt(**IN_JOB).close(State.FAILED, 2, 1.0, "exit code 2")
    assert folder.point.reason == "exit code 2"


def test_a_point_whose_turn_never_came_is_planned(folder: Folder) -> None:
    folder.job(output=BEGINS, words=LIMIT)
    assert folder.point.state is State.PLANNED
    assert folder.point.reason == "slurm job 7 ended before its turn: time limit of the job (Slurm)"


def test_a_refused_job_leaves_its_points_planned(folder: Folder) -> None:
    folder.job(refused="refused by sbatch (Invalid partition)")
    assert folder.point.state is State.PLANNED
    assert folder.point.reason == "slurm did not take the job: refused by sbatch (Invalid partition)"


def test_a_job_without_a_sign_for_long_is_lost(folder: Folder) -> None:
    job = folder.job(output=BEGINS)
    then = time.time() - SILENT_JOB_S - 60
    os.utime(job.output, (then, then))
    assert folder.point.state is State.LOST
    assert "no sign of it for 16 min" in folder.point.reason


def test_damaged_files_are_named(folder: Folder) -> None:
    attempt = folder.attempt()
    (attempt.folder / "exit.json").write_text("{")
    assert folder.point.state is State.LOST
    assert "exit.json: cannot be read" in folder.point.reason
    job = folder.job()
    job.path.write_text('{"scheduler": "slurm"}')
    assert "1.json" in folder.status().notes[0]


def test_the_command_counts_and_lists_what_is_not_done(tmp_path: Path, partita: Partita) -> None:
    folder = Folder(tmp_path / "study", points=3)
    folder.attempt(1).close(State.DONE, 0, 1.0)
    folder.attempt(2).close(State.FAILED, 2, 1.0, "exit code 2")
    code, out, _ = partita("status", folder.path)
    assert code == 0
    assert out.splitlines()[0].startswith("invented: 3 points: 1 planned, 1 done, 1 failed")
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["failed", "np1-r2", "exit", "code", "2"], ["planned", "np1-r3"],
    ]  # fmt: skip
    assert "done          np1-r1" in partita("status", folder.path, "--all")[1]
    found = json.loads(partita("status", folder.path, "--json")[1])
    assert found["counts"] == {"planned": 1, "done": 1, "failed": 1}
    assert [p["state"] for p in found["points"]] == ["done", "failed", "planned"]


def test_a_folder_without_a_plan_is_refused(tmp_path: Path, partita: Partita) -> None:
    code, _, err = partita("status", tmp_path)
    assert code == 2
    assert "no plan.json" in err


def test_collect_takes_what_is_finished_and_names_the_rest(tmp_path: Path, partita: Partita) -> None:
    folder = Folder(tmp_path / "study", points=4)
    (folder.path / "study.toml").write_text('name = "invented"\n')
    first = folder.attempt(1)
    Synthetic().write(first.record)
    first.close(State.DONE, 0, 1.0)
    folder.attempt(2).close(State.FAILED, 2, 1.0, "exit code 2")
    folder.attempt(3).close(State.DONE, 0, 1.0)  # Its record was taken away.
    out = tmp_path / "home"
    code, said, _ = partita("collect", folder.path, "-o", out)
    assert code == 0
    assert sorted(p.name for p in out.iterdir()) == ["np1-r1_000000000001.h5", "plan.json", "study.toml"]
    assert (out / "np1-r1_000000000001.h5").read_bytes() == first.record.read_bytes()
    assert "1 records" in said and "3 points left out" in said
    assert "left out: np1-r2: failed (exit code 2)" in said
    assert "left out: np1-r3: " in said and "No such file" in said
    assert "left out: np1-r4: planned" in said
    assert status_of(out).counts == {"planned": 3, "done": 1}
    assert partita("collect", out, "-o", out)[0] == 2


def test_collect_gives_each_of_several_studies_a_folder(tmp_path: Path, partita: Partita) -> None:
    for name in ("a", "b"):
        attempt = Folder(tmp_path / name).attempt()
        Synthetic().write(attempt.record)
        attempt.close(State.DONE, 0, 1.0)
    out = tmp_path / "home"
    assert partita("collect", tmp_path / "a", tmp_path / "b", "-o", out)[0] == 0
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.h5")) == [
        "a/np1-r1_000000000001.h5", "b/np1-r1_000000000001.h5",
    ]  # fmt: skip
