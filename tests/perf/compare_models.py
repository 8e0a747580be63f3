#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whole training steps (forward, loss, backward, update) in fp32, Partita's kernel_bench against PyTorch eager, one and
two threads, interleaved in one run on one machine.

    mlp   784-2048-2048-10, relu, batch 256, Adam
    gpt   4 blocks, width 256, 4 heads, T = 256, batch 8, vocabulary 256, gelu (tanh), AdamW
    cnn   ResNet-like on 28x28x1: stem of 16, three groups of two basic blocks with 16, 32, 64 channels, batch 128, AdamW;
          channels-last in PyTorch, its faster layout

PyTorch's optimizers are fused, its attention is scaled_dot_product_attention. Rounds alternate, and which of the two begins
alternates too; a round's figure is the median of its steps after warm-up.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch
    /tmp/torch/bin/python tests/perf/compare_models.py --app build/release/apps/kernel_bench/kernel_bench
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from interleaved import compare

ROOT = Path(__file__).parents[2]
MODELS = ("mlp", "gpt", "cnn")
WARMUP, STEPS = 5, 20


def torch_step(name: str):
    """A function that makes one training step."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)

    class Block(nn.Module):  # of the GPT
        def __init__(self, C: int, H: int):
            super().__init__()
            self.H = H
            self.norm1, self.qkv, self.proj = nn.LayerNorm(C), nn.Linear(C, 3 * C), nn.Linear(C, C)
            self.norm2, self.up, self.down = nn.LayerNorm(C), nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

        def forward(self, x):
            B, T, C = x.shape
            q, k, v = (t.view(B, T, self.H, -1).transpose(1, 2) for t in self.qkv(self.norm1(x)).split(C, dim=2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(B, T, C)
            x = x + self.proj(y)
            return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Gpt(nn.Module):
        def __init__(self, V: int = 256, T: int = 256, C: int = 256, H: int = 4, blocks: int = 4):
            super().__init__()
            self.token, self.position = nn.Embedding(V, C), nn.Embedding(T, C)
            self.blocks = nn.Sequential(*(Block(C, H) for _ in range(blocks)))
            self.norm, self.head = nn.LayerNorm(C), nn.Linear(C, V, bias=False)
            self.register_buffer("places", torch.arange(T))

        def forward(self, tokens):
            return self.head(self.norm(self.blocks(self.token(tokens) + self.position(self.places))))

    if name == "mlp":
        model = nn.Sequential(nn.Linear(784, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10))
        x, label = torch.randn(256, 784), torch.randint(0, 10, (256,))
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-4, fused=True)
    elif name == "gpt":
        model = Gpt()
        x, label = torch.randint(0, 256, (8, 256)), torch.randint(0, 256, (8 * 256,))
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    else:
        from torch_cnn import units

        model = nn.Sequential(*units()).to(memory_format=torch.channels_last)
        x = torch.randn(128, 1, 28, 28).to(memory_format=torch.channels_last)
        label = torch.randint(0, 10, (128,))
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x).view(len(label), -1), label).backward()
        optimizer.step()

    return step


def torch_worker(name: str, threads: int) -> None:
    """Prints the median seconds of a step."""
    import torch

    torch.set_num_threads(threads)
    step, times = torch_step(name), []
    for i in range(WARMUP + STEPS):
        start = time.perf_counter()
        step()
        if i >= WARMUP:
            times.append(time.perf_counter() - start)
    print(statistics.median(times))


def environment(threads: int) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(threads)}


def time_torch(name: str, threads: int) -> float:
    worker = subprocess.run([sys.executable, __file__, "--worker", name, str(threads)], check=True, text=True,
                            capture_output=True, env=environment(threads))
    return float(worker.stdout)


def time_partita(app: Path, name: str, threads: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        subprocess.run([str(app), f"--benchmark_filter=^model/{name}/", f"--benchmark_out={out}", "--benchmark_min_time=0.001",
                        f"--benchmark_repetitions={STEPS}", "--output", str(Path(folder) / "x.h5")],
                       cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env=environment(threads))
        report = json.loads(out.read_text())
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    times = [b["real_time"] * scale[b["time_unit"]] for b in report["benchmarks"] if b["run_type"] == "iteration"]
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", type=Path, default=ROOT / "build/release/apps/kernel_bench/kernel_bench")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        torch_worker(args.worker[0], int(args.worker[1]))
        return
    import torch

    print(f"PyTorch {torch.__version__}; median of rounds and range; ratio = PyTorch / Partita")
    app = args.app.resolve()
    for name in args.models:
        for threads in args.threads:
            compare(f"{name}, {threads} thread{'s' if threads > 1 else ''}", args.rounds,
                    lambda: time_partita(app, name, threads), lambda: time_torch(name, threads))


if __name__ == "__main__":
    main()
