# SPDX-License-Identifier: BSD-3-Clause
"""Stages on any number of ranks, under any schedule, train what the whole model trains (DESIGN.md section 6)."""

import os
from pathlib import Path

import conftest
import h5py
import numpy as np
import pytest

EXACT = ["train.deterministic=true", "train.steps=5", "run.warmup=1", "evaluate.every=3", "data.held_out=300"]
# Two ranks, and the rest of these pairs, are in the tests of micro-batches and of tables below; tests/mpi/parallel has all.
RANKS = {"gpipe": (2, 4), "1f1b": (4,), "interleaved": (3, 4), "zb-h1": (3,), "zb-v": (4,)}


def bits(path):
    """All that a run leaves of its training."""
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1
        return {"loss": file["steps/loss"][:].tobytes(), "norm": file["steps/grad_norm"][:].tobytes(),
                "weights": file.attrs["parameters_fnv1a"], "held_out": file["evaluation/loss"][:].tobytes(),
                "accuracy": file["evaluation/accuracy"][:].tobytes()}


def test_deterministic_stages_leave_the_bits_of_the_whole(run):
    one = bits(run(1, *EXACT))
    for schedule, some in RANKS.items():
        for ranks in some:
            assert bits(run(ranks, *EXACT, f"parallel.schedule={schedule}")) == one, f"{schedule}, {ranks} ranks"
    for settings in (["parallel.schedule=1f1b"], ["parallel.schedule=zb-v"], ["parallel.bucket_mib=0.001"]):
        assert bits(run(4, *EXACT, "parallel.data=2", *settings)) == one, settings


def test_the_whole_model_is_that_of_another_app(run, monkeypatch):
    """Replicas of the whole model, by another program."""
    settings = [*EXACT, "train.recompute=block", "train.micro_batches=3"]
    here = bits(run(3, *settings, deck="inputs/mlp_dp/tiny_cnn.toml"))
    other = Path(conftest.APP).parents[1] / "mlp_dp" / "mlp_dp"
    if not os.access(other, os.X_OK):
        pytest.skip("mlp_dp is not built")
    monkeypatch.setattr(conftest, "APP", str(other))
    assert bits(run(2, *settings, deck="inputs/mlp_dp/tiny_cnn.toml")) == here


def test_any_number_of_micro_batches_has_the_same_bits(run):
    """Statistics of batch norms are those of a chunk, however chunks are put together."""
    settings = [*EXACT, "train.batch=50"]
    one = bits(run(1, *settings))
    for micro_batches, schedule in ((1, "1f1b"), (2, "interleaved"), (5, "zb-h1"), (24, "zb-v")):
        more = [f"train.micro_batches={micro_batches}", f"parallel.schedule={schedule}"]
        assert bits(run(2, *settings, *more)) == one, more


def test_models_of_numbers_are_cut_too(run):
    deck = "inputs/mlp_dp/tiny.toml"
    exact = [*EXACT, "model.kind=mlp", "train.micro_batches=3"]
    one = bits(run(1, *exact, deck=deck))
    for ranks, schedule in ((2, "zb-h1"), (3, "1f1b")):
        assert bits(run(ranks, *exact, f"parallel.schedule={schedule}", deck=deck)) == one, schedule


GPT = "inputs/mlp_dp/tiny_gpt.toml"


def test_head_and_embedding_share_a_table_on_any_ranks(run):
    """The head's gradient of each chunk travels to the embedding's rank, or waits for its turn: zb-v has both there."""
    exact = [*EXACT, "model.tied=true", "train.micro_batches=5"]
    one = bits(run(1, *exact, deck=GPT))
    for ranks, schedule in ((2, "zb-v"), (2, "interleaved"), (3, "gpipe"), (3, "zb-v"), (3, "1f1b"), (4, "zb-h1")):
        assert bits(run(ranks, *exact, f"parallel.schedule={schedule}", deck=GPT)) == one, f"{schedule}, {ranks} ranks"
    hybrid = ["parallel.data=2", "parallel.bucket_mib=0.001", "train.recompute=block", "parallel.balance=measured"]
    assert bits(run(4, *exact, *hybrid, deck=GPT)) == one


def losses(path):
    with h5py.File(path) as file:
        return file["steps/loss"][:], file["steps/grad_norm"][:]


def test_fast_stages_stay_within_the_bound(run):
    """The norm too: a micro-batch lost, or weighed by its own rows, shows there in the first step."""
    loss, norm = losses(run(1))
    for ranks, schedule in ((2, "1f1b"), (2, "interleaved"), (3, "gpipe"), (3, "zb-v"), (4, "zb-h1")):
        split_loss, split_norm = losses(run(ranks, f"parallel.schedule={schedule}"))
        assert np.allclose(split_loss, loss, rtol=1e-4, atol=0), (ranks, schedule)
        assert np.allclose(split_norm[0], norm[0], rtol=1e-5, atol=0), (ranks, schedule)
    without = losses(run(3, "parallel.step_barrier=false"))  # squares are put together at the flush
    assert np.allclose(without[0], loss, rtol=1e-4, atol=0) and np.allclose(without[1][0], norm[0], rtol=1e-5, atol=0)
    without = losses(run(4, "parallel.step_barrier=false", "parallel.data=2"))
    assert np.allclose(without[1][0], losses(run(4, "parallel.data=2"))[1][0], rtol=1e-5, atol=0)


def test_the_gradient_does_not_depend_on_its_micro_batches(run):
    """Without batch norms, whose statistics are a micro-batch's own."""
    settings = ["model.norm_groups=2", "train.steps=3", "run.warmup=1", "train.batch=50"]
    norms = [losses(run(2, *settings, f"train.micro_batches={m}", "parallel.schedule=zb-h1"))[1][0]
             for m in (1, 2, 4, 8)]
    assert np.allclose(norms, norms[0], rtol=1e-5, atol=0)


def test_a_table_that_head_and_embedding_share_counts_once(run):
    """One gradient, one place in the norm, one update, whose weights reach the copy before it is read again."""
    settings = ["model.tied=true", "train.steps=4", "run.warmup=1", "train.micro_batches=5", "train.clip_norm=0"]
    path = run(1, *settings, deck=GPT)
    loss, norm = losses(path)
    with h5py.File(path) as file:
        state = file["strategy/optimizer_bytes"][:].sum()
    table = 13 * 24 * 4  # bytes of a moment of Adam
    ways = [(1, "schedule=zb-v"), (2, "schedule=zb-v"), (2, "schedule=1f1b"), (3, "schedule=zb-h1"),
            (2, "step_barrier=false"), (4, "data=2", "parallel.bucket_mib=0.001")]
    for ranks, *way in ways:
        path = run(ranks, *settings, f"parallel.{way[0]}", *way[1:], deck=GPT)
        of = losses(path)
        assert np.allclose(of[0], loss, rtol=1e-5, atol=0) and np.allclose(of[1][0], norm[0], rtol=1e-5, atol=0), way
        with h5py.File(path) as file:
            for kind in ("weight", "gradient", "optimizer"):
                kept = file[f"strategy/{kind}_bytes"][:]
                assert np.array_equal(kept, file[f"strategy/expected_{kind}_bytes"][:]), (way, kind)
            replicas = 2 if "data=2" in way else 1
            assert file["strategy/optimizer_bytes"][:].sum() < replicas * (state + table), f"{way}: kept twice"
            sent = {name: file[f"traffic/{name}"][:] for name in ("messages", "sent_bytes")}
            for name, counted in sent.items():
                assert np.array_equal(counted, file[f"traffic/expected_{name.removeprefix('sent_')}"][:]), (way, name)
