#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Real runs that are killed at exponentially distributed random times and go on from their checkpoints until done: the time that
takes, for several intervals between checkpoints, against the expectation of Daly (2006) and the optima of Young and Daly.

Cost of a step, of a checkpoint and of starting anew come from undisturbed runs, by least squares. In each round every interval
meets failures of the same seed. A drilled run must end with the very parameters of the undisturbed one.

`--clock cpu` counts CPU seconds of the one rank (failures come in these, too), so that other work on the machine does not matter;
`--clock wall` counts those of the wall, and what waits for the disk with them.

    build/venv/bin/python tests/perf/checkpoint_drill.py --app build/release/apps/mlp_dp/mlp_dp --clock cpu --rounds 4
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import random
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from partita.analysis.checkpoints import daly_s, expected_s, young_s

ROOT = Path(__file__).parents[2]
DECK = "inputs/mlp_dp/tiny.toml"
LOOK_S = 0.002  # how often the clock is read
FACTORS = (1 / 8, 1 / 3, 1.0, 3.0, 8.0)  # of Daly's interval


@dataclass
class Ended:
    seconds: float  # of the chosen clock
    killed: bool


@dataclass(frozen=True)
class Costs:
    step_s: float
    checkpoint_s: float
    start_s: float  # a run without steps
    restart_s: float  # one that reads a checkpoint


class Drill:
    """Runs in a folder, all of the same training."""

    def __init__(self, app: Path, folder: Path, clock: str, steps: int, hidden: str) -> None:
        self.app, self.folder, self.clock, self.steps, self.hidden = app, folder, clock, steps, hidden
        self.checkpoint = folder / "c.h5"

    def run(self, steps: int, every: int = 0, resume: bool = False, until_s: float = math.inf, saves: bool = True) -> Ended:
        settings = [f"train.steps={steps}", f"model.hidden={self.hidden}", "train.batch=16", "train.deterministic=true",
                    "kernels.backend=portable", "run.warmup=0", "run.calibration=off", "verify.least_accuracy=0"]
        settings += [f"checkpoint.every={every}", f"checkpoint.path={self.checkpoint}"] if saves else []
        command = [str(self.app), DECK, *itertools.chain(*(("--set", s) for s in settings)), "--output", str(self.folder / "x.h5")]
        command += ["--resume", str(self.checkpoint)] if resume else []
        with (self.folder / "log.txt").open("w") as log:
            begin = time.monotonic()
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
            killed = False
            while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                if not killed and self.so_far(process.pid, begin) >= until_s:
                    process.kill()
                    killed = True
                time.sleep(LOOK_S)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            wall_s = time.monotonic() - begin
        killed = killed and process.returncode < 0
        if process.returncode != 0 and not killed:
            raise SystemExit((self.folder / "log.txt").read_text() + f"exit {process.returncode}")
        return Ended(wall_s if self.clock == "wall" else usage.ru_utime + usage.ru_stime, killed)

    def so_far(self, pid: int, begin: float) -> float:
        if self.clock == "wall":
            return time.monotonic() - begin
        try:  # of all threads
            return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) * 1e-9
        except (OSError, IndexError):
            return 0.0

    def parameters(self) -> str:
        with h5py.File(self.folder / "x.h5") as file:
            assert file.attrs["complete"] == 1
            return str(file.attrs["parameters_fnv1a"])

    def clear(self) -> None:
        for path in (*self.folder.glob("*.h5"), *self.folder.glob("*.part")):
            path.unlink()

    def measure(self, times: int) -> tuple[Costs, str]:
        """By least squares from runs of few and many steps, with few and many checkpoints, from the begin and from a checkpoint."""
        rows, seconds = [], []
        few = self.steps // 4
        for _ in range(times):
            for steps, every in ((few, 0), (self.steps, 0), (few, 4), (few, 2)):
                self.clear()
                ended = self.run(steps, every, saves=every > 0)
                rows.append([steps, -(-steps // every) if every else 0, 1, 0])
                seconds.append(ended.seconds)
            self.clear()
            self.run(few)
            ended = self.run(few + 4, resume=True)
            rows.append([4, 1, 0, 1])
            seconds.append(ended.seconds)
        self.clear()
        self.run(self.steps, saves=False)
        return Costs(*map(float, np.linalg.lstsq(np.array(rows, float), np.array(seconds), rcond=None)[0])), self.parameters()

    def drilled(self, every: int, mtbf_s: float, draw: random.Random, wanted: str) -> tuple[float, int]:
        """Seconds until the training is done, and how often it was killed."""
        self.clear()
        total, failures = 0.0, 0
        while True:
            ended = self.run(self.steps, every, resume=self.checkpoint.exists(), until_s=draw.expovariate(1 / mtbf_s))
            total += ended.seconds
            if not ended.killed:
                break
            failures += 1
            if self.done():  # killed after its last checkpoint: there is nothing to go on with
                return total, failures
        if self.parameters() != wanted:
            raise SystemExit(f"every {every}: the parameters are not those of the undisturbed run")
        return total, failures

    def done(self) -> bool:
        if not self.checkpoint.exists():
            return False
        with h5py.File(self.checkpoint) as file:
            return int(file.attrs["step"]) >= self.steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", type=Path, default=ROOT / "build/release/apps/mlp_dp/mlp_dp")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next ones count on from it")
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--hidden", default="[96,96]")
    parser.add_argument("--mtbf", type=float, default=0.4, help="mean seconds between failures")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no round after so many of the wall")
    parser.add_argument("--nice", type=int, default=5)
    args = parser.parse_args()
    os.nice(args.nice)
    with tempfile.TemporaryDirectory(prefix="partita-drill-") as folder:
        drill = Drill(args.app.resolve(), Path(folder), args.clock, args.steps, args.hidden)
        costs, wanted = drill.measure(2)
        m, s, c = args.mtbf, costs.step_s, costs.checkpoint_s
        young, daly = young_s(c, m), daly_s(c, m)
        print(f"{args.steps} steps of {1e3 * s:.2f} ms, a checkpoint {1e3 * c:.1f} ms, a start {1e3 * costs.start_s:.0f} ms, a new "
              f"start {1e3 * costs.restart_s:.0f} ms ({args.clock} clock); a failure every {m:g} s on average; Young {young:.3f} s "
              f"= {young / s:.0f} steps, Daly {daly:.3f} s = {daly / s:.0f} steps", flush=True)
        intervals = sorted({min(args.steps, max(1, round(f * daly / s))) for f in FACTORS})
        totals: dict[int, list[float]] = {every: [] for every in intervals}
        failures = dict.fromkeys(intervals, 0)
        begin = time.monotonic()
        for seed in range(args.seed, args.seed + args.rounds):
            if seed > args.seed and time.monotonic() - begin > 60 * args.minutes:
                break
            for every in intervals:
                total, killed = drill.drilled(every, m, random.Random(seed), wanted)
                totals[every].append(total)
                failures[every] += killed
            print(f"seed {seed}: " + ", ".join(f"{every}: {t[-1]:.1f} s" for every, t in totals.items()), flush=True)
    print("\nsteps between   interval   measured: mean   standard error   failures   predicted   measured / predicted")
    predicted = {}
    for every, found in totals.items():
        pieces = [every] * (args.steps // every) + [args.steps % every] * (args.steps % every > 0)  # the last one is shorter
        predicted[every] = m * math.expm1(costs.start_s / m) + sum(expected_s(n * s, n * s, c, costs.restart_s, m) for n in pieces)
        mean = statistics.mean(found)
        error = statistics.stdev(found) / math.sqrt(len(found)) if len(found) > 1 else math.nan
        print(f"{every:13d} {every * s:8.3f} s {mean:14.2f} s {error:14.2f} s {failures[every]:10d} {predicted[every]:9.2f} s "
              f"{mean / predicted[every]:12.2f}")
    best = min(totals, key=lambda every: statistics.mean(totals[every]))
    print(f"\nfastest: every {best} steps; predicted: every {min(predicted, key=predicted.__getitem__)} of these; Daly "
          f"{daly / s:.0f}, Young {young / s:.0f}; {sum(failures.values())} failures, all parameters as undisturbed")


if __name__ == "__main__":
    main()
