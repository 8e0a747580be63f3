# SPDX-License-Identifier: BSD-3-Clause
"""Jobs for schedulers that only pretend; their scripts are run by bash itself. The real Slurm: test_slurm.py."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import PACKAGE, Checkout
from partita.errors import UsageError
from partita.studies.schedulers import Answer, ask
from partita.studies.scripts import Bundle, bundles, seconds_of
from partita.studies.state import State
from partita.studies.status import status_of
from partita.studies.submissions import submissions

Partita = Callable[..., tuple[int, str, str]]
# Gives jobs numbers, in the words of each; tells of a job what stands in the file state-NUMBER.
QUEUE = """#!/bin/sh
cd {folder}
case ${{0##*/}} in
  squeue) file=state-$7 ;;
  qstat | bjobs) for file; do file=state-${{file%.head}}; done ;;
  flux) [ "$1" = batch ] || for file; do file=state-$file; done ;;
esac
if [ -n "$file" ]; then
  [ -e "$file" ] || {{ echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; }}
  cat "$file"; exit
fi
grep -q nope ${{2:-${{1:-/dev/stdin}}}} && {{
  echo "${{0##*/}}: error: invalid partition specified: nope" >&2
  exit 1
}}
number=$(($(cat number 2>/dev/null || echo 0) + 1))
echo $number >number
case ${{0##*/}} in
  sbatch | flux) echo $number ;;
  qsub) echo $number.head ;;
  bsub) echo "Job <$number> is submitted to queue <normal>." ;;
esac
"""
COMMANDS = ("sbatch", "squeue", "qsub", "qstat", "bsub", "bjobs", "flux")
TWO_NODES = ("threads = 1", "threads = 1\nranks_per_node = 1")
HANG = ("train.steps = 12", 'train.steps = 12\nfake.do = "hang"')


@pytest.fixture
def queue(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the pretended commands."""
    folder = tmp_path_factory.mktemp("queue")
    for name in COMMANDS:
        (folder / name).write_text(QUEUE.format(folder=folder))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))
    return folder


def test_a_job_for_each_number_of_nodes(checkout: Checkout, partita: Partita, queue: Path) -> None:
    code, out, err = partita("submit", checkout.study(TWO_NODES), "--time", "30", "--partition", "p", "--account", "a")
    assert (code, err) == (0, "")
    one, two = submissions(checkout.runs)
    assert [(j.nodes, j.job, len(j.points), j.time_s) for j in (one, two)] == [(1, "1", 2, 1800), (2, "2", 4, 1800)]
    assert "slurm job 2: nodes 2, points 4, at most 30 min 00 s" in out
    script = two.script.read_text()
    for line in ("nodes=2", "ntasks-per-node=1", "cpus-per-task=1", "time=30", "signal=B:USR1@60", "partition=p",
                 "account=a", f"output={two.scheduler_output}"):  # fmt: skip
        assert f"#SBATCH --{line}\n" in script
    assert f"--output {checkout.runs} --build {checkout.root}/build/release --only-nodes 2)" in script
    assert {p.state for p in status_of(checkout.runs).points} == {State.SUBMITTED}
    assert (checkout.runs / "study.toml").is_file()


def test_what_is_done_or_in_a_living_job_is_not_submitted_again(
    checkout: Checkout, partita: Partita, queue: Path
) -> None:
    study = checkout.study(TWO_NODES)
    partita("submit", study)
    (queue / "state-1").write_text("PENDING|Priority\n")
    (queue / "state-2").write_text("CANCELLED|None\n")
    code, out, _ = partita("submit", study)
    assert (code, "6 points, 0 finished, 2 in jobs that wait or run, 4 to submit" in out) == (0, True)
    assert [(j.job, j.nodes, j.gone) for j in submissions(checkout.runs)] == [
        ("1", 1, ""), ("2", 2, "slurm says: cancelled"), ("3", 2, ""),
    ]  # fmt: skip
    assert partita("run", study, "--only-nodes", "2")[0] == 0
    (queue / "state-3").write_text("COMPLETED|None\n")
    assert "4 finished, 2 in jobs that wait or run, 0 to submit" in partita("submit", study)[1]


def test_a_job_that_was_requeued_keeps_its_points(checkout: Checkout, partita: Partita, queue: Path) -> None:
    study = checkout.study()
    partita("submit", study)
    (job,) = submissions(checkout.runs)
    job.output.write_text("partita: job 1 of slurm begins\npartita: job 1 of slurm ends with status 5\n")
    job.scheduler_output.write_text("slurmstepd: error: *** JOB 1 ON n1 CANCELLED AT x DUE TO PREEMPTION ***\n")
    (queue / "state-1").write_text("PENDING|BeginTime\n")
    assert "6 in jobs that wait or run, 0 to submit" in partita("submit", study)[1]
    said = partita("status", checkout.runs, "--ask")[1]
    assert "ended (another job took the nodes (Slurm); pending, BeginTime)" in said
    (queue / "state-1").unlink()
    assert "0 in jobs that wait or run, 6 to submit" in partita("submit", study)[1]


def test_a_refused_job_is_said_and_the_others_are_submitted(checkout: Checkout, partita: Partita, queue: Path) -> None:
    study = checkout.study(TWO_NODES)
    template = checkout.root / "own.sh.j2"
    template.write_text("#!/bin/sh\n#SBATCH --partition={{ 'nope' if nodes == 2 else 'main' }}\n")
    code, out, _ = partita("submit", study, "--template", template)
    assert code == 4
    assert (
        "nodes 2, points 4: " in out and "refused by sbatch (sbatch: error: invalid partition specified: nope)" in out
    )
    assert [(j.nodes, j.job, bool(j.refused)) for j in submissions(checkout.runs)] == [(1, "1", False), (2, "", True)]
    reasons = {p.reason for p in status_of(checkout.runs).points if p.nodes == 2}
    assert len(reasons) == 1 and "invalid partition" in reasons.pop()


@pytest.mark.parametrize(("scheduler", "job"), [("slurm", "1"), ("pbs", "1.head"), ("lsf", "1"), ("flux", "1")])
def test_each_scheduler_takes_its_script(
    checkout: Checkout, partita: Partita, queue: Path, scheduler: str, job: str
) -> None:
    code, _, err = partita("submit", checkout.study(), "--scheduler", scheduler, "--partition", "p", "--account", "a")
    assert (code, err) == (0, "")
    (found,) = submissions(checkout.runs)
    assert (found.scheduler, found.job) == (scheduler, job)
    assert subprocess.run(["bash", "-n", found.script], check=False).returncode == 0
    code, out, err = partita("submit", checkout.study(), "--scheduler", scheduler, "--partition", "nope")
    assert (code, "refused by" in out) == (4, True), out


@pytest.mark.parametrize(
    ("scheduler", "said", "answer"),
    [
        ("slurm", "PENDING|PartitionNodeLimit", Answer(True, "PENDING", "PartitionNodeLimit")),
        ("slurm", "TIMEOUT|TimeLimit", Answer(False, "TIMEOUT", "TimeLimit")),
        ("pbs", "Job Id: 5.head\n    job_state = Q\n    comment = Not Running: no nodes\n",
         Answer(True, "Q", "Not Running: no nodes")),
        ("pbs", "Job Id: 5.head\n    job_state = F\n", Answer(False, "F", "")),
        ("lsf", "RUN|-", Answer(True, "RUN", "")),
        ("lsf", "EXIT|TERM_RUNLIMIT: job killed", Answer(False, "EXIT", "TERM_RUNLIMIT: job killed")),
        ("flux", "SCHED|", Answer(True, "SCHED", "")),
        ("flux", "TIMEOUT|resource allocation expired", Answer(False, "TIMEOUT", "resource allocation expired")),
        ("slurm", None, Answer(False, "", "")),
    ],
)  # fmt: skip
def test_what_a_scheduler_says_of_a_job(queue: Path, scheduler: str, said: str, answer: Answer) -> None:
    if said is not None:
        (queue / "state-5").write_text(said)
    assert ask(scheduler, "5.head" if scheduler == "pbs" else "5") == answer


def test_a_scheduler_that_is_not_here_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert ask("slurm", "5") is None


def test_a_dry_run_prints_scripts_and_writes_nothing(checkout: Checkout, partita: Partita, queue: Path) -> None:
    code, out, _ = partita("submit", checkout.study(TWO_NODES), "--dry-run")
    assert code == 0
    assert out.count("#!/bin/bash") == 2
    assert "submissions/1.sh: nodes 1, points 2" in out and "submissions/2.sh: nodes 2, points 4" in out
    assert not checkout.runs.exists()
    assert not (queue / "number").exists()


def test_the_shipped_template_can_be_printed_edited_and_used(checkout: Checkout, partita: Partita, queue: Path) -> None:
    _, shipped, _ = partita("submit", "--print-template", "slurm")
    own = checkout.root / "own.sh.j2"
    own.write_text(shipped.replace("# Modules and variables", "module load mpich # {{ name }}\n# Modules"))
    _, out, _ = partita("submit", checkout.study(), "--template", own, "--dry-run")
    assert "module load mpich # fake\n" in out and 'tell "this job was told to end"' in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\n{{ nodez }}\n", "'nodez' is undefined"),
        ("#!/bin/sh\n{% if nodes %}\n", ":2: "),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_template_that_cannot_be_used_is_named(
    checkout: Checkout, partita: Partita, queue: Path, text: str, said: str
) -> None:
    own = checkout.root / "own.sh.j2"
    if text is not None:
        own.write_text(text)
    code, _, err = partita("submit", checkout.study(), "--template", own)
    assert (code, str(own) in err, said in err) == (2, True, True), err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 5400), ("1:30", 90), ("2:00:00", 7200), ("1-12:00:00", 129600), ("0:00:01", 1)]
)
def test_times(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1h", "0", "-5", "1:2:3:4"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="--time"):
        seconds_of(text)


def test_the_job_is_as_large_as_its_largest_point_and_as_long_as_all() -> None:
    def point(ranks: int, per_node: int, threads: int, gpus: int) -> dict:
        return {"hash": f"{ranks}{threads}", "nodes": 2, "ranks": ranks, "ranks_per_node": per_node,
                "threads": threads, "gpus_per_rank": gpus, "timeout_s": 100.0}  # fmt: skip

    (bundle,) = bundles([point(4, 2, 8, 1), point(8, 4, 3, 1)])
    assert isinstance(bundle, Bundle)
    assert (bundle.ranks_per_node, bundle.threads, bundle.gpus_per_node, bundle.seconds) == (4, 4, 4, 320)


@pytest.mark.parametrize("arguments", [["--scheduler", "cron"], []])
def test_without_a_scheduler_or_a_study_nothing_is_submitted(
    checkout: Checkout, partita: Partita, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, _, err = partita("submit", *([checkout.study()] if arguments else []), *arguments)
    assert (code, "one of slurm, pbs" in err or "no study" in err) == (2, True)


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(checkout: Checkout) -> Iterator[Start]:
    """Starts the script of the only job with these variables; what still runs at the end of the test is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def script(**variables: str) -> subprocess.Popen[bytes]:
        (job,) = submissions(checkout.runs)
        with job.scheduler_output.open("wb") as out:
            environment = {**os.environ, **variables}
            command = ["bash", str(job.script)]
            started.append(subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True))
        return started[-1]

    yield script
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # The guard of `partita run` ends the ranks.
        process.wait()


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_script_runs_the_points(checkout: Checkout, partita: Partita, queue: Path, start: Start) -> None:
    partita("submit", checkout.study(), "--scheduler", "pbs")
    assert start(PBS_JOBID="1.head").wait(60) == 0
    (job,) = submissions(checkout.runs)
    assert "partita: job 1.head of pbs ends with status 0" in job.output.read_text()
    assert status_of(checkout.runs).counts == {"done": 6}


def test_a_script_that_is_signalled_before_the_limit_ends_its_ranks(
    checkout: Checkout, partita: Partita, queue: Path, start: Start
) -> None:
    partita("submit", checkout.study(HANG), "--scheduler", "slurm")
    process = start(SLURM_JOB_ID="1", SLURM_JOB_CPUS_PER_NODE="2")
    _wait(checkout.ranks_alive)
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)  # Some schedulers tell a script more than once.
    assert process.wait(60) == 5
    assert not checkout.ranks_alive()
    found = status_of(checkout.runs)
    assert found.counts == {"planned": 5, "timeout": 1}
    assert {p.reason for p in found.points if p.state is State.TIMEOUT} == {"slurm job 1: time limit of the job"}


def test_a_script_without_a_scheduler_s_signal_goes_by_its_own_clock(
    checkout: Checkout, partita: Partita, queue: Path, start: Start
) -> None:
    partita("submit", checkout.study(HANG), "--scheduler", "flux", "--time", "0:20")
    assert "sleep 10 &" in submissions(checkout.runs)[0].script.read_text()
    process = start()
    _wait(checkout.ranks_alive)
    assert process.wait(60) == 5
    assert not checkout.ranks_alive()
    assert "partita: the time limit of this job is near" in submissions(checkout.runs)[0].output.read_text()
