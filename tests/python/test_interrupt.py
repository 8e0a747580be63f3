# SPDX-License-Identifier: BSD-3-Clause
"""Ctrl-C and SIGTERM stop a study and leave it ready to go on."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from conftest import Checkout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_study_goes_on(
    checkout: Checkout,
    partita: Callable[..., tuple[int, str, str]],
    environment: dict[str, str],
    number: signal.Signals,
) -> None:
    study = checkout.study(("train.steps = 12", 'fake.do = "hang"'))
    command = [sys.executable, "-m", "partita", "run", str(study)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 60
    while not (checkout.root / "pids.txt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    assert "interrupted with 0 of 6 points done; the same command goes on from there" in err
    assert err.count("\n") == 1 and checkout.ranks_alive() == []

    checkout.study()  # The same study with an app that behaves.
    code, _, _ = partita("run", study)
    assert code == 0 and len(list(checkout.runs.glob("*.h5"))) == 6
