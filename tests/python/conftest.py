# SPDX-License-Identifier: BSD-3-Clause
"""A checkout in a temporary folder with an app and a launcher that only pretend."""

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "scripts" / "partita"
for folder in (HERE, PACKAGE):
    sys.path.insert(0, str(folder))

# What the app does is told by `--set fake.do=WORD`, for all ranks alike; it notes every call in calls.txt.
APP = """#!{python}
import os, sys, time
from pathlib import Path
sys.path[:0] = [{here!r}]
from synthetic import Synthetic

arguments, settings, output = sys.argv[1:], {{}}, None
deck = arguments.pop(0)
while arguments:
    flag, value = arguments.pop(0), arguments.pop(0)
    if flag == "--set":
        key, _, text = value.partition("=")
        settings[key] = text
    else:
        output = Path(value)
ranks = int(os.environ["FAKE_RANKS"])
with open("calls.txt", "a") as calls:
    threads = os.environ["OMP_NUM_THREADS"]
    calls.write(f"{{settings['record.point']}} {{ranks}} {{threads}} {{os.environ['OMP_PROC_BIND']}}\\n")
print(f"{{settings['record.study']}}: step 1, loss 2.3", flush=True)
do = settings.get("fake.do", "run")
if do == "fail" or do == "fail_at_2" and ranks == 2:
    print("error: the fake app was told to fail", file=sys.stderr)
    sys.exit(2)
if do == "hang":
    time.sleep(600)
if do == "no_record":
    sys.exit(0)
if do == "wrong":
    Synthetic(ranks=ranks, verified=0).write(output)
    sys.exit(3)
Synthetic(
    ranks=ranks,
    threads=int(os.environ["OMP_NUM_THREADS"]),
    allreduce=settings.get("parallel.allreduce", "mpi"),
    batch=int(settings.get("train.batch", 64)),
    study=settings["record.study"],
    point=settings["record.point"],
    complete=0 if do == "incomplete" else 1,
).write(output)
"""
# Like hydra: ranks live in a session of their own, where a signal to the launcher's group does not reach them.
LAUNCHER = """#!{python}
import os, subprocess, sys
assert sys.argv[1] == "-n"
environment = {{**os.environ, "FAKE_RANKS": sys.argv[2]}}
app = subprocess.Popen(sys.argv[3:], env=environment, start_new_session=True)
with open("pids.txt", "a") as pids:
    pids.write(f"{{app.pid}}\\n")
sys.exit(app.wait())
"""
STUDY = """
name = "fake"
app = "mlp_dp"
deck = "inputs/mlp_dp/deck.toml"
scaling = "strong"
ranks = [1, 2]
threads = 1
repeats = 2
seed = 7
launcher = "{launcher} -n {{ranks}}"
equal_at_one_rank = ["parallel.allreduce"]
[set]
train.steps = 12
[grid]
parallel.allreduce = ["mpi", "ring"]
"""


@dataclass
class Checkout:
    """The pretended checkout."""

    root: Path

    @property
    def runs(self) -> Path:
        """Where records go by default."""
        return self.root / "runs" / "fake"

    def study(self, *replacements: tuple[str, str], name: str = "study.toml") -> Path:
        """The study above with pieces of its text replaced."""
        text = STUDY.format(launcher=self.root / "mpiexec")
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = self.root / "inputs" / "studies" / name
        path.write_text(text)
        return path

    def calls(self) -> list[list[str]]:
        """What the app was called with: point, ranks, threads, binding."""
        path = self.root / "calls.txt"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def ranks_alive(self) -> list[int]:
        """Processes that the launcher started and that still run."""
        pids = [int(line) for line in (self.root / "pids.txt").read_text().split()]
        return [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.format(python=sys.executable, here=str(HERE)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A fresh pretended checkout."""
    (tmp_path / "CMakeLists.txt").write_text("")
    (tmp_path / "inputs" / "studies").mkdir(parents=True)
    deck = tmp_path / "inputs" / "mlp_dp" / "deck.toml"
    deck.parent.mkdir()
    deck.write_text("[train]\nsteps = 12\n")
    _script(tmp_path / "build" / "release" / "apps" / "mlp_dp" / "mlp_dp", APP)
    _script(tmp_path / "mpiexec", LAUNCHER)
    return Checkout(tmp_path)


@pytest.fixture
def partita(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command, called in this process: (exit code, standard output, standard error)."""
    from partita.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def environment() -> dict[str, str]:
    """Environment for the command in a process of its own."""
    return {**os.environ, "PYTHONPATH": str(PACKAGE)}
