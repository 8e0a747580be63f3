# SPDX-License-Identifier: BSD-3-Clause
"""`partita run` with an app and a launcher that only pretend: records, resuming, failures, time-outs."""

import csv
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from conftest import Checkout, alive
from partita.studies import family, launch
from partita.studies.state import record_files

Command = Callable[..., tuple[int, str, str]]


def test_runs_every_point_once_in_the_seeded_order(checkout: Checkout, partita: Command) -> None:
    code, out, err = partita("run", checkout.study())
    assert (code, err) == (0, "")
    calls = checkout.calls()
    assert sorted(c[0] for c in calls) == sorted(f"{n}-r{r}" for r in "12" for n in ("np1-mpi", "np2-mpi", "np2-ring"))
    assert [c[0][-1] for c in calls] == list("111222")
    assert all(c[1] == c[0][2] and c[2:] == ["1", "false"] for c in calls)  # Ranks, OMP_NUM_THREADS, OMP_PROC_BIND.
    assert "6 points run, in" in out and str(checkout.runs) in out
    found = checkout.records()
    assert sorted(found) == sorted(c[0] for c in calls)
    for point, path in found.items():
        with h5py.File(path) as file:
            assert file.attrs["study"] == "fake" and file.attrs["point"] == point
        log = (path.parent / "log.txt").read_text()
        assert f"--set record.point={point}" in log and "fake: step 1, loss 2.3" in log
    assert (checkout.runs / "study.toml").read_text() == checkout.study().read_text()


def test_second_run_skips_what_is_finished(checkout: Checkout, partita: Command) -> None:
    partita("run", checkout.study())
    code, out, _ = partita("run", checkout.study())
    assert code == 0 and len(checkout.calls()) == 6
    assert "6 finished, 0 to run" in out and "6 finished before" in out


def test_missing_incomplete_and_damaged_records_run_again(checkout: Checkout, partita: Command) -> None:
    partita("run", checkout.study())
    found = checkout.records()
    found["np1-mpi-r1"].unlink()
    with h5py.File(found["np2-mpi-r1"], "r+") as file:
        file.attrs["complete"] = 0
    found["np2-ring-r2"].write_bytes(found["np2-ring-r2"].read_bytes()[:3000])
    code, _, _ = partita("run", checkout.study())
    assert code == 0
    assert sorted(c[0] for c in checkout.calls()[6:]) == ["np1-mpi-r1", "np2-mpi-r1", "np2-ring-r2"]


def test_another_binary_runs_again_and_old_records_stay_unseen(checkout: Checkout, partita: Command) -> None:
    partita("run", checkout.study())
    before = checkout.plan()
    app = checkout.root / "build" / "release" / "apps" / "mlp_dp" / "mlp_dp"
    app.write_text(app.read_text() + "# another build\n")
    code, _, _ = partita("run", checkout.study())
    assert code == 0 and len(checkout.calls()) == 12
    assert not set(before.values()) & set(checkout.plan().values())
    assert len(list(checkout.runs.glob("points/*/attempt-1/record.h5"))) == 12
    assert record_files(checkout.runs) == sorted(checkout.records().values()) and len(checkout.records()) == 6


def test_records_of_others_stay_where_they_are(checkout: Checkout, partita: Command, tmp_path: Path) -> None:
    from synthetic import Synthetic

    checkout.runs.mkdir(parents=True)
    other = Synthetic(study="another").write(checkout.runs / "other_000.h5")
    partita("run", checkout.study())
    assert other.exists()


def test_failing_points_are_reported_and_the_study_goes_on(checkout: Checkout, partita: Command) -> None:
    study = checkout.study(("train.steps = 12", 'fake.do = "fail_at_2"'))
    code, out, err = partita("run", study)
    assert code == 1 and err == ""
    assert len(checkout.calls()) == 6 and sorted(checkout.records()) == ["np1-mpi-r1", "np1-mpi-r2"]
    assert [a.number for a in checkout.attempts("np2-ring-r1")] == [1]  # A failure of the app's own: no retry.
    assert out.count("FAILED np2-") == 4 and "exit code 2 (usage or deck)" in out
    assert "    | error: the fake app was told to fail" in out
    assert "2 points run, 4 FAILED: " in out
    partita("run", study)
    assert [a.number for a in checkout.attempts("np2-ring-r1")] == [1, 2]  # Every attempt is kept.
    assert len(checkout.calls()) == 10  # What failed is tried again, what is finished is not.


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("no_record", "exit code 0, but no record was written"),
        ("incomplete", "exit code 0, but its record is incomplete"),
        ("wrong", "exit code 3 (a check of results failed)"),
    ],
)
def test_runs_without_a_good_record_fail(checkout: Checkout, partita: Command, do: str, reason: str) -> None:
    code, out, _ = partita(
        "run", checkout.study(("train.steps = 12", f'fake.do = "{do}"'), ("repeats = 2", "repeats = 1"))
    )
    assert code == 1 and out.count(reason) == 3
    assert len(checkout.records()) == (0 if do == "no_record" else 3)
    for point in checkout.plan():
        (attempt,) = checkout.attempts(point)
        assert attempt.exit["state"] == "failed" and attempt.exit["reason"].startswith(reason)


def test_time_out_ends_launcher_and_ranks(
    checkout: Checkout, partita: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "GRACE_S", 0.5)
    study = checkout.study(
        ("train.steps = 12", 'fake.do = "hang"'),
        ("seed = 7", "seed = 7\ntimeout_s = 1.0"),
        ("ranks = [1, 2]", "ranks = [1]"),
        ("repeats = 2", "repeats = 1"),
    )
    start = time.monotonic()
    code, out, _ = partita("run", study)
    assert code == 1 and "timed out after 1.0 s (key timeout_s of" in out
    assert checkout.ranks_alive() == [] and len(checkout.calls()) == 1
    assert checkout.attempts("np1-mpi-r1")[0].exit["state"] == "timeout"
    assert time.monotonic() - start < 60


def test_a_rank_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "GRACE_S", 0.5)
    script = "trap '' TERM; (trap '' TERM; exec setsid sh -c \"trap '' TERM; echo \\$\\$ > pid; sleep 60\") & wait"
    with family.guarded() as token:
        ended = launch.run(["sh", "-c", script], tmp_path / "log", tmp_path, {"PATH": "/usr/bin:/bin"}, 1.0, token)
    assert ended.timed_out
    assert not alive(int((tmp_path / "pid").read_text()))


def test_points_beyond_the_cores_run_but_are_flagged(
    checkout: Checkout, partita: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partita.studies.plan.available_cores", lambda: 1)
    code, out, _ = partita("run", checkout.study(("repeats = 2", "repeats = 1")))
    assert code == 0 and len(checkout.calls()) == 3
    assert "note: 1 cores here: points at 2 ranks x 1 threads are oversubscribed" in out
    assert out.count("(oversubscribed: 2 threads on 1 cores)") == 2


def test_threads_and_weak_batch_reach_the_app(checkout: Checkout, partita: Command) -> None:
    study = checkout.study(
        ("threads = 1", "threads = 3"),
        ("repeats = 2", "repeats = 1"),
        ('"strong"', '"weak"'),
        ("[grid]", "[per_rank]\ntrain.batch = 96\n[grid]"),
    )
    assert partita("run", study)[0] == 0
    assert {c[2] for c in checkout.calls()} == {"3"}
    with h5py.File(checkout.records()["np2-ring-r1"]) as file:
        assert file["steps/samples"][0] == 192


def test_one_run_at_a_time_in_a_folder(checkout: Checkout, partita: Command) -> None:
    import fcntl

    checkout.runs.mkdir(parents=True)
    with (checkout.runs / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = partita("run", checkout.study())
    assert code == 2 and "another `partita run` is at work here" in err and not checkout.calls()


def test_output_and_build_options(checkout: Checkout, partita: Command, tmp_path: Path) -> None:
    (checkout.root / "build" / "release").rename(checkout.root / "elsewhere")
    code, _, err = partita("run", checkout.study())
    assert code == 4 and "app: no binary" in err and "or --build" in err
    code, _, _ = partita("run", checkout.study(), "--build", checkout.root / "elsewhere", "--output", tmp_path / "here")
    assert code == 0 and len(checkout.records(tmp_path / "here")) == 6 and not checkout.runs.exists()


def test_missing_launcher_is_an_unfit_environment(checkout: Checkout, partita: Command) -> None:
    code, _, err = partita("run", checkout.study((str(checkout.root / "mpiexec"), "no-such-mpiexec")))
    assert code == 4 and "launcher: no command no-such-mpiexec" in err and err.count("\n") == 1


def test_dry_run_prints_commands_and_runs_nothing(checkout: Checkout, partita: Command) -> None:
    code, out, _ = partita("run", checkout.study(), "--dry-run")
    assert code == 0 and not checkout.calls() and not checkout.runs.exists()
    assert out.count(": OMP_NUM_THREADS=1 OMP_PROC_BIND=false ") == 3  # A line for each configuration.
    assert "build/release/apps/mlp_dp/mlp_dp inputs/mlp_dp/deck.toml --set parallel.allreduce=ring" in out


MPI, RING = (f"2 parallel.allreduce={how} train.steps=12" for how in ("mpi", "ring"))


def test_each_distinct_deck_is_validated_once_before_the_first_point(checkout: Checkout, partita: Command) -> None:
    assert partita("run", checkout.study())[0] == 0
    assert sorted(checkout.validations()) == [MPI, RING]  # Six points; at the most ranks that have the deck.
    assert partita("run", checkout.study())[0] == 0
    assert len(checkout.validations()) == 2  # Nothing to run, nothing to validate.


def test_a_dry_run_validates_too(checkout: Checkout, partita: Command) -> None:
    code, out, _ = partita("run", checkout.study(), "--dry-run")
    assert code == 0 and sorted(checkout.validations()) == [MPI, RING] and "mlp_dp: all 2 decks are accepted" in out
    assert not checkout.calls() and not checkout.runs.exists()


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
def test_a_deck_that_the_app_refuses_ends_the_study_before_the_first_point(
    checkout: Checkout, partita: Command, arguments: list[str]
) -> None:
    study = checkout.study(("train.steps = 12", 'fake.do = "invalid"'))
    code, _, err = partita("run", study, *arguments)
    assert code == 2 and not checkout.calls() and err.count("\n") == 1
    assert err.startswith(f"error: {study}: np2-ring-r") and "train.stepz: unknown key: expected train.steps" in err
    assert err.endswith(": expected a deck that `mlp_dp --validate` accepts at 2 ranks\n")


def test_an_app_that_cannot_validate_is_an_unfit_environment(checkout: Checkout, partita: Command) -> None:
    code, _, err = partita("run", checkout.study(("train.steps = 12", 'fake.do = "unfit"')))
    assert code == 4 and "refused by mlp_dp (exit code 4)" in err and not checkout.calls()


@pytest.mark.parametrize("batches, code", [([64, 127], 0), ([64, 120], 3), ([64, 64], 3)])
def test_weak_scaling_that_is_none_fails(checkout: Checkout, partita: Command, batches: list[int], code: int) -> None:
    weak = ('"strong"', '"weak"\nwork_tolerance = 0.02'), ("[grid]", f"[at_ranks]\ntrain.batch = {batches}\n[grid]")
    path = checkout.study(("repeats = 2", "repeats = 1"), *weak)
    found, out, err = partita("run", path)
    assert found == code and "3 points run" in out
    if code:
        assert err.startswith(f"error: {path}: kind: ") and err.count("\n") == 1
        assert ": expected a rank's work to be the same at every number of ranks" in err
    assert partita("run", path)[0] == code  # Finished or not, what was counted is looked at.


def test_strong_scaling_that_is_none_fails(checkout: Checkout, partita: Command) -> None:
    grown = ("[grid]", "[at_ranks]\ntrain.batch = [64, 65]\n[grid]"), ("repeats = 2", "repeats = 1")
    code, _, err = partita("run", checkout.study(*grown))
    assert code == 3 and ": expected a step's work to be the same at every number of ranks" in err


def test_a_study_that_compares_something_else_has_no_scaling(checkout: Checkout, partita: Command) -> None:
    """Work that differs between numbers of ranks is then no fault, and no speed-up is drawn."""
    grown = ("[grid]", "[at_ranks]\ntrain.batch = [64, 100]\n[grid]"), ("repeats = 2", "repeats = 1")
    assert partita("run", checkout.study(*grown, ('"strong"', '"compare"')))[0] == 0
    code, out, _ = partita("plot", checkout.runs)
    assert code == 0 and "(no scaling)" in out and "the study compares something else" in out
    rows = list(csv.DictReader((checkout.runs / "figures" / "scaling.csv").open()))
    assert len(rows) == 4 and all(float(row["step_s"]) > 0 and not row["speedup"] for row in rows)
    assert (checkout.runs / "figures" / "loss.png").is_file()


def test_repeats_may_be_given(checkout: Checkout, partita: Command) -> None:
    assert partita("run", checkout.study(), "--repeats", "1")[0] == 0 and len(checkout.calls()) == 3
    assert partita("run", checkout.study())[0] == 0 and len(checkout.calls()) == 6  # The rest.
