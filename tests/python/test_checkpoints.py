# SPDX-License-Identifier: BSD-3-Clause
"""Records with checkpoints, records of runs that went on, and the interval that loses least."""

import math
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.special import lambertw

from partita.analysis.checkpoints import daly_s, expected_s, in_steps, in_words, young_s
from partita.analysis.metrics import metrics_table
from partita.pictures.agreement import agreement_picture
from partita.pictures.curves import accuracy_picture, loss_picture
from partita.records.folder import read_folder
from partita.records.header import read_header
from partita.records.record import common_steps, read_record
from partita.reports.cells import over_runs
from partita.reports.checkpoints import checkpoint_blocks
from partita.reports.learning import curve
from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]
SAVED = ((4, 0.5, 1_000_000), (8, 1.5, 3_000_000), (12, 0.7, 1_000_000))


def exact_s(cost: float, mtbf: float) -> float:
    """Where the derivative of expected_s vanishes: (tau/M - 1) exp(tau/M - 1) = -exp(-C/M - 1)."""
    return mtbf * (1 + float(lambertw(-math.exp(-cost / mtbf - 1)).real))


def test_young_and_daly_give_known_answers() -> None:
    assert young_s(2, 100) == pytest.approx(20)
    assert young_s(300, 24 * 3600) == pytest.approx(7200)  # Five minutes, once a day: every two hours.
    assert daly_s(2, 100) == pytest.approx(20 * (1 + 0.1 / 3 + 0.01 / 9) - 2)
    assert daly_s(200, 100) == daly_s(500, 100) == 100
    assert daly_s(1e-6, 1e6) == pytest.approx(young_s(1e-6, 1e6), rel=1e-5)


@pytest.mark.parametrize("share", [1e-4, 1e-2, 0.1, 0.5])
def test_daly_is_the_minimum_of_the_expected_time(share: float) -> None:
    best = exact_s(share, 1.0)
    for factor in (0.9, 1.1):
        assert expected_s(9, best, share, 0.1, 1) < expected_s(9, factor * best, share, 0.1, 1)
    assert daly_s(share, 1.0) == pytest.approx(best, rel=0.01)
    assert share < 0.05 or young_s(share, 1.0) > 1.05 * best  # The first order no longer is.


def test_the_expected_time_is_that_of_a_simulation() -> None:
    draw = np.random.default_rng(3)
    work, cost, restart, mtbf = 0.8, 0.2, 0.3, 1.0
    times = []
    for _ in range(20_000):
        total, needed = 0.0, work + cost
        while (failure := draw.exponential(mtbf)) < needed:
            total, needed = total + failure, restart + work + cost
        times.append(total + needed)
    assert np.mean(times) == pytest.approx(expected_s(work, work, cost, restart, mtbf), rel=0.03)


def test_what_no_interval_has() -> None:
    for wrong in ((0, 1), (1, 0), (-1, 1), (math.nan, 1)):
        with pytest.raises(ValueError, match="not above 0"):
            young_s(*wrong)
    with pytest.raises(ValueError, match="restart_s"):
        expected_s(1, 1, 1, -1, 1)
    assert expected_s(1, 1e6, 1, 1, 1) == math.inf
    assert in_steps(0.01, 1.0).steps == 1 and in_steps(2.6, 1.0).steps == 3
    assert [in_words(s) for s in (45, 90, 3600, 86400, 604800)] == ["45 s", "1.5 min", "1 h", "1 day", "7 days"]


def folder_of(tmp_path: Path, **fields: object) -> Path:
    """A run from the begin, and one that went on after 8 steps."""
    Synthetic(steps=20, point="np1-a-r1", run_uuid="a", **fields).write(tmp_path / "a.h5")
    Synthetic(steps=12, first_step=8, point="np1-a-r2", run_uuid="b", loss=lambda s: 2.3 / (1 + 0.1 * (s + 8)),
              **fields).write(tmp_path / "b.h5")  # fmt: skip
    return tmp_path


def test_metrics_of_checkpoints(tmp_path: Path) -> None:
    Synthetic(checkpoints=SAVED).write(tmp_path / "a.h5")
    (study,), _, _ = read_folder(tmp_path)
    table = metrics_table([study])
    rows = {r["metric"]: r for r in table[table["scope"] == "within run"].to_dict("records")}
    assert rows["checkpoint_s"]["value"] == 0.7 and rows["checkpoint_s"]["n"] == 3
    assert rows["checkpoint_bytes"]["value"] == 1e6 and rows["checkpoint_share"]["value"] == 0.25
    assert rows["checkpoint_byte_per_s"]["value"] == pytest.approx(5e6 / 2.7)
    (grid,) = checkpoint_blocks(over_runs(table, study.name), study.name, (3600.0,))
    (row,) = grid.numbers
    assert row["young_s"] == pytest.approx(math.sqrt(2 * 0.7 * 3600)) and row["step_s"] == pytest.approx(0.03)
    assert row["young_steps"] == round(math.sqrt(2 * 0.7 * 3600) / 0.03) and row["daly_s"] < row["young_s"]
    assert grid.columns[-2:] == ("Young, M = 1 h", "Daly, M = 1 h")


def test_a_run_without_checkpoints_has_none_of_it(tmp_path: Path) -> None:
    Synthetic().write(tmp_path / "a.h5")
    (study,), _, _ = read_folder(tmp_path)
    table = metrics_table([study])
    assert not table["metric"].str.startswith("checkpoint").any()
    assert checkpoint_blocks(over_runs(table, study.name), study.name) == []


def test_show_and_report_say_what_they_cost(tmp_path: Path, partita: Command) -> None:
    path = Synthetic(checkpoints=SAVED, steps=12, first_step=3).write(tmp_path / "a.h5")
    code, out, _ = partita("show", path)
    assert code == 0 and "3 checkpoints, the last after step 12" in out and "25.0 %" in out
    assert "went on from step 3" in out and "loss, step 4, its first" in out and "loss, step 15" in out
    code, _, err = partita("report", tmp_path, "--mtbf", "0")
    assert code == 2 and "--mtbf: 0: expected seconds above 0" in err
    code, _, err = partita("report", tmp_path, "--mtbf", "7200", "--markdown", "--csv", tmp_path / "csv")
    text = (tmp_path / "report.md").read_text()
    assert code == 0 and "How often to leave a checkpoint" in text and "Daly, M = 2 h" in text
    assert "went on from step 3" in text and any("checkpoint_interval" in p.name for p in (tmp_path / "csv").iterdir())


def test_steps_that_went_on_are_where_they_were(tmp_path: Path) -> None:
    (study,), _, _ = read_folder(folder_of(tmp_path))
    assert any("np1-a-r2 went on from step 8" in w and "of 2 runs, 1 hold" in w for w in study.warnings)
    header = read_header(tmp_path / "b.h5")
    assert header.usable and header.first_step == 8 and header.note == "went on from step 8"
    whole, rest = (read_record(tmp_path / f"{name}.h5") for name in "ab")
    assert whole.samples_so_far[8:].tolist() == rest.samples_so_far.tolist() and rest.samples_so_far[0] == 9 * 64
    assert common_steps([whole, rest]) == (8, 12) and rest.last_grad_norm()[0] == 20
    picture = loss_picture(study)
    rows = list(picture.table)
    assert [r["step"] for r in rows] == list(range(9, 21)) and rows[0]["samples"] == 9 * 64
    assert [r["loss"] for r in rows] == pytest.approx(whole.steps["loss"][8:])
    drawn = curve(study.series[0].cells[0])
    assert drawn.samples[0] == 9 * 64 and drawn.loss[-1] == pytest.approx(whole.steps["loss"][-1])


def test_evaluations_of_a_run_that_went_on(tmp_path: Path) -> None:
    Synthetic(steps=12, first_step=8).write(tmp_path / "b.h5")
    (study,), _, _ = read_folder(tmp_path)
    picture = accuracy_picture(study)
    rows = list(picture.table)
    assert [(r["step"], r["samples"]) for r in rows] == [(14, 14 * 64), (20, 20 * 64)]


def test_agreement_is_at_the_same_steps(tmp_path: Path) -> None:
    folder_of(tmp_path)
    Synthetic(steps=20, ranks=2, point="np2-a-r1", loss=lambda s: 2.3001 / (1 + 0.1 * s)).write(tmp_path / "c.h5")
    (study,), _, _ = read_folder(tmp_path)
    picture = agreement_picture(study)
    rows = list(picture.table)
    assert {r["step"] for r in rows} == set(range(9, 21))
    assert max(r["relative_difference"] for r in rows) == pytest.approx(0.0001 / 2.3, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("seconds", [0.5, -1.0, 0.7], "/checkpoints/seconds"),
        ("seconds", [0.5, math.nan, 0.7], "/checkpoints/seconds"),
        ("step", [4, 4, 8], "/checkpoints/step"),
        ("step", [4, 8, 99], "/checkpoints/step"),
        ("bytes", [1, 0, 1], "/checkpoints/bytes"),
        ("seconds", [0.5, 0.7], "/checkpoints/seconds has 2 values, not 3"),
        ("bytes", ["a", "b", "c"], "/checkpoints/bytes holds no numbers"),
    ],
)
def test_wrong_tables_are_named(tmp_path: Path, partita: Command, name: str, values: list, said: str) -> None:
    path = Synthetic(checkpoints=SAVED).write(tmp_path / "a.h5")
    assert partita("validate", path)[0] == 0
    with h5py.File(path, "r+") as file:
        del file[f"checkpoints/{name}"]
        file[f"checkpoints/{name}"] = values
    code, out, err = partita("validate", path)
    assert code != 0 and said in out + err, out + err
    if said == f"/checkpoints/{name}" and name == "seconds":
        (study,), _, _ = read_folder(tmp_path)
        table = metrics_table([study])
        row = table[table["metric"] == "checkpoint_s"].to_dict("records")[0]
        assert math.isnan(row["value"]) and "not above 0" in row["reason"]


def test_a_first_step_that_the_steps_deny(tmp_path: Path, partita: Command) -> None:
    path = Synthetic(first_step=5).write(tmp_path / "a.h5")
    assert partita("validate", path)[0] == 0
    with h5py.File(path, "r+") as file:
        file.attrs["first_step"] = 4
    code, out, err = partita("validate", path)
    assert code != 0 and "/step: begins with 5: expected 4, as first_step says" in out + err
    with h5py.File(path, "r+") as file:
        file.attrs["first_step"] = -1
    assert "first_step: -1: expected 0 or more" in "".join(partita("validate", path)[1:])
