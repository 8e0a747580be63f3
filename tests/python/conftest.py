# SPDX-License-Identifier: BSD-3-Clause
"""A checkout in a temporary folder with an app and a launcher that only pretend."""

import contextlib
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

from partita.studies.state import Attempt, attempts, planned  # noqa: E402

# What the app does is told by `--set fake.do=WORD`, for all ranks alike; it notes every call in calls.txt.
APP = """#!{python} -S
import json, os, signal, sys, time

arguments, settings, output = [a for a in sys.argv[1:] if a not in ("--validate", "--describe")], {{}}, None
deck = arguments.pop(0)
while arguments:
    flag, value = arguments.pop(0), arguments.pop(0)
    if flag == "--set":
        key, _, text = value.partition("=")
        settings[key] = text
    elif flag == "--output":
        output = value
ranks = int(os.environ.get("FAKE_RANKS") or os.environ["PMI_SIZE"])
do = settings.get("fake.do", "run")
point = settings["record.point"]
if "--describe" in sys.argv:
    print("a network")
    if "fake.flop" in settings:
        print(f"counted: {{settings['fake.flop']}} flop a step of {{ranks}} ranks")
    sys.exit(0)
if "--validate" in sys.argv:
    with open("validations.txt", "a") as validations:
        overrides = " ".join(f"{{k}}={{v}}" for k, v in settings.items() if not k.startswith("record."))
        validations.write(f"{{ranks}} {{overrides}}\\n")
    if do == "invalid" and settings["parallel.allreduce"] == "ring":
        print(f"error: {{deck}}:2: train.stepz: unknown key: expected train.steps", file=sys.stderr)
        sys.exit(2)
    if do == "unfit":
        sys.exit(4)
    sys.exit(0)
with open("calls.txt", "a") as calls:
    threads = os.environ["OMP_NUM_THREADS"]
    calls.write(f"{{point}} {{ranks}} {{threads}} {{os.environ['OMP_PROC_BIND']}}\\n")
print(f"{{settings['record.study']}}: step 1, loss 2.3", flush=True)
if do == "fail" or do == "fail_at_2" and ranks == 2:
    print("error: the fake app was told to fail", file=sys.stderr)
    sys.exit(2)
tries = [line.split()[0] for line in open("calls.txt")].count(point)
if do == "killed" or do == "killed_once" and tries == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if do == "resumable":  # fake.ends says how each attempt ends; each leaves a checkpoint but those with a dash.
    end = settings["fake.ends"].strip('"').split(".")[tries - 1]
    if end[0] != "-" and "checkpoint.path" in settings:
        with open(os.path.join({kept!r}, f"checkpoint-{{3 * tries}}.h5"), "rb") as source:
            with open(settings["checkpoint.path"], "wb") as copy:
                copy.write(source.read())
    end = end.lstrip("-")
    if end in ("KILL", "SEGV"):
        os.kill(os.getpid(), getattr(signal, "SIG" + end))
    if end != "done":
        sys.exit(int(end))
if do == "oom":
    print("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.0. Some of your processes may have been killed.")
    sys.exit(137)
if do == "hang_at_ring" and (settings["parallel.allreduce"] != "ring" or os.path.exists("go")):
    do = "run"
if do in ("hang", "hang_at_ring", "stubborn"):
    if do == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open("pids.txt", "a") as pids:
        pids.write(f"{{os.getpid()}}\\n")
    time.sleep(600)
if do == "no_record":
    sys.exit(0)
seconds = 0.03
block = int(point.rpartition("-r")[2])
if block in json.loads(settings.get("fake.slow_blocks", "[]")) and settings["parallel.allreduce"] == "ring":
    seconds = 0.036
# h5py and numpy take most of the time of a pretended run: a record is written once a session and copied after that.
fields = dict(
    ranks=ranks,
    threads=int(os.environ["OMP_NUM_THREADS"]),
    allreduce=settings.get("parallel.allreduce", "mpi"),
    batch=int(settings.get("train.batch", 64)),
    study=settings["record.study"],
    point=point,
    complete=0 if do == "incomplete" else 1,
    verified=0 if do == "wrong" else 1,
)
kept = os.path.join({kept!r}, " ".join(map(str, [*fields.values(), seconds])).replace("/", "_") + ".h5")
if not os.path.exists(kept):
    import site
    site.main()
    from pathlib import Path
    sys.path[:0] = [{here!r}]
    from synthetic import Synthetic
    Synthetic(**fields, step_s=lambda step: seconds).write(Path(kept))
with open(kept, "rb") as source, open(output, "wb") as copy:
    copy.write(source.read())
sys.exit(3 if do == "wrong" else 0)
"""
# Like hydra: ranks live in a session of their own, where a signal to the launcher's group does not reach them.
LAUNCHER = """#!{python} -S
import os, sys
assert sys.argv[1] == "-n"
environment = {{**os.environ, "FAKE_RANKS": sys.argv[2]}}
app = os.posix_spawn(sys.argv[3], sys.argv[3:], environment, setsid=True)
code = os.waitstatus_to_exitcode(os.waitpid(app, 0)[1])
sys.exit(code if code >= 0 else 128 - code)
"""
STUDY = """
name = "fake"
app = "mlp_dp"
deck = "inputs/mlp_dp/deck.toml"
kind = "strong"
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

    def plan(self, folder: Path | None = None) -> dict[str, str]:
        """Point -> hash, as plan.json has them."""
        return {p["name"]: p["hash"] for p in planned(folder or self.runs)}

    def attempts(self, point: str, folder: Path | None = None) -> list[Attempt]:
        """All at the point."""
        return attempts(folder or self.runs, self.plan(folder)[point])

    def records(self, folder: Path | None = None) -> dict[str, Path]:
        """Point -> record of its newest attempt, where there is one."""
        newest = {name: self.attempts(name, folder)[-1:] for name in self.plan(folder)}
        return {name: a.record for name, tried in newest.items() for a in tried if a.record.is_file()}

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

    def validations(self) -> list[str]:
        """What the app was asked to validate: ranks and overrides."""
        path = self.root / "validations.txt"
        return path.read_text().splitlines() if path.exists() else []

    def ranks_alive(self) -> list[int]:
        """Ranks that were told to hang and that still run."""
        return [pid for pid in self.ranks_started() if alive(pid)]

    def ranks_started(self) -> list[int]:
        """Ranks that were told to hang, dead or alive."""
        path = self.root / "pids.txt"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def processes(self) -> list[str]:
        """What runs in the checkout: launchers, their helpers, ranks."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink() == self.root and alive(int(process.name)):
                    found.append((process / "cmdline").read_text().replace("\0", " "))
        return found


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _script(path: Path, text: str, kept: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.format(python=sys.executable, here=str(HERE), kept=str(kept)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def keep(folder: Path, ranks: int, way: str, repeat: int, seconds: float = 0.03) -> None:
    """Write the record that the pretended app would write, unless it is there: it need not load h5py then."""
    from synthetic import Synthetic

    point = f"np{ranks}-{way}-r{repeat}"
    path = folder / f"{ranks} 1 {way} 64 fake {point} 1 1 {seconds}.h5"
    if not path.exists():
        Synthetic(ranks=ranks, allreduce=way, study="fake", point=point, step_s=lambda step: seconds).write(path)


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pretended app keeps what it has written, for all tests; the usual records are there already."""
    from synthetic_checkpoint import write_checkpoint

    folder = tmp_path_factory.mktemp("records")
    for step in (3, 6, 9, 12):
        write_checkpoint(folder / f"checkpoint-{step}.h5", step)
    for ranks, way in ((1, "mpi"), (2, "mpi"), (2, "ring")):
        for repeat in (1, 2):
            keep(folder, ranks, way, repeat)
    return folder


def make_checkout(root: Path, kept: Path) -> Checkout:
    """A fresh pretended checkout in an empty folder."""
    (root / "CMakeLists.txt").write_text("")
    (root / "inputs" / "studies").mkdir(parents=True)
    deck = root / "inputs" / "mlp_dp" / "deck.toml"
    deck.parent.mkdir()
    deck.write_text("[train]\nsteps = 12\n")
    _script(root / "build" / "release" / "apps" / "mlp_dp" / "mlp_dp", APP, kept)
    _script(root / "mpiexec", LAUNCHER, kept)
    return Checkout(root)


@pytest.fixture
def checkout(tmp_path: Path, kept: Path) -> Checkout:
    """A fresh pretended checkout."""
    return make_checkout(tmp_path, kept)


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
