# SPDX-License-Identifier: BSD-3-Clause
"""A split model trains what the whole one trains, and a record says what was sent for it (DESIGN.md section 6)."""

import h5py
import numpy as np
import pytest

EXACT = ["train.deterministic=true", "train.batch=50", "train.steps=6", "run.warmup=1", "evaluate.every=3"]
WAYS = {
    "ring": ["parallel.allreduce=ring"],
    "sequence": ["parallel.sequence=true"],
    "regather": ["parallel.sequence=true", "parallel.regather=true", "train.micro_batches=2"],
}


def bits(path):
    """All that a run leaves of its training."""
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1
        return {"loss": file["steps/loss"][:].tobytes(), "norm": file["steps/grad_norm"][:].tobytes(),
                "weights": file.attrs["parameters_fnv1a"], "held_out": file["evaluation/loss"][:].tobytes()}


@pytest.mark.parametrize("settings", [[], ["train.precision=bf16", "train.clip_norm=0.5"]], ids=["fp32", "bf16"])
def test_deterministic_parts_leave_the_bits_of_the_whole(run, settings):
    one = bits(run(1, *EXACT, *settings))
    for k, (name, way) in enumerate(WAYS.items()):
        for ranks in (2 + k,) if settings else (2, 3, 4):  # in 16 bits each way and each number of ranks once
            assert bits(run(ranks, *EXACT, *settings, *way)) == one, f"{name}, {ranks} ranks"
    assert bits(run(4, *EXACT, *settings, "parallel.data=2")) == one
    assert bits(run(4, *EXACT, *settings, "parallel.tensor=2", *WAYS["sequence"])) == one


def test_the_activation_is_that_of_the_deck(run):
    silu = bits(run(1, *EXACT, "model.activation=silu"))
    assert bits(run(2, *EXACT, "model.activation=silu")) == silu
    assert bits(run(1, *EXACT, "model.activation=gelu_tanh")) == bits(run(1, *EXACT)) != silu


def choices(path):
    """Of each product (rows, N, K): seconds by parts, and the parts that were chosen."""
    with h5py.File(path) as file:
        lines = str(file.attrs.get("overlap_choices", "")).splitlines()
    found = {}
    for line in lines:
        words = line.split()
        assert words[0:6:2] == ["rows", "N", "K"] and words[-2] == "chunks"
        seconds = {int(parts.removesuffix("_s")): float(s) for parts, s in zip(words[6:-2:2], words[7:-2:2])}
        found[tuple(map(int, words[1:6:2]))] = seconds, int(words[-1])
    return found


def calls(path):
    """Of all-reduces on the axis of a split model, by rank 0."""
    with h5py.File(path) as file:
        group = file["traffic"]
        return sum(int(row[0]) for kind, axis, row in zip(group["kind"][:], group["axis"][:], group["calls"][:])
                   if (kind, axis) == (b"allreduce", b"tensor"))


def test_parts_of_a_product_are_chosen_by_time_and_recorded(run):
    """11 tokens, width 20, 45 hidden columns, 2 blocks; evaluations, whose rows are others, are done at once."""
    settings = ["train.steps=6", "run.warmup=1", "evaluate.every=3", "parallel.overlap_chunks=0"]
    for ranks, more, rows in ((2, [], [48]), (4, ["parallel.data=2", "train.batch=47"], [23, 24])):
        path = run(ranks, *settings, *more)
        found = choices(path)
        assert set(found) == {(11 * b, 20, k) for b in rows for k in (20, 45)}
        for seconds, chunks in found.values():
            assert set(seconds) == {1, 2, 4, 8} and min(seconds.values()) > 0
            assert chunks == min(parts for parts, s in seconds.items() if s <= 1.03 * min(seconds.values()))
        first = max(rows)  # rank 0's: shares are as even as can be, the larger ones first
        extra = sum(found[11 * first, 20, k][1] - 1 for k in (20, 45))
        at_once = run(ranks, *settings, *more, "parallel.overlap_chunks=1", name="at_once")
        assert calls(path) == calls(at_once) + 5 * 2 * extra and not choices(at_once)
    for way in (["parallel.sequence=true"], ["train.deterministic=true"], ["parallel.tensor=1"]):
        assert not choices(run(2, *settings, *way)), way


def test_utilisation_by_the_published_formulas_is_beside_the_counted_one(run):
    """6 N + 12 L C T a token (Chowdhery et al. 2022), and half of the scores for a causal mask."""
    batch, T, C, L, F, V = 48, 11, 20, 2, 45, 13
    N = 2 * V * C + T * C + L * (4 * C * C + 2 * C * F + 4 * C + F + C + 4 * C) + 2 * C
    with h5py.File(run(2, "run.calibration=fresh", "train.steps=4")) as file:
        value = dict(zip((name.decode() for name in file["summary/metric"][:]), file["summary/value"][:]))
        counted = file.attrs["flop_per_step"]
    for name, scores in (("mfu_6n_6lct", 6), ("mfu_6n_12lct", 12)):
        flop = batch * T * (6 * N + scores * L * C * T)
        assert value[name] / value["mfu"] == pytest.approx(flop / counted, rel=1e-12)


def test_an_mlp_is_split_too(run):
    deck = "inputs/transformer_tp/tiny_mlp.toml"
    one = bits(run(1, *EXACT, deck=deck))
    for ranks in (2, 3, 4):
        assert bits(run(ranks, *EXACT, deck=deck)) == one, f"{ranks} ranks"


def test_fast_parts_stay_within_the_bound(run):
    """Odd sizes: 5 heads, width 60, 245 hidden columns, 259 words, 131 tokens."""
    odd = ["model.heads=5", "model.width=60", "model.hidden=245", "model.vocabulary=259", "model.tokens=131",
           "train.batch=6", "data.samples=60", "data.held_out=4", "train.steps=4", "train.learning_rate=0.001"]

    def of(count, *settings):
        with h5py.File(run(count, *odd, *settings)) as file:
            return file["steps/loss"][:], file["steps/grad_norm"][:]

    loss, norm = of(1)
    for ranks in (2, 3, 4):
        for way in ([], *WAYS.values()):
            split_loss, split_norm = of(ranks, *way)
            assert np.allclose(split_loss, loss, rtol=1e-4, atol=0), (ranks, way)
            assert np.allclose(split_norm[0], norm[0], rtol=1e-5, atol=0), (ranks, way)


def sent(path, axis, *kinds):
    """Bytes of these kinds of collectives on an axis, over all ranks."""
    with h5py.File(path) as file:
        group = file["traffic"]
        rows = zip(group["kind"][:], group["axis"][:], group["sent_bytes"][:])
        return sum(int(row.sum()) for kind, of, row in rows if of.decode() == axis and kind.decode() in kinds)


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_bytes_are_the_published_ones(run, ranks):
    """8 (t-1)/t b s h e a block and rank, 10 with regathered inputs; embedding and head beside it."""
    tokens, width, blocks, batch, held_out, steps, warm_up = 11, 20, 2, 48, 40, 5, 1

    def once(rows):  # a gather or a scatter of fp32, over all ranks; an all-reduce is two
        return (ranks - 1) * rows * tokens * width * 4

    settings = ["parallel.allreduce=ring", f"train.steps={steps}", f"run.warmup={warm_up}", "evaluate.every=1000"]
    for regather in (False, True):
        path = run(ranks, *settings, "parallel.sequence=true", f"parallel.regather={str(regather).lower()}")
        step = ((10 if regather else 8) * blocks + (5 if regather else 4)) * once(batch)
        forward = (4 * blocks + 2) * once(held_out)  # of the evaluation at the end
        assert sent(path, "tensor", "all_gather", "reduce_scatter") == (steps - warm_up) * step + forward

    path = run(ranks, *settings)
    # Of the loss three numbers of 8 bytes a label, of an evaluation four; of the norm one a step, by doubling.
    labels = 2 * (ranks - 1) * 8 * tokens
    step = 2 * (4 * blocks + 2) * once(batch) + 3 * labels * batch
    forward = 2 * (2 * blocks + 1) * once(held_out) + 4 * labels * held_out
    norms = {2: 2, 3: 4, 4: 8}[ranks] * 8 * (steps - warm_up)
    assert sent(path, "tensor", "allreduce") == (steps - warm_up) * step + forward + norms


def activation_bytes(path):
    """Of each rank; what was allocated is what the closed form says."""
    with h5py.File(path) as file:
        found = file["strategy/activation_bytes"][:].tolist()
        assert found == file["strategy/expected_activation_bytes"][:].tolist()
        return np.array(found)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_activation_bytes_are_the_closed_form(run, precision):
    """Uneven shares, also of replicas; with one row a piece, too, where nothing is packed for messages."""
    short = ["train.steps=2", "run.warmup=1", "data.held_out=5", f"train.precision={precision}"]
    activation_bytes(run(1, *short))
    for what, way in (("none", "ring"), ("attention", "sequence"), ("block", "regather")):
        activation_bytes(run(3, *short, f"train.recompute={what}", *WAYS[way]))
    activation_bytes(run(4, *short, "parallel.tensor=2", "train.deterministic=true", *WAYS["sequence"]))
    activation_bytes(run(2, *short, "train.batch=2", "train.micro_batches=2", "data.held_out=1", *WAYS["sequence"]))


def test_a_block_more_takes_what_the_page_says(run):
    """README.md, "Activations": in 16 bits, of s tokens, b rows, width h, a heads, t ranks, F = 4 h."""
    s, b, h, a, t = 16, 8, 64, 8, 2
    settings = [f"model.tokens={s}", f"train.batch={b}", f"model.width={h}", f"model.heads={a}", "model.hidden=0",
                "train.precision=bf16", "train.steps=2", "run.warmup=1", "data.held_out=4"]
    n = s * b * h
    block = {
        ("ring", "none"): n * (8 + 24 / t) + s * b * (16 + 4 * a / t),
        ("sequence", "none"): n * (4 + 28 / t) + s * b * (16 + 4 * a) / t,
        ("sequence", "attention"): n * (2 + 20 / t) + s * b * 8 / t,
        ("again", "none"): (n * 32 + s * b * (16 + 4 * a)) / t,
    }
    ways = {**WAYS, "again": ["parallel.sequence=true", "parallel.regather=true"]}
    for (way, what), expected in block.items():
        of = [activation_bytes(run(t, *settings, f"model.blocks={blocks}", f"train.recompute={what}", *ways[way]))
              for blocks in (2, 3)]
        assert (of[1] - of[0]).tolist() == t * [expected], (way, what)
