# SPDX-License-Identifier: BSD-3-Clause
"""model.sync_batchnorm: ranks train what one rank trains that has all rows, and say what they sent for it."""

import h5py
import numpy as np
import pytest

DECK = "inputs/mlp_dp/tiny_cnn.toml"
# 3 and 4 do not divide 50. What is a little off stays so under sgd.
SETTINGS = ["train.batch=50", "train.optimizer=sgd", "train.learning_rate=0.1", "train.momentum=0.9", "evaluate.every=10"]


def trained(path):
    """Losses, gradient norms and held-out losses, which the running statistics decide."""
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1
        return np.concatenate([file["steps/loss"][:], file["steps/grad_norm"][:], file["evaluation/loss"][:]])


@pytest.mark.parametrize("more", [[], ["parallel.strategy=zero3"], ["train.recompute=block"]])
def test_ranks_train_what_one_rank_trains(run, more):
    one = trained(run(1, *SETTINGS, deck=DECK))
    for ranks in (2, 3, 4) if not more else (3,):
        many = trained(run(ranks, *SETTINGS, *more, "model.sync_batchnorm=true", deck=DECK))
        assert np.allclose(many, one, rtol=1e-4, atol=0), f"{ranks} ranks: {np.abs(many / one - 1).max()}"


def test_without_it_they_do_not(run):
    one, two = (trained(run(ranks, *SETTINGS, deck=DECK)) for ranks in (1, 2))
    assert np.abs(two / one - 1).max() > 1e-2


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_traffic_is_the_closed_form(run, micro_batches):
    channels = [4] * 3 + [6] * 3  # of the stem, the first block, and the second with its shortcut
    byte = sum(8 * (2 * C + 1) + 4 * 2 * C for C in channels)
    for ranks in (2, 3):
        settings = ["model.sync_batchnorm=true", "parallel.allreduce=ring", f"train.micro_batches={micro_batches}"]
        with h5py.File(run(ranks, *settings, deck=DECK)) as file:
            names = [str(name, "utf-8") for name in file["traffic/operation"][:]]
            row = next(k for k, name in enumerate(names) if name.startswith("sync_batchnorm"))
            sent = file["traffic/sent_bytes"][row]
            timed = 20 - 2  # after warm-up; evaluations send nothing
            assert sent.sum() == timed * micro_batches * 2 * (ranks - 1) * byte
            assert (sent == file["traffic/expected_bytes"][row]).all()
            phases = [str(name, "utf-8") for name in file["phase"][:]]
            assert "forward_all-reduce" in phases and "backward_all-reduce" in phases
