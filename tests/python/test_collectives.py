# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of comm_bench records: panels, lines, fits and numbers."""

import csv
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from matplotlib.axes import Axes

from partita.pictures.collectives import collectives_pictures
from partita.records.record import read_record
from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]
SIZES = [8, 64, 512, 4096, 32768]
ALPHA, BETA = np.array([2e-6, 1e-6]), np.array([1e-9, 0.5e-9])


def bench_record(path: Path, operations: tuple[str, ...] = ("allreduce", "halo"), sizes: list[int] = SIZES) -> Path:
    """As comm_bench writes it: times on a line."""
    Synthetic(ranks=2, app="comm_bench").write(path)
    median = ALPHA + BETA * np.array(sizes)[:, None]
    with h5py.File(path, "r+") as file:
        for name in ("steps", "step", "phase", "steps_written"):
            del file[name]
        for operation in operations:
            group = file.create_group(operation)
            group["byte"], group["algorithm"] = sizes, ["mpi", "ring"]
            group["median_s"], group["ci_low_s"], group["ci_high_s"] = median, 0.9 * median, 1.25 * median
            group["busbw_byte_per_s"] = np.array(sizes)[:, None] / median
            if len(sizes) > 4:
                group["alpha_s"], group["beta_s_per_byte"] = ALPHA, BETA
    return path


def lines(axes: Axes, label: str) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(line.get_xdata(), line.get_ydata()) for line in axes.lines if line.get_label() == "_" + label]


def test_a_panel_for_each_operation_a_line_for_each_algorithm_fits_dashed(tmp_path: Path) -> None:
    time, bandwidth = collectives_pictures(read_record(bench_record(tmp_path / "a.h5")))
    assert (time.name, bandwidth.name) == ("time", "bandwidth")
    assert [a.get_title(loc="left") for a in time.figure.axes] == ["all-reduce", "halo"]
    panel = time.figure.axes[0]
    ((x, y),) = lines(panel, "ring")
    np.testing.assert_allclose(x, SIZES)
    np.testing.assert_allclose(y, 1e6 * (1e-6 + 0.5e-9 * np.array(SIZES)))
    mpi, ring = lines(panel, "fit")
    np.testing.assert_allclose(mpi[1], 1e6 * (2e-6 + 1e-9 * mpi[0]))
    np.testing.assert_allclose(ring[1][-1], 1e6 * (1e-6 + 0.5e-9 * SIZES[-1]))
    ((_, rate),) = lines(bandwidth.figure.axes[1], "mpi")
    np.testing.assert_allclose(rate[-1], SIZES[-1] / (2e-6 + 1e-9 * SIZES[-1]) / 1e9)
    assert not lines(bandwidth.figure.axes[0], "fit")
    labels = [text.get_text() for text in time.figure.legends[0].get_texts()]
    assert labels == ["mpi", "ring", "fit"]
    said = " ".join(text.get_text() for text in time.figure.texts)
    assert "least latency 1 us (all-reduce ring), most bandwidth 2 GB/s (all-reduce ring)" in said
    said = " ".join(text.get_text() for text in bandwidth.figure.texts)
    assert "most bus bandwidth: 1.88 GB/s, halo ring at 32 KiB" in said or "all-reduce ring at 32 KiB" in said


def test_without_fits_nothing_is_dashed(tmp_path: Path) -> None:
    time, _ = collectives_pictures(read_record(bench_record(tmp_path / "a.h5", ("allreduce",), SIZES[:4])))
    assert not lines(time.figure.axes[0], "fit")
    assert "dashed" not in "".join(text.get_text() for text in time.figure.texts)


def test_plot_writes_pictures_and_numbers(tmp_path: Path, partita: Command) -> None:
    bench_record(tmp_path / "net.h5")
    code, out, err = partita("plot", tmp_path)
    assert (code, err) == (0, "") and "net_time.png, net_bandwidth.png" in out
    with (tmp_path / "figures" / "net_time.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * len(SIZES) * 2
    last = next(r for r in rows if r["operation"] == "halo" and r["algorithm"] == "ring" and r["byte"] == "32768")
    assert float(last["fit_s"]) == pytest.approx(float(last["median_s"]), rel=1e-6)
    assert last["overlap_of_possible"] == ""


def test_a_table_of_another_shape_is_one_error(tmp_path: Path, partita: Command) -> None:
    path = bench_record(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["halo/median_s"]
        file["halo/median_s"] = np.ones(3)
    code, _, err = partita("show", path)
    assert code == 2 and "/halo/median_s has not one value for each byte and algorithm" in err
