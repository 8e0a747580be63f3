# SPDX-License-Identifier: BSD-3-Clause
"""Attempts at points: what runs again and what does not, retries, blocks until ratios are known, one run at a time."""

import fcntl
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import Checkout, keep
from partita.statistics import paired_ratio
from partita.studies.blocks import Width, Widths
from partita.studies.endings import judged
from partita.studies.launch import Ended
from partita.studies.plan import make_plan
from partita.studies.points import Ratio
from partita.studies.state import State, new_attempt, read_json, write_json
from partita.studies.study import read_study

Command = Callable[..., tuple[int, str, str]]
ONE = ("repeats = 2", "repeats = 1")
TWO_RANKS = ("ranks = [1, 2]", "ranks = [2]")


def told(do: str) -> tuple[str, str]:
    return ("train.steps = 12", f'fake.do = "{do}"')


def called(checkout: Checkout, since: int = 0) -> list[str]:
    return sorted(call[0] for call in checkout.calls()[since:])


def test_an_attempt_tells_how_it_was_started_and_how_it_ended(checkout: Checkout, partita: Command) -> None:
    assert partita("run", checkout.study(ONE))[0] == 0
    (attempt,) = checkout.attempts("np2-ring-r1")
    assert attempt.folder == checkout.runs / "points" / checkout.plan()["np2-ring-r1"] / "attempt-1"
    assert attempt.job["point"] == "np2-ring-r1" and attempt.job["pid"] == os.getpid()
    assert attempt.job["environment"]["OMP_NUM_THREADS"] == "1" and "parallel.allreduce=ring" in attempt.job["command"]
    assert attempt.exit["state"] == "done" and attempt.exit["status"] == 0 and attempt.exit["wall_s"] > 0
    assert sorted(p.name for p in attempt.folder.iterdir()) == ["exit.json", "job.json", "log.txt", "record.h5"]


def test_a_changed_comment_runs_nothing_again(checkout: Checkout, partita: Command) -> None:
    partita("run", checkout.study(ONE))
    deck = checkout.root / "inputs" / "mlp_dp" / "deck.toml"
    deck.write_text("# other words\n[ train ]\nsteps=12\n")
    assert partita("run", checkout.study(ONE, ("[set]", "# other words\n[set]")))[0] == 0
    assert len(checkout.calls()) == 3


def test_a_deck_changed_in_one_key_runs_all_of_its_points_again(checkout: Checkout, partita: Command) -> None:
    partita("run", checkout.study(ONE))
    (checkout.root / "inputs" / "mlp_dp" / "deck.toml").write_text("[train]\nsteps = 12\nseed = 4\n")
    assert partita("run", checkout.study(ONE))[0] == 0 and len(checkout.calls()) == 6


def test_a_key_changed_in_one_point_runs_that_point_alone(checkout: Checkout, partita: Command) -> None:
    rows = '[[together]]\nparallel.allreduce = "mpi"\n[[together]]\nparallel.allreduce = "ring"\nrun.warmup = {n}\n'
    grid = '[grid]\nparallel.allreduce = ["mpi", "ring"]\n'
    partita("run", checkout.study(ONE, TWO_RANKS, (grid, rows.replace("{n}", "1"))))
    assert called(checkout) == ["np2-mpi-r1", "np2-ring-warmup1-r1"]
    partita("run", checkout.study(ONE, TWO_RANKS, (grid, rows.replace("{n}", "2"))))
    assert called(checkout, 2) == ["np2-ring-warmup2-r1"]
    assert sorted(checkout.records()) == ["np2-mpi-r1", "np2-ring-warmup2-r1"]


def test_what_ended_for_no_fault_of_its_own_is_tried_again(checkout: Checkout, partita: Command) -> None:
    code, out, _ = partita("run", checkout.study(ONE, TWO_RANKS, told("killed_once")))
    assert code == 0 and out.count("again: np2-") == 2 and "(lost: ended by SIGKILL)" in out
    for point in checkout.plan():
        assert [a.exit["state"] for a in checkout.attempts(point)] == ["lost", "done"]
    assert len(checkout.records()) == 2


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_retries_end(checkout: Checkout, partita: Command, retries: int) -> None:
    study = checkout.study(ONE, ("ranks = [1, 2]", "ranks = [1]"), told("killed"), ("seed = 7", f"retries = {retries}"))
    code, out, _ = partita("run", study)
    assert code == 1 and "1 FAILED: np1-mpi-r1" in out
    assert [a.exit["state"] for a in checkout.attempts("np1-mpi-r1")] == ["lost"] * (retries + 1)


@pytest.mark.parametrize(("do", "state"), [("fail", "failed"), ("no_record", "failed"), ("oom", "out of memory")])
def test_failures_of_the_app_are_not_retried(checkout: Checkout, partita: Command, do: str, state: str) -> None:
    study = checkout.study(ONE, ("ranks = [1, 2]", "ranks = [1]"), told(do), ("seed = 7", "retries = 3"))
    code, out, _ = partita("run", study)
    assert code == 1 and "again:" not in out and len(checkout.calls()) == 1
    assert [a.exit["state"] for a in checkout.attempts("np1-mpi-r1")] == [state]
    partita("run", study)
    assert [a.exit["state"] for a in checkout.attempts("np1-mpi-r1")] == [state] * 2  # Told to, it tries again.


def test_the_kernels_count_of_ended_processes_is_believed(tmp_path: Path) -> None:
    attempt = new_attempt(tmp_path, "abc", {})
    attempt.log.write_text("step 1\n")
    killed = Ended(-signal.SIGKILL, False, 1.0)
    assert judged(attempt, killed, 9.0, "x", kills=0)[0] is State.LOST
    state, why = judged(attempt, killed, 9.0, "x", kills=1)
    assert state is State.OUT_OF_MEMORY and "the kernel ended a process for want of memory" in why


def wait_for(true: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_study_killed_in_the_middle_finishes_only_what_was_missing(
    checkout: Checkout, partita: Command, environment: dict[str, str]
) -> None:
    study = checkout.study(told("hang_at_ring"))
    command = [sys.executable, "-m", "partita", "run", str(study)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, start_new_session=True)
    wait_for(checkout.ranks_started)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = called(checkout)
    assert before[-1] == "np2-ring-r1"
    (left,) = checkout.attempts("np2-ring-r1")
    assert left.job and not left.exit and not left.is_alive()
    wait_for(lambda: not checkout.processes())
    assert checkout.ranks_alive() == []
    (checkout.root / "go").touch()  # From here on nothing hangs.
    assert partita("run", study)[0] == 0
    assert called(checkout, len(before)) == sorted({*checkout.plan()} - {*before[:-1]})
    assert len(checkout.records()) == 6
    assert [bool(a.exit) for a in checkout.attempts("np2-ring-r1")] == [False, True]


@contextmanager
def held(path: Path, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, kind)
        yield


SPREAD = ("threads = 1", "threads = 1\nranks_per_node = 1")


def test_only_points_of_so_many_nodes(checkout: Checkout, partita: Command) -> None:
    study = checkout.study(ONE, SPREAD)
    code, out, _ = partita("run", study, "--only-nodes", 2)
    assert code == 0 and called(checkout) == ["np2-mpi-r1", "np2-ring-r1"] and "2 points run" in out
    assert len(checkout.plan()) == 3  # The others are planned.
    assert partita("run", study, "--only-nodes", "1")[0] == 0 and called(checkout, 2) == ["np1-mpi-r1"]
    code, _, err = partita("run", study, "--only-nodes", "3")
    assert code == 2 and "--only-nodes: 3: expected one of 1, 2" in err


def test_a_job_asks_for_no_work_beyond_its_nodes(checkout: Checkout, partita: Command) -> None:
    weak = ('kind = "strong"', 'kind = "weak"'), ("[grid]", "[per_rank]\ntrain.batch = 32\nfake.flop = 10\n[grid]")
    study = checkout.study(ONE, SPREAD, *weak)
    described = "counted flops per rank are constant"
    assert described not in partita("run", study, "--only-nodes", "1")[1]
    code, out, _ = partita("run", study)
    assert code == 0 and described in out


def test_jobs_of_other_node_counts_run_beside_each_other_and_nothing_else_does(
    checkout: Checkout, partita: Command
) -> None:
    study = checkout.study(ONE, SPREAD)
    with held(checkout.runs / ".lock", fcntl.LOCK_SH), held(checkout.runs / ".lock-1"):
        assert partita("run", study, "--only-nodes", "2")[0] == 0
        for options in ([], ["--only-nodes", "1"]):
            code, _, err = partita("run", study, *options)
            assert code == 2 and "another `partita run` is at work here" in err
    with held(checkout.runs / ".lock"):
        assert partita("run", study, "--only-nodes", "1")[0] == 2
    assert called(checkout) == ["np2-mpi-r1", "np2-ring-r1"]


def test_a_runner_on_another_host_is_noticed_by_its_signs_of_life(checkout: Checkout, partita: Command) -> None:
    study = checkout.study(ONE)
    digest = next(p["hash"] for p in json.loads(partita("plan", study, "--json")[1])["points"])
    attempt = new_attempt(checkout.runs, digest, {})
    write_json(attempt.folder / "job.json", {**read_json(attempt.folder / "job.json"), "host": "elsewhere"})
    code, _, err = partita("run", study)
    assert code == 2 and "another `partita run` is at work here" in err and "on elsewhere" in err
    for file in attempt.folder.iterdir():
        os.utime(file, (1, 1))  # Silent since 1970.
    assert partita("run", study)[0] == 0 and len(checkout.calls()) == 3


@pytest.fixture
def blocks(kept: Path) -> None:
    for repeat in range(1, 13):
        keep(kept, 2, "mpi", repeat)
        for seconds in (0.03, 0.036):
            keep(kept, 2, "ring", repeat, seconds)


def adaptive(checkout: Checkout, width: float, most: int, slow: list[int]) -> Path:
    repeats = f"repeats = {{min = 6, max = {most}, ratio_width = {width}}}"
    return checkout.study(TWO_RANKS, ("repeats = 2", repeats), ("train.steps = 12", f"fake.slow_blocks = {slow}"))


def expected_blocks(width: float, most: int, slow: list[int]) -> int:
    """Ring takes 1.2 times as long in the slow blocks: the ratio of mpi to ring is 1/1.2 there, else 1."""
    for n in range(6, most):
        interval = paired_ratio([1.0] * n, [1.2 if block in slow else 1.0 for block in range(1, n + 1)])
        if (interval.high - interval.low) / interval.value <= width:
            return n
    return most


@pytest.mark.usefixtures("blocks")
def test_blocks_are_added_until_ratios_are_known(checkout: Checkout, partita: Command) -> None:
    blocks = expected_blocks(0.1, 12, [1])
    assert 6 < blocks < 12
    code, out, _ = partita("run", adaptive(checkout, 0.1, 12, [1]))
    assert code == 0 and len(checkout.calls()) == 2 * blocks == len(checkout.plan())
    assert "2 more points: block 7, the interval of np2-mpi / np2-ring is 0.167 of its value, wanted 0.1" in out
    assert f"{blocks} blocks: no ratio's interval is wider than" in out
    assert [c[0].rpartition("-r")[2] for c in checkout.calls()] == [str(b) for b in range(1, blocks + 1) for _ in "ab"]
    partita("run", adaptive(checkout, 0.1, 12, [1]))
    assert len(checkout.calls()) == 2 * blocks  # Known well enough: nothing more.


@pytest.mark.usefixtures("blocks")
def test_blocks_end_at_the_most_and_go_on_where_more_are_allowed(checkout: Checkout, partita: Command) -> None:
    slow = [1, 3, 5, 7, 9]
    code, out, _ = partita("run", adaptive(checkout, 0.1, 7, slow))
    assert code == 0 and len(checkout.calls()) == 14 and "7 blocks, as many as are allowed: the interval of" in out
    assert partita("run", adaptive(checkout, 0.1, 8, slow))[0] == 0
    assert len(checkout.calls()) == 16 == len(checkout.plan())
    assert partita("run", adaptive(checkout, 0.3, 12, slow))[0] == 0 and len(checkout.calls()) == 16


@pytest.mark.usefixtures("blocks")
def test_the_fewest_blocks_are_enough_where_ratios_are_narrow(checkout: Checkout, partita: Command) -> None:
    code, out, _ = partita("run", adaptive(checkout, 0.01, 12, []))
    assert code == 0 and len(checkout.calls()) == 12 == len(checkout.plan())
    assert "6 blocks: no ratio's interval is wider than 0 (np2-mpi / np2-ring)" in out


def widest(checkout: Checkout, times: dict[str, dict[int, float]], among: set[str], *tried: str) -> Width | None:
    axes = ('["mpi", "ring"]', '["mpi", "ring", "tree"]'), ("ranks = [1, 2]", "ranks = [2, 4]")
    study = read_study(checkout.study(*axes))
    plan = make_plan(study, checkout.runs, study.build)
    return Widths(plan, times, {*times, *tried}).widest(among)


def test_the_widest_ratio_counts(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partita.studies.plan.available_cores", lambda: 2)
    one = dict.fromkeys(range(1, 7), 1.0)
    spread = {block: 1.0 + 0.01 * block for block in range(1, 7)}
    mpi, ring, tree = (f"np2-{way}" for way in ("mpi", "ring", "tree"))
    found = widest(checkout, {mpi: one, ring: one, tree: spread}, {mpi, ring, tree})
    interval = paired_ratio([1.0] * 6, list(spread.values()))
    assert found == Width(Ratio(mpi, tree), (interval.high - interval.low) / interval.value)
    few = widest(checkout, {mpi: one, ring: {1: 1.0, 2: 1.0, 3: 1.0}}, {mpi, ring})
    assert few == Width(Ratio(mpi, ring), math.inf)  # No interval.
    assert widest(checkout, {mpi: one, ring: one}, {mpi, ring}, tree) == Width(Ratio(mpi, ring), 0.0)  # tree fails.
    assert widest(checkout, {mpi: one, ring: one}, {mpi, ring}) == Width(Ratio(mpi, tree), math.inf)  # It may come.
    assert widest(checkout, {mpi: one}, {mpi}, ring, tree) is None
    assert widest(checkout, {}, {"np4-mpi"}) is None  # More threads than cores: no ratio is shown.
