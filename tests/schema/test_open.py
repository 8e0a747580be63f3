# SPDX-License-Identifier: BSD-3-Clause
"""A record opens with xarray (h5netcdf, and netCDF4 where it is), h5py and h5dump, and says what it should."""

import importlib.util
import shutil
import subprocess

import formulas
import h5py
import numpy as np
import pytest
import xarray as xr

ENGINES = ["h5netcdf", pytest.param("netcdf4", marks=pytest.mark.skipif(
    importlib.util.find_spec("netCDF4") is None, reason="netCDF4 is not installed"))]
GROUPS = ["config", "environment", "calibration", "ranks", "steps", "traffic", "evaluation", "summary", "strategy", "events"]


@pytest.fixture(scope="module", params=["full", "stats", "incomplete"])
def record(request, write, tmp_path_factory):
    """A record of each kind."""
    options = {"full": [], "stats": ["--every", 4], "incomplete": ["--stop-at", 5]}[request.param]
    return write(tmp_path_factory.mktemp(request.param) / "x.h5", "--steps", 10, "--ranks", 3, *options)


@pytest.fixture(scope="module")
def full(write, tmp_path_factory):
    """A complete record in full detail."""
    return write(tmp_path_factory.mktemp("open") / "x.h5", "--steps", 10, "--ranks", 3)


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray_opens_every_group(record, engine):
    for group in [None, *GROUPS]:
        with xr.open_dataset(record, group=group, engine=engine) as data:
            data.load()


@pytest.mark.parametrize("engine", ENGINES)
def test_xarray_opens_the_whole_file_as_a_tree(record, engine):
    with xr.open_datatree(record, engine=engine) as tree:
        assert sorted(tree.children) == sorted(GROUPS)


@pytest.mark.parametrize("engine", ENGINES)
def test_steps_have_named_coordinates(full, engine):
    with xr.open_dataset(full, group="steps", engine=engine) as steps:
        assert steps["phase_s"].dims == ("step", "rank", "phase")
        assert list(steps["phase"].values) == formulas.PHASES
        assert list(steps["phase_class"].values) == formulas.CLASSES
        assert "phase_class" in steps.coords
        np.testing.assert_array_equal(steps["step"], np.arange(10))
        np.testing.assert_array_equal(steps["rank"], np.arange(3))
        np.testing.assert_array_equal(steps["phase_s"], formulas.phase_s(10, 3))
        forward = steps["phase_s"].sel(phase="forward", rank=2)
        np.testing.assert_array_equal(forward, formulas.phase_s(10, 3)[:, 2, 0])


@pytest.mark.parametrize("engine", ENGINES)
def test_types_survive_the_reader(full, engine):
    with xr.open_dataset(full, group="steps", engine=engine) as steps:
        expected = {"phase_s": "float64", "loss": "float64", "grad_norm": "float64", "start_ns": "int64", "end_ns": "int64", "samples": "int64",
                    "warmup": "int8", "flushed": "int8", "steps_written": "int64"}
        assert {name: str(steps[name].dtype) for name in expected} == expected
        assert steps["phase_s"].attrs["units"] == "s" and steps["phase_s"].attrs["cell_methods"] == "step: sum"
        assert steps["start_ns"].attrs["units"] == "ns"
        assert int(steps["steps_written"]) == 10


@pytest.mark.parametrize("engine", ENGINES)
def test_events_are_columns_with_names(full, engine):
    with xr.open_dataset(full, group="events", engine=engine) as events:
        for name, values in formulas.events(10, 3).items():
            assert events[name].dims == ("event",) and str(events[name].dtype) == "int64"
            np.testing.assert_array_equal(events[name], values)
        assert list(events["part_name"].values) == ["forward", "send"]
        sends = events.where(events["part_name"][events["part"]].drop_vars("part_name") == "send", drop=True)
        assert sends.sizes["event"] == 10 * 3 * formulas.EVENTS // 2
        assert list(events["unit_name"].values[events["unit"][:4]]) == ["linear0", "gelu0", "linear1", "linear0"]
        assert int(events["events_written"]) == 10 * 3 * formulas.EVENTS and int(events["events_dropped"]) == 10
        assert events.attrs["first_step"] == 0 and events.attrs["last_step"] == 9


@pytest.mark.parametrize("engine", ENGINES)
def test_a_clock_is_read_by_its_offset_and_drift(full, engine):
    with xr.open_dataset(full, group="ranks", engine=engine) as ranks:
        np.testing.assert_allclose(ranks["clock_drift"], [0, 1e-7, 2e-7])
        after_ns = ranks["clock_end_ns"] - ranks["clock_begin_ns"]
        np.testing.assert_allclose(ranks["clock_offset_ns"] + ranks["clock_drift"] * after_ns, ranks["clock_offset_end_ns"], atol=1e-6)


def test_a_record_without_events_has_no_such_group(write, tmp_path):
    with h5py.File(write(tmp_path / "x.h5", "--events", 0)) as file:
        assert "events" not in file


def test_statistics_reduce_what_full_detail_holds(write, tmp_path):
    write(tmp_path / "x.h5", "--steps", 10, "--ranks", 3, "--every", 4)
    with xr.open_dataset(tmp_path / "x.h5", group="steps") as steps:
        phase_s = formulas.phase_s(10, 3)
        step_s = (formulas.end_ns(10, 3) - formulas.start_ns(10, 3)) * 1e-9
        np.testing.assert_allclose(steps["phase_mean_s"], phase_s.mean(axis=1), rtol=1e-14)
        np.testing.assert_array_equal(steps["phase_min_s"], phase_s.min(axis=1))
        np.testing.assert_array_equal(steps["phase_max_s"], phase_s.max(axis=1))
        np.testing.assert_array_equal(steps["phase_max_rank"], phase_s.argmax(axis=1))
        np.testing.assert_allclose(steps["step_max_s"], step_s.max(axis=1), rtol=1e-14)
        np.testing.assert_array_equal(steps["full_step"], [0, 4, 8])
        np.testing.assert_array_equal(steps["phase_full_s"], phase_s[::4])
        np.testing.assert_array_equal(steps["end_full_ns"], formulas.end_ns(10, 3)[::4])


def test_summary_is_recomputable(full):
    with xr.open_dataset(full, group="steps") as steps, xr.open_dataset(full, group="summary") as summary:
        counted = steps.isel(step=((steps["warmup"] == 0) & (steps["flushed"] == 0)).values)
        step_s = (counted["end_ns"] - counted["start_ns"]).max("rank") * 1e-9
        value = summary["value"]
        assert float(value.sel(metric="step_s")) == pytest.approx(float(step_s.median()))
        assert float(value.sel(metric="samples_per_s")) == pytest.approx(float(counted["samples"].sum() / step_s.sum()))
        rank_s = (counted["end_ns"] - counted["start_ns"]).sum() * 1e-9
        for phase in formulas.PHASES:
            share = counted["phase_s"].sel(phase=phase).sum() / rank_s
            assert float(value.sel(metric=f"share_{phase}")) == pytest.approx(float(share))
        assert float(value.sel(metric="final_loss")) == float(steps["loss"][-1])


def test_h5py_reads_text_and_attributes(full):
    with h5py.File(full) as file:
        assert file["config/toml"].asstr()[()] == "# a comment with an umlaut: ä\n[train]\nsteps = 3\n"
        assert dict(file["environment"].attrs) == {"host": "here", "compiler": "g++"}
        assert file.attrs["Conventions"] == "Partita-1"
        assert file.attrs["complete"] == 1 and file.attrs["exit_reason"] == "done" and file.attrs["ranks"] == 3
        assert file["traffic/operation"].asstr()[0] == "allreduce/data/ring"
        assert file["traffic/sent_bytes"].shape == (1, 3)
        assert list(file["evaluation/step"]) == [1, 2]


def test_an_incomplete_run_is_cut_to_what_it_did(write, tmp_path):
    write(tmp_path / "x.h5", "--steps", 10, "--stop-at", 5)
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]
    with h5py.File(tmp_path / "x.h5") as file:
        assert file.attrs["complete"] == 0 and file.attrs["exit_reason"] == "signal 15"
        assert file["step"].shape == (5,) and file["steps_written"][()] == 5
        formulas.check_steps(file["steps"], 5, 2)
        assert file["events/rank"].shape == (5 * 2 * formulas.EVENTS,)
        formulas.check_events(file["events"], 5 * 2 * formulas.EVENTS, 2)


def test_layout_is_what_a_kill_cannot_hurt(full):
    with h5py.File(full) as file:
        def check(_, item):
            if isinstance(item, h5py.Dataset):
                assert item.chunks is None and item.maxshape == item.shape
                assert item.dtype.kind in "fiO" and item.dtype.names is None
        file.visititems(check)


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="h5dump is not installed")
def test_h5dump_reads_it_all(record):
    done = subprocess.run(["h5dump", record], capture_output=True, text=True, check=True)
    assert done.stderr == "" and '"forward", "allreduce", "wait"' in done.stdout


def test_a_running_record_can_be_read(writer, tmp_path):
    with subprocess.Popen([writer, tmp_path / "x.h5", "--steps", "20000", "--pause-us", "1000", "--announce"],
                          stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        try:
            with xr.open_dataset(tmp_path / "x.h5.part", group="steps", engine="h5netcdf") as steps:
                assert 0 <= int(steps["steps_written"]) < 20_000
            with h5py.File(tmp_path / "x.h5.part") as file:
                assert file.attrs["complete"] == 0 and file.attrs["exit_reason"] == "running"
        finally:
            process.kill()
