# SPDX-License-Identifier: BSD-3-Clause
"""Two network namespaces with a link of a given rate between them: two hosts on one machine. Needs root and iproute2."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ADDRESSES = ("10.77.0.1", "10.77.0.2")
# Each rank finds its core by its number, and goes before whatever else the machine does.
PIN = 'echo -15 > /proc/self/autogroup || true; exec taskset -c "$PMI_RANK" nice -n -15 "$@"'
# What hydra calls instead of ssh, with a host and the words of a command: an IPC namespace of its own keeps the ranks
# from shared memory, one of mounts lets the host have its own names and network devices (UCX looks at /sys/class/net).
LAUNCHER = """#!/bin/sh
[ "$1" = -x ] && shift
host=$1; shift
exec nsenter --net=/run/netns/"$host" unshare --uts --ipc --mount --propagation private sh -ec '
  mount -t sysfs sysfs /sys; mount --bind {hosts} /etc/hosts; hostname "$0"; exec sh -c "$1"' "$host" "$*"
"""


# A rank that computes does not read: what arrives meanwhile must find room, 1.3 MB in the 11 ms of a kernel.
SYSCTL = {
    "tcp_rmem": "4096 4194304 8388608",
    "tcp_wmem": "4096 4194304 8388608",
    "tcp_congestion_control": "reno",  # paces nothing
    "tcp_slow_start_after_idle": "0",
}


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class TwoHosts:
    """with TwoHosts("1gbit") as hosts: hosts.mpiexec(...)"""

    # A burst below 64 KiB and a header makes the queue cut every large segment into packets of 1.5 KiB, on the ranks'
    # cores: ten times the kernel's time. A network card would do that by itself.
    def __init__(self, rate: str, burst: str = "256kb"):
        self.names = [f"partita{os.getpid()}{side}" for side in "ab"]
        self.rate, self.burst = rate, burst
        self.folder = tempfile.TemporaryDirectory(prefix="partita_two_hosts_")
        self.launcher, self.shim = Path(self.folder.name) / "launch", Path(self.folder.name) / "keep_connected.so"

    def __enter__(self) -> "TwoHosts":
        signal.signal(signal.SIGTERM, lambda *_: exit(143))  # so that __exit__ comes
        try:
            self._up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _up(self) -> None:
        hosts = Path(self.folder.name) / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for a, n in zip(ADDRESSES, self.names)))
        self.launcher.write_text(LAUNCHER.format(hosts=hosts))
        self.launcher.chmod(0o755)
        run("cc", "-shared", "-fPIC", "-o", str(self.shim), str(Path(__file__).with_name("keep_connected.c")))
        for name in self.names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        here, there = self.names
        run("ip", "-n", here, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", there)
        for name, address in zip(self.names, ADDRESSES):
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
            run("tc", "-n", name, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", self.rate, "burst", self.burst,
                "latency", "20ms")
        for name in self.names:
            for key, value in SYSCTL.items():
                run("ip", "netns", "exec", name, "sysctl", "-q", "-w", f"net.ipv4.{key}={value}")
            self._await_carrier(name)

    def _await_carrier(self, name: str) -> None:
        for _ in range(100):
            if run("ip", "netns", "exec", name, "cat", "/sys/class/net/eth0/operstate").strip() == "up":
                return
            time.sleep(0.1)
        raise SystemExit(f"error: eth0 of {name} does not come up")

    def __exit__(self, *_) -> None:
        for name in self.names:  # the link goes with its ends
            subprocess.run(["ip", "netns", "delete", name], stderr=subprocess.DEVNULL, check=False)
        self.folder.cleanup()

    def mpiexec(self, *command: str, **environment: str) -> str:
        """Two ranks, one a host, each on a core of its own. Returns what they print."""
        there = os.environ | {"UCX_TLS": "tcp,self", "UCX_NET_DEVICES": "eth0"} | environment
        command = ("env", f"LD_PRELOAD={self.shim}", *command)
        start = [str(self.launcher), self.names[0], "exec " + quoted(
            "mpiexec", "-launcher", "ssh", "-launcher-exec", str(self.launcher), "-iface", "eth0", "-hosts",
            ",".join(self.names), "-ppn", "1", "-n", "2", "sh", "-c", PIN, "rank", *command)]
        with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=there,
                              start_new_session=True) as job:
            try:
                output, _ = job.communicate(timeout=600)
            except BaseException:
                os.killpg(job.pid, signal.SIGTERM)  # mpiexec ends its ranks
                raise
        if job.returncode:
            raise SystemExit(f"error: {command[0]} ended with {job.returncode}\n{output}")
        return output

    def sent_bytes(self) -> list[int]:
        """What each host has put on the link, with headers."""
        return [int(run("ip", "netns", "exec", name, "cat", "/sys/class/net/eth0/statistics/tx_bytes"))
                for name in self.names]


def quoted(*words: str) -> str:
    return " ".join(shlex.quote(word) for word in words)
