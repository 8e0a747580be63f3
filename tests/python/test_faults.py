# SPDX-License-Identifier: BSD-3-Clause
"""Studies of faults: drills are planned, run once, judged by how they are to end, told in table and picture."""

import csv
import math
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_checkpoint import write_checkpoint

from conftest import Checkout
from partita.analysis.drills import DrillCell, drill_cells, finding_of_drills
from partita.studies import family, launch
from partita.studies.drills import Drill
from partita.studies.endings import judged_drill
from partita.studies.stamps import moments, read_stamps
from partita.studies.state import State, new_attempt
from partita.studies.study import read_study
from partita.studies.toml_text import toml_value
from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
APP = """#!/bin/sh
case "$*" in *--validate*) exit 0;; esac
for last; do output=$last; done
echo "$*" >> calls.txt
echo "error: from before"
case "$*" in
  *'"kill"'*) echo "drill: kill of rank 1 in step 10"; cp part.h5 "$output.part"
      cp checkpoint.h5 "${{output%.h5}}.checkpoint.h5"
      sleep 0.2; echo "=   BAD TERMINATION OF ONE"; echo "=   EXIT STRING: Killed (signal 9)"; sleep 0.1; exit 9;;
  *'"nan"'*) echo "drill: nan of rank 1 in step 10"; echo "loss is fine"; exit 0;;
  *'"hang"'*) echo "error: something else"; exit 5;;
  *'"slow"'*) echo "drill: slow of rank 1 in step 10"; cp whole.h5 "$output"; exit 0;;
esac
"""
DRILLS = [("kill", 10, "[9, 137]"), ("nan", 10, "3"), ("hang", 10, "5"), ("slow", 10, "0")]


def drill(kind: str, step: int, code: str, more: str = "") -> str:
    return f'[[drill]]\nkind = "{kind}"\nrank = 1\nstep = {step}\nexit = {code}\n{more}\n'


TABLES = "".join(drill(*each) for each in DRILLS)


def study_of(checkout: Checkout, tables: str = TABLES, *more: tuple[str, str]) -> Path:
    """Of faults, with an app that ends as its drill says, or otherwise."""
    app = checkout.root / "build" / "release" / "apps" / "mlp_dp" / "mlp_dp"
    app.write_text(APP.replace("{{", "{").replace("}}", "}"))
    app.chmod(app.stat().st_mode | stat.S_IXUSR)
    fields = {"ranks": 2, "steps": 12, "warmup": 2}
    Synthetic(**fields, complete=0, exit_reason="running", written=8).write(checkout.root / "part.h5")
    Synthetic(**fields).write(checkout.root / "whole.h5")
    write_checkpoint(checkout.root / "checkpoint.h5", 6)
    head = [('kind = "strong"', 'kind = "faults"'), ("ranks = [1, 2]", "ranks = [2]"), ("repeats = 2", "repeats = 1"),
            ('equal_at_one_rank = ["parallel.allreduce"]\n', ""),
            ('[grid]\nparallel.allreduce = ["mpi", "ring"]\n', tables)]  # fmt: skip
    return checkout.study(*head, *more)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The study above, run once for all tests that only look."""
    from conftest import make_checkout
    from partita.cli import main

    root = tmp_path_factory.mktemp("faults")
    made = make_checkout(root, root)
    assert main(["run", str(study_of(made))]) == 1
    return made


def cells_of(checkout: Checkout) -> dict[str, DrillCell]:
    return {cell.name: cell for cell in drill_cells(checkout.runs)}


def test_the_study_of_the_project_holds_every_kind_for_all_apps() -> None:
    study = read_study(ROOT / "inputs" / "studies" / "faults.toml")
    kinds = {run.app: {d.fault["kind"] for d in run.drills} for run in study.runs}
    every = {"kill", "exception", "hang", "slow", "allocation", "disk_full"}
    assert study.kind == "faults" and len(kinds) == 4 and all(every <= found for found in kinds.values())
    assert kinds["mlp_dp"] == every | {"nan", "bitflip", "input"}
    of_cnn = {d.name: d for d in study.runs[2].drills}
    assert of_cnn["bitflip"].overrides["parallel.data"] == 2 and of_cnn["kill"].exit == (9, 137)


def test_a_drill_that_ends_as_it_is_to_is_done_and_any_other_stands_out(ran: Checkout) -> None:
    ends = {name: ran.attempts(f"np2-{name}-r1") for name in ("kill", "nan", "hang", "slow")}
    assert [len(tried) for tried in ends.values()] == [1, 1, 1, 1]  # A kill is no lost node: never tried again.
    states = {name: (tried[0].exit["state"], tried[0].exit["reason"]) for name, tried in ends.items()}
    assert states["kill"] == ("done", "") and states["slow"] == ("done", "")
    assert states["nan"] == ("failed", "exit code 0: expected 3 of nan")
    assert states["hang"][0] == "failed" and "hang was not done: the app told of no drill" in states["hang"][1]


def test_what_is_done_is_not_run_again(checkout: Checkout, partita: Command) -> None:
    path = study_of(checkout)
    code, out, _ = partita("run", path)
    assert code == 1 and "exit code 9 as expected, noticed after 0." in out and out.count("FAILED np2-") == 2
    partita("run", path)
    assert len(checkout.calls()) == 6
    study_of(checkout, TABLES.replace("exit = [9, 137]", "exit = 137"))
    assert partita("run", path)[0] == 1  # Another end is another point.
    assert checkout.attempts("np2-kill-r1")[-1].exit["reason"].endswith("expected 137 of kill")


def test_times_are_from_the_fault(ran: Checkout) -> None:
    cells = cells_of(ran)
    run = cells["kill"].first
    assert 0.15 < run.noticed_s < run.gone_s and run.gone_s >= 0.25 and "BAD TERMINATION" in run.words
    assert math.isnan(cells["slow"].first.noticed_s) and cells["slow"].first.gone_s >= 0
    assert math.isnan(cells["hang"].first.gone_s)  # Nothing was done: nothing to measure from.
    attempt = ran.attempts("np2-kill-r1")[0]
    said = [line for line in attempt.log.read_text().splitlines() if not line.startswith("# ")]
    assert [text for _, text in read_stamps(attempt.times)] == said


def test_steps_lost_and_what_survived(ran: Checkout) -> None:
    cells = cells_of(ran)
    kill, slow, nan = (cells[name].first for name in ("kill", "slow", "nan"))
    assert (kill.lost_record, kill.lost_checkpoint) == (2, 4)  # 10 done, 8 in the record, 6 in the checkpoint.
    assert kill.survived == "record of 8 steps, checkpoint after 6"
    assert slow.lost_record == 0 and math.isnan(slow.lost_checkpoint) and slow.survived == "whole record of 12 steps"
    assert nan.survived == "no record" and nan.lost_record == 10


def test_report_and_plot_tell_of_drills(ran: Checkout, partita: Command, tmp_path: Path) -> None:
    code, out, err = partita("report", ran.runs, "-o", tmp_path / "r.html", "--markdown", "--csv", tmp_path / "csv")
    assert (code, err) == (0, "") and "left out" not in out
    text, page = (tmp_path / "r.md").read_text(), (tmp_path / "r.html").read_text()
    assert "fake: drills of faults" in text and "2 of 4 drills ended as they" in text
    assert "nan: 1 of 1 did not end as expected (exit code 0: expected 3 of nan)" in text
    assert (
        "1 NOT as expected" in text and "record of 8 steps, checkpoint after 6" in text and "Noticed and gone" in page
    )
    (table,) = (tmp_path / "csv").glob("*_drills.csv")
    rows = {row["drill"]: row for row in csv.DictReader(table.open())}
    assert rows["kill"]["lost_checkpoint"] == "4" and rows["kill"]["as_expected"] == "1"
    assert rows["nan"]["as_expected"] == "0" and not rows["slow"]["noticed_s"]
    code, out, _ = partita("plot", ran.runs, "-o", tmp_path / "figures")
    assert code == 0 and "2 of 4 drills" in out and (tmp_path / "figures" / "drills.png").stat().st_size > 5000
    drawn = {row["drill"]: row for row in csv.DictReader((tmp_path / "figures" / "drills.csv").open())}
    assert float(drawn["kill"]["gone_s"]) == pytest.approx(float(rows["kill"]["gone_s"]))


def test_the_finding_names_the_slowest(ran: Checkout) -> None:
    *odd, last = finding_of_drills(list(cells_of(ran).values()))
    assert len(odd) == 2 and "(mlp_dp, kill)" in last and "at most 10 steps were missing" in last


def test_a_process_that_lives_on_is_ended_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "GRACE_S", 0.5)
    script = "echo 'drill: kill'; setsid sleep 60 & exit 9"
    begin = time.monotonic()
    with family.guarded() as token:
        ended = launch.run(["sh", "-c", script], tmp_path / "log", tmp_path, {"PATH": "/usr/bin:/bin"}, 30.0, token,
                           times=tmp_path / "times")  # fmt: skip
        assert family.members(token) == []
    assert (ended.status, ended.left) == (9, 1) and ended.gone_s >= 0.5 and time.monotonic() - begin < 25


@pytest.mark.parametrize(
    ("status", "left", "timed_out", "log", "state", "why"),
    [
        (9, 0, False, "", State.DONE, "exit code 9 as expected"),
        (9, 2, False, "", State.FAILED, "2 of its processes had to be ended"),
        (9, 0, True, "", State.TIMEOUT, "timed out after 30.0 s"),
        (9, 0, False, "slurmstepd: error: *** JOB 7 ON n1 CANCELLED DUE TO PREEMPTION ***", State.PREEMPTED, "Slurm"),
        (1, 0, False, "=   EXIT STRING: Killed (signal 9)", State.FAILED, "expected 9 of kill"),
    ],
)
def test_how_a_drill_is_judged(
    tmp_path: Path, status: int, left: int, timed_out: bool, log: str, state: State, why: str
) -> None:
    attempt = new_attempt(tmp_path, "point", {})
    attempt.log.write_text(log)
    attempt.times.write_text("0.5 drill: kill\n")
    ended = launch.Ended(status, timed_out, 1.0, 1.0, left)
    found, said = judged_drill(attempt, ended, Drill("kill", {"kind": "kill"}, (9,)), 30.0, "study.toml")
    assert found is state and why in said


def test_moments_begin_with_the_fault() -> None:
    lines = [(0.1, "error: before"), (0.5, "drill: nan of rank 1 in step 4"), (0.6, "step 5"),
             (0.9, "mlp_dp: 2 samples/s; verification FAILED: step 4"), (1.0, "error: later")]  # fmt: skip
    assert moments(lines) == (0.5, 0.9, lines[3][1])
    assert moments(lines[:3]) == (0.5, None, "") and moments(lines[:1]) == (None, None, "")


@pytest.mark.parametrize(
    ("tables", "more", "said"),
    [
        ("", (), 'kind: "faults" without [[drill]]'),
        (drill("kill", 3, "9") + drill("kill", 4, "9"), (), "each name once"),
        (drill("kill", 3, "true"), (), "exit of kill: true: expected an exit code"),
        (drill("kill", 3, "9", "stp = 1"), (), 'drill: unknown key "stp"'),
        (drill("kill", 3, "9", 'set = { output.path = "x" }'), (), "set of kill"),
        (TABLES, (("seed = 7", "seed = 7\nresume = 2"),), 'resume: given so, and kind is "faults"'),
        (TABLES, (('kind = "faults"', 'kind = "strong"'),), 'drill: given, and kind is "strong"'),
    ],
)
def test_studies_of_faults_that_make_no_sense(
    checkout: Checkout, partita: Command, tables: str, more: tuple, said: str
) -> None:
    code, _, err = partita("plan", study_of(checkout, tables, *more))
    assert code == 2 and said in err and err.count("\n") == 1


def test_tables_in_settings_are_toml() -> None:
    import tomllib

    faults = [{"kind": "kill", "rank": 1, "phase": "", "seconds": 0.5}]
    assert tomllib.loads(f"fault = {toml_value(faults)}")["fault"] == faults
