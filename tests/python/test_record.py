# SPDX-License-Identifier: BSD-3-Clause
"""Reading records: which steps count, what damage is called."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from partita.errors import UsageError
from partita.records.record import is_finished, read_record
from synthetic import SHARES, Synthetic


def test_counts_neither_warm_up_nor_steps_after_a_flush(tmp_path: Path) -> None:
    record = read_record(Synthetic(steps=12, warmup=3, step_s=lambda s: 0.01 * (s + 1)).write(tmp_path / "a.h5"))
    assert np.allclose(record.step_s, [0.01 * (s + 1) for s in range(4, 12)], rtol=1e-9)
    assert (
        len(record.step_s) == 8 and record.median_step_s == np.median(record.step_s) and record.samples_per_step == 64
    )
    assert record.config["parallel.allreduce"] == "mpi" and record.config["model.hidden"] == [32, 32]


def test_step_time_is_that_of_the_longest_rank(tmp_path: Path) -> None:
    path = Synthetic(ranks=2).write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        end = file["steps/end_ns"][()]
        end[:, 1] += 5_000_000
        file["steps/end_ns"][...] = end
    record = read_record(path)
    assert np.allclose(record.step_s, 0.035, rtol=1e-9) and np.allclose(record.mean_step_s, 0.0325, rtol=1e-9)


def test_phase_shares(tmp_path: Path) -> None:
    record = read_record(Synthetic(ranks=2).write(tmp_path / "a.h5"))
    assert record.phases[4] == "allreduce" and record.classes[4] == "communication"
    assert np.allclose(record.phase_share, SHARES, rtol=1e-9)


def test_statistics_over_ranks_only(tmp_path: Path) -> None:
    """record.detail = "stats": no columns with an axis of ranks."""
    path = Synthetic(ranks=2).write(tmp_path / "a.h5")
    full = read_record(path)
    share = full.phase_share
    with h5py.File(path, "r+") as file:
        steps = file["steps"]
        elapsed = (steps["end_ns"][()] - steps["start_ns"][()]) * 1e-9
        steps["phase_mean_s"], steps["step_mean_s"] = steps["phase_s"][()].mean(axis=1), elapsed.mean(axis=1)
        steps["step_max_s"] = elapsed.max(axis=1)
        for name in ("phase_s", "start_ns", "end_ns"):
            del steps[name]
    stats = read_record(path)
    assert np.array_equal(stats.step_s, full.step_s) and np.array_equal(stats.phase_share, share)


def test_part_holds_the_steps_written(tmp_path: Path) -> None:
    part = Synthetic(complete=0, exit_reason="running", written=7).write(tmp_path / "a.h5.part")
    record = read_record(part)
    assert (record.written_steps, record.planned_steps, record.complete) == (7, 12, False)
    assert not is_finished(part) and np.isfinite(record.steps["loss"]).all()


def test_part_without_steps(tmp_path: Path) -> None:
    record = read_record(Synthetic(complete=0, written=0).write(tmp_path / "a.h5.part"))
    assert np.isnan(record.median_step_s) and np.isnan(record.phase_share).all()


def test_finished_means_complete_and_verified(tmp_path: Path) -> None:
    assert is_finished(Synthetic().write(tmp_path / "a.h5"))
    assert not is_finished(Synthetic(verified=0).write(tmp_path / "b.h5"))
    assert not is_finished(tmp_path / "none.h5")


def _truncated(path: Path) -> None:
    Synthetic().write(path)
    path.write_bytes(path.read_bytes()[:4000])


def _foreign(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = 1


def _later(path: Path) -> None:
    Synthetic().write(path)
    with h5py.File(path, "r+") as file:
        file.attrs["Conventions"] = "Partita-2"


def _without_loss(path: Path) -> None:
    Synthetic().write(path)
    with h5py.File(path, "r+") as file:
        del file["steps/loss"]


def _overrun(path: Path) -> None:
    Synthetic().write(path)
    with h5py.File(path, "r+") as file:
        file["steps_written"][()] = 99


def _with(name: str, value: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        Synthetic().write(path)
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value

    return damage


def _replaced(column: str, change: Callable[[np.ndarray], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        Synthetic().write(path)
        with h5py.File(path, "r+") as file:
            values = file[column][()]
            del file[column]
            file[column] = change(values)

    return damage


def _texts(column: str) -> Callable[[Path], None]:
    return _replaced(column, lambda values: ["x"] * len(values))


def _flat(column: str) -> Callable[[Path], None]:
    return _replaced(column, lambda values: values.reshape(-1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_text("no HDF5"), "damaged, or not a record of Partita: "),
        (lambda path: path.write_bytes(b""), "damaged, or not a record of Partita: "),
        (_truncated, "damaged, or not a record of Partita: "),
        (_foreign, "Conventions: no such attribute, so not a record of Partita: expected 'Partita-1'"),
        (_later, "Conventions: 'Partita-2', so not a record of Partita: expected 'Partita-1'"),
        (_without_loss, "damaged, or not a record of Partita: "),
        (_overrun, "/steps_written is 99, /steps has 12 rows"),
        (_with("schema_version", 99), "schema_version: 99, which a later Partita wrote: expected 1 to 4"),
        (_with("schema_version", "two"), "schema_version: 'two' is no integer: expected one integer"),
        (_with("ranks", "two"), "ranks: 'two' is no integer: expected one integer"),
        (_with("ranks", [1, 2]), "ranks: array([1, 2]) is no integer: expected one integer"),
        (_with("complete", 1.5), "complete: 1.5 is no integer: expected one integer"),
        (_with("ranks", 0), "ranks: 0: expected 1 or more"),
        (_with("study", [1, 2]), "study: array([1, 2]) is no text: expected one text"),
        (_replaced("steps/phase_class", lambda _: ["compute"]), "/steps/phase_class has 1 values, /steps/phase 7"),
        (lambda path: Synthetic(step_s=lambda s: 0.0).write(path), "/steps has steps that took no time"),
        (_with("verified", h5py.Empty("i8")), "verified: "),
        (_with("flop_per_step", "many"), "flop_per_step: 'many' is no number: expected one number"),
        (_texts("steps/start_ns"), "/steps/start_ns holds no numbers"),
        (_texts("evaluation/accuracy"), "/evaluation/accuracy holds no numbers"),
        (_replaced("config/toml", lambda _: [1, 2]), "/config/toml holds no text"),
        (_flat("steps/end_ns"), "damaged, or not a record of Partita: "),
        (lambda path: None, "no such file"),
    ],
)
@pytest.mark.parametrize("name", ["a.h5", "a.h5.part"])
def test_damage_gives_one_line(tmp_path: Path, damage: object, message: str, name: str) -> None:
    path = tmp_path / name
    damage(path)
    with pytest.raises(UsageError) as error:
        read_record(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ") and message in text and ": expected " in text and "\n" not in text
