# SPDX-License-Identifier: BSD-3-Clause
"""Workers that differ: in speed, in their shares of a batch, in labels, in how stale they are."""

import h5py
import numpy as np
import pytest
from test_virtual import AS_MLP_DP, VIRTUAL, run, summary  # noqa: F401, run is a fixture


def losses(path):
    with h5py.File(path) as file:
        return file["steps/loss"][:]


def test_uneven_shares_train_the_same_and_speed_says_how_uneven(run):
    slow = [VIRTUAL, "virtual.workers=8", "virtual.slow_factor=4", "virtual.slow_workers=1", "train.batch=464"]
    even = run(*slow, deck=AS_MLP_DP, name="even")
    given = run(*slow, "server.shares=[1, 4, 4, 4, 4, 4, 4, 4]", deck=AS_MLP_DP, name="given")
    measured = run(*slow, "server.measure_shares=true", deck=AS_MLP_DP, name="measured")
    with h5py.File(measured) as file:
        assert list(file["strategy/rows"][:]) == [16] + 7 * [64]
    np.testing.assert_allclose(losses(given), losses(even), rtol=1e-5)  # sums in another order
    assert losses(measured).tobytes() == losses(given).tobytes(), "16 rows and 64 each, either way"
    # Of 58 rows each the slow one takes 4 s; of 16 and 64 rows all take 64 / 58 s.
    assert summary(even)["virtual_s_per_step"] == pytest.approx(4)
    assert summary(given)["virtual_s_per_step"] == pytest.approx(64 / 58)


def test_gradients_that_a_worker_adds_up_are_a_larger_batch(run):
    twice = run(VIRTUAL, "virtual.workers=1", "server.accumulate=2", "train.steps=1", "run.warmup=0",
                "train.optimizer=sgd", deck=AS_MLP_DP, name="twice")
    first, second = (run(VIRTUAL, "virtual.workers=1", "train.optimizer=sgd", f"train.steps={steps}", "run.warmup=0",
                         "train.learning_rate=1e-30", deck=AS_MLP_DP, name=f"steps{steps}") for steps in (1, 2))
    assert losses(twice)[0] == pytest.approx((losses(first)[0] + losses(second)[1]) / 2, rel=1e-6)
    with h5py.File(twice) as file:
        assert file["steps/samples"][0] == 96 and file["virtual/end_virtual_s"][0] == 2


def test_a_rate_by_staleness_is_the_rate_of_fresh_gradients_and_less_of_others(run):
    def trained(workers, by_staleness):
        return losses(run(VIRTUAL, f"virtual.workers={workers}", "server.protocol=async", "train.optimizer=sgd",
                          f"server.staleness_rate={by_staleness}", deck=AS_MLP_DP, name=f"{workers}{by_staleness}"))

    assert trained(1, "true").tobytes() == trained(1, "false").tobytes()
    assert trained(8, "true")[-1] != trained(8, "false")[-1]


def test_labels_that_differ_between_workers_are_alike_again_after_a_reshuffle(run):
    still = [VIRTUAL, "virtual.workers=4", "train.learning_rate=1e-30", "train.steps=12"]  # losses of one model
    alike = losses(run(*still, deck=AS_MLP_DP, name="alike"))
    mended = losses(run(*still, "data.skew_alpha=0.05", "data.reshuffle_at=5", deck=AS_MLP_DP, name="mended"))
    assert (mended[:5] != alike[:5]).all() and mended[5:].tobytes() == alike[5:].tobytes()


def test_servers_of_hot_keys_are_given_even_loads(run):
    def servers(*settings):
        with h5py.File(run("train.steps=64", "evaluate.every=64", "run.warmup=0", *settings,
                           deck="inputs/param_server/sparse.toml", name="_".join(settings))) as file:
            strategy = file["strategy"]
            received, keys = strategy["received_bytes"][:], strategy["keys"][:]
            # What was counted ahead is what came: 64 gradients of random bags against 320 of them.
            np.testing.assert_allclose(received / received.sum(), strategy["load_share"][:], atol=0.02)
            return received.max() / received.mean(), keys.max() / keys.mean()

    received, keys = servers("server.balance=equal")
    assert keys < 1.03 and received > 1.25, "the dense layers are all on the last server"
    received, keys = servers("server.balance=load")
    assert received < 1.05 and keys > 1.1
    dense = servers("server.balance=load", "server.protocol=elastic", "train.optimizer=sgd")
    assert max(dense) < 1.03, "the whole table travels"
