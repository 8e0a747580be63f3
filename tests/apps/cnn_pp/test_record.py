# SPDX-License-Identifier: BSD-3-Clause
"""What a record says of a pipeline: idle time that adds up, bytes and memory in closed form, events of whole actions."""

import h5py
import numpy as np
import pytest

STEPS, WARM_UP, BATCH = 6, 2, 48
SHORT = [f"train.steps={STEPS}", f"run.warmup={WARM_UP}", "evaluate.every=100"]


def table(path, group="strategy"):
    with h5py.File(path) as file:
        found = file[group]
        return {name: column[:] for name, column in found.items() if isinstance(column, h5py.Dataset)}, dict(found.attrs)


@pytest.mark.parametrize("ranks, settings", [(1, []), (2, []), (3, ["parallel.schedule=zb-h1"]),
                                             (2, ["parallel.schedule=zb-v"]), (2, ["parallel.step_barrier=false"]),
                                             (4, ["parallel.data=2", "parallel.schedule=interleaved"])])
def test_the_time_of_a_step_is_split(run, ranks, settings):
    path = run(ranks, *SHORT, *settings)
    columns, attributes = table(path)
    parts = [columns[name] for name in ("busy_s", "fill_s", "steady_idle_s", "wait_s", "drain_s")]
    assert all((part >= 0).all() and part.shape == (ranks,) for part in parts) and (columns["busy_s"] > 0).all()
    with h5py.File(path) as file:  # the rest of a step: input and update
        step = (file["steps/end_ns"][WARM_UP:] - file["steps/start_ns"][WARM_UP:]).mean(axis=0) * 1e-9
    assert (sum(parts) <= step * 1.001).all() and (sum(parts) > step * 0.3).all()
    assert (columns["replayed_idle_s"] >= columns["replayed_fill_s"] + columns["replayed_drain_s"] - 1e-12).all()
    if ranks == 1:
        assert columns["closed_form_idle_s"][0] == 0 and columns["fill_s"][0] < 0.1 * columns["busy_s"][0]
    if "parallel.schedule=zb-h1" not in settings and "parallel.schedule=zb-v" not in settings:  # exact at any times
        pipeline = ranks // 2 if "parallel.data=2" in settings else ranks
        passes = sum(attributes[name] for name in ("forward_s", "backward_input_s", "backward_weights_s"))
        assert np.allclose(columns["closed_form_idle_s"][:pipeline], (pipeline - 1) * passes, rtol=1e-9)


def test_stages_are_all_layers(run):
    for settings in (["parallel.balance=equal"], ["parallel.balance=measured"], ["parallel.stages=[1, 4, 3]"]):
        columns, attributes = table(run(3, *SHORT, *settings), "strategy/stages")
        assert columns["layers"].sum() == 8 and (columns["layers"] >= 1).all() and (columns["cost"] > 0).all()
        assert attributes["largest_over_mean"] == pytest.approx(columns["cost"].max() / columns["cost"].mean())
        if "equal" in settings[0]:
            assert columns["layers"].tolist() == [3, 3, 2] and attributes["gain_over_equal"] == 1
        if "stages" in settings[0]:
            assert columns["layers"].tolist() == [1, 4, 3]


def test_bytes_are_those_of_what_is_cut(run):
    """9 x 8 images of 4 channels between the first blocks, 5 x 4 of 6 behind them."""
    for micro_batches, precision, size in ((4, "fp32", 4), (5, "bf16", 2)):
        path = run(3, *SHORT, "parallel.stages=[3, 2, 3]", f"train.micro_batches={micro_batches}",
                   f"train.precision={precision}")
        with h5py.File(path) as file:
            rows = {kind.decode(): (messages.tolist(), sent.tolist())
                    for kind, messages, sent in zip(*(file["traffic"][name][:] for name in
                                                      ("kind", "messages", "sent_bytes")))}
        steps = STEPS - WARM_UP
        first, second = 9 * 8 * 4 * BATCH * size * steps, 5 * 4 * 6 * BATCH * size * steps
        assert rows["forward"] == ([micro_batches * steps] * 2 + [0], [first, second, 0])
        assert rows["backward"] == ([0] + [micro_batches * steps] * 2, [0, first, second])


def test_live_activations_are_those_of_the_schedule(run):
    """DESIGN.md, section 10: GPipe m; 1F1B min(m, p - r); ZB-H1 min(m, p) until the end of backward-weights."""
    ranks, micro_batches = 3, 6
    slots = {}
    for schedule in ("gpipe", "1f1b", "zb-h1"):
        columns, _ = table(run(ranks, *SHORT, f"parallel.schedule={schedule}", f"train.micro_batches={micro_batches}",
                               "data.held_out=4", "parallel.stages=[2, 3, 3]"))
        assert (columns["slots"] == columns["live_micro_batches"]).all()
        for what in ("activation", "message", "weight", "gradient", "optimizer"):
            assert (columns[f"{what}_bytes"] == columns[f"expected_{what}_bytes"]).all(), what
        slots[schedule] = columns["slots"].tolist(), columns["activation_bytes"]
    assert slots["gpipe"][0] == [micro_batches] * ranks
    assert slots["1f1b"][0] == [ranks - r for r in range(ranks)]
    assert slots["zb-h1"][0] == [ranks] * ranks
    # m A + d and (p - r) A + d with the same d: one A is their difference over the number of slots.
    one = [(of_gpipe - of_1f1b) / (micro_batches - (ranks - r))
           for r, (of_gpipe, of_1f1b) in enumerate(zip(slots["gpipe"][1], slots["1f1b"][1]))]
    more, _ = table(run(ranks, *SHORT, "parallel.schedule=gpipe", f"train.micro_batches={2 * micro_batches}",
                        "data.held_out=4", "parallel.stages=[2, 3, 3]", f"train.batch={2 * BATCH}"))
    assert (more["activation_bytes"] - slots["gpipe"][1]).tolist() == [micro_batches * a for a in one] and min(one) > 0


def test_a_recomputed_stage_keeps_its_input_alone(run):
    kept, again = (table(run(2, *SHORT, f"train.recompute={what}", "data.held_out=4", "parallel.schedule=gpipe"))[0]
                   for what in ("none", "block"))
    assert (again["activation_bytes"] < kept["activation_bytes"]).all()
    assert again["activation_bytes"][1] < 0.3 * kept["activation_bytes"][1]  # blocks alone, but for the classifier


@pytest.mark.parametrize("schedule", ["1f1b", "zb-v"])
def test_events_tell_of_actions_and_messages(run, schedule):
    path = run(2, *SHORT, f"parallel.schedule={schedule}", "record.events=[4, 4]")
    with h5py.File(path) as file:
        events = {name: column[()] for name, column in file["events"].items()}
    used = events["step"] >= 0
    part = np.array([events["part_name"][k].decode() for k in events["part"]])
    actions = used & (events["unit"] == -1) & np.isin(part, ["forward", "backward", "backward_input", "backward_weights"])
    stages, micro_batches = (2, 4) if schedule == "1f1b" else (4, 4)
    assert (actions & (part == "forward")).sum() == stages * micro_batches
    assert (actions & (part == "backward")).sum() == (stages * micro_batches if schedule == "1f1b" else 0)
    sends, receives = (sorted(events["match"][part == name].tolist()) for name in ("send", "receive"))
    cuts = {"1f1b": 1, "zb-v": 2}[schedule]  # between ranks
    assert sends == receives and len(set(sends)) == len(sends) == 2 * cuts * micro_batches
