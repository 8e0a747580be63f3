# SPDX-License-Identifier: BSD-3-Clause
"""A rank that is killed under a real launcher: what `partita run` says of it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from synthetic_server import ServerSynthetic

from conftest import Checkout
from partita.studies import family, launch
from partita.studies.lost import BANNER, CONFUSED, lost_rank

Command = Callable[..., tuple[int, str, str]]
KILLED = f"=   {BANNER}\n=   PID 123 RUNNING AT h\n=   EXIT CODE: 9\n" + (
    "YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)\n"
)


def hydra() -> bool:
    if shutil.which("mpiexec") is None:
        return False
    done = subprocess.run(["mpiexec", "--version"], capture_output=True, text=True, check=False)
    return "HYDRA" in done.stdout


def part_of(record: Path, written: int = 37) -> None:
    whole = ServerSynthetic(engine="mpi", workers=3, servers=1).write(record.with_name("whole"))
    with h5py.File(whole, "r+") as file:
        file["steps_written"][()] = written
        file.attrs["complete"] = 0
    whole.rename(record.with_name(record.name + ".part"))


def test_the_line_names_pid_host_steps_and_roles(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("step 1\n" + KILLED)
    part_of(tmp_path / "x.h5")
    assert lost_rank(tmp_path / "log", tmp_path / "x.h5") == (
        "ended by SIGKILL of a rank (the launcher names pid 123 on host h, which may be one that it ended itself); "
        "37 steps are in x.h5.part (server: rank 0; workers: 1 to 3)"
    )


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    log, record = tmp_path / "log", tmp_path / "x.h5"
    log.write_text(KILLED.replace("PID 123 RUNNING AT h", ""))
    assert lost_rank(log, record).endswith("(the launcher names no process); it left no x.h5.part")
    (tmp_path / "x.h5.part").write_bytes(b"no record")
    assert lost_rank(log, record).endswith("; x.h5.part cannot be read")
    log.write_text(f"[mpiexec@h] control_cb (pm/pmiserv/pmiserv_cb.c:206): {CONFUSED}\n")
    assert lost_rank(log, record).startswith(f"the launcher lost a rank while it started them ({CONFUSED}); x.h5.part")
    log.write_text("error: deck: usage\n")
    assert lost_rank(log, record) == ""
    log.write_text(f"{BANNER}\n=   EXIT CODE: 2\n")  # An app's own exit code, no signal.
    assert lost_rank(log, record) == ""


@pytest.mark.skipif(not hydra(), reason="no mpiexec of MPICH (hydra) on this machine")
def test_a_rank_that_is_really_killed(tmp_path: Path) -> None:
    script = tmp_path / "rank.sh"
    script.write_text('#!/bin/sh\nif [ "$PMI_RANK" = 1 ]; then sleep 1; kill -9 $$; fi\nsleep 60\n')
    script.chmod(0o755)
    part_of(tmp_path / "x.h5")
    log = tmp_path / "log"
    with family.guarded() as token:
        ended = launch.run(
            ["mpiexec", "-n", "3", str(script)], log, tmp_path, {"PATH": "/usr/bin:/bin"}, 50.0, token
        )  # fmt: skip
    assert not ended.timed_out and ended.status != 0
    line = lost_rank(log, tmp_path / "x.h5")
    assert re.match(r"ended by SIGKILL of a rank \(the launcher names pid \d+ on host \S+, which may", line)
    assert "; 37 steps are in x.h5.part" in line


@pytest.mark.skipif(not hydra(), reason="no mpiexec of MPICH (hydra) on this machine")
def test_partita_run_names_it(checkout: Checkout, partita: Command) -> None:
    app = checkout.root / "build" / "release" / "apps" / "mlp_dp" / "mlp_dp"
    validate = 'case "$*" in *--validate*) exit 0;; esac\n'
    app.write_text(f'#!/bin/sh\n{validate}[ "$PMI_RANK" = 1 ] && sleep 1 && kill -9 $$\nsleep 60\n')
    study = checkout.study(
        (f"{checkout.root / 'mpiexec'} -n", "mpiexec -n"), ("ranks = [1, 2]", "ranks = [2]"),
        ("repeats = 2", "repeats = 1"), ('["mpi", "ring"]\n', '["mpi"]\n'),
    )  # fmt: skip
    code, out, _ = partita("run", study)
    assert code == 1 and "ended by SIGKILL of a rank (the launcher names pid" in " ".join(out.split())
