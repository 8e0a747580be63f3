# SPDX-License-Identifier: BSD-3-Clause
"""Servers and workers as ranks: every protocol ends with a record that adds up; so does a run that is ended early."""

import signal
import subprocess
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import APP, ROOT, command, ranks_of

DECK = "inputs/param_server/as_mlp_dp.toml"
BAG = "inputs/mlp_dp/tiny_bag.toml"
PROTOCOLS = {
    "bsp": [],
    "ssp": ["server.staleness=1"],
    "async": ["server.staleness_rate=true"],
    "k-sync": ["server.backup=1"],
    "k-batch-sync": ["server.k=2"],
    "k-async": ["server.k=2"],
    "k-batch-async": ["server.k=2", "server.accumulate=2"],
    "elastic": ["train.optimizer=sgd", "server.accumulate=2"],
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_ends_and_its_record_adds_up(run, protocol):
    placement = "shared" if protocol in ("ssp", "k-sync", "k-async") else "alone"
    path = run(3 if placement == "shared" else 5, f"server.protocol={protocol}", "server.count=2",
               f"server.placement={placement}", *PROTOCOLS[protocol], deck=DECK)
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1 and file.attrs["engine"] == "mpi" and file.attrs["protocol"] == protocol
        assert file.attrs["workers"] == 3 and file.attrs["servers"] == 2
        roles = [role.decode() if isinstance(role, bytes) else role for role in file["ranks/role"][:]]
        assert roles == (["server+worker"] * 2 + ["worker"] if placement == "shared" else ["server"] * 2 + ["worker"] * 3)
        assert np.isfinite(file["steps/loss"][:]).all() and len(file["steps/loss"]) == 20
        assert np.isfinite(file["steps/grad_norm"][:]).all() == (protocol != "elastic")
        took = file["steps/end_ns"][:] - file["steps/start_ns"][:]
        assert (took >= 0).all() and (took[:, 0] > 0).all()
        assert (file["steps/phase_s"][:].sum(axis=2) <= 1e-9 * took + 1e-6).all()
        strategy = file["strategy"]
        assert (strategy["updates"][:] == 20).all()
        for what in ("sent", "received"):
            assert (strategy[f"{what}_bytes"][:] == strategy[f"expected_{what}_bytes"][:]).all()
        assert strategy["keys"][:].sum() == 1262 and strategy["first_key"][0] == 0
        counts = strategy["staleness_count"][:]
        assert (counts.sum(axis=1) + strategy["dropped"][:] <= strategy["pushes"][:]).all()
        if protocol in ("bsp", "k-sync", "k-batch-sync"):
            assert counts[:, 1:].sum() == 0
        if protocol == "ssp":  # no older than the slack
            assert counts.shape[1] <= 2
        traffic = {str(kind): k for k, kind in enumerate(file["traffic/kind"].asstr()[:])}
        assert {"push", "pull"} <= set(traffic)
        assert (file["traffic/sent_bytes"][:] == file["traffic/expected_bytes"][:]).all()


@pytest.mark.parametrize("protocol", [["async"], ["k-sync", "server.backup=1"]])
def test_rows_of_a_sparse_model_travel_and_conflict(run, protocol):
    path = run(3, f"server.protocol={protocol[0]}", *protocol[1:], "server.count=2", "server.placement=shared",
               deck=BAG)
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1 and file.attrs["verified"] == 1
        strategy = file["strategy"]
        assert (strategy["updates"][:] == 30).all()
        for what in ("sent", "received"):
            assert (strategy[f"{what}_bytes"][:] == strategy[f"expected_{what}_bytes"][:]).all()
        assert strategy["received_bytes"][:].sum() < 0.7 * 4 * strategy["keys"][:].sum() * strategy["pushes"][:].sum()
        for what in ("messages", "bytes"):
            counted = "messages" if what == "messages" else "sent_bytes"
            assert (file[f"traffic/{counted}"][:] == file[f"traffic/expected_{what}"][:]).all()
        summary = dict(zip(file["summary/metric"].asstr()[:], file["summary/value"][:]))
        # Rows that another worker touched, not all.
        assert 0 < summary["conflict_rate"] < 1 if protocol == ["async"] else summary["conflict_rate"] == 0


@pytest.mark.parametrize("placement", ["alone", "shared"])
def test_measured_shares_are_those_of_a_whole_batch(run, placement):
    path = run(3 if placement == "alone" else 2, "server.measure_shares=true", f"server.placement={placement}", deck=DECK)
    with h5py.File(path) as file:
        rows = file["strategy/rows"][:]
        assert len(rows) == 2 and rows.sum() == 48 and rows.min() >= 1
        assert (file["steps/samples"][:] == 48).all() and file.attrs["verified"] == 1


def launch(ranks, output, *settings, deck=DECK):
    process = subprocess.Popen(command(ranks, deck, "train.steps=200000", "evaluate.every=200000", "server.count=2",
                                       *settings, output=output),
                               cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    part, deadline = output.with_name(output.name + ".part"), time.monotonic() + 60
    while not part.exists():
        assert process.poll() is None and time.monotonic() < deadline, "no .part appeared"
        time.sleep(0.01)
    time.sleep(0.5)
    return process


@pytest.mark.parametrize("deck, protocol, placement, which", [(DECK, "async", "alone", 0), (BAG, "k-sync", "shared", 0),
                                                              (DECK, "bsp", "alone", 1), (BAG, "ssp", "alone", 3)])
def test_sigterm_to_any_rank_ends_in_good_order(tmp_path, deck, protocol, placement, which):
    output = tmp_path / "x.h5"
    process = launch(4, output, f"server.protocol={protocol}", f"server.placement={placement}", deck=deck)
    subprocess.run(["kill", "-TERM", str(ranks_of(process)[which])], check=True)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 5 and stderr.count("error: ") == 1, stderr
    assert "SIGTERM" in stderr if which == 0 else f"rank {which} was told to stop" in stderr
    with h5py.File(output) as file:
        assert file.attrs["complete"] == 0
        assert len(file["steps/loss"]) < 200000 and np.isfinite(file["steps/loss"][:]).all()


@pytest.mark.parametrize("which", [0, 1, 3])
def test_a_rank_that_is_lost_ends_the_job(tmp_path, which):
    process = launch(4, tmp_path / "x.h5", "server.protocol=async")
    subprocess.run(["kill", f"-{signal.SIGKILL.value}", str(ranks_of(process)[which])], check=True)
    process.communicate(timeout=20)
    assert process.returncode != 0
