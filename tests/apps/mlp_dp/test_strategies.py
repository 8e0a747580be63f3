# SPDX-License-Identifier: BSD-3-Clause
"""Every strategy of data parallelism trains what one rank trains; what a record says of it (DESIGN.md section 6)."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

from conftest import ROOT, command

# 50 rows in 24 chunks: neither 2 nor 3 ranks have the same shares; dropout and norms by name and cell, not by owner.
SHORT = ["train.batch=50", "train.steps=6", "run.warmup=1", "evaluate.every=3"]
EXACT = ["train.deterministic=true", *SHORT]
STRATEGIES = {
    "buckets": ["parallel.strategy=allreduce", "parallel.bucket_mib=0.002"],
    "gather_broadcast": ["parallel.strategy=gather_broadcast"],
    "zero1": ["parallel.strategy=zero1", "parallel.allreduce=ring"],
    "zero1_buckets": ["parallel.strategy=zero1", "parallel.bucket_mib=0.002"],
    "zero2": ["parallel.strategy=zero2", "train.micro_batches=2"],
    "zero3": ["parallel.strategy=zero3", "parallel.allreduce=automatic"],
}
DECKS = ["tiny", "tiny_cnn"]  # tiny_cnn has statistics of batch norms


def bits(path, norms_every=1):
    """All that a run leaves of its training."""
    with h5py.File(path) as file:
        known = np.isfinite(file["steps/grad_norm"][:])
        assert file.attrs["complete"] == 1 and (known == (np.arange(1, len(known) + 1) % norms_every == 0)).all()
        return {"loss": file["steps/loss"][:].tobytes(), "norm": file["steps/grad_norm"][:].tobytes(),
                "weights": file.attrs["parameters_fnv1a"], "held_out": file["evaluation/loss"][:].tobytes()}


def strategy_table(path):
    with h5py.File(path) as file:
        return {name: file["strategy"][name][:] for name in file["strategy"]}


@pytest.mark.parametrize("deck", DECKS)
def test_deterministic_strategies_leave_the_bits_of_one_rank(run, deck):
    one = bits(run(1, *EXACT, deck=f"inputs/mlp_dp/{deck}.toml"))
    for k, (name, settings) in enumerate(STRATEGIES.items()):
        ranks = 2 + (k + DECKS.index(deck)) % 2  # each strategy at 2 and 3 ranks, on either deck; tests/mpi/parallel has all
        assert bits(run(ranks, *EXACT, *settings, deck=f"inputs/mlp_dp/{deck}.toml")) == one, f"{name}, {ranks} ranks"


def test_clipped_sixteen_bit_steps_are_the_same_bits_too(run):
    settings = [*EXACT, "train.precision=bf16", "train.clip_norm=0.5", "train.optimizer=adamw", "train.weight_decay=0.1"]
    one = bits(run(1, *settings))
    for name in ("gather_broadcast", "zero1", "zero3"):
        assert bits(run(3, *settings, *STRATEGIES[name])) == one, name


def test_fast_strategies_stay_within_the_bound(run):
    def of(ranks, *settings):
        with h5py.File(run(ranks, "train.batch=50", *settings)) as file:
            return file["steps/loss"][:], file["steps/grad_norm"][:]

    one, one_norm = of(1)
    assert len(one) == 20
    for name, settings in STRATEGIES.items():
        many, norm = of(3, *settings)
        assert abs(many[-1] / one[-1] - 1) <= 1e-4, name
        assert np.allclose(norm[0], one_norm[0], rtol=1e-5, atol=0), name


LOCAL = ["parallel.strategy=local_sgd", "parallel.local_steps=3"]


def test_deterministic_local_sgd_repeats_itself_at_the_same_ranks_alone(run):
    one, first, again = (bits(run(ranks, *EXACT, *LOCAL), every) for ranks, every in ((1, 1), (3, 3), (3, 3)))
    assert first == again and first["weights"] != one["weights"]
    # Alone there is nobody to differ from.
    assert one == bits(run(1, *EXACT))


def test_local_sgd_that_averages_every_step_of_sgd_is_allreduce(run):
    """Averages of w - a g_r, weighted by rows, are w - a g: the same but for rounding."""
    settings = ["train.optimizer=sgd", "train.learning_rate=0.1", "train.batch=50", "train.steps=6", "run.warmup=1"]

    def of(*strategy):
        with h5py.File(run(3, *settings, *strategy)) as file:
            return np.array([file["steps/loss"][:], file["steps/grad_norm"][:]])

    local = of("parallel.strategy=local_sgd")
    assert np.allclose(local, of(), rtol=1e-5, atol=0)
    apart = of(*LOCAL, "parallel.mean_norm=always")
    assert np.isfinite(apart).all() and not np.isclose(apart[:, -1], local[:, -1], rtol=1e-5, atol=0).any()


def test_memory_of_shards_and_of_the_central_rank(run):
    replicas = strategy_table(run(3, *SHORT))
    assert (np.ptp(replicas["optimizer_bytes"]), replicas["exposed_s"].tolist()) == (0, [0, 0, 0])
    n = 1262
    assert replicas["weight_bytes"].tolist() == replicas["gradient_bytes"].tolist() == [4 * n] * 3
    central = strategy_table(run(3, *SHORT, *STRATEGIES["gather_broadcast"]))["optimizer_bytes"]
    assert central[0] == replicas["optimizer_bytes"][0] and (8 * n > 40 * central[1:]).all()
    one, two, three = (strategy_table(run(3, *SHORT, *STRATEGIES[name])) for name in ("zero1", "zero2", "zero3"))
    # The moments of Adam, 8 n bytes, are on one rank each; around them cells and their squares.
    over = one["optimizer_bytes"].sum() - 8 * n
    assert 0 < over < 3 * (replicas["optimizer_bytes"][0] - 8 * n) + 1
    assert (one["gradient_bytes"] == 4 * n).all() and (two["gradient_bytes"] != 4 * n).all()
    assert (two["weight_bytes"] == 4 * n).all()
    largest = 17 * 33 + 33  # elements of the largest layer; two are gathered at once
    assert three["weight_bytes"].sum() == 4 * (n + 3 * 2 * largest)
    assert (three["exposed_s"] > 0).all() and (three["hidden_s"] >= 0).all()


@pytest.mark.parametrize("name", [*STRATEGIES, "local_sgd"])
def test_what_is_counted_and_allocated_stands_beside_its_closed_form(run, name):
    """At four ranks here; a run's own verdict holds messages and bytes to the closed forms at any number."""
    settings = [*STRATEGIES.get(name, LOCAL), "parallel.allreduce=automatic"]
    path = run(4, *SHORT, *settings)
    with h5py.File(path) as file:
        traffic = {column: file["traffic"][column][:] for column in file["traffic"] if column != "rank"}
    assert traffic["messages"].sum() > 0 and (traffic["messages"] == traffic["expected_messages"]).all()
    assert (traffic["sent_bytes"] == traffic["expected_bytes"]).all()
    memory = strategy_table(path)
    for what in ("weight_bytes", "gradient_bytes", "optimizer_bytes"):
        assert (memory[what] > 0).all() and (memory[what] == memory[f"expected_{what}"]).all(), what


def test_the_shipped_study_is_accepted(tmp_path):
    sys.path.insert(0, str(ROOT / "scripts" / "partita"))
    from partita.studies.points import points
    from partita.studies.study import read_study

    study = read_study(ROOT / "inputs/studies/data_parallel.toml")
    once = [point for point in points(study) if point.repeat == 1]
    assert len(once) == 9
    for point in once:
        settings = [f"{key}={value}" for key, value in point.overrides]
        line = command(point.ranks, str(point.run.deck), *settings, output=tmp_path / "x.h5")
        done = subprocess.run([*line, "--validate"], cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{point.name}: {done.stderr}"
