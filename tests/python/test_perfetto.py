# SPDX-License-Identifier: BSD-3-Clause
"""`partita export --perfetto`: a trace that can be read back, nested, with an arrow for each message."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from synthetic import PART_NAMES, Pipeline, Synthetic

Command = Callable[..., tuple[int, str, str]]
OFFSET, DRIFT = [0, 50_000_000, -7_000_000, 10**12], [0, 1e-6, -2e-5, 3e-7]


def export(partita: Command, path: Path) -> list[dict[str, Any]]:
    target = path.with_suffix(".json")
    code, _, err = partita("export", "--perfetto", path, "-o", target)
    assert (code, err) == (0, "")
    return json.loads(target.read_text(), parse_constant=pytest.fail)["traceEvents"]


def by_phase(trace: list[dict[str, Any]], phase: str) -> list[dict[str, Any]]:
    return [event for event in trace if event["ph"] == phase]


@pytest.fixture
def made() -> Pipeline:
    return Pipeline(micro_batches=5, offset_ns=OFFSET, drift=DRIFT)


def written(made: Pipeline, tmp_path: Path) -> Path:
    return made.write(tmp_path / "a.h5", step_s=lambda step: 0.06)


def test_every_event_is_a_box_of_its_rank(made: Pipeline, tmp_path: Path, partita: Command) -> None:
    trace = export(partita, written(made, tmp_path))
    boxes = by_phase(trace, "X")
    assert min(e["ts"] for e in trace if "ts" in e) == 0 and all(e["dur"] >= 0 for e in boxes)
    assert len(boxes) == len(made.rows) + 2 * 4  # And two steps of four ranks.
    zero = 5_000_000_000
    want = Counter((r["rank"], round((r["start_ns"] - zero) / 1000), r["micro_batch"]) for r in made.rows)
    found = Counter((e["tid"], round(e["ts"]), e["args"].get("micro_batch", -1)) for e in boxes if e["cat"] != "step")
    assert found == want
    assert {(e["pid"], e["tid"]) for e in boxes} == {(0, 0), (0, 1), (1, 2), (1, 3)}
    names = {e["tid"]: e["args"]["name"] for e in by_phase(trace, "M") if e["name"] == "thread_name"}
    assert names == {r: f"rank {r}" for r in range(4)}
    (send, *_) = (e for e in boxes if e["name"] == "send" and e["tid"] == 1)
    assert send["args"] == {"step": 5, "stage": 1, "micro_batch": 0, "peer": 2, "match": 200, "bytes": 640}
    (unit, *_) = (e for e in boxes if e["cat"] == "unit")
    assert unit["args"]["unit"] in unit["name"] and "peer" not in unit["args"]


def test_boxes_of_a_rank_lie_inside_each_other_or_apart(made: Pipeline, tmp_path: Path, partita: Command) -> None:
    rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for event in by_phase(export(partita, written(made, tmp_path)), "X"):
        rows[event["tid"]].append(event)
    inside = 0
    for boxes in rows.values():
        around: list[tuple[float, str]] = []
        last = 0.0
        for box in boxes:
            assert box["ts"] >= last  # Outer ones first, in order of time.
            last = box["ts"]
            while around and around[-1][0] <= box["ts"] + 1e-3:
                around.pop()
            end = box["ts"] + box["dur"]
            assert not around or end <= around[-1][0] + 1e-3
            inside += bool(around) and around[-1][1] == "action" and box["cat"] == "unit"
            around.append((end, box["cat"]))
    assert inside == 2 * 2 * 4 * 2 * 5  # Both units of every action of both steps.


def test_an_arrow_leads_from_every_send_to_its_receive(made: Pipeline, tmp_path: Path, partita: Command) -> None:
    trace = export(partita, written(made, tmp_path))
    begins, ends = ({e["id"]: e for e in by_phase(trace, phase)} for phase in "sf")
    sends = [r for r in made.rows if PART_NAMES[r["part"]] == "send"]
    assert len(by_phase(trace, "s")) == len(by_phase(trace, "f")) == len(sends) == 2 * 2 * 3 * 5
    assert set(begins) == set(ends)
    boxes = {(e["tid"], e["name"], e["args"]["step"], e["args"]["match"]): e for e in by_phase(trace, "X")
             if e["name"] in ("send", "receive")}  # fmt: skip
    for number, begin in begins.items():
        end = ends[number]
        assert end["ts"] > begin["ts"] and end["bp"] == "e"
        (send,) = (b for b in boxes.values() if b["name"] == "send" and b["tid"] == begin["tid"]
                   and abs(b["ts"] - begin["ts"]) < 1e-6)  # fmt: skip
        receive = boxes[send["args"]["peer"], "receive", send["args"]["step"], send["args"]["match"]]
        assert end["tid"] == receive["tid"]
        assert receive["ts"] <= end["ts"] <= receive["ts"] + max(0.0, receive["dur"] - 0.001) + 1e-6


def test_a_message_with_one_end_has_no_arrow(made: Pipeline, tmp_path: Path, partita: Command) -> None:
    path = written(made, tmp_path)
    with h5py.File(path, "r+") as file:
        lost = next(i for i, row in enumerate(made.rows) if PART_NAMES[row["part"]] == "receive")
        file["events/match"][lost] = -1
    trace = export(partita, path)
    assert len(by_phase(trace, "s")) == len(by_phase(trace, "f")) == 2 * 2 * 3 * 5 - 1


def test_replicas_that_number_alike_are_kept_apart(tmp_path: Path, partita: Command) -> None:
    """Two pipelines side by side whose messages have the same numbers."""
    path = Pipeline(ranks=2).write(tmp_path / "one.h5")
    with h5py.File(path, "r+") as file:
        events, n = file["events"], file["events/rank"].shape[0]
        columns = {name: events[name][:] for name in events if events[name].shape == (n,)}
        for name, values in columns.items():
            moved = values + 2 * (name in ("rank", "peer")) * (values >= 0)
            del events[name]
            events[name] = [*values, *moved]
        events["events_written"][...] = 2 * n
        file.attrs["ranks"] = 4
        for name in ("clock_drift", "clock_offset_ns", "clock_begin_ns", "node", "hostname"):
            values = file["ranks"][name][:]
            del file["ranks"][name]
            file["ranks"][name] = [*values, *values]
        del file["steps"], file["traffic"]
    begins, ends = ({e["id"]: e for e in by_phase(export(partita, path), phase)} for phase in "sf")
    assert len(begins) == 2 * 2 * 2 * 6
    assert all({begin["tid"], ends[i]["tid"]} in ({0, 1}, {2, 3}) for i, begin in begins.items())


def test_clocks_that_contradict_each_other_are_told(tmp_path: Path, partita: Command) -> None:
    path = Pipeline().write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["ranks/clock_offset_ns"][1] = -5_000_000
    code, out, _ = partita("export", "--perfetto", path)
    assert code == 0 and "a message seems to arrive" in out and "us before it was sent" in out
    assert (tmp_path / "a.trace.json").is_file()


def test_wrong_use_is_one_line_and_exit_2(tmp_path: Path, partita: Command) -> None:
    plain, full = Synthetic().write(tmp_path / "plain.h5"), Pipeline().write(tmp_path / "a.h5")
    for arguments, message in (
        (["--perfetto", plain], "holds no events: expected a record of a run with record.events"),
        (["--perfetto", full, "-o", tmp_path / "no" / "x.json"], "cannot be written (No such file or directory)"),
        ([], "nothing to write"),
    ):
        code, out, err = partita("export", *arguments)
        assert (code, out) == (2, "") and message in err and err.count("\n") == 1
