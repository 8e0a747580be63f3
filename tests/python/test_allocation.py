# SPDX-License-Identifier: BSD-3-Clause
"""Nodes and cores of invented allocations."""

import os
from pathlib import Path

import pytest

from partita.studies.allocation import Allocation, allocation, available_cores, nodes

HERE = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("variables", "nodes_there", "cores_there"),
    [
        ({"SLURM_JOB_CPUS_PER_NODE": "16(x2),8", "SLURM_CPUS_ON_NODE": "16", "SLURM_JOB_NUM_NODES": "3"}, 3, 40),
        ({"SLURM_JOB_CPUS_PER_NODE": "4"}, 1, 4),
        ({"SLURM_CPUS_ON_NODE": "16", "SLURM_JOB_NUM_NODES": "3"}, 3, 48),
        ({"SLURM_JOB_CPUS_PER_NODE": "many", "SLURM_CPUS_ON_NODE": "8", "SLURM_NNODES": "2"}, 2, 16),
    ],
)
def test_slurm(variables: dict[str, str], nodes_there: int, cores_there: int) -> None:
    assert allocation({"SLURM_JOB_ID": "7", **variables}) == Allocation("slurm", "7", nodes_there, cores_there)


@pytest.mark.parametrize(
    ("lines", "variables", "nodes_there", "cores_there"),
    [
        ("a a b b", {"NCPUS": "32"}, 2, 64),  # PBS Pro: select=2:ncpus=32:mpiprocs=2
        ("a a a a b b b b", {"PBS_NP": "8"}, 2, 8),  # Torque: nodes=2:ppn=4
        ("a", {}, 1, 1),
    ],
)
def test_pbs(tmp_path: Path, lines: str, variables: dict[str, str], nodes_there: int, cores_there: int) -> None:
    hosts = tmp_path / "nodefile"
    hosts.write_text("\n".join(lines.split()) + "\n")
    found = allocation({"PBS_JOBID": "12.head", "PBS_NODEFILE": str(hosts), **variables})
    assert found == Allocation("pbs", "12.head", nodes_there, cores_there)


@pytest.mark.parametrize(
    ("variables", "nodes_there", "cores_there"),
    [
        ({"LSB_MCPU_HOSTS": "a 4 b 2"}, 2, 6),
        ({"LSB_MCPU_HOSTS": "batch5 1 h36n03 42 h36n04 42"}, 2, 84),  # The script runs on a node of its own.
        ({"LSB_MCPU_HOSTS": "a 1 b 1"}, 2, 2),
        ({"LSB_DJOB_NUMPROC": "12"}, 1, 12),
    ],
)
def test_lsf(variables: dict[str, str], nodes_there: int, cores_there: int) -> None:
    assert allocation({"LSB_JOBID": "5", **variables}) == Allocation("lsf", "5", nodes_there, cores_there)


def test_flux_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flux = tmp_path / "flux"
    flux.write_text('#!/bin/sh\n[ "$*" = "resource info" ] && echo "4 Nodes, 64 Cores, 8 GPUs"\n')
    flux.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert allocation({"FLUX_URI": "local:///tmp/flux-1", **os.environ}) == Allocation("flux", "", 4, 64)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"SLURM_JOB_ID": "7"},
        {"SLURM_JOB_ID": "7", "SLURM_JOB_CPUS_PER_NODE": "0"},
        {"PBS_JOBID": "1", "PBS_NODEFILE": "/nowhere/at/all"},
        {"LSB_JOBID": "5", "LSB_DJOB_NUMPROC": "some"},
        {"FLUX_URI": "local:///nowhere", "PATH": "/nowhere"},
    ],
)
def test_without_an_answer_it_is_this_host(variables: dict[str, str]) -> None:
    assert (nodes(variables), available_cores(variables)) == (1, HERE)


def test_the_scheduler_of_the_job_goes_before_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    monkeypatch.setenv("SLURM_JOB_CPUS_PER_NODE", f"{HERE + 3}(x2)")
    assert (nodes(), available_cores()) == (2, 2 * (HERE + 3))
