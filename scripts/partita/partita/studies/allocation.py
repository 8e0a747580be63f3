# SPDX-License-Identifier: BSD-3-Clause
"""What a scheduler gave to this process: nodes and cores, from its variables and files; else the host.

    Slurm   SLURM_JOB_CPUS_PER_NODE ("16(x2),8"), or SLURM_CPUS_ON_NODE x SLURM_JOB_NUM_NODES
    PBS     lines of the file PBS_NODEFILE (one a slot), NCPUS (PBS Pro: cores of a chunk), PBS_NP (Torque: slots)
    LSF     LSB_MCPU_HOSTS ("host slots host slots ..."), LSB_DJOB_NUMPROC
    Flux    `flux resource info` of the instance in FLUX_URI

Slots and CPUs are what the scheduler counts: where it was set up to count hardware threads, hardware threads.
"""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FLUX_S = 10.0  # For an answer of Flux; it takes some tenths of a second.


@dataclass(frozen=True)
class Allocation:
    """A job's share of a machine; scheduler "" and job "": no job, this host."""

    scheduler: str
    job: str
    nodes: int
    cores: int


def _slurm(variables: Mapping[str, str]) -> Allocation:
    job = variables["SLURM_JOB_ID"]
    if counts := variables.get("SLURM_JOB_CPUS_PER_NODE"):
        runs = [re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", piece) for piece in counts.split(",")]
        if all(runs):
            pairs = [(int(run[1]), int(run[2] or 1)) for run in runs if run]
            return Allocation("slurm", job, sum(n for _, n in pairs), sum(cpus * n for cpus, n in pairs))
    nodes = int(variables.get("SLURM_JOB_NUM_NODES") or variables["SLURM_NNODES"])
    return Allocation("slurm", job, nodes, int(variables["SLURM_CPUS_ON_NODE"]) * nodes)


def _pbs(variables: Mapping[str, str]) -> Allocation:
    slots = Path(variables["PBS_NODEFILE"]).read_text(encoding="utf-8").split()
    nodes = len(set(slots))
    cores = (len(slots), nodes * int(variables.get("NCPUS", 0)), int(variables.get("PBS_NP", 0)))
    return Allocation("pbs", variables.get("PBS_JOBID", ""), nodes, max(cores))


def _lsf(variables: Mapping[str, str]) -> Allocation:
    job = variables["LSB_JOBID"]
    words = variables.get("LSB_MCPU_HOSTS", "").split()
    slots = [int(word) for word in words[1::2]]
    if len(slots) > 1 and slots[0] == 1 < min(slots[1:]):
        slots = slots[1:]  # Where jsrun starts the ranks, the first host is that of the script.
    return Allocation("lsf", job, len(slots) or 1, sum(slots) or int(variables["LSB_DJOB_NUMPROC"]))


def _flux(variables: Mapping[str, str]) -> Allocation:
    _ = variables["FLUX_URI"]
    command = ["flux", "resource", "info"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=FLUX_S, check=True, env=dict(variables))
    found = re.search(r"(\d+) Nodes?, (\d+) Cores?", said.stdout)
    if not found:
        raise ValueError(said.stdout)
    return Allocation("flux", variables.get("FLUX_JOB_ID", ""), int(found[1]), int(found[2]))


SOURCES: tuple[Callable[[Mapping[str, str]], Allocation], ...] = (_slurm, _pbs, _lsf, _flux)


def allocation(variables: Mapping[str, str] | None = None) -> Allocation:
    """The first scheduler whose variables tell of at least one node and core, else this host."""
    for source in SOURCES:
        with suppress(KeyError, ValueError, OSError, subprocess.SubprocessError):
            found = source(os.environ if variables is None else variables)
            if found.nodes > 0 and found.cores > 0:
                return found
    return Allocation("", "", 1, len(os.sched_getaffinity(0)))


def available_cores(variables: Mapping[str, str] | None = None) -> int:
    """Cores on all nodes of the allocation, else those that this process may use."""
    return allocation(variables).cores


def nodes(variables: Mapping[str, str] | None = None) -> int:
    """Nodes of the allocation; 1 without one."""
    return allocation(variables).nodes
