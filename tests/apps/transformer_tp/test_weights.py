# SPDX-License-Identifier: BSD-3-Clause
"""What a split model saves is a GPT-2 in another program's words, whatever the mesh, and comes back at any other."""

import subprocess

import numpy as np
import pytest
from conftest import ROOT, TINY, command
from gpt2 import gpt2, mean_loss, read

BLOCKS, H, V, T = 2, 5, 13, 11
INFER = ["run.mode=infer", "train.steps=2", "run.warmup=1"]


def test_a_model_that_the_layout_cannot_say_is_refused(tmp_path):
    for setting, found in (("model.norm=rms", "it has no word for RMS norms"),
                           ("model.activation=silu", "its activation is not silu")):
        for flag in ("--save-weights", "--load-weights"):
            line = [*command(2, TINY, setting, output=tmp_path / "x.h5"), flag, str(tmp_path / "w")]
            done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
            assert done.returncode == 2 and f"{flag}: GPT-2's layout: {found}: expected" in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ranks, settings", [(1, []), (2, []), (3, ["parallel.sequence=true", "model.tied=true"]),
                                             (4, ["parallel.data=2", "train.micro_batches=2"])])
def test_weights_of_a_split_model_are_a_gpt2_for_others(tmp_path, ranks, settings):
    def go(count, *arguments, more=()):
        line = [*command(count, TINY, *settings, *more, output=tmp_path / "x.h5"), *map(str, arguments)]
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"

    weights, batch, again = (tmp_path / f"{name}.safetensors" for name in ("w", "b", "again"))
    go(ranks, "--save-weights", weights, "--save-batch", batch)
    saved, metadata = read(weights)
    assert metadata["n_head"] == str(H) and ("lm_head.weight" in saved) == ("model.tied=true" not in settings)
    values, _ = read(batch)
    scores = gpt2(saved, values["tokens"], BLOCKS, H)
    assert values["logits"].shape == (40, T, V)
    assert np.abs(values["logits"] - scores).max() < 1e-4 * np.abs(scores).max()
    assert abs(values["loss"] / mean_loss(scores, values["labels"]) - 1) < 1e-4

    # Loaded by another number of ranks, and saved again: nothing was lost.
    other = {1: 3, 2: 4, 3: 2, 4: 2}[ranks]
    go(other, "--load-weights", weights, "--save-weights", again, "--save-batch", batch, more=INFER)
    assert again.read_bytes() == weights.read_bytes()
    assert np.abs(read(batch)[0]["logits"] - values["logits"]).max() < 1e-5
