# SPDX-License-Identifier: BSD-3-Clause
"""Studies on a real Slurm: one controller and two small nodes on this machine, there for these tests alone."""

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import PACKAGE, Checkout, make_checkout
from partita.cli import main
from partita.studies.scripts import shipped
from partita.studies.state import State
from partita.studies.status import PointStatus, status_of
from partita.studies.submissions import asked, submissions

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "slurm"))
from slurm_box import SlurmBox, UnfitError

# Rank 0 of a step of srun is the pretended app; it is told the number of ranks. The others have nothing to do.
RANK = """#!/bin/sh
[ "${SLURM_PROCID:-0}" = 0 ] || exit 0
FAKE_RANKS=$SLURM_NTASKS exec "$0.fake" "$@"
"""
SRUN = ('launcher = "{mpiexec} -n {{ranks}}"', 'launcher = "srun --mpi=none"')
ONE_A_NODE = ("threads = 1", "threads = 1\nranks_per_node = 1")
ONE_RUN = ("repeats = 2", "repeats = 1")
HANG = ("train.steps = 12", 'train.steps = 12\nfake.do = "hang"')
Captured = pytest.CaptureFixture[str]
LIMIT_S = 50.0  # A job of one minute is told within half a minute that its end is near.


@dataclass
class Cluster:
    """Slurm, and what is run on it."""

    box: SlurmBox
    checkout: Checkout

    @property
    def all_nodes(self) -> Path:
        """Folder of a study on one and two nodes that has ended."""
        return self.checkout.root / "all_nodes"

    @property
    def limited(self) -> Path:
        """Folder of a study in a job of one minute, whose point takes longer."""
        return self.checkout.root / "limited"

    def run_all(self) -> None:
        """Both: the second goes on beside the tests, on one core of a node."""
        assert self.submit(self.study(), self.all_nodes, "--time", "5") == 0
        self.wait(lambda: self.ended(self.all_nodes), 60.0)
        own = self.checkout.root / "shared.sh.j2"
        own.write_text(shipped("slurm").replace("#SBATCH --exclusive\n", ""))
        assert self.submit(self.hanging("limited"), self.limited, "--time", "1", "--template", str(own)) == 0

    def hanging(self, name: str) -> Path:
        """A study of one point that goes on for ten minutes."""
        return self.study(HANG, ("ranks = [1, 2]", "ranks = [1]"), name=f"{name}.toml")

    def ended(self, folder: Path) -> bool:
        """Whether no job of the folder waits or runs, as files tell."""
        return not any(job.fate.living for job in submissions(folder))

    def study(self, *replacements: tuple[str, str], name: str = "study.toml") -> Path:
        """One rank a node, started by srun."""
        srun = tuple(text.format(mpiexec=self.checkout.root / "mpiexec") for text in SRUN)
        return self.checkout.study(srun, ONE_A_NODE, ONE_RUN, *replacements, name=name)

    def submit(self, study: Path, folder: Path, *more: str) -> int:
        """`partita submit`: its exit code."""
        return main(["submit", str(study), "--output", str(folder), *more])

    def wait(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Until it holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.box.ask("squeue") + self.box.ask("sinfo")
            time.sleep(0.2)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Iterator[Cluster]:
    """Started once; the job that is to reach its limit runs from the start on one of the nodes."""
    box = SlurmBox(tmp_path_factory.mktemp("slurm") / "box")
    try:
        box.__enter__()
    except UnfitError as error:
        pytest.skip(f"no Slurm of our own here: {error}")
    with pytest.MonkeyPatch.context() as patch:
        try:
            for name in ("SLURM_CONF", "PATH"):
                patch.setenv(name, box.environment[name])
            patch.setenv("PYTHONPATH", str(PACKAGE))
            checkout = make_checkout(tmp_path_factory.mktemp("checkout"), kept)
            app = checkout.root / "build" / "release" / "apps" / "mlp_dp" / "mlp_dp"
            app.rename(app.with_name("mlp_dp.fake"))
            app.write_text(RANK)
            app.chmod(0o755)
            cluster = Cluster(box, checkout)
            cluster.run_all()
            yield cluster
        finally:
            box.__exit__()


def _table(folder: Path) -> list[tuple[str, str, State]]:
    return [(p.hash, p.name, p.state) for p in status_of(folder).points]


def _only(folder: Path) -> PointStatus:
    (point,) = status_of(folder).points
    return point


def test_jobs_run_every_point_as_partita_run_does(cluster: Cluster) -> None:
    by_run = cluster.checkout.root / "by_run"
    assert main(["run", str(cluster.study()), "--output", str(by_run)]) == 0
    assert _table(cluster.all_nodes) == _table(by_run)
    assert {state for _, _, state in _table(by_run)} == {State.DONE}
    assert [len(j.points) for j in submissions(cluster.all_nodes)] == [1, 2]
    assert sorted(p.nodes for p in status_of(cluster.all_nodes).points) == [1, 2, 2]
    of_jobs, of_run = (cluster.checkout.records(folder) for folder in (cluster.all_nodes, by_run))
    assert {name: path.read_bytes() for name, path in of_jobs.items()} == {
        name: path.read_bytes() for name, path in of_run.items()
    }


def test_each_rank_has_a_node_of_its_own_and_the_cpus_of_its_threads(cluster: Cluster) -> None:
    commands = {" ".join(a.job["command"]) for a in cluster.checkout.attempts("np2-ring-r1", cluster.all_nodes)}
    assert "srun -N 2 -n 2 --ntasks-per-node=1 --cpus-per-task=1" in commands.pop()


def test_a_second_submit_has_nothing_to_do(cluster: Cluster, capfd: Captured) -> None:
    assert cluster.submit(cluster.study(), cluster.all_nodes) == 0
    assert "3 finished, 0 in jobs that wait or run, 0 to submit" in capfd.readouterr().out


def test_a_cancelled_job_leaves_its_point_lost(cluster: Cluster) -> None:
    folder = cluster.checkout.root / "cancelled"
    assert cluster.submit(cluster.hanging("cancelled"), folder, "--time", "5") == 0
    cluster.wait(lambda: _only(folder).state is State.RUNNING and bool(cluster.checkout.ranks_alive()))
    (job,) = submissions(folder)
    assert f"slurm job {job.job}, on " in _only(folder).reason
    cluster.box.ask("scancel", job.job)
    cluster.wait(lambda: _only(folder).state is not State.RUNNING)
    assert (_only(folder).state, "cancelled (Slurm)" in _only(folder).reason) == (State.LOST, True)


def test_a_job_of_more_nodes_than_there_are_waits(cluster: Cluster, capfd: Captured) -> None:
    folder = cluster.checkout.root / "too_many"
    study = cluster.study(("ranks = [1, 2]", "ranks = [3]"), ('["mpi", "ring"]', '["mpi"]'), name="too_many.toml")
    assert cluster.submit(study, folder, "--time", "5") == 0
    assert _only(folder).state is State.SUBMITTED
    assert main(["status", str(folder), "--ask"]) == 0
    assert re.search(r"waiting \(pending, Partition(NodeLimit|Config)\)", capfd.readouterr().out)
    (job,) = submissions(folder)
    cluster.box.ask("scancel", job.job)
    cluster.wait(lambda: not asked(submissions(folder)[0]).living)
    assert _only(folder).state is State.PLANNED
    assert "slurm says: cancelled" in _only(folder).reason


def test_a_partition_that_is_not_there_is_refused(cluster: Cluster) -> None:
    folder = cluster.checkout.root / "refused"
    assert cluster.submit(cluster.hanging("refused"), folder, "--partition", "nope") == 4
    assert _only(folder).state is State.PLANNED
    assert "invalid partition specified: nope" in _only(folder).reason.lower()


def test_a_job_that_reaches_its_limit_ends_its_ranks_before(cluster: Cluster) -> None:
    cluster.wait(lambda: _only(cluster.limited).state not in (State.SUBMITTED, State.RUNNING), LIMIT_S)
    (job,) = submissions(cluster.limited)
    assert (_only(cluster.limited).state, _only(cluster.limited).reason) == (
        State.TIMEOUT, f"slurm job {job.job}: time limit of the job",
    )  # fmt: skip
    cluster.wait(lambda: not cluster.checkout.ranks_alive(), 5.0)
