# SPDX-License-Identifier: BSD-3-Clause
"""`partita report`: what it says of a folder, of files that cannot be used, of points that never ran."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from partita.reports.material import gather, study_folders
from partita.reports.reproduce import of_plan, of_record
from synthetic import Synthetic

Call = Callable[..., tuple[int, str, str]]


def strong(folder: Path, repeats: int = 2) -> Path:
    """A study on one and two ranks."""
    folder.mkdir(parents=True, exist_ok=True)
    for ranks in (1, 2):
        for repeat in range(1, repeats + 1):
            path = folder / f"np{ranks}-r{repeat}.h5"
            seconds = (0.020 if ranks == 1 else 0.012) * (1 + 0.01 * repeat)
            Synthetic(ranks=ranks, point=f"np{ranks}-mpi-r{repeat}", study=folder.name, flop_per_step=1e9,
                      step_s=lambda step, s=seconds: s).write(path)  # fmt: skip
            with h5py.File(path, "r+") as file:
                file.attrs["run_uuid"] = f"{folder.name}-{ranks}-{repeat}"
                file.attrs["command"] = f"build/apps/mlp_dp/mlp_dp inputs/a.toml --output /gone/np{ranks}.h5"
    return folder


def markdown(partita: Call, folder: Path, *more: object) -> str:
    """The report as Markdown."""
    target = folder.parent / "out" / "r.html"
    code, _, err = partita("report", folder, "-o", target, "--markdown", *more)
    assert (code, err) == (0, "")
    return target.with_suffix(".md").read_text()


def test_the_report_says_what_was_found_run_and_how_to_do_it_again(tmp_path: Path, partita: Call) -> None:
    text = markdown(partita, strong(tmp_path / "study"))
    sections = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert sections[0] == "What was found" and sections[-1] == "Where the statistics come from"
    assert {"Set-up", "What was planned, what ran", "How to reproduce each point"} <= set(sections)
    assert "Synthetic CPU" in text and "oneDNN" in text and "0123456789ab" in text
    assert "    OMP_NUM_THREADS=1 mpiexec -n 2 build/apps/mlp_dp/mlp_dp inputs/a.toml --output np2-mpi.h5" in text
    assert "mpiexec -n 1 " in text and text.count("mpiexec") == 2  # Once for all repeats.
    assert "12.18" in text  # Median of the runs, in milliseconds: 12 x 1.015.


def test_several_studies_below_one_folder(tmp_path: Path, partita: Call) -> None:
    strong(tmp_path / "all" / "one")
    strong(tmp_path / "all" / "two")
    (tmp_path / "all" / "one" / "superseded").mkdir()
    (tmp_path / "all" / "one" / "superseded" / "old.h5").write_bytes(b"")
    assert [p.name for p in study_folders(tmp_path / "all")] == ["one", "two"]
    text = markdown(partita, tmp_path / "all")
    assert "2 studies" in text and "## one: mlp\\_dp" in text and "## two: mlp\\_dp" in text


def test_studies_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    strong(tmp_path / "all" / "monday" / "s")
    strong(tmp_path / "all" / "tuesday" / "s")
    material = gather(tmp_path / "all")
    assert [s.name for s in material.studies] == ["monday/s/s", "tuesday/s/s"]
    assert set(material.table["study"]) == {"monday/s/s", "tuesday/s/s"}


def damage(folder: Path) -> dict[str, str]:
    """Files that cannot be used -> what must be said of them."""
    whole = (folder / "np1-r1.h5").read_bytes()
    (folder / "truncated.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.h5").write_bytes(b"")
    with h5py.File(folder / "foreign.h5", "w") as file:
        file["temperature"] = np.arange(3)
    for name in ("newer", "nan", "zero"):
        Synthetic(point=f"{name}-r1", study=folder.name).write(folder / f"{name}.h5")
        with h5py.File(folder / f"{name}.h5", "r+") as file:
            file.attrs["run_uuid"] = name
            if name == "newer":
                file.attrs["schema_version"] = 999
            elif name == "nan":
                file["steps/phase_s"][5, 0, 1] = np.nan
            else:
                file["steps/end_ns"][6, 0] = file["steps/start_ns"][6, 0]
    return {"truncated.h5": "truncated", "empty.h5": "damaged", "foreign.h5": "not a record", "newer.h5": "999",
            "nan.h5": "", "zero.h5": ""}  # fmt: skip


def test_bad_files_are_named_with_the_reason_and_stop_nothing(tmp_path: Path, partita: Call) -> None:
    folder = strong(tmp_path / "study")
    expected = damage(folder)
    text = markdown(partita, folder, "--csv", tmp_path / "csv")
    with (tmp_path / "csv" / "left_out.csv").open() as stream:
        rows = {row["file"]: row["reason"] for row in csv.DictReader(stream)}
    assert set(expected) <= set(rows)
    for name, word in expected.items():
        assert rows[name] and word in rows[name], name
        assert name.replace("_", "\\_") in text
    assert "records left out" in text and str(tmp_path) not in text
    with (tmp_path / "csv" / "points.csv").open() as stream:
        assert [(r["records_used"], r["records_left_out"]) for r in csv.DictReader(stream)] == [("4", "6")]


def test_a_folder_of_nothing_usable_is_an_error_with_the_reasons(tmp_path: Path, partita: Call) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.h5").write_bytes(b"")
    code, _, err = partita("report", tmp_path)
    assert code == 2 and "one.h5" in err and "two.h5" in err and err.count("error:") == 1
    assert not (tmp_path / "report.html").exists()
    for missing in (tmp_path / "nowhere", tmp_path / "bare"):
        (tmp_path / "bare").mkdir(exist_ok=True)
        assert partita("report", missing)[0] == 2


def test_planned_points_that_have_no_result_are_listed_with_their_state(tmp_path: Path, partita: Call) -> None:
    folder = strong(tmp_path / "study")
    points = [{"hash": f"{i:012x}", "name": f"p{i}-r1", "app": "mlp_dp", "ranks": 1, "threads": 1, "settings": {},
               "command": ["mpiexec", "-n", "1", "app", "deck.toml"], "environment": {"OMP_NUM_THREADS": "1"}}
              for i in range(3)]  # fmt: skip
    (folder / "plan.json").write_text(json.dumps({"format": "partita-plan-1", "points": points}))
    place = folder / "points" / points[1]["hash"] / "attempt-1"
    place.mkdir(parents=True)
    (place / "job.json").write_text("{}")
    (place / "exit.json").write_text(json.dumps({"state": "timeout", "status": 9, "reason": "took more than 5 s"}))
    text = markdown(partita, folder, "--csv", tmp_path / "csv")
    with (tmp_path / "csv" / "not_done.csv").open() as stream:
        rows = {r["point"]: (r["state"], r["reason"], r["attempts"]) for r in csv.DictReader(stream)}
    assert rows["p1-r1"] == ("timeout", "took more than 5 s", "1")
    assert rows["p0-r1"][0] == rows["p2-r1"][0] == "planned"
    assert "3 planned points have no result" in text
    assert "| study | planned | done |" in text and "| point | state | reason | attempts |" in text
    assert "| ranks | 2 | 1, 2 |" in text  # Factors of the records, where the plan varies nothing.
    assert "    OMP_NUM_THREADS=1 mpiexec -n 1 app deck.toml" in text


def test_csv_has_every_table_and_all_metrics(tmp_path: Path, partita: Call) -> None:
    folder = strong(tmp_path / "study", repeats=6)
    markdown(partita, folder, "--csv", tmp_path / "csv")
    names = {p.name for p in (tmp_path / "csv").iterdir()}
    assert {"metrics.csv", "setup.csv", "points.csv", "study_time_and_scaling.csv", "study_factors.csv"} <= names
    with (tmp_path / "csv" / "study_time_and_scaling.csv").open() as stream:
        two = next(row for row in csv.DictReader(stream) if row["ranks"] == "2")
    assert float(two["step_s"]) == pytest.approx(0.012 * 1.035)
    assert float(two["step_s_low"]) < float(two["step_s"]) < float(two["step_s_high"])
    assert float(two["step_s_level"]) == pytest.approx(1 - 2 / 2**6)


def test_a_point_of_the_plan_is_a_line_for_a_shell() -> None:
    point = {"name": "np2-a b-r3", "command": ["mpiexec", "-n", "2", "app", "a b.toml", "--output", "x/y.h5"],
             "environment": {"B": "2", "A": "1 2"}}  # fmt: skip
    assert of_plan(point) == "A='1 2' B=2 mpiexec -n 2 app 'a b.toml' --output 'np2-a b.h5'"


def test_a_record_without_a_command_has_no_line(tmp_path: Path) -> None:
    from partita.records.record import read_record

    path = Synthetic(point="p-r1").write(tmp_path / "a.h5")
    assert of_record(read_record(path)) == "OMP_NUM_THREADS=1 mpiexec -n 1 synthetic"
    with h5py.File(path, "r+") as file:
        file.attrs["command"] = ""
    assert of_record(read_record(path)) == ""


def test_where_it_cannot_be_written_is_an_error(tmp_path: Path, partita: Call) -> None:
    folder = strong(tmp_path / "study", repeats=1)
    (tmp_path / "file").write_text("")
    code, _, err = partita("report", folder, "-o", tmp_path / "file" / "r.html")
    assert code == 2 and "cannot be written" in err
