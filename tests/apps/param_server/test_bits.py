# SPDX-License-Identifier: BSD-3-Clause
"""Protocols that are the same in theory leave the same bits: of mlp_dp, of the virtual engine, of each other."""

import os
import subprocess

import h5py
import numpy as np
import pytest
from conftest import MPIEXEC, ROOT

DECK = "inputs/param_server/as_mlp_dp.toml"
BITS = ["train.deterministic=true", "train.steps=12", "evaluate.every=5"]


def bits(path):
    """All that a run leaves of its training."""
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1 and np.isfinite(file["steps/grad_norm"][:]).all()
        return [file["steps/loss"][:].tobytes(), file["steps/grad_norm"][:].tobytes(), file.attrs["parameters_fnv1a"],
                file["evaluation/step"][:].tolist(), file["evaluation/loss"][:].tobytes(),
                file["evaluation/accuracy"][:].tobytes()]


def mlp_dp(output, deck):
    overrides = [part for setting in BITS for part in ("--set", setting)]
    subprocess.run([MPIEXEC, "-n", "1", os.environ["PARTITA_MLP_DP"], deck, *overrides, "--output", str(output)],
                   cwd=ROOT, check=True, timeout=60)
    return bits(output)


@pytest.fixture(scope="module")
def without_servers(tmp_path_factory):
    return mlp_dp(tmp_path_factory.mktemp("serial") / "mlp_dp.h5", "inputs/mlp_dp/tiny.toml")


def alone(run, workers, servers, *settings):
    return bits(run(workers + servers, *BITS, f"server.count={servers}", *settings, deck=DECK))


def test_a_bag_whose_touched_rows_travel_is_mlp_dp_too(run, tmp_path):
    bag, two = "inputs/mlp_dp/tiny_bag.toml", [*BITS, "server.count=2"]
    expected = mlp_dp(tmp_path / "mlp_dp.h5", bag)
    virtual = run(1, *two, "run.engine=virtual", "virtual.workers=2", "virtual.network=links", "virtual.latency_s=0.01",
                  deck=bag, name="virtual")
    moved = []
    for path in (virtual, run(4, *two, deck=bag), run(2, *two, "server.placement=shared", deck=bag, name="shared")):
        assert bits(path) == expected, path
        with h5py.File(path) as file:
            strategy = file["strategy"]
            sent, keys = strategy["sent_bytes"][:], strategy["keys"][:]
            moved.append([sent.tolist(), strategy["expected_received_bytes"][:].tolist()])
    assert moved[1] == moved[0] and moved[2] == moved[0]  # the same messages, whoever carries them
    assert 0 < sent.sum() < 0.6 * 24 * 4 * keys.sum()  # two workers pull twelve times


def test_bulk_synchronous_is_mlp_dp(run, without_servers):
    for workers, servers in [(2, 3), (4, 1)]:
        assert alone(run, workers, servers) == without_servers, f"{workers} workers, {servers} servers"
    shared = bits(run(3, *BITS, "server.count=2", "server.placement=shared", deck=DECK))
    assert shared == without_servers
    virtual = bits(run(1, *BITS, "run.engine=virtual", "virtual.workers=3", "server.count=2", deck=DECK))
    assert virtual == without_servers


@pytest.mark.parametrize("settings", [["server.protocol=ssp", "server.staleness=0"],
                                      ["server.protocol=k-sync", "server.backup=0"],
                                      ["server.protocol=async", "server.apply=clock", "workers=1"]])
def test_is_bulk_synchronous_too(run, without_servers, settings):
    workers = 1 if "workers=1" in settings else 2
    settings = [setting for setting in settings if not setting.startswith("workers")]
    assert alone(run, workers, 2, *settings) == without_servers
