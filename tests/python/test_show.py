# SPDX-License-Identifier: BSD-3-Clause
"""`partita show`: what a reader finds in it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]


def line_with(out: str, start: str) -> list[str]:
    return next(line.split() for line in out.splitlines() if line.startswith(start))


def test_summary_of_a_record(tmp_path: Path, partita: Command) -> None:
    path = Synthetic(ranks=2, allreduce="ring", flop_per_step=3e9).write(tmp_path / "a.h5")
    code, out, err = partita("show", path)
    assert (code, err) == (0, "") and "warning" not in out
    assert out.startswith("mlp_dp, 2 ranks x 1 thread\n")
    assert "data-parallel ring" in out and "0123456789abcdef" in out and str(path) in out
    assert "Synthetic CPU (test data), 2 hardware threads" in out
    assert "median 30.000 ms, 80 % of steps 30.000 .. 30.000 ms" in out and "interval" not in out
    assert line_with(out, "steps counted")[2] == "9"
    assert "2,133 (median step of 64 samples)" in out and "100.0 Gflop/s" in out
    assert line_with(out, "allreduce ")[1:4] == ["communication", "12.0", "%"]
    assert line_with(out, "unattributed")[1] == "2.0"
    assert line_with(out, "loss, first step")[-1] == "2.3"
    assert line_with(out, "gradient norm, step 12")[-1] == "0.0833333" and "events" not in out
    assert "80.00 %" in out  # Accuracy after step 12.
    traffic = line_with(out, "allreduce/data/ring")
    assert traffic[1:3] == ["9", "36"] and "equal" in traffic
    assert line_with(out, "triad_byte_per_s")[1:] == ["10.00", "GB/s"]
    assert line_with(out, "step_s")[1] == "0.03"


def test_traffic_that_differs_from_the_closed_form_stands_out(tmp_path: Path, partita: Command) -> None:
    import h5py

    path = Synthetic(ranks=2).write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["traffic/sent_bytes"][0, 1] += 4
    assert "DIFFERS" in line_with(partita("show", path)[1], "allreduce/data/mpi")


@pytest.mark.parametrize(
    ("run", "warning"),
    [
        (
            Synthetic(complete=0, exit_reason="running", written=7),
            "incomplete: exit reason: running; 7 of 12 steps written",
        ),
        (Synthetic(oversubscribed=1), "oversubscribed: more threads than cores"),
        (Synthetic(verified=0), "its results failed the run's own check"),
    ],
)
def test_warnings_come_first(tmp_path: Path, partita: Command, run: Synthetic, warning: str) -> None:
    code, out, _ = partita("show", run.write(tmp_path / "a.h5.part"))
    assert code == 0 and out.splitlines()[1].startswith(f"warning: {warning}")


def test_a_norm_is_shown_where_a_step_made_a_gradient(tmp_path: Path, partita: Command) -> None:
    nan = float("nan")
    skipped = Synthetic(grad_norm=lambda s: nan if s == 11 else s).write(tmp_path / "a.h5")
    assert line_with(partita("show", skipped)[1], "gradient norm, step 11")[-1] == "10"
    for name, none in (("infer", lambda s: nan), ("older", None)):
        code, out, err = partita("show", Synthetic(grad_norm=none).write(tmp_path / f"{name}.h5"))
        assert (code, err) == (0, "") and "loss, step 12" in out and "gradient norm" not in out


def test_events_are_counted(tmp_path: Path, partita: Command) -> None:
    out = partita("show", Synthetic(ranks=2, events=7).write(tmp_path / "a.h5"))[1]
    assert " ".join(line_with(out, "events")) == "events 7 of steps 2 to 4, from 0 on; 2 more found no room"


# Phases are what builders call them; their number, names and order are the run's own.
FREE = (
    *((f"{name} {k}", "compute") for k in range(5) for name in ("attention", "feed-forward")),
    ("halo / exchange", "communication"), ("pull", "communication"), ("queue", "wait"), ("bubble", "other"),
)  # fmt: skip


def test_any_phases_are_shown(tmp_path: Path, partita: Command) -> None:
    path = Synthetic(ranks=2, phases=FREE, shares=[0.07] * len(FREE)).write(tmp_path / "a.h5")
    code, out, _ = partita("show", path)
    assert code == 0
    for name, cls in FREE:
        assert line_with(out, name)[len(name.split()) :][:3] == [cls, "7.0", "%"]
    assert line_with(out, "unattributed")[1:3] == ["2.0", "%"]


def test_part_without_a_single_step(tmp_path: Path, partita: Command) -> None:
    code, out, _ = partita("show", Synthetic(complete=0, written=0).write(tmp_path / "a.h5.part"))
    assert code == 0 and "0 of 12 steps written" in out and "Phases" not in out


def test_record_without_steps(tmp_path: Path, partita: Command) -> None:
    """As comm_bench writes it."""
    import h5py

    path = Synthetic(ranks=2, app="comm_bench").write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        for name in ("steps", "step", "phase", "steps_written"):
            del file[name]
    code, out, _ = partita("show", path)
    assert code == 0 and out.startswith("comm_bench, 2 ranks") and "Traffic" in out and "Phases" not in out


@pytest.mark.parametrize("name", ["a.h5", "a.h5.part"])
def test_damaged_file_is_one_error_and_exit_2(tmp_path: Path, partita: Command, name: str) -> None:
    path = Synthetic().write(tmp_path / name)
    path.write_bytes(path.read_bytes()[:2500])
    code, out, err = partita("show", path)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {path}: damaged, or not a record of Partita: ") and err.count("\n") == 1


def test_a_table_of_odd_types_is_one_error_and_exit_2(tmp_path: Path, partita: Command) -> None:
    import h5py

    path = Synthetic(ranks=2).write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["traffic/predicted_s"]
        file["traffic/predicted_s"] = ["soon"]
    code, _, err = partita("show", path)
    assert code == 2 and err.startswith(f"error: {path}: traffic: damaged") and err.count("\n") == 1


def test_a_later_schema_is_refused(tmp_path: Path, partita: Command) -> None:
    import h5py

    path = Synthetic().write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 99
    code, out, err = partita("show", path)
    assert (code, out) == (2, "")
    assert err == f"error: {path}: schema_version: 99, which a later Partita wrote: expected 1 to 4\n"
