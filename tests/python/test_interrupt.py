# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C, SIGTERM and SIGKILL stop a study with all its ranks and leave it ready to go on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from conftest import Checkout


def wait_for(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_study_goes_on(
    checkout: Checkout,
    partita: Callable[..., tuple[int, str, str]],
    environment: dict[str, str],
    number: signal.Signals,
) -> None:
    term = number is signal.SIGTERM
    study = checkout.study(("train.steps = 12", f'fake.do = "{"stubborn" if term else "hang"}"'))
    command = [sys.executable, "-m", "partita", "run", str(study)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    wait_for(lambda: checkout.ranks_started())
    process.send_signal(number)
    for _ in range(100 if term else 0):  # Schedulers send it more than once; stubborn ranks have five seconds.
        time.sleep(0.01)
        process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    point = checkout.calls()[0][0]
    assert [a.exit["state"] for a in checkout.attempts(point)] == ["lost"]
    assert [a.may_go_on for a in checkout.attempts(point)] == [True]
    assert "interrupted with 0 of 6 points done; the same command goes on from there" in err
    assert err.count("\n") == 1 and checkout.ranks_alive() == []

    checkout.study()  # The same study with an app that behaves.
    code, _, _ = partita("run", study)
    assert code == 0 and len(checkout.records()) == 6


def killed(checkout: Checkout, environment: dict[str, str], *replacements: tuple[str, str], ranks: int) -> None:
    """A study that was killed, alone or with its process group, while so many ranks ran."""
    command = [sys.executable, "-m", "partita", "run", str(checkout.study(*replacements))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment, start_new_session=True)
    wait_for(lambda: len(checkout.ranks_started()) == ranks)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_study_leaves_no_rank_and_no_second_one_starts_beside_it(
    checkout: Checkout, partita: Callable[..., tuple[int, str, str]], environment: dict[str, str]
) -> None:
    killed(checkout, environment, ("train.steps = 12", 'fake.do = "stubborn"'), ranks=1)
    study = checkout.study()  # With an app that behaves.
    calls = len(checkout.calls())
    command = [sys.executable, "-m", "partita", "run", str(study)]
    second = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    while checkout.ranks_alive():  # Ranks that ignore SIGTERM are given five seconds.
        assert len(checkout.calls()) == calls
        time.sleep(0.05)
    assert second.wait(60) == 0 and len(checkout.records()) == 6


def test_a_second_study_does_not_wait_for_a_living_one(
    checkout: Checkout, partita: Callable[..., tuple[int, str, str]], environment: dict[str, str]
) -> None:
    study = checkout.study(("train.steps = 12", 'fake.do = "hang"'))
    process = subprocess.Popen([sys.executable, "-m", "partita", "run", str(study)], stdout=subprocess.DEVNULL,
                               env=environment, start_new_session=True)  # fmt: skip
    wait_for(lambda: len(checkout.ranks_started()) == 1)
    start = time.monotonic()
    code, _, err = partita("run", study)
    assert code == 2 and "another `partita run` is at work here" in err and err.count("\n") == 1
    assert time.monotonic() - start < 4.0
    process.terminate()
    assert process.wait(60) == 5


@pytest.mark.skipif(shutil.which("mpiexec") is None, reason="no mpiexec on this machine")
def test_a_killed_study_takes_a_real_launcher_along(checkout: Checkout, environment: dict[str, str]) -> None:
    app = ("train.steps = 12", 'fake.do = "stubborn"')
    two = ("ranks = [1, 2]", "ranks = [2]")
    killed(checkout, environment, app, two, (str(checkout.root / "mpiexec"), "mpiexec"), ranks=2)
    assert checkout.ranks_alive()
    wait_for(lambda: not checkout.processes(), 20)
    assert checkout.ranks_alive() == []
