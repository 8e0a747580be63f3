#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""By hand: do watchdogs raise false alarms on a machine with fewer cores than ranks, whatever else runs on it?

    python tests/faults/soak.py BUILD [--hours 2] [--ranks 4] [--run-s 300]

The four apps take turns with the limits that they learn themselves, calibration, evaluations and checkpoints included;
run.time_limit_s ends each run. An alarm is a run that ends in another way. Beside each run stands its longest step.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from app_runs import ROOT, command_line  # noqa: E402

RUNS = [("mlp_dp", "mlp_dp/small", ()), ("transformer_tp", "transformer_tp/tiny", ()), ("cnn_pp", "cnn_pp/tiny", ()),
        ("param_server", "param_server/as_mlp_dp", ()), ("mlp_dp", "mlp_dp/tiny", ("parallel.strategy=zero3",)),
        ("transformer_tp", "transformer_tp/small", ("parallel.data=2",)),
        ("cnn_pp", "cnn_pp/small", ("parallel.pipeline=2", "parallel.data=2")), ("param_server", "param_server/as_mlp_dp", ("server.protocol=ssp", "server.staleness=3"))]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=Path)
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--run-s", type=int, default=300)
    asked = parser.parse_args()
    end, runs, alarms, steps = time.monotonic() + 3600 * asked.hours, 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            app, deck, settings = RUNS[runs % len(RUNS)]
            record, checkpoint = Path(folder) / "r.h5", Path(folder) / "c.h5"
            common = ("train.steps=1000000", "evaluate.every=50", f"run.time_limit_s={asked.run_s}", "checkpoint.every=50",
                      f"checkpoint.path={checkpoint}", "record.flush_every=20")
            words = command_line(str(asked.build.resolve() / "apps" / app / app), asked.ranks, f"inputs/{deck}.toml", *common, *settings,
                                 output=record)
            for old in (record, checkpoint):
                old.unlink(missing_ok=True)
            begin = time.monotonic()
            done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
            seconds, runs = time.monotonic() - begin, runs + 1
            over = "run.time_limit_s" in done.stderr or "was told to stop" in done.stderr  # a worker's time may be over first
            well = done.returncode == 5 and over and "run.hang_timeout_s" not in done.stderr
            alarms += not well
            told = ""
            if record.exists():
                with h5py.File(record) as file:
                    written = int(file["steps_written"][()])
                    steps += written
                    if written:
                        longest = (file["steps/end_ns"][:written] - file["steps/start_ns"][:written]).max() / 1e9
                        told = f"{written} steps, longest {longest:.2f} s"
            load = Path("/proc/loadavg").read_text().split()[0]
            print(f"{runs:3} {app:<15} {' '.join((deck, *settings)):<60} {seconds:6.0f} s  load {load:>5}  {told}"
                  f"{'' if well else f'  ALARM: exit {done.returncode}: {done.stderr}'}", flush=True)
    print(f"{runs} runs, {steps} steps, {alarms} alarms in {asked.hours:g} h at {asked.ranks} ranks on {os.cpu_count()} cores")
    return alarms > 0


if __name__ == "__main__":
    sys.exit(main())
