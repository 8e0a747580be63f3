#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Kills or stops a random rank of a run at a random time, again and again, and says what became of the job.

    python tests/faults/drill_signals.py build/release/apps/mlp_dp/mlp_dp inputs/mlp_dp/tiny.toml --kill 100 --stop 100

By hand. SIGKILL: the job is to be gone within 1 s, with an exit status that is not 0. SIGSTOP with a limit of 3 s
(--limit): gone within 5 s, exit 5, and the stopped rank named. In both cases the record opens, holds what was flushed
before, and no process is left.
"""

import argparse
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from app_runs import ROOT, is_alive, pids_by_rank, steps_written  # noqa: E402


def drill(options, which, dice, folder):
    """One run; what is said of it."""
    output = folder / f"{which.name}.h5"
    part = output.with_name(output.name + ".part")
    for path in (output, part):
        path.unlink(missing_ok=True)
    words = [options.mpiexec, "-n", str(options.ranks), options.app, options.deck, "--output", str(output)]
    for setting in [*options.set, "train.steps=200000", "evaluate.every=40", "record.flush_every=20",
                    f"run.hang_timeout_s={options.limit}"]:
        words += ["--set", setting]
    with open(folder / "log", "w+") as log:
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log,
                                   env={**os.environ, "OMP_NUM_THREADS": "1"})
        deadline = time.monotonic() + 120
        while len(pids := pids_by_rank(process.pid, Path(options.app).name)) < options.ranks or (
                steps_written(part) < 0 and not options.early):
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                sys.exit(f"the run did not begin: {' '.join(words)}\n{log.read()}")
            time.sleep(0.02)
        time.sleep(dice.uniform(0, options.within))
        rank = dice.randrange(options.ranks)
        before = steps_written(part)
        os.kill(pids[rank], which)
        sent = time.monotonic()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
        while any(is_alive(pid) for pid in pids.values()) and time.monotonic() < sent + 60:
            time.sleep(0.002)
        gone_s = time.monotonic() - sent
        log.seek(0)
        said = log.read()
    left = [pid for pid in pids.values() if is_alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    opens = False
    try:
        if part.exists():
            with h5py.File(part) as file:
                rows = int(file["steps_written"][()])
                opens = rows >= before and bool(np.isfinite(file["steps/loss"][:rows]).all())
        else:
            opens = before < 0  # it had not begun
    except OSError as error:
        print(f"    {part}: {error}")
    blamed = re.search(r"^error: run.hang_timeout_s: .*?: ranks? ([\d, ]+) do(es)? not answer", said, re.M)
    named = bool(blamed) and blamed[1].strip() == str(rank)
    bad = not opens or left or process.returncode == 0 or (which == signal.SIGSTOP and not named)
    if bad or options.verbose:
        print(f"    {which.name} rank {rank}: gone after {gone_s:.2f} s, exit {process.returncode}, named {named}, "
              f"record {opens}, left {left}\n" + "".join(f"      {line}\n" for line in said.splitlines()[-8:]))
    return gone_s, process.returncode, named, opens, len(left)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("app")
    parser.add_argument("deck")
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--kill", type=int, default=0, help="runs with SIGKILL")
    parser.add_argument("--stop", type=int, default=0, help="runs with SIGSTOP")
    parser.add_argument("--limit", type=float, default=3, help="run.hang_timeout_s")
    parser.add_argument("--within", type=float, default=3, help="the signal comes within so many seconds of the first row")
    parser.add_argument("--early", action="store_true", help="... of the start of the processes")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mpiexec", default="mpiexec")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    dice = random.Random(options.seed)
    app = Path(options.app).name
    print(f"{'app':<16}{'signal':<9}{'runs':>5}  {'gone, s: median':>15} {'max':>6}  {'in time':>7}  {'exit':<9} "
          f"{'named':>5}  {'opens':>5}  {'left':>4}", flush=True)
    for which, runs, within_s in [(signal.SIGKILL, options.kill, 1), (signal.SIGSTOP, options.stop, options.limit + 2)]:
        if runs == 0:
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows = [drill(options, which, dice, Path(folder)) for _ in range(runs)]
        gone, codes, named, opens, left = zip(*rows)
        exits = ",".join(str(code) for code in sorted(set(codes)))
        print(f"{app:<16}{which.name:<9}{runs:>5}  {statistics.median(gone):>15.2f} {max(gone):>6.2f}  "
              f"{sum(s <= within_s for s in gone):>7}  {exits:<9} "
              f"{sum(named) if which == signal.SIGSTOP else '-':>5}  {sum(opens):>5}  {sum(left):>4}", flush=True)


if __name__ == "__main__":
    main()
