# SPDX-License-Identifier: BSD-3-Clause
"""`partita plot --timeline` and what it is made of: events on one clock, boxes, marks, numbers."""

import csv
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from matplotlib.figure import Figure

from partita.pictures import style
from partita.pictures.timeline import BOXES, timeline_picture
from partita.records.events import read_events
from synthetic import COST_NS, PART_NAMES, Pipeline, Synthetic

Command = Callable[..., tuple[int, str, str]]
OFFSET, DRIFT = [0, 50_000_000, -7_000_000, 10**12], [0, 1e-6, -2e-5, 3e-7]
LONG = {"step_s": lambda step: 0.06}


def record(path: Path, **pipeline: object) -> tuple[Path, Pipeline]:
    made = Pipeline(**pipeline)
    return made.write(path, **LONG), made


def boxes(figure: Figure, kind: str) -> list[tuple[float, float, float, tuple]]:
    """(middle of the row, start, end, colour) of all boxes of a kind."""
    found = []
    for collection in figure.axes[0].collections:
        if collection.get_label() == f"_{kind}":
            for path in collection.get_paths():
                (x0, y0), (x1, y1) = path.vertices.min(axis=0), path.vertices.max(axis=0)
                found.append(((y0 + y1) / 2, x0, x1, tuple(collection.get_facecolor()[0][:3])))
    return found


def test_all_clocks_are_brought_to_that_of_rank_0(tmp_path: Path) -> None:
    path, made = record(tmp_path / "a.h5", offset_ns=OFFSET, drift=DRIFT)
    events = read_events(path)
    for name in ("start_ns", "end_ns"):
        truth = np.array([row[name] for row in made.rows])
        assert np.abs(events.columns[name] - truth).max() <= 2
        with h5py.File(path) as file:  # And none of them had it right.
            assert np.abs(file["events"][name][:] - truth)[events.columns["rank"] > 0].min() > 1000
    assert np.abs(events.step_start_ns[5] - 5_000_000_000).max() <= 6
    assert events.steps == [5, 6] and len(events.of_step(6)) == len(events) / 2


def test_a_clock_without_a_known_drift_keeps_its_offset(tmp_path: Path) -> None:
    path, made = record(tmp_path / "a.h5", offset_ns=OFFSET)
    with h5py.File(path, "r+") as file:
        file["ranks/clock_drift"][...] = np.nan
    truth = np.array([row["end_ns"] for row in made.rows])
    np.testing.assert_array_equal(read_events(path).columns["end_ns"], truth)
    notes = [t.get_text() for t in timeline_picture(read_events(path), 5).figure.texts]
    assert any("their drift is not known" in note for note in notes)


def test_every_action_is_a_box_of_its_time(tmp_path: Path) -> None:
    path, made = record(tmp_path / "a.h5", offset_ns=OFFSET, drift=DRIFT)
    picture = timeline_picture(read_events(path), 6)
    for kind, part in (("F", "forward"), ("B", "backward")):
        truth = [r for r in made.rows if r["step"] == 6 and r["unit"] < 0 and PART_NAMES[r["part"]] == part]
        want = sorted((r["rank"], *((r[n] - 6e9) * 1e-6 for n in ("start_ns", "end_ns"))) for r in truth)
        found = sorted((round(y), x0, x1) for y, x0, x1, _ in boxes(picture.figure, kind))
        assert len(found) == 4 * 6
        np.testing.assert_allclose(found, want, atol=1e-4)
    assert {c for *_, c in boxes(picture.figure, "F")} == {tuple(style.shades(BOXES["F"], 1)[0])}
    numbers = [t.get_text() for t in picture.figure.axes[0].texts]
    assert sorted(numbers) == sorted(str(j) for j in range(6) for _ in range(4 * 2))
    labels = [t.get_text() for t in picture.figure.axes[0].get_yticklabels()]
    assert labels == [f"rank {r}: stage {r}" for r in range(4)]


def test_nothing_is_drawn_where_a_rank_idles(tmp_path: Path) -> None:
    """The bubble of 1F1B: p - 1 forwards and backwards of the last rank's time, wherever a wait is told."""
    for inside in (False, True):
        path, _ = record(tmp_path / f"{inside}.h5", wait_inside=inside)
        figure = timeline_picture(read_events(path), 5).figure
        drawn = [b for kind in "FB" for b in boxes(figure, kind)]
        for rank in range(4):
            busy = sum(x1 - x0 for y, x0, x1, _ in drawn if round(y) == rank)
            assert busy == pytest.approx(6 * (COST_NS["forward"] + COST_NS["backward"]) * 1e-6, abs=1e-3)
        waits = [x1 - x0 for y, x0, x1, _ in boxes(figure, "receive") if round(y) == 3]
        assert max(waits) == pytest.approx(3 * (COST_NS["forward"] * 1e-6 + 0.02), abs=0.02)


def test_stages_of_a_rank_differ_in_shade_and_halves_in_colour(tmp_path: Path) -> None:
    path, _ = record(tmp_path / "a.h5", chunks=2, split=True)
    picture = timeline_picture(read_events(path), 5)
    dark, light = (tuple(c) for c in style.shades(BOXES["I"], 2))
    found = boxes(picture.figure, "I")
    assert [c for *_, c in found].count(dark) == [c for *_, c in found].count(light) == 4 * 6
    assert len(boxes(picture.figure, "W")) == 2 * 4 * 6 and not boxes(picture.figure, "B")
    labels = [t.get_text() for t in picture.figure.legends[0].get_texts()]
    assert labels[:4] == ["forward", "backward, inputs", "backward, weights", "lighter: a later stage"]
    rows = [row for row in picture.table if row["kind"] == "F"]
    assert {(r["rank"], r["stage"], r["chunk"]) for r in rows} == {(s % 4, s, s // 4) for s in range(8)}


def test_without_a_pipeline_units_are_grouped_by_pass(tmp_path: Path) -> None:
    path, _ = record(tmp_path / "a.h5", ranks=1, micro_batches=3, actions=False, messages=False)
    picture = timeline_picture(read_events(path), 5)
    assert [(r["kind"], r["micro_batch"]) for r in picture.table] == [
        ("F", 0), ("B", 0), ("F", 1), ("B", 1), ("F", 2), ("B", 2), ("exchange", -1), ("update", -1),
    ]  # fmt: skip
    (first, second, *_) = picture.table
    assert first["end_ms"] - first["start_ms"] == pytest.approx(1) and second["end_ms"] - first["end_ms"] == (
        pytest.approx(2)
    )


def test_narrow_boxes_have_no_number(tmp_path: Path) -> None:
    path, _ = record(tmp_path / "a.h5", ranks=2, micro_batches=150)
    figure = timeline_picture(read_events(path), 5).figure
    assert len(boxes(figure, "F")) == 300 and not figure.axes[0].texts
    assert not any("numbers" in t.get_text() for t in figure.texts)


def test_the_command_writes_the_picture_and_its_numbers(tmp_path: Path, partita: Command) -> None:
    path, _ = record(tmp_path / "a.h5")
    assert partita("plot", "--timeline", path)[::2] == (0, "")
    assert (tmp_path / "figures" / "a_timeline.png").read_bytes()[1:4] == b"PNG"
    code, out, _ = partita("plot", "--timeline", path, "--step", 6, "-o", tmp_path / "x" / "t.svg")
    assert code == 0 and "t.csv" in out and "<svg" in (tmp_path / "x" / "t.svg").read_text()
    with (tmp_path / "x" / "t.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["step"] for row in rows} == {"6"} and {row["kind"] for row in rows} == {
        "F", "B", "receive", "exchange", "update"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--timeline", "{plain}"], "{plain}: holds no events: expected a record of a run with record.events = ["),
        (["--timeline", "{full}", "--step", "9"], "--step 9: {full} has no events of it: expected one of 5, 6"),
        (["--timeline", "{full}", "-o", "x.gif"], "x.gif: not the name of a picture: expected a file that ends with"),
        (["--timeline", "{full}", "."], "partita plot: --timeline {full} and the folder .: expected one of the two"),
        ([], "partita plot: no folder: expected a folder of records, or --timeline"),
        ([".", "--step", "3"], "partita plot: --step 3 of a folder: expected"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(tmp_path: Path, partita: Command, arguments: list[str], message: str) -> None:
    names = {"full": record(tmp_path / "full.h5")[0], "plain": Synthetic().write(tmp_path / "plain.h5")}
    code, out, err = partita("plot", *(a.format(**names) for a in arguments))
    assert (code, out) == (2, "") and message.format(**names) in err and err.count("\n") == 1


def test_damaged_events_are_one_error(tmp_path: Path, partita: Command) -> None:
    path, _ = record(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["events/part"][3] = 77
    code, _, err = partita("plot", "--timeline", path)
    assert code == 2 and "events: damaged" in err and "/events/part" in err and err.count("\n") == 1


def test_same_records_same_bytes_and_nothing_beyond_the_page(tmp_path: Path) -> None:
    path, _ = record(tmp_path / "a.h5", chunks=2, split=True)
    for name in ("one", "two"):
        picture = timeline_picture(read_events(path), 5)
        style.save(picture.figure, tmp_path / f"{name}.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    picture.figure.draw_without_rendering()
    page, tight = picture.figure.bbox_inches, picture.figure.get_tightbbox()
    assert tight.x0 >= -0.01 and tight.y0 >= -0.01 and tight.x1 <= page.width + 0.01 and tight.y1 <= page.height + 0.01
