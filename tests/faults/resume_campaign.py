#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""By hand: runs that are killed at random times and go on elsewhere, held against one that never was.

    python tests/faults/resume_campaign.py BUILD [--trials 50] [--seed 1]

Each trial takes a model and a way to run it, kills one rank with SIGKILL after a random time, and goes on from the last
checkpoint on another number of ranks, under another strategy, killed again with even odds, until the run is done. Its
losses and parameters must have the bits of a run on one rank that nobody killed (train.deterministic). With fewer cores
than ranks preload tests/support's libpartita_yield_when_idle.so, or ranks that poll keep each other from working.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from app_runs import ROOT, command_line, pids_by_rank  # noqa: E402

COMMON = ["train.deterministic=true", "run.calibration=off", "train.clip_norm=0.5", "evaluate.every=1000"]
MLP = [("mlp_dp", 1, ()), ("mlp_dp", 2, ("parallel.strategy=zero3",)), ("mlp_dp", 3, ("parallel.strategy=zero2", "parallel.allreduce=ring")),
       ("mlp_dp", 2, ("parallel.strategy=gather_broadcast",)), ("mlp_dp", 4, ()), ("transformer_tp", 2, ("model.kind=mlp",)),
       ("mlp_dp", 3, ("parallel.strategy=zero1", "parallel.bucket_mib=0.002")), ("param_server", 2, ()),
       ("param_server", 4, ("server.count=2",))]  # fmt: skip
GPT = [("transformer_tp", 1, ()), ("transformer_tp", 2, ()), ("transformer_tp", 3, ("parallel.sequence=true",)),
       ("transformer_tp", 4, ("parallel.data=2",))]
CNN = [("cnn_pp", 1, ()), ("cnn_pp", 2, ()), ("cnn_pp", 3, ()), ("cnn_pp", 2, ("parallel.pipeline=1", "parallel.data=2")),
       ("cnn_pp", 4, ("parallel.spatial=2", "parallel.pipeline=2"))]
MODELS = {"mlp": ("mlp_dp/tiny", 600, MLP), "gpt": ("transformer_tp/tiny", 60, GPT), "cnn": ("cnn_pp/tiny", 150, CNN)}


def command(build: Path, way, deck: str, steps: int, output: Path, *more: str) -> list[str]:
    app, ranks, settings = way
    return command_line(str(build / "apps" / app / app), ranks, f"inputs/{deck}.toml", *COMMON, f"train.steps={steps}", *settings,
                        output=output, flags=more)


def start(words: list[str]) -> subprocess.Popen:
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "OMP_NUM_THREADS": "1"})


def bits(record: Path, first: int) -> tuple:
    with h5py.File(record) as file:
        begin = int(file["step"][0])
        return file["steps/loss"][first - begin:].tobytes(), str(file.attrs["parameters_fnv1a"])


def trial(chance: random.Random, build: Path, model: str, folder: Path, whole: Path, whole_s: float) -> tuple[bool, str] | None:
    """Whether the bits are the same, and what was done; None: the run was over before it was killed."""
    deck, steps, ways = MODELS[model]
    checkpoint, way = folder / "c.h5", chance.choice(ways)
    kills, told = 0, []
    for attempt in range(40):
        record = folder / f"{attempt}.h5"
        more = ["--set", f"checkpoint.every={chance.choice([1, 3, 10])}", "--set", f"checkpoint.path={checkpoint}"]
        if checkpoint.exists():
            more += ["--resume", str(checkpoint)]
        process = start(command(build, way, deck, steps, record, *more))
        told.append(f"{way[0]}x{way[1]}")
        if attempt == 0 or chance.random() < 0.5:
            try:
                process.wait(timeout=chance.uniform(0.1, 1) * whole_s)
            except subprocess.TimeoutExpired:
                if pids := list(pids_by_rank(process.pid, way[0]).values()):
                    kills += 1
                    try:
                        os.kill(chance.choice(pids), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
        _, stderr = process.communicate(timeout=900)
        if process.returncode == 0:
            if kills == 0:
                return None
            with h5py.File(record) as file:
                first = int(file["step"][0])
            return bits(record, first) == bits(whole, first), f"{kills} kills, {' -> '.join(told)}, last from step {first}"
        if process.returncode == 2 and "of which the run has" in stderr:  # killed after its last checkpoint
            return None
        way = chance.choice([other for other in ways if other != way])
    return False, f"not done after {' -> '.join(told)}: {stderr}"


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    chance, failed = random.Random(asked.seed), 0
    with tempfile.TemporaryDirectory() as name:
        whole, whole_s = {}, {}
        for model, (deck, steps, ways) in MODELS.items():
            whole[model] = Path(name) / f"{model}.h5"
            begin = time.monotonic()
            done = start(command(asked.build.resolve(), ways[0], deck, steps, whole[model]))
            _, stderr = done.communicate()
            assert done.returncode == 0, stderr
            whole_s[model] = time.monotonic() - begin
        for k in range(asked.trials):
            model = list(MODELS)[k % len(MODELS)]
            begin, result, attempt = time.monotonic(), None, 0
            while result is None:
                folder = Path(name) / f"{k}-{attempt}"
                folder.mkdir()
                result = trial(chance, asked.build.resolve(), model, folder, whole[model], whole_s[model])
                attempt += 1
            same, text = result
            failed += not same
            print(f"{k + 1:3} {model} {'same bits' if same else 'DIFFERENT'} {time.monotonic() - begin:5.1f} s  {text}", flush=True)
    print(f"{asked.trials - failed} of {asked.trials} have the bits of the run that was never stopped (seed {asked.seed})")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
