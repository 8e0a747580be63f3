# SPDX-License-Identifier: BSD-3-Clause
"""train.recompute: the same training in less memory, whose bytes are a closed form; what a record says of it."""

import h5py
import numpy as np
import pytest

GPT, CNN = "inputs/mlp_dp/tiny_gpt.toml", "inputs/mlp_dp/tiny_cnn.toml"
SHORT = ["train.steps=6", "run.warmup=1", "evaluate.every=3"]
EXACT = ["train.deterministic=true", "train.batch=50", *SHORT]


def bits(path):
    """All that a run leaves of its training."""
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1
        return {"loss": file["steps/loss"][:].tobytes(), "norm": file["steps/grad_norm"][:].tobytes(),
                "weights": file.attrs["parameters_fnv1a"], "held_out": file["evaluation/loss"][:].tobytes()}


@pytest.mark.parametrize("deck, what", [(GPT, "attention"), (GPT, "block"), (CNN, "block")])
def test_the_bits_are_those_of_a_run_that_keeps_all(run, deck, what):
    kept = bits(run(1, *EXACT, deck=deck))
    again = [*EXACT, f"train.recompute={what}"]
    assert bits(run(2, *again, deck=deck)) == kept
    assert bits(run(3, *again, "parallel.strategy=zero3", "train.micro_batches=2", deck=deck)) == kept


def gpt_bytes(what, rows, element):
    """apps/mlp_dp/README.md, "Activations", of tiny_gpt: vectors fill lines of 64 bytes."""
    T, C, H, F, V, blocks, statistic = 11, 24, 3, 96, 13, 2, 4

    def lines(columns, size=element):
        return -(-rows * T * columns * size // 64) * 64

    norm, row = 2 * lines(1, statistic) + lines(C), lines(C)
    attend = norm + lines(3 * C) + lines(H, statistic) + lines(C)
    mlp = norm + 2 * lines(F)
    slot = row + norm + lines(V) + blocks * {"none": attend + mlp + 2 * row, "attention": mlp + 2 * row, "block": row}[what]
    between = {"attend": row + lines(3 * C), "mlp": 2 * lines(F)}  # gradients in a branch
    unit = {"none": max(between.values()), "attention": max(attend + between["attend"], between["mlp"]),
            "block": attend + mlp + 2 * row + max(between.values())}[what]
    return slot + 2 * row + unit


@pytest.mark.parametrize("precision, element", [("fp32", 4), ("bf16", 2)])
def test_bytes_are_the_closed_form(run, precision, element):
    for what in ("none", "attention", "block"):
        for micro_batches, rows in ((1, 16), (2, 8)):
            settings = [*SHORT, "data.held_out=4", f"train.precision={precision}", f"train.recompute={what}",
                        f"train.micro_batches={micro_batches}"]
            with h5py.File(run(3, *settings, deck=GPT)) as file:
                for column in ("activation_bytes", "expected_activation_bytes"):
                    found = file[f"strategy/{column}"][:].tolist()
                    assert found == 3 * [gpt_bytes(what, rows, element)], (column, what, rows)


def test_a_phase_of_its_own_and_no_useful_operations(run):
    def read(*settings):
        with h5py.File(run(2, "record.events=[4, 4]", *settings, deck=GPT)) as file:
            used = file["events/rank"][:] >= 0
            forward = (file["events/part"][:][used] == 0).sum()
            phases = [name.decode() for name in file["steps/phase"][:]]
            return file.attrs["flop_per_step"], forward, dict(zip(phases, file["steps/phase_s"][:].sum((0, 1))))

    (flop, forward, without), (again_flop, again, phases) = read(), read("train.recompute=block")
    assert flop == again_flop
    # Of two blocks on two ranks all but down, dropout2 and the last sum run again.
    assert again - forward == 2 * 2 * 9
    assert "recompute" not in without and list(phases).index("recompute") == list(phases).index("wait") - 1
    assert phases["recompute"] > 0 and np.isfinite(list(phases.values())).all()
