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
