#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Weights between Partita and PyTorch, both ways, in fp32.

    out   an app trains a GPT at several rank counts and saves weights and a batch; a GPT-2 in PyTorch takes the weights by
          their names, strictly, and gives the batch's logits and loss to 1e-4 relative
    in    a checkpoint that PyTorch wrote is loaded by the app, whose batch PyTorch gives again

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch safetensors
    /tmp/torch/bin/python tests/perf/gpt2_weights.py --app build/release/apps/mlp_dp/mlp_dp
    ... --deck inputs/mlp_dp/tiny_gpt.toml --ranks 1 2 3 -- --set model.tied=false
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).parents[2]
BOUND = 1e-4


class Conv1D(nn.Module):
    """GPT-2's linear layer: its weight is (inputs, outputs)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(inputs, outputs))
        self.bias = nn.Parameter(0.02 * torch.randn(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


class Attention(nn.Module):
    def __init__(self, C: int, H: int):
        super().__init__()
        self.H, self.c_attn, self.c_proj = H, Conv1D(C, 3 * C), Conv1D(C, C)

    def forward(self, x):
        q, k, v = (t.unflatten(2, (self.H, -1)).transpose(1, 2) for t in self.c_attn(x).split(x.shape[2], dim=2))
        return self.c_proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, C: int, hidden: int):
        super().__init__()
        self.c_fc, self.c_proj = Conv1D(C, hidden), Conv1D(hidden, C)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, C: int, H: int, hidden: int):
        super().__init__()
        self.ln_1, self.attn, self.ln_2, self.mlp = nn.LayerNorm(C), Attention(C, H), nn.LayerNorm(C), Mlp(C, hidden)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt2(nn.Module):
    def __init__(self, V: int, T: int, C: int, H: int, blocks: int, hidden: int, tied: bool):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(V, C), nn.Embedding(T, C)
        self.h = nn.ModuleList(Block(C, H, hidden) for _ in range(blocks))
        self.ln_f = nn.LayerNorm(C)
        self.lm_head = None if tied else nn.Linear(C, V, bias=False)

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        x = self.ln_f(x)
        return x @ self.wte.weight.T if self.lm_head is None else self.lm_head(x)

    @staticmethod
    def like(path: Path) -> Gpt2:
        """Of the shape of a file's tensors and metadata."""
        weights = load_file(path)
        with safe_open(path, "pt") as file:
            about = file.metadata()
        (V, C), (T, _) = weights["wte.weight"].shape, weights["wpe.weight"].shape
        assert T == int(about["n_ctx"])
        return Gpt2(V, T, C, int(about["n_head"]), int(about["n_layer"]), weights["h.0.mlp.c_fc.weight"].shape[1],
                    "lm_head.weight" not in weights)


def worst(model: Gpt2, batch_file: Path) -> float:
    """The largest relative difference between a batch's logits (of the largest logit) and loss and the model's."""
    batch = load_file(batch_file)
    with torch.no_grad():
        logits = model(batch["tokens"])
        loss = F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=-1)
    return max(((logits - batch["logits"]).abs().max() / logits.abs().max()).item(), abs(batch["loss"] / loss - 1).item())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", default="build/release/apps/mlp_dp/mlp_dp")
    parser.add_argument("--deck", default="inputs/mlp_dp/tiny_gpt.toml")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--mpiexec", default="mpiexec")
    parser.add_argument("more", nargs="*", help="arguments of the app")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    differences = {}
    with tempfile.TemporaryDirectory() as scratch:
        weights, batch, foreign = (Path(scratch) / f"{name}.safetensors" for name in ("weights", "batch", "foreign"))

        def run(ranks: int, *options: str):
            subprocess.run([arguments.mpiexec, "-n", str(ranks), arguments.app, arguments.deck, *arguments.more,
                            "--output", f"{scratch}/x.h5", "--save-batch", str(batch), *options],
                           cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

        for ranks in arguments.ranks:
            run(ranks, "--save-weights", str(weights))
            trained = Gpt2.like(weights)
            trained.load_state_dict(load_file(weights), strict=True)
            differences[f"trained at {ranks} ranks, in PyTorch"] = worst(trained, batch)

            fresh = Gpt2.like(weights)
            save_file({"transformer." + name if name != "lm_head.weight" else name: tensor.contiguous()
                       for name, tensor in fresh.state_dict().items()}, foreign, {"format": "pt"})
            run(ranks, "--load-weights", str(foreign), "--set", "run.mode=infer", "--set", "train.steps=2", "--set",
                "run.warmup=1")
            differences[f"PyTorch's, at {ranks} ranks"] = worst(fresh, batch)
    for name, difference in differences.items():
        print(f"{name:<34} {difference:.2e} {'ok' if difference < BOUND else 'FAILED'}")
    return 0 if max(differences.values()) < BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
