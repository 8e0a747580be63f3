#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""One step of a CNN on two cores, several ways, in turn: one rank with two threads, two ranks with one thread each that share
the rows of every image (halos behind computation, or waited for), and two replicas. Each way's figure of a round is the median
of its steps after warm-up; ratios are round by round. The last line says where a shared step's time goes, by its phases.

    build/venv/bin/python tests/perf/compare_spatial.py --app build/release/apps/cnn_pp/cnn_pp --image 112
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

import h5py
import numpy as np
from interleaved import in_turn, summary

ROOT = Path(__file__).parents[2]
WAYS = {"one rank, two threads": (1, 2, []),
        "shared images": (2, 1, ["parallel.spatial=2"]),
        "shared images, halos waited for": (2, 1, ["parallel.spatial=2", "parallel.overlap_halo=false"]),
        "two replicas": (2, 1, ["parallel.data=2"])}


def run(app: Path, image: int, ranks: int, threads: int, settings: list[str]) -> dict[str, float]:
    """Milliseconds of a step and of its phases, of the slower rank; of halos."""
    common = [f"data.image=[{image}, {image}, 3]", "data.samples=512", "data.held_out=8", "model.depth=1",
              "train.batch=32", "train.micro_batches=1", "train.steps=24", "run.warmup=4", "evaluate.every=1000",
              "parallel.balance=cost"]
    overrides = [part for setting in common + settings for part in ("--set", setting)]
    bind = ["-bind-to", "core"] if threads == 1 else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.h5"
        subprocess.run(["mpiexec", *bind, "-n", str(ranks), str(app), "inputs/cnn_pp/small.toml", *overrides,
                        "--output", str(path)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "OMP_NUM_THREADS": str(threads)})
        with h5py.File(path) as file:
            timed = file["steps/warmup"][:] == 0
            step = (file["steps/end_ns"][:] - file["steps/start_ns"][:])[timed].max(axis=1)
            phases = np.median(file["steps/phase_s"][:][timed], axis=0).max(axis=0)
            found = {name.decode(): 1e3 * float(s) for name, s in zip(file["phase"][:], phases)}
            for name in ("halo_exposed_s", "halo_hidden_s"):
                if name in file["strategy"]:
                    found[name.replace("_s", "")] = 1e3 * float(file["strategy"][name][:].max())
    return {"step": 1e-6 * float(np.median(step)), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", type=Path, default=ROOT / "build/release/apps/cnn_pp/cnn_pp")
    parser.add_argument("--image", type=int, default=112)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    app = args.app.resolve()
    given = in_turn(args.rounds, {name: lambda way=way: run(app, args.image, *way) for name, way in WAYS.items()})
    first = [each["step"] for each in given["one rank, two threads"]]
    for name, rounds in given.items():
        steps = [each["step"] for each in rounds]
        ratios = [a / b for a, b in zip(first, steps)]
        print(f"{name:<32} {summary(steps)} ms   one rank / this {summary(ratios, digits=2)}   ({args.rounds} rounds)")
    for name, rounds in given.items():
        parts = {part: statistics.median(each[part] for each in rounds) for part in rounds[0]}
        print(f"{name}: " + ", ".join(f"{part} {ms:.1f}" for part, ms in parts.items() if ms >= 0.1))


if __name__ == "__main__":
    main()
