#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Gradients exchanged behind the backward pass, on a link of 1 Gbit/s between two hosts. By hand, as root.

    784-(8 layers of 1024)-10, batch 1,024, fp32, Adam; a rank a host, one thread each, each on a core of its own

    host a  ===== veth, 1 Gbit/s each way =====  host b        two network namespaces of this machine

Each round runs all ways in random order; the first one, without buckets, is what the others are compared with. Printed
are the median and range of the rounds' median steps, of the ratio flat / this round by round, and the median seconds

    exposed, hidden   of the record's /strategy, a step
    difference        step - (flat step - its exchange and wait): what exposed should be, from other clocks
    allowed           the step that a replay of the flat run's unit times and bytes allows on this link (partita.analysis.replay);
                      reached = allowed / step

The bytes that cross the link, by the interface's own counters, must be those of /traffic and some headers.

    build/venv/bin/python tests/perf/overlap_1gbit.py [--way ring:2:test ...] [--rounds 5] [--env UCX_RNDV_THRESH=inf]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import h5py
import numpy

from interleaved import in_turn, summary
from two_hosts import TwoHosts

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts/partita"))
from partita.analysis.replay import Link, allowed_step, fit_link  # noqa: E402

DECK = ROOT / "tests/perf/overlap.toml"
FLAT = "ring:0:test"
WAYS = [f"ring:{mib}:test" for mib in (1, 2, 4, 8)] + ["ring:2:none", "recursive:1:test", "recursive:2:test",
                                                       "mpi:1:test", "mpi:2:test"]
WIDTHS = [784] + 8 * [1024] + [10]
UNIT_BYTES = {f"linear{i}": 4 * n * (k + 1) for i, (k, n) in enumerate(zip(WIDTHS, WIDTHS[1:]))}


def measure_link(hosts: TwoHosts, app: Path, environment: dict[str, str]) -> Link:
    """The ring's all-reduce alone, from comm_bench's table."""
    text = hosts.mpiexec(str(app), str(ROOT / "inputs/comm_bench/tiny.toml"), *settings(
        "bench.operation=allreduce", "bench.algorithm=ring", "bench.overlap=false", "bench.min_bytes=262144",
        "bench.max_bytes=16777216", "bench.size_factor=4", "bench.warmup=2", "bench.repeats=10",
        "verify.least_speed=0"), "--output", f"{hosts.folder.name}/link.h5", **environment)
    rows = [line.split() for line in text.splitlines()]
    table = [(float(row[0]), 1e-6 * float(row[2])) for row in rows if len(row) > 4 and row[1] == "ring"]
    return fit_link(*zip(*table))


def settings(*each: str) -> list[str]:
    return [word for one in each for word in ("--set", one)]


def unit_times(file: h5py.File) -> tuple[list[float], float]:
    """Of the slower rank, medians over the recorded steps: when each unit's gradient is complete, seconds from the
    step's start, in order; and the seconds of the step behind its exchange."""
    events = {name: file["events"][name][: file["events/events_written"][()]]
              for name in ("rank", "step", "part", "unit", "end_ns")}
    parts, units = ([name.decode() for name in file["events"][scale][:]] for scale in ("part_name", "unit_name"))
    best = ([0.0], 0.0)
    for rank in range(2):
        ready, after = [], []
        for step in numpy.unique(events["step"]):
            mine = (events["rank"] == rank) & (events["step"] == step)
            start, end = (file[f"steps/{name}"][step - 1, rank] for name in ("start_ns", "end_ns"))
            weights = mine & (events["part"] == parts.index("backward_weights"))
            order = numpy.argsort(events["end_ns"][weights])
            ready.append((events["end_ns"][weights][order] - start) * 1e-9)
            after.append((end - events["end_ns"][mine & (events["part"] == parts.index("exchange"))][0]) * 1e-9)
            names = [units[unit] for unit in events["unit"][weights][order]]
        assert names == list(reversed(UNIT_BYTES)), names
        times = list(numpy.median(ready, axis=0)), float(numpy.median(after))
        best = max(best, times, key=lambda each: each[0][-1] + each[1])
    return best


def measure(hosts: TwoHosts, app: Path, way: str, environment: dict[str, str]) -> dict:
    how, mib, progress = way.split(":")
    record = f"{hosts.folder.name}/record.h5"
    before = hosts.sent_bytes()
    hosts.mpiexec(str(app), str(DECK), *settings(f"parallel.allreduce={how}", f"parallel.bucket_mib={mib}",
                                                 f"parallel.progress={progress}"), "--output", record, **environment)
    sent = [now - then for then, now in zip(before, hosts.sent_bytes())]
    with h5py.File(record) as file:
        # /traffic leaves warm-up out: as many bytes in every step.
        steps, counted = file["steps/warmup"].size, file["steps/warmup"][:] == 0
        payload = file["traffic/sent_bytes"][:].sum(axis=0) / counted.sum() * steps
        for mine, theirs in zip(sent, payload):
            if not 1 < mine / theirs < 1.1:
                raise SystemExit(f"error: {mine} byte crossed the link, /traffic has {theirs:.0f}")
        step = (file["steps/end_ns"][:] - file["steps/start_ns"][:]).max(axis=1)[counted] * 1e-9
        phases = [name.decode() for name in file["steps/phase"][:]]
        seconds = file["steps/phase_s"][:][counted].mean(axis=1)
        waits = sum(seconds[:, phases.index(name)] for name in ("exchange", "wait") if name in phases)
        return {"step": float(numpy.median(step)), "compute": float(numpy.median(step - waits)),
                "exposed": float(file["strategy/exposed_s"][:].mean()),
                "hidden": float(file["strategy/hidden_s"][:].mean()), "link": statistics.mean(sent) / sum(payload) * 2,
                "units": unit_times(file) if float(mib) == 0 else None}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--app", type=Path, default=ROOT / "build/release/apps/mlp_dp/mlp_dp")
    parser.add_argument("--bench", type=Path, default=ROOT / "build/release/apps/comm_bench/comm_bench")
    parser.add_argument("--way", action="append", help="allreduce:bucket_mib:progress; may be given again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", default="1gbit")
    parser.add_argument("--env", action="append", default=[], help="NAME=value for the ranks, in all ways")
    args = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("error: namespaces need root")
    environment = {"OMP_NUM_THREADS": "1"} | dict(one.split("=", 1) for one in args.env)
    ways = args.way or WAYS
    with TwoHosts(args.rate) as hosts:
        link = measure_link(hosts, args.bench.resolve(), environment)
        runs = in_turn(args.rounds, {way: lambda way=way: measure(hosts, args.app.resolve(), way, environment)
                                     for way in [FLAT, *ways]})
    allowed = [allowed_step(run["units"][0], list(reversed(UNIT_BYTES.values())), link, run["units"][1])
               for run in runs[FLAT]]
    flat = [run["step"] for run in runs[FLAT]]
    print(f"link: all-reduce of b byte takes {1e3 * link.alpha:.2f} ms + b / {1e-6 / link.beta:.1f} MB/s; "
          f"{args.rounds} rounds; {' '.join(args.env)}")
    print(f"flat {summary(flat, 1e3)} ms, allowed {summary(allowed, 1e3)} ms, "
          f"{summary([a / b for a, b in zip(flat, allowed)], digits=2)} times as fast")
    print(f"{'way':<18}{'step ms':<24}{'flat / this':<22}{'reached':<22}exposed  hidden  difference ms")
    for way in ways:
        step = [run["step"] for run in runs[way]]
        ratio = [a / b for a, b in zip(flat, step)]
        reached = [a / b for a, b in zip(allowed, step)]
        exposed, hidden, difference = (1e3 * statistics.median(values) for values in (
            [run["exposed"] for run in runs[way]], [run["hidden"] for run in runs[way]],
            [run["step"] - whole["compute"] for run, whole in zip(runs[way], runs[FLAT])]))
        print(f"{way:<18}{summary(step, 1e3):<24}{summary(ratio, digits=2):<22}{summary(reached, digits=2):<22}"
              f"{exposed:7.1f} {hidden:7.1f} {difference:7.1f}")
    crossed = [run["link"] for each in runs.values() for run in each]
    print(f"bytes on the link / bytes of /traffic: {summary(crossed, digits=3)}")


if __name__ == "__main__":
    main()
