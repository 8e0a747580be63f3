# SPDX-License-Identifier: BSD-3-Clause
"""What a record of mlp_dp holds, as its readers see it."""

import h5py
import numpy as np
import pytest
import xarray

GROUPS = {"config", "environment", "calibration", "ranks", "steps", "traffic", "evaluation", "summary"}
PHASES = ["input", "forward", "loss", "backward", "wait", "exchange", "update"]


def parameters() -> int:
    widths = [17, 33, 17, 5]  # of inputs/mlp_dp/tiny.toml
    return sum(a * b + b for a, b in zip(widths, widths[1:]))


def text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def test_groups_and_root_attributes(run):
    with h5py.File(run(2)) as file:
        assert GROUPS <= set(file)
        attributes = {name: text(value) for name, value in file.attrs.items()}
        assert attributes["Conventions"] == "Partita-1"
        assert attributes["app"] == "mlp_dp"
        assert attributes["strategy"] == "allreduce/mpi"
        assert attributes["ranks"] == "2" and attributes["complete"] == "1" and attributes["verified"] == "1"
        for name in ("schema_version", "run_uuid", "created_utc", "git_sha", "config_hash", "command", "exit_reason"):
            assert attributes[name], name


def test_xarray_opens_the_steps_and_phases_add_up(run):
    with xarray.open_dataset(run(3, "train.batch=50"), group="steps") as steps:
        assert steps.phase_s.dims == ("step", "rank", "phase")
        assert [text(name) for name in steps.phase.values] == PHASES
        assert steps.sizes == {"step": 20, "rank": 3, "phase": 7}
        elapsed = (steps.end_ns - steps.start_ns) * 1e-9
        total = steps.phase_s.sum("phase")
        assert bool((total <= elapsed + 1e-9).all())
        # What no phase covers is a few readings of the clock.
        assert float((total / elapsed).median()) > 0.9
        assert bool((steps.samples == 50).all())
        assert steps.warmup.values.tolist() == [1, 1] + [0] * 18
        assert int(steps.flushed[2]) == 1


def test_ring_traffic_is_exactly_the_closed_form(run):
    for ranks in (2, 3, 4):
        with h5py.File(run(ranks, "parallel.allreduce=ring")) as file:
            names = [text(name) for name in file["traffic/operation"][:]]
            row = next(k for k, name in enumerate(names) if name.startswith("allreduce"))
            assert text(file["traffic/algorithm"][row]) == "ring"
            sent = file["traffic/sent_bytes"][row]
            timed = 20 - 2  # traffic counts the steps after warm-up
            assert sent.sum() == timed * 2 * (ranks - 1) * parameters() * 4
            assert (sent == file["traffic/expected_bytes"][row]).all()


def test_the_deck_in_the_record_reproduces_the_run(run, tmp_path):
    first = run(2, "train.deterministic=true", "train.seed=5", "model.hidden=[9]")
    with h5py.File(first) as file:
        deck = tmp_path / "again.toml"
        deck.write_text(text(file["config/toml"][()]))
        losses = file["steps/loss"][:]
        config_hash = file.attrs["config_hash"]
    with h5py.File(run(2, deck=str(deck), name="again")) as file:
        assert file["steps/loss"][:].tobytes() == losses.tobytes()
        assert file.attrs["config_hash"] == config_hash


def test_summary_is_recomputable(run):
    with h5py.File(run(2, "train.steps=40")) as file:
        names = [text(name) for name in file["summary/metric"][:]]
        value = dict(zip(names, file["summary/value"][:]))
        counted = (file["steps/warmup"][:] == 0) & (file["steps/flushed"][:] == 0)
        step_s = (file["steps/end_ns"][:] - file["steps/start_ns"][:]).max(axis=1)[counted] * 1e-9
        assert np.isclose(value["step_s"], np.median(step_s), rtol=1e-12)
        assert np.isclose(value["samples_per_s"], 48 * counted.sum() / step_s.sum(), rtol=1e-12)
        assert np.isclose(value["flop_per_s"], file.attrs["flop_per_step"] / value["step_s"], rtol=1e-12)
        assert value["final_loss"] == file["steps/loss"][-1]


def test_ranks_tell_where_they_ran(run):
    with h5py.File(run(2)) as file:
        assert file["ranks/local_rank"][:].tolist() == [0, 1]
        assert (file["ranks/peak_memory_bytes"][:] > 1 << 20).all()


def test_phases_are_the_tags_of_the_models_units(run):
    with xarray.open_dataset(run(2, deck="inputs/mlp_dp/tiny_gpt.toml"), group="steps") as steps:
        names = [text(name) for name in steps.phase.values]
    tags = ["embedding", "dropout", "norm", "attention", "feed-forward", "head"]
    assert names == ["input", *(f"forward_{tag}" for tag in tags), "loss", *(f"backward_{tag}" for tag in tags), "wait", "exchange",
                     "update"]


def test_events_of_chosen_steps_are_whole_and_in_order(run):
    """Two ranks, three steps, two micro-batches: every unit's passes, once each, inside the step, none inside another."""
    path = run(2, "record.events=[7, 9]", "train.micro_batches=2", deck="inputs/mlp_dp/tiny_gpt.toml")
    with xarray.open_dataset(path, group="events") as events:
        used = events.where(events["rank"] >= 0, drop=True)
        parts = [text(name) for name in events.part_name.values]
        names = ("rank", "step", "part", "unit", "micro_batch", "bytes", "start_ns", "end_ns")
        rows = {name: used[name].values for name in names}
    with h5py.File(path) as file:
        start, end = file["steps/start_ns"][:], file["steps/end_ns"][:]
    assert set(rows["rank"]) == {0, 1} and set(rows["step"]) == {7, 8, 9}
    counts = set()
    for rank in (0, 1):
        for step in (7, 8, 9):
            mine = (rows["rank"] == rank) & (rows["step"] == step)
            counts.add(int(mine.sum()))
            assert (rows["start_ns"][mine] >= start[step, rank]).all() and (rows["end_ns"][mine] <= end[step, rank]).all()
            leaves = mine & (rows["unit"] >= 0)
            order = np.argsort(rows["start_ns"][leaves], kind="stable")
            assert (rows["start_ns"][leaves][order][1:] >= rows["end_ns"][leaves][order][:-1]).all()
            forward = mine & (rows["part"] == 0)
            assert sorted(set(rows["micro_batch"][forward])) == [0, 1]
    assert len(counts) == 1
    assert parts[0] == "forward"
    exchanged = rows["bytes"][rows["part"] == parts.index("exchange")]
    assert (exchanged == 15072 * 4).all() and len(exchanged) == 6  # the flat gradient, once a step and rank


def test_the_faster_backend_of_each_call_is_chosen_and_recorded(run):
    with h5py.File(run(2)) as file:
        math = text(file["environment"].attrs["math_backend"])
        lines = text(file.attrs.get("kernel_choices", "")).splitlines()
    if math == "portable":
        pytest.skip("this build has no vendor's library to choose")
    assert {line.split()[0] for line in lines} == {"linear_forward", "linear_backward_input", "linear_backward_weights"}
    for line in lines:
        *_, first, vendor, second, portable, choice = line.split()
        assert (first, second) == ("vendor_s", "portable_s") and float(vendor) > 0 and float(portable) > 0
        assert choice == ("portable" if float(portable) < 0.97 * float(vendor) else "vendor")
    for setting in ("train.deterministic=true", "kernels.backend=portable", "run.warmup=0"):
        with h5py.File(run(1, setting)) as file:
            assert "kernel_choices" not in file.attrs, setting
