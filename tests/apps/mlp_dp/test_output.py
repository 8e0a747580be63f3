# SPDX-License-Identifier: BSD-3-Clause
"""What is printed, and what becomes of a run that cannot print."""

import json
import os
import shlex
import subprocess

import h5py
import pytest
from conftest import APP, ROOT

DECK = "inputs/mlp_dp/tiny.toml"


def shell(line):
    return subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("way", ["> /dev/full", ">&-", "| true"])
def test_a_run_that_cannot_print_finishes_its_record_and_then_complains(tmp_path, way):
    output = tmp_path / "x.h5"
    code = tmp_path / "code"
    done = shell(f"{{ {APP} {DECK} --output {output}; echo $? > {code}; }} {way}" if "|" in way else
                 f"{APP} {DECK} --output {output} {way}; echo $? > {code}")
    with h5py.File(output) as file:
        assert file.attrs["complete"] == 1 and file.attrs["verified"] == 1
    assert code.read_text().strip() == "1"
    assert done.stderr.count("error: ") == 1
    assert "standard output: it is closed or full" in done.stderr


def test_the_command_of_a_record_can_be_pasted(run, tmp_path):
    first = run(1, "model.hidden=[9, 8]", "record.study=it's a $test", "train.deterministic=true")
    with h5py.File(first) as file:
        command, losses = file.attrs["command"], file["steps/loss"][:].tobytes()
    assert "record.study=it's a $test" in shlex.split(command)
    first.unlink()
    assert shell(command).returncode == 0
    with h5py.File(first) as file:
        assert file["steps/loss"][:].tobytes() == losses
        assert file.attrs["study"] == "it's a $test"


def test_help_is_the_apps_own_and_comes_once():
    done = subprocess.run([os.environ["PARTITA_MPIEXEC"], "-n", "2", APP, "--help"], cwd=ROOT, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith("A model trained by data parallelism")
    assert done.stdout.count("train.learning_rate") == 1
    assert "kokkos" not in done.stdout.lower()


def test_a_document_of_kernel_bench_is_nothing_but_that(tmp_path):
    binary = os.environ.get("PARTITA_KERNEL_BENCH", "")
    if not binary:
        pytest.skip("kernel_bench is not built")
    done = subprocess.run([binary, "inputs/kernel_bench/tiny.toml", "--benchmark_filter=^add/", "--benchmark_min_time=0.001",
                           "--benchmark_format=json", "--output", str(tmp_path / "x.h5")], cwd=ROOT, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0
    assert json.loads(done.stdout)["benchmarks"]
    assert "verification passed" in done.stderr
