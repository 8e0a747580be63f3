# SPDX-License-Identifier: BSD-3-Clause
"""Training on P ranks is training on one: bit for bit in deterministic mode, within 1e-4 otherwise (DESIGN.md section 6)."""

import h5py
import numpy as np
import pytest

BATCH = "train.batch=50"  # 3 and 4 do not divide it


def losses(path):
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1
        return file["steps/loss"][:]


def bits(path):
    """All that a run leaves of its training: losses, gradient norms, parameters, held-out results."""
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1 and np.isfinite(file["steps/grad_norm"][:]).all()
        return [file["steps/loss"][:].tobytes(), file["steps/grad_norm"][:].tobytes(), file.attrs["parameters_fnv1a"],
                file["evaluation/loss"][:].tobytes(), file["evaluation/accuracy"][:].tobytes()]


@pytest.mark.parametrize("allreduce", ["mpi", "ring"])
def test_deterministic_losses_are_the_same_bits_at_any_number_of_ranks(run, allreduce):
    settings = ["train.deterministic=true", BATCH, f"parallel.allreduce={allreduce}"]
    one = losses(run(1, *settings))
    assert len(one) == 20 and np.isfinite(one).all() and one[-1] < one[0]
    for ranks in (2, 3, 4):
        assert losses(run(ranks, *settings)).tobytes() == one.tobytes(), f"{ranks} ranks"


@pytest.mark.parametrize("allreduce", ["mpi", "ring"])
def test_fast_losses_stay_within_the_bound(run, allreduce):
    one = losses(run(1, BATCH))
    for ranks in (2, 3, 4):
        many = losses(run(ranks, BATCH, f"parallel.allreduce={allreduce}"))
        assert abs(many[-1] / one[-1] - 1) <= 1e-4, f"{ranks} ranks"


def test_deterministic_losses_do_not_depend_on_threads(run, monkeypatch):
    one = losses(run(1, "train.deterministic=true", BATCH))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert losses(run(1, "train.deterministic=true", BATCH)).tobytes() == one.tobytes()


def test_evaluations_are_the_same_bits_too(run):
    tables = []
    for ranks in (1, 3):
        with h5py.File(run(ranks, "train.deterministic=true", BATCH, "evaluate.every=5")) as file:
            tables.append([(file["evaluation/step"][:]).tolist(), file["evaluation/loss"][:].tobytes(),
                           file["evaluation/accuracy"][:].tobytes()])
    assert tables[0] == tables[1]
    assert tables[0][0] == [5, 10, 15, 20]


def test_the_seed_matters(run):
    assert losses(run(1)).tobytes() != losses(run(1, "train.seed=2")).tobytes()


# Every deck at all ranks and all micro-batches; every pair of ranks and micro-batches with some deck.
PAIRS = {
    "tiny": [(1, 2), (2, 4), (3, 2), (4, 1), (8, 1)],
    "tiny_gpt": [(1, 4), (2, 1), (3, 2), (4, 4), (8, 2)],
    "tiny_cnn": [(1, 2), (2, 4), (3, 2), (4, 4), (8, 1)],
    "tiny_bag": [(1, 2), (2, 1), (3, 2), (4, 4)],
}


@pytest.mark.parametrize("deck", PAIRS)
def test_deterministic_runs_are_the_same_bits_at_any_ranks_and_micro_batches(run, deck):
    settings = ["train.deterministic=true", "train.deterministic_chunks=48", "train.batch=96", "evaluate.every=2", "train.steps=4"]
    settings += ["data.samples=512", "data.held_out=40", "run.warmup=1"]

    def go(ranks, micro_batches):
        return bits(run(ranks, *settings, f"train.micro_batches={micro_batches}", deck=f"inputs/mlp_dp/{deck}.toml"))

    one = go(1, 1)
    for ranks, micro_batches in PAIRS[deck]:
        assert go(ranks, micro_batches) == one, f"{ranks} ranks, {micro_batches} micro-batches"


def test_bags_are_learned(run):
    for ranks in (1, 3):
        with h5py.File(run(ranks, deck="inputs/mlp_dp/tiny_bag.toml")) as file:
            assert file["evaluation/loss"][-1] < 0.7 * np.log(5) and file["evaluation/accuracy"][-1] > 0.5, f"{ranks} ranks"


def test_norms_agree_over_ranks_and_micro_batches(run):
    def norms(ranks, micro_batches):
        with h5py.File(run(ranks, BATCH, "train.steps=3", f"train.micro_batches={micro_batches}")) as file:
            return file["steps/grad_norm"][:]

    one = norms(1, 1)
    for ranks, micro_batches in [(1, 3), (2, 1), (3, 2), (4, 5)]:
        assert np.allclose(norms(ranks, micro_batches), one, rtol=1e-5, atol=0), f"{ranks} ranks, {micro_batches} micro-batches"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_sixteen_bits_learn_what_fp32_learns(run, precision):
    one = losses(run(1, deck="inputs/mlp_dp/tiny_gpt.toml"))
    for ranks in (1, 2, 3):
        many = losses(run(ranks, f"train.precision={precision}", deck="inputs/mlp_dp/tiny_gpt.toml"))
        assert many[-1] < 0.95 * many[0] and abs(many[-1] / one[-1] - 1) < 0.05, f"{ranks} ranks"
