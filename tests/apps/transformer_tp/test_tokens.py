# SPDX-License-Identifier: BSD-3-Clause
"""Tokens one after the other: what a split model with cached keys and values writes, and how fast it goes on."""

import re
import subprocess

import h5py
import numpy as np
import pytest
from conftest import ROOT, TINY, command
from gpt2 import gpt2, read

BLOCKS, H, V, T = 2, 5, 13, 11  # of the deck
SHORT = ["train.steps=6", "run.warmup=1"]


def sample(tmp_path, ranks, *settings, tokens=40, arguments=()):
    """The bytes that a run writes, after its training."""
    line = [*command(ranks, TINY, *SHORT, *settings, output=tmp_path / "x.h5"), "--sample", str(tokens), *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, timeout=120)
    assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    said = re.search(rb"^sample of (\d+) bytes:\n", done.stdout, re.MULTILINE)
    assert int(said[1]) == tokens
    text, rest = done.stdout[said.end():said.end() + tokens], done.stdout[said.end() + tokens:]
    assert rest.startswith(b"\ntransformer_tp: ") and max(text) < V
    return text


def test_the_likeliest_text_is_that_of_another_program(tmp_path):
    """Longer than the context: the model begins anew with the last half of what it has seen."""
    weights = tmp_path / "w.safetensors"
    text = sample(tmp_path, 2, arguments=["--temperature", 0, "--prompt", "\x01\x02", "--save-weights", weights])
    saved, _ = read(weights)
    seen, here = [1, 2], [1, 2]
    for token in text:
        scores = gpt2(saved, np.array([here]), BLOCKS, H)[0, -1]
        assert scores[token] >= scores.max() - 1e-4 * np.abs(scores).max(), f"token {len(seen)}"
        seen.append(token)
        here = [*(here if len(here) < T else seen[-1 - T // 2:-1]), token]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_seed_writes_one_text_at_any_number_of_ranks(tmp_path, precision):
    exact = ["train.deterministic=true", f"train.precision={precision}"]
    text = sample(tmp_path, 1, *exact)
    assert len(set(text)) > 3
    for ranks, way in ((2, []), (3, ["parallel.sequence=true"]), (4, ["parallel.data=2"])):
        assert sample(tmp_path, ranks, *exact, *way) == text, f"{ranks} ranks {way}"
    assert sample(tmp_path, 1, *exact, "train.seed=2") != text


@pytest.mark.parametrize("ranks, settings", [(1, []), (2, ["train.micro_batches=2"]), (3, ["parallel.sequence=true"]),
                                             (4, ["parallel.data=2", "train.precision=bf16"])])
def test_decoded_tokens_cost_the_loss_of_whole_sequences(run, ranks, settings):
    """Prefill and decode are counted apart."""
    infer = ["run.mode=infer", "train.steps=5", "run.warmup=2", "train.batch=12", *settings]

    def of(decode):
        with h5py.File(run(ranks, *infer, f"infer.decode={decode}")) as file:
            rows = dict(zip(file["summary/metric"].asstr()[:], file["summary/value"][:]))
            phases = set(file["steps/phase"].asstr()[:]) if "phase" in file["steps"] else set()
            return file["steps/loss"][:], rows, phases

    whole, rows, _ = of(0)
    assert "decode_tokens_per_s" not in rows
    for decode in (1, 4, T - 1):
        loss, rows, _ = of(decode)
        assert np.allclose(loss, whole, rtol=1e-2 if "train.precision=bf16" in settings else 1e-5, atol=0)
        assert rows["prefill_tokens_per_s"] > 0 and rows["decode_tokens_per_s"] > 0
        # Both together are all tokens, and take no longer than the step.
        seconds = 12 * ((T - decode) / rows["prefill_tokens_per_s"] + decode / rows["decode_tokens_per_s"])
        assert seconds <= 12 * T / rows["tokens_per_s"]


@pytest.mark.parametrize("arguments, says", [
    (["--sample", "0"], "--sample: 0: expected a number of tokens"),
    (["--sample", "many"], "--sample: many: expected a number of tokens"),
    (["--sample", "3", "--temperature", "-1"], "--temperature: -1: expected a number from 0 to 1e6"),
    (["--sample", "3", "--prompt", "And"], "--prompt: a byte of 65 in a vocabulary of 13"),
    (["--prompt", "x"], "--prompt: there is no --sample"),
    (["--sample", "3", "--set", "infer.decode=11"], "infer.decode=11"),
])
def test_what_cannot_be_written_is_refused(tmp_path, arguments, says):
    line = [*command(2, TINY, *SHORT, output=tmp_path / "x.h5"), *arguments]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert not (tmp_path / "x.h5").exists()
