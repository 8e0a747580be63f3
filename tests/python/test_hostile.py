# SPDX-License-Identifier: BSD-3-Clause
"""A folder with every kind of damage: each file is named with its reason, and the rest is used."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from partita.analysis.run_metrics import measured
from partita.errors import UsageError
from partita.records.check import check_record
from partita.records.folder import RecordedStudy, read_folder
from partita.records.index import read_index
from partita.records.record import read_record
from synthetic import Synthetic

Damage = Callable[[Path], object]
Command = Callable[..., tuple[int, str, str]]


@contextmanager
def altered(path: Path, ranks: int = 2) -> Iterator[h5py.File]:
    Synthetic(ranks=ranks).write(path)
    with h5py.File(path, "r+") as file:
        yield file


def truncated(path: Path) -> None:
    path.write_bytes(Synthetic().write(path).read_bytes()[:-3000])


def foreign(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["temperature"] = np.arange(3.0)


def of_schema(version: int) -> Damage:
    def damage(path: Path) -> None:
        with altered(path) as file:
            file.attrs["schema_version"] = version

    return damage


def with_value(column: str, at: tuple[int, ...], value: float) -> Damage:
    def damage(path: Path) -> None:
        with altered(path) as file:
            file[column][at] = value

    return damage


def with_column(column: str, values: object) -> Damage:
    def damage(path: Path) -> None:
        with altered(path) as file:
            del file[column]
            if values is not None:
                file[column] = values

    return damage


def without_time(path: Path) -> None:
    with altered(path) as file:
        file["steps/end_ns"][5, :] = file["steps/start_ns"][5, :]


def backwards(path: Path) -> None:
    """One rank of two: the longest is as it should be."""
    with altered(path) as file:
        file["steps/end_ns"][5, 1] = file["steps/start_ns"][5, 1] - 7


def same_run(path: Path) -> None:
    shutil.copyfile(path.parent / "good1.h5", path)


def unreadable(path: Path) -> None:
    Synthetic().write(path).chmod(0)


HOSTILE: dict[str, tuple[Damage, str]] = {
    "backwards": (backwards, "/steps has steps that took no time, or less"),
    "changed_deck": (with_column("config/toml", "= ="), "/config/toml: not TOML"),
    "empty": (lambda path: path.write_bytes(b""), "an empty file"),
    "folder": (Path.mkdir, "a folder"),
    "foreign": (foreign, "Conventions: no such attribute, so not a record of Partita"),
    "incomplete": (lambda path: Synthetic(complete=0, exit_reason="SIGTERM").write(path), "incomplete (SIGTERM)"),
    "link": (lambda path: path.symlink_to(path.parent / "gone"), "a link to a file that is not there"),
    "loss_gone": (with_column("steps/loss", None), "no array loss"),
    "nan_phase": (with_value("steps/phase_s", (4, 1, 3), np.nan), "/steps has phases that took NaN seconds (1 of 168)"),
    "negative_phase": (with_value("steps/phase_s", (4, 1, 3), -1e-3), "/steps has phases that took less than no s"),
    "no_steps_counted": (lambda path: Synthetic(written=3).write(path), "holds no counted training steps"),
    "samples_gone": (with_column("steps/samples", None), "no array samples"),
    "schema_0": (of_schema(0), "schema_version: 0: expected 1 to"),
    "schema_99": (of_schema(99), "schema_version: 99, which a later Partita wrote"),
    "text": (lambda path: path.write_text("step,loss\n"), "no HDF5 file"),
    "traffic_short": (with_column("traffic/sent_bytes", np.ones((1, 3))), "/traffic/sent_bytes has 1 x 3 values, not"),
    "traffic_texts": (with_column("traffic/seconds", [["a", "b"]]), "/traffic/seconds holds no numbers"),
    "truncated": (truncated, "truncated file"),
    "twice": (same_run, "the same run as"),
    "evaluation_short": (with_column("evaluation/loss", np.ones(7)), "/evaluation/loss has 7 values, not 2"),
    "unverified": (lambda path: Synthetic(verified=0).write(path), "its results failed the run's own check"),
    "warmup_short": (with_column("steps/warmup", np.ones(3)), "/steps/warmup has 3 values, not 12"),
    "without_time": (without_time, "/steps has steps that took no time"),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good records, and one of each kind of damage."""
    folder = tmp_path_factory.mktemp("hostile")
    for ranks in (1, 2):
        Synthetic(ranks=ranks, point=f"np{ranks}-mpi-r1").write(folder / f"good{ranks}.h5")
    for name, (damage, _) in HOSTILE.items():
        damage(folder / f"{name}.h5")
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> tuple[RecordedStudy, dict[str, str]]:
    """The study, and notes by the file's name."""
    (study,), benches, notes = read_folder(folder)
    assert benches == []
    by_name = {name: note for note in notes for name in HOSTILE if f"/{name}.h5: " in note}
    assert len(by_name) == len(notes)  # Nothing is said twice.
    return study, by_name


@pytest.mark.parametrize("name", HOSTILE)
def test_the_file_is_named_with_its_reason(found: tuple[RecordedStudy, dict[str, str]], name: str) -> None:
    note = found[1][name]
    assert note.startswith("left out: ") and HOSTILE[name][1] in note and "\n" not in note


def test_the_rest_is_used(found: tuple[RecordedStudy, dict[str, str]]) -> None:
    study, _ = found
    assert [r.path.name for r in study.records] == ["good1.h5", "good2.h5"]
    assert [c.ranks for c in study.series[0].cells] == [1, 2] and study.warnings == ()


def test_the_index_names_what_headers_tell(folder: Path) -> None:
    index = read_index(folder)
    seen = {path.stem: why for path, why in index.refused}
    told = {
        name
        for name, (_, why) in HOSTILE.items()
        if "/" not in why and name not in ("loss_gone", "no_steps_counted", "samples_gone")
    }
    assert set(seen) == told
    assert all(HOSTILE[name][1] in why for name, why in seen.items())
    assert {h.path.stem for h in index.headers} == {*HOSTILE, "good1", "good2"}


def test_what_fuzzing_found_is_refused_in_a_line(tmp_path: Path) -> None:
    with altered(tmp_path / "endless.h5") as file:  # Extents of which nothing was written.
        file.create_dataset("own/x", (2**40,), dtype="f8", chunks=(8,))
    with pytest.raises(UsageError, match=r"/own/x has 1099511627776 values in 0 bytes"):
        check_record(tmp_path / "endless.h5")
    with altered(tmp_path / "texts.h5") as file:
        del file["summary/value"]
        file["summary/value"] = ["mpi"]
    with pytest.raises(UsageError, match=r"/summary: damaged"):
        check_record(tmp_path / "texts.h5")
    with altered(tmp_path / "long.h5") as file:
        file.attrs["ranks"] = "x" * 5000
    with pytest.raises(UsageError) as error:
        check_record(tmp_path / "long.h5")
    assert len(str(error.value)) < 2000


def test_a_summary_is_checked_when_it_is_asked_for(tmp_path: Path, partita: Command) -> None:
    with_column("summary/value", np.ones(7))(tmp_path / "long.h5")
    said = r"/summary/value has 7 values, not "
    (study,), _, notes = read_folder(tmp_path, measured)
    assert notes == [] and "step_s" in measured(study.records[0]).values
    with pytest.raises(UsageError, match=said):
        check_record(tmp_path / "long.h5")
    code, _, err = partita("show", tmp_path / "long.h5")
    assert code == 2 and "/summary/value has 7 values, not " in err and err.count("\n") == 1
    with altered(tmp_path / "server.h5") as file:  # Its metrics are made of it.
        file.attrs["engine"] = "mpi"
        del file["summary/value"]
        file["summary/value"] = np.ones(7)
    with pytest.raises(UsageError, match=said):
        read_record(tmp_path / "server.h5")


def test_a_column_shorter_than_the_first_is_named_when_it_is_asked_for(tmp_path: Path, partita: Command) -> None:
    with_column("evaluation/samples", np.ones(1))(tmp_path / "a.h5")
    code, _, err = partita("show", tmp_path / "a.h5")
    assert code == 2 and "/evaluation/samples has 1 values, not 2" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "damage, said",
    [
        (with_column("steps/warmup", np.zeros((6, 2), "i1")), "/steps/warmup has 6 x 2 values, not one for each step"),
        (with_column("evaluation/samples", np.ones(7)), "/evaluation/samples has 7 values, not 2"),
        (with_column("evaluation/samples", ["a", "b"]), "/evaluation/samples holds no numbers"),
        (with_column("evaluation/samples", None), "samples"),
    ],
)
def test_validate_sees_what_reading_does_not_look_at(tmp_path: Path, damage: Damage, said: str) -> None:
    damage(tmp_path / "a.h5")
    with pytest.raises(UsageError, match=said):
        check_record(tmp_path / "a.h5")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all files")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    Synthetic().write(tmp_path / "good.h5")
    unreadable(tmp_path / "locked.h5")
    (study,), _, notes = read_folder(tmp_path)
    assert len(study.records) == 1 and "locked.h5: " in notes[0] and "Permission denied" in notes[0]
