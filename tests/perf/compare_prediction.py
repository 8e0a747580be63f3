#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Step times that the virtual engine predicts, calibrated from one run of one server and one worker, against measured ones: other
widths, batches and message sizes, and two ranks with a server beside each worker. In each round the calibrating run comes first,
then each point is measured and predicted; medians of steps; errors round by round.

    build/venv/bin/python tests/perf/compare_prediction.py --app build/release/apps/param_server/param_server
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import tempfile
from pathlib import Path

import h5py
import numpy as np
from interleaved import summary

ROOT = Path(__file__).parents[2]
WIDTH, BATCH = [256], 64  # the calibrating run
POINTS = [([64], 64), ([128], 64), ([512], 64), ([1024], 64), ([256], 16), ([256], 32), ([256], 256), ([512], 256), ([1024], 32)]
SHARED = [([256], 64), ([512], 128), ([1024], 64)]


def run(app: Path, ranks: int, path: Path, settings: list[str]) -> Path:
    common = ["data.source=synthetic", "data.features=784", "data.samples=8192", "verify.least_accuracy=0", "evaluate.every=1000",
              "train.steps=60", "run.warmup=10"]
    overrides = [part for setting in common + settings for part in ("--set", setting)]
    subprocess.run(["mpiexec", "-bind-to", "core", "-n", str(ranks), str(app), "inputs/param_server/small.toml", *overrides,
                    "--output", str(path)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "OMP_NUM_THREADS": "1"})
    return path


def measured_s(path: Path) -> float:
    with h5py.File(path) as file:
        end = file["steps/end_ns"][:, 0][file["steps/warmup"][:] == 0]
    return 1e-9 * float(np.median(np.diff(end)))


def predicted_s(path: Path) -> float:
    with h5py.File(path) as file:
        return float(np.median(np.diff(file["virtual/end_virtual_s"][:])))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", type=Path, default=ROOT / "build/release/apps/param_server/param_server")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--protocol", default="bsp")
    args = parser.parse_args()
    app = args.app.resolve()
    points = [(width, batch, False) for width, batch in POINTS] + [(width, batch, True) for width, batch in SHARED]
    seen: dict[int, list[tuple[float, float]]] = {n: [] for n in range(len(points))}
    draw = random.Random(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(args.rounds):
            source = run(app, 2, folder / "calibration.h5", [f"model.hidden={WIDTH}", f"train.batch={BATCH}", "server.profile=true"])
            for n in draw.sample(range(len(points)), len(points)):
                width, batch, shared = points[n]
                both = [f"model.hidden={width}", f"train.batch={2 * batch if shared else batch}", f"server.protocol={args.protocol}"]
                both += ["server.count=2"] if shared else []
                real = run(app, 2, folder / "x.h5", both + (["server.placement=shared"] if shared else []))
                model = run(app, 1, folder / "y.h5", [*both, "run.engine=virtual", f"virtual.workers={2 if shared else 1}",
                                                      "virtual.compute=calibrated", "virtual.network=calibrated",
                                                      f"virtual.calibration={source}"])
                seen[n].append((measured_s(real), predicted_s(model)))
    print(f"calibrated by hidden = {WIDTH}, batch = {BATCH}; {args.protocol}; {args.rounds} rounds")
    for (width, batch, shared), pairs in zip(points, seen.values()):
        where = "server beside each of 2 workers" if shared else "1 server, 1 worker"
        measured, predicted = zip(*pairs)
        errors = [100 * (b / a - 1) for a, b in pairs]
        error = 100 * (statistics.median(predicted) / statistics.median(measured) - 1)
        print(f"hidden {width!s:<7} {batch:>4} rows, {where:<31}  measured {summary(list(measured), 1e3, 2)} ms   "
              f"predicted {summary(list(predicted), 1e3, 2)} virtual ms   "
              f"error {error:+.0f} % of medians, {min(errors):+.0f} to {max(errors):+.0f} round by round", flush=True)


if __name__ == "__main__":
    main()
