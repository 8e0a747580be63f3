# SPDX-License-Identifier: BSD-3-Clause
"""The virtual engine calibrated from a record of ranks: a run predicts itself exactly, others by the record's profile."""

import os
import subprocess

import h5py
import numpy as np
import pytest

from conftest import ROOT, command

DECK = ["data.source=synthetic", "data.features=40", "data.samples=512", "model.hidden=[24]", "train.batch=16",
        "train.steps=26", "run.warmup=6", "verify.least_accuracy=0", "evaluate.every=1000"]
CALIBRATED = ["run.engine=virtual", "virtual.workers=1", "virtual.compute=calibrated", "virtual.network=calibrated"]


def start(ranks, output, settings, code=0):
    done = subprocess.run(command(ranks, "inputs/param_server/small.toml", *DECK, *settings, output=output), cwd=ROOT,
                          env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("ranks") / "calibration.h5"
    start(2, path, ["server.profile=true", "run.calibration=fresh"])
    return path


def known(source):
    """What the record tells: the worker's times, update, message one way, latency, and its profile."""
    with h5py.File(source) as file:
        timed = file["steps/warmup"][:] == 0
        phase = {name.decode(): file["steps/phase_s"][:, :, k][timed] for k, name in enumerate(file["phase"][:])}
        update = np.median(phase["update"][:, 0])
        wait = np.median(phase["pull"][:, 1]) + np.median(phase["push"][:, 1])
        quantities = [name.decode() for name in file["calibration/quantity"][:]]
        latency = file["calibration/value"][quantities.index("ping_pong_latency_s")]
        profile = {name: file[f"profile/{name}"][:] for name in file["profile"]}
    return {"compute": phase["compute"][:, 1], "update": update, "message": max(0, wait - update) / 2, "latency": latency,
            **profile}


def steps_of(path):
    with h5py.File(path) as file:
        ends = file["virtual/end_virtual_s"][:]
    return np.diff(ends)


def weights(features, hidden, classes=10):
    return features * hidden + hidden + hidden * classes + classes


def test_a_run_predicts_itself(source, tmp_path):
    start(1, tmp_path / "x.h5", [*CALIBRATED, f"virtual.calibration={source}", "train.steps=61"])
    of = known(source)
    seen = steps_of(tmp_path / "x.h5")  # three times round the list of 20
    assert np.allclose(np.sort(seen[:20]), np.sort(of["compute"]) + of["update"] + 2 * of["message"], rtol=1e-6)
    assert np.allclose(seen[:20], seen[20:40], rtol=1e-6)


def test_profile_has_the_shapes_of_other_widths(source):
    of = known(source)
    row = [4 * 40 * h + 6 * h * 10 for h in (6, 12, 24, 48, 96)]  # a product is 2 flop an element; the data have no gradient
    assert np.all(np.abs(of["flop_per_row"] / row - 1) < 0.25), "beside the products there are small things"
    assert list(of["rows"]) == [4, 8, 16]
    assert list(of["message_bytes"]) == [4 * weights(40, h) for h in (6, 12, 24, 48, 96)]
    assert of["gradient_s"].shape == (5, 3) and np.all(of["gradient_s"] > 0) and np.all(of["message_s"] > 0)


def test_others_are_scaled_by_the_profile(source, tmp_path):
    """Twice the width at half of the rows lies on the grid; half of the messages to each of two servers lie between."""
    of = known(source)
    start(1, tmp_path / "x.h5", [*CALIBRATED, f"virtual.calibration={source}", "model.hidden=[48]", "train.batch=8",
                                 "train.steps=21"])
    compute = of["compute"] * of["gradient_s"][3, 1] / of["gradient_s"][2, 2]
    message = of["message"] * of["message_s"][3] / of["message_s"][2]
    update = of["update"] * weights(40, 48) / weights(40, 24)
    assert np.allclose(np.sort(steps_of(tmp_path / "x.h5")), np.sort(compute) + update + 2 * message, rtol=1e-6)

    start(1, tmp_path / "y.h5", [*CALIBRATED, f"virtual.calibration={source}", "server.count=2", "train.steps=21"])
    with h5py.File(tmp_path / "y.h5") as file:
        share = 4 * file["strategy/keys"][:]
    part = of["message"] * np.interp(share[0], of["message_bytes"], of["message_s"]) / of["message_s"][2]
    assert share[0] > of["message_bytes"][0], "inside of the profile"
    latency = min(of["latency"], part / 2)
    slower = max(share) / share[0]  # links of the one bandwidth, that of the first server's messages
    expected = of["compute"].mean() + 2 * (latency + (part - latency) * slower) + of["update"] * max(share) / (4 * weights(40, 24))
    assert np.isclose(steps_of(tmp_path / "y.h5").mean(), expected, rtol=1e-6)


@pytest.mark.parametrize(("settings", "words"), [
    (["virtual.compute=calibrated"], ["virtual.calibration", "no file"]),
    (["virtual.calibration=x.h5"], ["virtual.calibration", "nobody reads"]),
    (["virtual.compute=calibrated", "virtual.calibration=missing.h5"], ["virtual.calibration", "missing.h5", "cannot be read"]),
    (["virtual.compute=calibrated", "virtual.calibration=README.md"], ["virtual.calibration", "README.md", "cannot be read"]),
    (["virtual.network=calibrated", "virtual.latency_s=1", "virtual.calibration={source}"], ["virtual.latency_s", "calibrated"]),
    (["virtual.network=calibrated", "virtual.calibration={virtual}"], ["virtual.calibration", "/profile"]),
    (["server.profile=true"], ["server.profile", "one server and one worker"]),
])
def test_what_cannot_be(source, tmp_path, settings, words):
    other = tmp_path / "virtual.h5"
    if "{virtual}" in settings[-1]:
        start(1, other, ["run.engine=virtual"])
    filled = [each.format(source=source, virtual=other) for each in settings]
    error = start(1, tmp_path / "x.h5", ["run.engine=virtual", *filled], code=2)
    assert len(error.strip().splitlines()) == 1 and all(word in error for word in words), error
