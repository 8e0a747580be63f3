#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""One training step of an MLP, Partita against PyTorch eager, interleaved in one run on one machine.

    784-2048-2048-10, global batch 256, fp32, Adam (PyTorch's fused one), CPU.

    one rank, two threads             against one PyTorch process with two threads
    two ranks, one thread each        against DistributedDataParallel over gloo, one thread each

Rounds alternate, and which of the two begins alternates too: A B, B A, A B, ... On two ranks a round goes through all
strategies and PyTorch in random order. A round's figure is the median of its steps after warm-up; printed are the
median and range of the rounds, and of the ratios round by round. Seconds by phase are medians over steps of the slowest
rank. PyTorch's step is
forward, loss, backward, update, with gradients set to None; Partita's is that and the making of its batch.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch h5py
    /tmp/torch/bin/python tests/perf/compare_mlp.py --app build/release/apps/mlp_dp/mlp_dp
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from interleaved import compare, in_turn, summary

ROOT = Path(__file__).parents[2]
STEPS, WARMUP = 50, 10
# By what two ranks exchange their gradients, and the settings that say so.
STRATEGIES = {
    "mpi": ["parallel.allreduce=mpi"],
    "ring": ["parallel.allreduce=ring"],
    "mpi, buckets": ["parallel.allreduce=mpi", "parallel.bucket_mib=4"],
    "ring, buckets": ["parallel.allreduce=ring", "parallel.bucket_mib=4"],
    "zero1 mpi": ["parallel.strategy=zero1", "parallel.allreduce=mpi"],
    "zero1 ring": ["parallel.strategy=zero1", "parallel.allreduce=ring"],
}


def torch_worker(rank: int, ranks: int, threads: int, port: int) -> None:
    """Prints the median seconds of a step (rank 0)."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layers = torch.nn.Sequential(
        torch.nn.Linear(784, 2048), torch.nn.ReLU(), torch.nn.Linear(2048, 2048), torch.nn.ReLU(), torch.nn.Linear(2048, 10)
    )
    model = layers
    if ranks > 1:
        torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=ranks)
        model = torch.nn.parallel.DistributedDataParallel(layers, gradient_as_bucket_view=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4, fused=True)
    rows = 256 // ranks
    x, label = torch.randn(rows, 784), torch.randint(0, 10, (rows,))
    times = []
    for step in range(STEPS):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(x), label).backward()
        optimizer.step()
        if step >= WARMUP:
            times.append(time.perf_counter() - start)
    if rank == 0:
        print(statistics.median(times), flush=True)
    if ranks > 1:
        torch.distributed.destroy_process_group()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def time_torch(ranks: int, threads: int) -> float:
    port = free_port()
    workers = [
        subprocess.Popen([sys.executable, __file__, "--worker", str(rank), str(ranks), str(threads), str(port)],
                         stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
        for rank in range(ranks)
    ]
    outputs = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise SystemExit("error: a PyTorch worker failed")
    return float(outputs[0])


def time_partita(app: Path, ranks: int, threads: int, settings: list[str], phases: dict | None = None) -> float:
    """Median seconds of a step; of its phases, too, into `phases`."""
    import h5py
    import numpy

    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "x.h5"
        overrides = [part for setting in settings for part in ("--set", setting)]
        subprocess.run(["mpiexec", "-n", str(ranks), str(app), "tests/perf/mlp_2048.toml", "--set", f"train.steps={STEPS}",
                        "--set", f"run.warmup={WARMUP}", *overrides, "--output", str(record)],
                       cwd=ROOT, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
        with h5py.File(record) as file:
            counted = (file["steps/warmup"][:] == 0) & (file["steps/flushed"][:] == 0)
            step_ns = (file["steps/end_ns"][:] - file["steps/start_ns"][:]).max(axis=1)
            if phases is not None:
                seconds = numpy.median(file["steps/phase_s"][:][counted].max(axis=1), axis=0)
                for name, value in zip(file["steps/phase"][:], seconds):
                    phases.setdefault(name.decode(), []).append(float(value))
            return float(statistics.median(step_ns[counted])) * 1e-9


def compare_ranks(app: Path, rounds: int, strategies: list[str], settings: list[str]) -> None:
    phases: dict[str, dict] = {name: {} for name in strategies}
    ways = {name: lambda name=name: time_partita(app, 2, 1, [*settings, *STRATEGIES[name]], phases[name])
            for name in strategies}
    times = in_turn(rounds, {"DDP gloo": lambda: time_torch(2, 1), **ways})
    print(f"2 ranks x 1 thread, {rounds} rounds\n{'DDP gloo':<16} {summary(times['DDP gloo'], 1e3)} ms")
    for name in strategies:
        ratios = [torch / mine for torch, mine in zip(times["DDP gloo"], times[name])]
        print(f"{name:<16} {summary(times[name], 1e3)} ms   ratio {summary(ratios, digits=2)}   "
              + "  ".join(f"{phase} {1e3 * statistics.median(values):.1f}" for phase, values in phases[name].items()))
    for how in ("mpi", "ring"):
        if f"zero1 {how}" in times and how in times:
            ratios = [mine / whole for mine, whole in zip(times[f"zero1 {how}"], times[how])]
            print(f"zero1 {how} / {how}   {summary(ratios, digits=2)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", type=Path, default=ROOT / "build/release/apps/mlp_dp/mlp_dp")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--set", action="append", default=[], help="key=value for Partita")
    parser.add_argument("--ranks", type=int, choices=(1, 2), help="this part alone")
    parser.add_argument("--strategy", action="append", choices=STRATEGIES, help="of two ranks; all unless given")
    parser.add_argument("--worker", nargs=4, type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        torch_worker(*args.worker)
        return
    import torch

    print(f"PyTorch {torch.__version__}; median of rounds and range; ratio = PyTorch / Partita")
    app = args.app.resolve()
    if args.ranks != 2:
        compare("1 rank x 2 threads", args.rounds, lambda: time_partita(app, 1, 2, args.set), lambda: time_torch(1, 2))
    if args.ranks != 1:
        compare_ranks(app, args.rounds, args.strategy or list(STRATEGIES), args.set)


if __name__ == "__main__":
    main()
