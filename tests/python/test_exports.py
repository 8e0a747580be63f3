# SPDX-License-Identifier: BSD-3-Clause
"""`partita export`: the long table as CSV and JSON, steps as xarray and netCDF; the command's own errors."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas
import pytest
import xarray
from synthetic_runs import write_runs

from partita.analysis.metrics import COLUMNS
from partita.errors import UsageError
from partita.exports.tables import dataset, frame
from synthetic import PHASES, Pipeline, Synthetic

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six runs at 2 ranks, steps of which the 6 are 2 of warm-up and 1 after a flush."""
    return write_runs(tmp_path_factory.mktemp("runs") / "runs", 0.02, repeats=6)


def test_csv_and_json_are_the_long_table(folder: Path, tmp_path: Path, partita: Command) -> None:
    table = frame(folder)
    for to in ("csv", "json"):
        code, out, err = partita("export", folder, "--to", to, "-o", tmp_path / "new" / f"t.{to}")
        assert (code, err) == (0, "") and f"{len(table)} rows -> " in out
    read = pandas.read_csv(tmp_path / "new" / "t.csv", keep_default_na=False, na_values=[""])
    objects = json.loads((tmp_path / "new" / "t.json").read_text(), parse_constant=pytest.fail)
    assert list(read.columns) == list(table.columns) == list(COLUMNS)
    assert len(read) == len(objects) == len(table)
    steps = [o for o in objects if o["metric"] == "step_s" and o["scope"] == "within run"]
    assert len(steps) == 6 and sorted(o["repeat"] for o in steps) == [1, 2, 3, 4, 5, 6]
    assert np.median([o["value"] for o in steps]) == pytest.approx(0.02, rel=3e-3)
    assert np.allclose(read["value"].to_numpy(float), table["value"].to_numpy(float), rtol=1e-8, equal_nan=True)
    over = read[(read["metric"] == "step_s") & (read["scope"] == "over runs")]
    assert len(over) == 1 and (over["low"] < over["value"]).all() and (over["value"] < over["high"]).all()


def test_a_dataset_holds_the_steps_that_count(tmp_path: Path) -> None:
    path = Synthetic(ranks=3, steps=9, warmup=2, step_s=lambda s: 0.01 * (1 + s)).write(tmp_path / "one.h5")
    made = dataset(path)
    assert dict(made.sizes) == {"step": 6, "rank": 3, "phase": len(PHASES)}
    assert made["step"].values.tolist() == [3, 4, 5, 6, 7, 8]  # 0 and 1 are warm-up, 2 follows a flush.
    seconds = (made["end_ns"] - made["start_ns"]).max("rank") * 1e-9
    assert seconds.values.tolist() == pytest.approx([0.04, 0.05, 0.06, 0.07, 0.08, 0.09])
    forward = made["phase_s"].sel(phase="forward", rank=1)
    assert forward.values == pytest.approx(0.25 * seconds.values) and made["phase_s"].attrs["units"] == "s"
    assert made["phase_class"].sel(phase="wait").item() == "wait" and made.attrs["ranks"] == 3
    assert "warmup" not in made and made["loss"].dims == ("step",)


def test_a_run_of_as_many_ranks_as_steps_has_no_columns_of_scales(tmp_path: Path) -> None:
    made = dataset(Synthetic(ranks=5, steps=5, warmup=1).write(tmp_path / "one.h5"))
    assert set(made.data_vars) == {"start_ns", "end_ns", "phase_s", "loss", "grad_norm", "samples"}


def test_nothing_that_counts_is_an_error(tmp_path: Path) -> None:
    path = Synthetic().write(tmp_path / "one.h5")
    with h5py.File(path, "r+") as file:
        file["steps/warmup"][:] = 1
    with pytest.raises(UsageError, match="holds no counted steps"):
        dataset(path)


def test_netcdf_of_a_record_and_of_a_folder(folder: Path, tmp_path: Path, partita: Command) -> None:
    one = Synthetic(ranks=2).write(tmp_path / "one.h5")
    assert partita("export", one, "--to", "xarray")[0] == 0
    with xarray.open_dataset(tmp_path / "one.nc") as read:
        assert read.equals(dataset(one).load()) and read.attrs["app"] == "mlp_dp"
    code, out, err = partita("export", folder, "--to", "xarray", "-o", tmp_path / "steps")
    assert (code, err) == (0, "") and "6 runs" in out
    assert sorted(p.name for p in (tmp_path / "steps").iterdir()) == [f"np2-a-r{r}.nc" for r in range(1, 7)]


def test_a_damaged_record_is_named_and_ends_nothing(tmp_path: Path, partita: Command) -> None:
    folder = write_runs(tmp_path / "runs", repeats=1)
    (folder / "empty.h5").touch()
    for to in ("csv", "json", "extrap", "thicket", "xarray"):
        code, out, err = partita("export", folder, "--to", to, "-o", tmp_path / "out" / to)
        assert (code, err) == (0, "") and "empty.h5" in out, to


def test_wrong_use_is_one_line_and_exit_2(folder: Path, tmp_path: Path, partita: Command) -> None:
    full = Pipeline().write(tmp_path / "a.h5")
    (tmp_path / "file").touch()
    for arguments, message in (
        ([], "nothing to write: expected FOLDER --to KIND, or --perfetto RECORD"),
        ([folder], "nothing to write"),
        ([folder, "--to", "excel"], "excel"),
        ([folder, "--to", "csv", "--work", "total"], "expected --to extrap with it"),
        ([folder, "--to", "csv", "--perfetto", full], "one of them alone"),
        ([tmp_path / "none", "--to", "csv"], "no such folder"),
        ([tmp_path / "none", "--to", "xarray"], "no such folder"),
        ([folder, "--to", "csv", "-o", tmp_path / "file" / "t.csv"], "cannot be written"),
        ([folder, "--to", "xarray", "-o", tmp_path / "file"], "cannot be written"),
    ):
        code, out, err = partita("export", *arguments)
        assert (code, out) == (2, "") and message in err and err.count("\n") == 1, arguments
