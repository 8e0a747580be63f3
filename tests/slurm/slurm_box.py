#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A Slurm of one's own: controller and two virtual nodes of two CPUs on the loopback, gone when the block ends.

    with SlurmBox(folder) as box:      # box.environment has SLURM_CONF: sbatch, srun, squeue find it there
    tests/slurm/slurm_box.py COMMAND...           runs a command in one

Munge's key, sockets, state and logs lie in the folder; ports are any that are free, so that boxes stand side by side.
Needs slurmctld, slurmd, munged (Debian: slurm-wlm), and a cgroup file system for slurmd; UnfitError says what is
missing.
"""

import contextlib
import ctypes
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

NODES = 2
CPUS = 2
START_S = 15.0
GRACE_S = 3.0
PR_SET_PDEATHSIG = 1  # Of prctl(2)
CONFIGURATION = """
ClusterName=box
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SchedulerTimeSlice=5
InactiveLimit=0
KillWait=2
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus} RealMemory=1000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus} RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=60 State=UP
"""


class UnfitError(Exception):
    """Slurm is not here or does not start; the text says why."""


def _end_with_parent() -> None:
    """In a child, before it becomes another program."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class SlurmBox:
    """A context manager; all that it started is ended on the way out, whatever happened inside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self.daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "SlurmBox":
        path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
        missing = [p for p in ("munged", "slurmctld", "slurmd", "sbatch", "srun") if not shutil.which(p, path=path)]
        if missing:
            raise UnfitError(f"not installed: {', '.join(missing)} (Debian: slurm-wlm)")
        if not any(Path("/sys/fs/cgroup").glob("*")):
            raise UnfitError("/sys/fs/cgroup is not mounted: slurmd does not start without it")
        self.environment["PATH"] = path
        try:
            self._start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _start(self) -> None:
        (self.folder / "state").mkdir(parents=True)
        for node in range(1, NODES + 1):
            (self.folder / f"spool.n{node}").mkdir()
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        values = {"host": socket.gethostname().partition(".")[0], "user": getpass.getuser(), "folder": self.folder}
        text = CONFIGURATION.format(**values, ports=_free_ports(NODES + 1), cpus=CPUS)
        (self.folder / "slurm.conf").write_text(text)
        places = [f"--{name}={self.folder}/munge.{name.removesuffix('-file')}"
                  for name in ("socket", "key-file", "pid-file", "log-file", "seed-file")]  # fmt: skip
        self._daemon("munged", "--foreground", "--force", "--num-threads=1", *places)
        self._wait("munged", lambda: (self.folder / "munge.socket").exists())
        self._daemon("slurmctld", "-D", "-c")
        for node in range(1, NODES + 1):
            self._daemon("slurmd", "-D", "-N", f"n{node}")
        self._wait("slurmd", lambda: self.ask("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == str(NODES))

    def _daemon(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("ab") as out:
            daemon = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # Where this process is killed, nobody else ends them.
            )
        self.daemons.append(daemon)

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not ready():
            ended = [d for d in self.daemons if d.poll() is not None]
            if ended or time.monotonic() > deadline:
                name = Path(str(ended[0].args[0])).name if ended else what
                lines = [*(self.folder / f"{name}.out").read_text(errors="replace").splitlines(), "nothing"]
                said = next((line for line in lines if "error" in line or "fatal" in line), lines[0])
                raise UnfitError(f"{name} does not start: it says {said}")
            time.sleep(0.1)

    def ask(self, *command: str) -> str:
        """What a command of Slurm says; "" where it fails."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    def _members(self) -> list[int]:
        """All processes with this box's SLURM_CONF: daemons, those that they started, jobs."""
        mark, found = f"SLURM_CONF={self.environment['SLURM_CONF']}".encode(), []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in entry.read_bytes().split(b"\0") and int(entry.parent.name) != os.getpid():
                    found.append(int(entry.parent.name))
        return found

    def end(self) -> None:
        """Jobs first, while there is somebody to whom they can report; then SIGTERM, then SIGKILL."""
        self.ask("scancel", "-u", getpass.getuser())
        deadline = time.monotonic() + GRACE_S
        while self.ask("squeue", "-h").strip() and time.monotonic() < deadline:
            time.sleep(0.1)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._members():
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
            deadline = time.monotonic() + GRACE_S
            while self._members() and time.monotonic() < deadline:
                for daemon in self.daemons:
                    daemon.poll()  # A zombie has no environment; it is taken away here.
                time.sleep(0.05)
        for daemon in self.daemons:
            daemon.wait()


def main(command: list[str]) -> int:
    """Run the command in a box."""
    with tempfile.TemporaryDirectory(prefix="slurm-box-") as folder:
        try:
            with SlurmBox(Path(folder)) as box:
                return subprocess.run(command, env=box.environment, check=False).returncode
        except UnfitError as error:
            print(f"error: slurm_box: {error}", file=sys.stderr)
            return 4


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["bash"]))
