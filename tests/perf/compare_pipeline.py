#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A pipeline of two ranks with one thread each, cnn_pp against torch.distributed.pipelining on gloo: the same CNN (that of
compare_models.py), batch 128 in 8 micro-batches, 1F1B, AdamW, whole training steps, interleaved in one run on one machine.

PyTorch's model is cut after its fifth unit (stem, four blocks | two blocks, linear), which is where it was fastest; ours by
the time of its layers. Rounds alternate, and which of the two begins alternates too; a round's figure is the median of its
steps after warm-up, of the slower rank.

    /tmp/torch/bin/python tests/perf/compare_pipeline.py --app build/release/apps/cnn_pp/cnn_pp
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from interleaved import compare

ROOT = Path(__file__).parents[2]
BATCH, MICRO_BATCHES, WARMUP, STEPS, CUT = 128, 8, 5, 30, 5


def torch_worker(rank: int, port: int) -> None:
    """Prints the median seconds of a step (rank 0)."""
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.distributed.pipelining import PipelineStage, Schedule1F1B
    from torch.nn import functional as F
    from torch_cnn import units

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": "2"}
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dist.init_process_group("gloo")

    class Layout(torch.autograd.Function):  # gloo moves contiguous tensors alone
        @staticmethod
        def forward(ctx, x, to, back):
            ctx.back = back
            return x.contiguous(memory_format=to)

        @staticmethod
        def backward(ctx, dy):
            return dy.contiguous(memory_format=ctx.back), None, None

    class Stage(nn.Sequential):
        def forward(self, x):
            last, plain = torch.channels_last, torch.contiguous_format
            if rank == 0:
                return Layout.apply(super().forward(x), plain, last)
            return super().forward(Layout.apply(x, last, plain))

    model = Stage(*(units()[:CUT] if rank == 0 else units()[CUT:])).to(memory_format=torch.channels_last)
    stage = PipelineStage(model, rank, 2, torch.device("cpu"))
    schedule = Schedule1F1B(stage, MICRO_BATCHES, loss_fn=F.cross_entropy)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    x = torch.randn(BATCH, 1, 28, 28).to(memory_format=torch.channels_last)
    label = torch.randint(0, 10, (BATCH,))
    times = []
    for i in range(WARMUP + STEPS):
        dist.barrier()
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        schedule.step(x) if rank == 0 else schedule.step(target=label)
        optimizer.step()
        dist.barrier()
        if i >= WARMUP:
            times.append(time.perf_counter() - start)
    if rank == 0:
        print(statistics.median(times))
    dist.destroy_process_group()


def time_torch(port: list[int]) -> float:
    port[0] += 1
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ranks = [subprocess.Popen([sys.executable, __file__, "--worker", str(rank), str(port[0])], text=True, env=environment,
                              stdout=subprocess.PIPE) for rank in (0, 1)]
    output = [rank.communicate(timeout=300)[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        raise SystemExit("torch.distributed.pipelining failed")
    return float(output[0])


def time_partita(app: Path) -> float:
    with tempfile.TemporaryDirectory() as folder:
        settings = [f"train.batch={BATCH}", f"train.micro_batches={MICRO_BATCHES}", f"train.steps={WARMUP + STEPS}",
                    f"run.warmup={WARMUP}", "evaluate.every=1000", "run.calibration=off", "parallel.schedule=1f1b"]
        overrides = [part for setting in settings for part in ("--set", setting)]
        done = subprocess.run(["mpiexec", "-n", "2", str(app), "inputs/cnn_pp/small.toml", *overrides, "--output",
                               str(Path(folder) / "x.h5")], cwd=ROOT, check=True, text=True, capture_output=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
    return 1e-3 * float(re.search(r"step ([0-9.]+) ms", done.stdout)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", type=Path, default=ROOT / "build/release/apps/cnn_pp/cnn_pp")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", nargs=2, type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        torch_worker(*args.worker)
        return
    import torch

    print(f"PyTorch {torch.__version__}; median of rounds and range; ratio = PyTorch / Partita")
    app, port = args.app.resolve(), [29500 + os.getpid() % 1000]
    compare("cnn, two ranks, 1F1B", args.rounds, lambda: time_partita(app), lambda: time_torch(port))


if __name__ == "__main__":
    main()
