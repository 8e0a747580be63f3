# SPDX-License-Identifier: BSD-3-Clause
"""Weights in files: what a run saves is a GPT-2 in another program's words, and comes back at any number of ranks.

Files are read and written by the format's own description, and the model is written in numpy (gpt2.py)."""

import subprocess

import h5py
import numpy as np
import pytest
from conftest import ROOT, command
from gpt2 import gpt2, mean_loss, read, write

DECK = "inputs/mlp_dp/tiny_gpt.toml"
BLOCKS, C, H, V, T = 2, 24, 3, 13, 11


@pytest.fixture
def go(tmp_path):
    """Runs mlp_dp; returns what it complains of."""

    def run(ranks, *arguments, code=0, deck=DECK, output="x.h5"):
        done = subprocess.run(
            [*command(ranks, deck, output=tmp_path / output), *(str(argument) for argument in arguments)], cwd=ROOT,
            capture_output=True, text=True, timeout=120)
        assert done.returncode == code, f"{done.args}\n{done.stdout}\n{done.stderr}"
        return done.stderr

    return run


UNTIED = ("--set", "model.tied=false")
INFER = ("--set", "run.mode=infer", "--set", "train.steps=2", "--set", "run.warmup=1")
UNEVEN = ("--set", "model.hidden=61")


def agrees(batch, weights):
    scores = gpt2(weights, batch["tokens"], BLOCKS, H)
    assert batch["logits"].shape == (40, T, V) and batch["logits"].dtype == np.float32
    assert batch["loss"].shape == () and batch["labels"].shape == batch["tokens"].shape == (40, T)
    assert np.abs(batch["logits"] - scores).max() < 1e-4 * np.abs(scores).max()
    assert abs(batch["loss"] / mean_loss(scores, batch["labels"]) - 1) < 1e-4


@pytest.mark.parametrize("ranks, settings", [(2, ()), (3, (*UNTIED, *UNEVEN)), (2, ("--set", "parallel.strategy=zero3")),
                                             (3, ("--set", "parallel.strategy=zero1", *UNTIED))])
def test_a_trained_model_is_a_gpt2_for_others(go, tmp_path, ranks, settings):
    weights, batch = tmp_path / "new" / "w.safetensors", tmp_path / "b.safetensors"
    go(ranks, *settings, "--save-weights", weights, "--save-batch", batch)
    saved, metadata = read(weights)
    assert metadata == {"format": "pt", "n_head": str(H), "n_layer": str(BLOCKS), "n_ctx": str(T)}
    assert saved["h.1.attn.c_attn.weight"].shape == (C, 3 * C)
    assert ("lm_head.weight" in saved) == ("model.tied=false" in settings)
    values, _ = read(batch)
    agrees(values, saved)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.safetensors", "new", "x.h5"]

    # Loaded by another number of ranks, and saved again: nothing was lost.
    again = tmp_path / "again.safetensors"
    go(5 - ranks, *settings, "--load-weights", weights, "--save-weights", again, "--save-batch", batch, *INFER)
    assert again.read_bytes() == weights.read_bytes()
    assert np.abs(read(batch)[0]["logits"] - values["logits"]).max() < 1e-5


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_weights_are_rounded_to_16_bits_once_and_come_back_exactly(go, tmp_path, precision):
    first, second, third = (tmp_path / f"{n}.safetensors" for n in range(3))
    narrow = ("--set", f"train.precision={precision}")
    go(1, "--save-weights", first, *INFER)  # in fp32
    go(2, *narrow, "--load-weights", first, "--save-weights", second, *INFER, "--set", "parallel.strategy=zero3")
    wide, rounded = read(first)[0], read(second)[0]
    for name, tensor in wide.items():
        if precision == "fp16":
            assert np.array_equal(tensor.astype(np.float16).astype(np.float32), rounded[name]), name
        else:
            bits = tensor.view(np.uint32).astype(np.uint64)
            nearest = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32)
            assert np.array_equal(nearest, rounded[name].view(np.uint32)), name
    go(3, *narrow, "--load-weights", second, "--save-weights", third, *INFER)
    assert third.read_bytes() == second.read_bytes()


def test_the_checkpoint_of_another_program_is_read(go, tmp_path):
    rng = np.random.default_rng(5)
    shapes = {"wte.weight": (V, C), "wpe.weight": (T + 5, C), "ln_f.weight": (C,), "ln_f.bias": (C,)}
    for n in range(BLOCKS):
        for name, shape in {"ln_1": (C,), "ln_2": (C,), "attn.c_attn": (C, 3 * C), "attn.c_proj": (C, C),
                            "mlp.c_fc": (C, 4 * C), "mlp.c_proj": (4 * C, C)}.items():
            shapes[f"h.{n}.{name}.weight"], shapes[f"h.{n}.{name}.bias"] = shape, shape[-1:]
    weights = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    for name in ("wte.weight", "h.0.mlp.c_fc.weight"):  # exact in half of the bits
        weights[name] = weights[name].astype(np.float16).astype(np.float32)
    weights["ln_f.bias"] = (weights["ln_f.bias"].view(np.uint32) >> 16 << 16).view(np.float32)

    stored = {"transformer." + name: tensor for name, tensor in reversed(weights.items())}
    stored["transformer.wte.weight"] = stored["transformer.wte.weight"].astype(np.float16)
    stored["transformer.wpe.weight"] = stored["transformer.wpe.weight"].astype(np.float64)
    stored["lm_head.weight"] = weights["wte.weight"]
    stored["transformer.h.0.attn.bias"] = np.tri(T, dtype=np.float32)[None, None]
    stored["transformer.h.0.attn.masked_bias"] = np.float32(-1e4).reshape(())
    foreign = write(tmp_path / "foreign.safetensors", stored, {"format": "pt"}, bf16=["transformer.ln_f.bias"])
    batch = tmp_path / "b.safetensors"
    go(3, "--load-weights", foreign, "--save-batch", batch, *INFER)
    agrees(read(batch)[0], weights)

    # A file without a head: the model's own begins as a copy.
    go(2, "--load-weights", write(tmp_path / "tied.safetensors", weights), "--save-batch", batch, *INFER, *UNTIED)
    agrees(read(batch)[0], weights)
    # A head of its own.
    weights["lm_head.weight"] = rng.normal(0, 0.3, (V, C)).astype(np.float32)
    own = write(tmp_path / "own.safetensors", weights)
    go(2, "--load-weights", own, "--save-batch", batch, *INFER, *UNTIED)
    agrees(read(batch)[0], weights)
    assert "lm_head.weight: it differs from wte.weight: expected the same, or model.tied = false" in go(
        2, "--load-weights", own, code=2)


def test_what_does_not_fit_is_refused(go, tmp_path):
    good = tmp_path / "good.safetensors"
    go(1, "--save-weights", good, *INFER)
    weights, metadata = read(good)

    def complaint(tensors, ranks=2, more=(), about=metadata):
        error = go(ranks, "--load-weights", write(tmp_path / "bad.safetensors", tensors, about), *more, code=2)
        assert error.count("error: ") == 1 and "--load-weights: " in error and "bad.safetensors: " in error
        return error

    without = {name: tensor for name, tensor in weights.items() if name != "h.1.ln_2.bias"}
    assert "h.1.ln_2.bias: it is not there: expected every tensor of the model" in complaint(without)
    assert "h.2.ln_1.bias: the model has no such tensor" in complaint({**weights, "h.2.ln_1.bias": np.zeros(C, np.float32)})
    turned = {**weights, "h.0.mlp.c_fc.weight": weights["h.0.mlp.c_fc.weight"].T}
    assert f"h.0.mlp.c_fc.weight: it has the shape [{4 * C}, {C}]: expected [{C}, {4 * C}]" in complaint(turned, 3)
    short = {**weights, "wpe.weight": weights["wpe.weight"][:-1]}
    assert f"wpe.weight: it has the shape [{T - 1}, {C}]: expected [{T}, {C}], as the model's, or more positions" in (
        complaint(short))
    assert "ln_f.bias: its dtype is I64: expected F32, F64, BF16 or F16" in (
        complaint({**weights, "ln_f.bias": np.zeros(C, np.int64)}))
    assert "wte.weight: it is there twice" in complaint({**weights, "transformer.wte.weight": weights["wte.weight"]})
    heads = ("--set", "model.heads=4")
    assert "n_head: the file has 3, the model 4: expected the same" in complaint(weights, more=heads)
    complaint(weights | {"wte.weight": weights["wte.weight"][:-1]}, about=None)

    # Damage that only its length tells.
    for length in (5, 100, good.stat().st_size - 1):
        (tmp_path / "bad.safetensors").write_bytes(good.read_bytes()[:length])
        for extra in ((), ("--validate",)):
            error = go(2, "--load-weights", tmp_path / "bad.safetensors", *extra, code=2)
            assert error.count("error: ") == 1 and "bad.safetensors: " in error


def test_options_that_cannot_be_are_refused_before_the_run(go, tmp_path):
    weights = tmp_path / "w.safetensors"
    for flag in ("--load-weights", "--save-weights", "--save-batch"):
        assert f'{flag}: model.kind = "mlp", of which GPT-2\'s layout says nothing: expected model.kind = "gpt"' in (
            go(2, flag, weights, deck="inputs/mlp_dp/tiny.toml", code=2))
    for extra in ((), ("--validate",)):
        assert "--save-weights: GPT-2's layout: it has no word for RMS norms" in (
            go(2, "--save-weights", weights, "--set", "model.norm=rms", *extra, code=2))
        for flag in ("--save-weights", "--load-weights"):
            assert f"{flag}: GPT-2's layout: its activation is not silu: expected gelu_tanh" in (
                go(2, flag, weights, "--set", "model.activation=silu", *extra, code=2))
        assert "--save-weights: /proc/nowhere/w" in go(2, "--save-weights", "/proc/nowhere/w", *extra, code=2)
        assert "--save-batch: /dev/null: it is a device" in go(2, "--save-batch", "/dev/null", *extra, code=2)
        assert "is what --save-weights writes, too: expected another name" in (
            go(2, "--save-weights", weights, "--save-batch", weights, *extra, code=2))
        assert "is what output.path writes, too" in go(2, "--save-weights", tmp_path / "x.h5", *extra, code=2)
        assert "No such file" in go(1, "--load-weights", weights, *extra, code=2)
    assert "--save-weight=x: unknown option; did you mean --save-weights?" in go(1, "--save-weight=x", code=2)
    assert not list(tmp_path.glob("*.safetensors*"))
    go(2, "--save-weights", weights, "--validate")
    assert not list(tmp_path.iterdir())


def test_a_run_that_fails_its_verification_saves_nothing_and_says_so(go, tmp_path):
    weights = tmp_path / "w.safetensors"
    error = go(2, "--save-weights", weights, "--set", "train.learning_rate=1e30", code=3)
    assert "nothing was saved but its record" in error and not weights.exists()


def test_a_disk_that_is_full_fails_the_run_after_its_record(go, tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("no right to mount a small file system")
    try:
        error = go(2, "--save-weights", folder / "w.safetensors", code=1)
        assert error.count("error: ") == 1 and "No space left on device" in error
        assert not list(folder.iterdir())
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.attrs["complete"] == 1
