# SPDX-License-Identifier: BSD-3-Clause
"""Points that go on from their checkpoints: after which ends, how often, and what is said of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_checkpoint import seal, write_checkpoint

from conftest import Checkout
from partita.errors import UsageError
from partita.studies.resuming import may_go_on, next_start, read_progress
from partita.studies.state import State, new_attempt
from partita.studies.status import status_of

Command = Callable[..., tuple[int, str, str]]
POINT = "np1-mpi-r1"


def study(checkout: Checkout, ends: str, resume: int = 3, retries: int = 0) -> Path:
    """One point whose attempts end so."""
    return checkout.study(
        ("repeats = 2", "repeats = 1"),
        ("ranks = [1, 2]", "ranks = [1]"),
        ("train.steps = 12", f'fake.do = "resumable"\nfake.ends = "{ends}"'),
        ("seed = 7", f"retries = {retries}\nresume = {resume}"),
    )


def firsts(checkout: Checkout) -> list[int]:
    return [a.job["first_step"] for a in checkout.attempts(POINT)]


def test_a_point_goes_on_until_it_is_done(checkout: Checkout, partita: Command) -> None:
    code, out, err = partita("run", study(checkout, "KILL.5.SEGV.done"))
    assert code == 0, err
    tried = checkout.attempts(POINT)
    assert [a.exit["state"] for a in tried] == ["lost", "failed", "failed", "done"]
    assert firsts(checkout) == [a.exit["first_step"] for a in tried] == [0, 3, 6, 9]
    assert (
        "goes on from step 3, 1 of 3" in out and "goes on from step 9, 3 of 3" in out and "(went on from step 9)" in out
    )
    (place,) = (checkout.runs / "points").iterdir()  # The hash of the point is the same.
    assert sorted(p.name for p in place.iterdir()) == [*(f"attempt-{n}" for n in (1, 2, 3, 4)), "checkpoint.h5"]
    assert [f"--resume {place / 'checkpoint.h5'}" in a.log.read_text() for a in tried] == [False, True, True, True]
    assert tried[1].job["resumed_from"] == str(place / "checkpoint.h5") and "resumed_from" not in tried[0].job
    (point,) = status_of(checkout.runs).points
    assert (point.state, point.first_step, point.reason) == (State.DONE, 9, "went on from step 9")
    said = json.loads(partita("status", checkout.runs, "--json")[1])["points"]
    assert [(p["first_step"], p["attempts"]) for p in said] == [(9, 4)]
    assert partita("run", study(checkout, "KILL.5.SEGV.done"))[0] == 0 and len(checkout.calls()) == 4


def test_no_oftener_than_is_allowed(checkout: Checkout, partita: Command) -> None:
    ends = "KILL.KILL.KILL.done"
    code, out, _ = partita("run", study(checkout, ends, resume=2, retries=5))
    assert code == 1 and firsts(checkout) == [0, 3, 6] and "went on 2 times, as often as" in out
    (point,) = status_of(checkout.runs).points
    assert point.state is State.LOST and "went on from step 6; it left a checkpoint" in point.reason
    code, out, _ = partita("run", study(checkout, ends, resume=2, retries=5))  # Also not by another command.
    assert code == 1 and len(checkout.calls()) == 3 and "expected a larger `resume`" in out
    assert partita("run", study(checkout, ends, resume=3))[0] == 0 and firsts(checkout) == [0, 3, 6, 9]


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_what_would_fail_again_does_not_go_on(checkout: Checkout, partita: Command, code: int) -> None:
    assert partita("run", study(checkout, f"{code}.done", retries=3))[0] == 1
    (attempt,) = checkout.attempts(POINT)
    assert attempt.exit["may_go_on"] is False and (attempt.folder.parent / "checkpoint.h5").is_file()
    assert partita("run", study(checkout, f"{code}.done"))[0] == 0 and firsts(checkout) == [0, 0]


def test_without_a_checkpoint_it_begins_anew(checkout: Checkout, partita: Command) -> None:
    assert partita("run", study(checkout, "-KILL.KILL.-5.done", retries=1))[0] == 0
    assert firsts(checkout) == [0, 0, 6, 6]  # The third left none of its own.


def test_a_damaged_checkpoint_is_not_used(checkout: Checkout, partita: Command) -> None:
    ends = "KILL.done"
    partita("run", study(checkout, ends, resume=0))
    (attempt,) = checkout.attempts(POINT)
    assert "checkpoint.path" not in attempt.log.read_text() and not (attempt.folder.parent / "checkpoint.h5").exists()
    path = write_checkpoint(attempt.folder.parent / "checkpoint.h5", 3)
    path.write_bytes(path.read_bytes()[:-1])
    assert partita("run", study(checkout, ends))[0] == 0 and firsts(checkout) == [0, 0]
    assert "its checkpoint is not used" in checkout.attempts(POINT)[1].log.read_text()


def test_a_run_that_nobody_saw_end_goes_on(tmp_path: Path) -> None:
    attempt = new_attempt(tmp_path, "abc", {"first_step": 0})
    write_checkpoint(tmp_path / "points" / "abc" / "checkpoint.h5", 5)
    assert next_start(tmp_path, "abc", 1).step == 5 and next_start(tmp_path, "abc", 0).step == 0
    attempt.close(State.FAILED, 1, 1.0, "exit code 1")
    assert next_start(tmp_path, "abc", 1).step == 0


def test_a_checkpoint_of_the_last_step_leaves_nothing_to_do(tmp_path: Path) -> None:
    new_attempt(tmp_path, "abc", {})
    write_checkpoint(tmp_path / "points" / "abc" / "checkpoint.h5", 12)
    start = next_start(tmp_path, "abc", 1)
    assert start.step == 0 and "after 12 steps leaves nothing to do" in start.note


ENDS = [
    (State.LOST, "a node failed (Slurm)", False, True),
    (State.PREEMPTED, "another job took the nodes (LSF)", False, True),
    (State.TIMEOUT, "time limit of the job (PBS)", False, True),
    (State.TIMEOUT, "timed out after 3.0 s (key timeout_s of x)", True, False),
    (State.FAILED, "exit code 5 (incomplete): hang", False, True),
    (State.FAILED, "exit code 0, but its record is incomplete or cannot be read", False, True),
    (State.FAILED, "ended by SIGABRT of a rank", False, True),
    (State.FAILED, "exit code 1 (run failed)", False, False),
    (State.FAILED, "exit code 4 (environment unfit)", False, False),
    (State.FAILED, "exit code 13", False, True),
    (State.OUT_OF_MEMORY, "an allocation failed", False, False),
    (State.DONE, "", False, False),
]


@pytest.mark.parametrize(("state", "why", "timed_out", "expected"), ENDS)
def test_which_ends_may_go_on(state: State, why: str, timed_out: bool, expected: bool) -> None:
    assert may_go_on(state, why, timed_out) is expected


def test_progress_of_a_checkpoint_and_what_is_none(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "c.h5", 7, 40)
    assert read_progress(path) == (7, 40)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content, said in ((b"", "does not begin"), (whole[:-5], "bytes, not"), (whole + b"x", "bytes, not"),
                          (flipped, "checksum"), (whole[512:], "does not begin")):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(UsageError, match=said):
            read_progress(path)
    with pytest.raises(UsageError, match="no checkpoint"):
        read_progress(write_checkpoint(path, 7, conventions="Partita-1"))
    path.write_bytes(whole[:512] + b"\0" * 2000)
    with pytest.raises(UsageError):  # Whole, and no HDF5.
        read_progress(seal(path))


def test_keys_that_do_not_go_together(checkout: Checkout, partita: Command) -> None:
    code, _, err = partita("plan", checkout.study(("train.steps = 12", 'checkpoint.path = "x.h5"')))
    assert code == 2 and "checkpoint.path" in err
    code, _, err = partita("plan", checkout.study(("seed = 7", "resume = -1")))
    assert code == 2 and "resume: -1: expected an integer from 0 on" in err
