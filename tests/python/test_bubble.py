# SPDX-License-Identifier: BSD-3-Clause
"""The idle time of pipeline stages: the table of `partita show`, the bars of `partita plot`."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from partita.pictures.bubble import COLOURS, bubble_picture
from partita.records.folder import RecordedStudy, read_folder
from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]
NAN = float("nan")


def columns(ranks: int, scale: float = 1.0, **more: object) -> dict[str, object]:
    """Of rank r: busy 20 ms, fill r ms, steady idle 0.5 ms, waits 1 ms, drain p - 1 - r ms."""
    rank = np.arange(ranks)
    ms = {"busy_s": 20.0 + 0 * rank, "fill_s": rank, "steady_idle_s": 0.5 + 0 * rank, "wait_s": 1.0 + 0 * rank,
          "drain_s": ranks - 1 - rank}  # fmt: skip
    return {**{name: scale * 1e-3 * values for name, values in ms.items()}, **more}


def study(folder: Path) -> RecordedStudy:
    ((found,), _, _) = read_folder(folder)
    return found


def test_show_has_a_row_for_each_rank(tmp_path: Path, partita: Command) -> None:
    forms = {"closed_form_idle_s": np.float64(3e-3), "replayed_idle_s": [3.5e-3, 3.6e-3, 3.7e-3, NAN]}
    path = Synthetic(ranks=4, bubble=columns(4, **forms)).write(tmp_path / "a.h5")
    code, out, err = partita("show", path)
    assert (code, err) == (0, "")
    _, _, table = out.partition("Pipeline bubble (in a step, mean over counted steps)\n")
    head, _, first, *_, last = table.split("\n\n")[0].splitlines()
    assert " ".join(head.split()) == (
        "rank busy fill steady idle wait drain idle closed form schedule replayed idle share"
    )
    assert " ".join(first.split()) == ("0 20.00 ms 0 ns 500.0 us 1.000 ms 3.000 ms 4.500 ms 3.000 ms 3.500 ms 18.4 %")
    assert last.split()[0] == "3" and last.split()[-3:] == ["-", "18.4", "%"]


def test_what_is_not_known_is_no_number(tmp_path: Path, partita: Command) -> None:
    """The closed form may be an attribute, or missing; a run without a pipeline has no table."""
    import h5py

    path = Synthetic(ranks=2, bubble=columns(2, fill_s=[NAN, NAN])).write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["closed_form_idle_s"] = 0.25
    row = next(line for line in partita("show", path)[1].splitlines() if line.strip().startswith("0 "))
    assert " ".join(row.split()) == "0 20.00 ms - 500.0 us 1.000 ms 1.000 ms - 250.0 ms - -"
    for name, bubble in (("none", None), ("half", {"busy_s": [1.0], "fill_s": [1.0]})):
        code, out, err = partita("show", Synthetic(bubble=bubble).write(tmp_path / f"{name}.h5"))
        assert (code, err) == (0, "") and "bubble" not in out


def test_a_column_of_odd_shape_is_one_error(tmp_path: Path, partita: Command) -> None:
    path = Synthetic(ranks=3, bubble=columns(3, wait_s=[1.0, 2.0])).write(tmp_path / "a.h5")
    for arguments in (("show", path), ("plot", tmp_path)):
        code, _, err = partita(*arguments)
        assert code == 2 and "/strategy/wait_s" in err and err.count("\n") == 1


def test_bars_are_stacked_and_the_closed_form_is_a_line(tmp_path: Path) -> None:
    for repeat, scale in ((1, 0.5), (2, 1.5)):  # Their mean is what is told above.
        forms = {"closed_form_idle_s": scale * 3e-3, "replayed_idle_s": NAN}
        Synthetic(ranks=4, point=f"r{repeat}", bubble=columns(4, scale, **forms)).write(tmp_path / f"{repeat}.h5")
    picture = bubble_picture(study(tmp_path))
    (axes,) = picture.figure.axes
    words = [axes.containers[i].get_label() for i in range(5)]
    assert words == ["_busy", "_fill", "_steady idle", "_wait", "_drain"]
    tops = [[bar.get_y() + bar.get_height() for bar in bars] for bars in axes.containers]
    want = np.cumsum([1e3 * np.asarray(v) for v in columns(4).values()], axis=0)
    np.testing.assert_allclose(tops, want)
    lines = [line for line in axes.lines if line.get_label() == "_closed_form_idle_s"]
    np.testing.assert_allclose([line.get_ydata() for line in lines], np.full((4, 2), 23.0))
    assert not [line for line in axes.lines if line.get_label() == "_replayed_idle_s"]
    labels = [t.get_text() for t in picture.figure.legends[0].get_texts()]
    assert labels[-1] == "busy and closed form" and len(labels) == len(COLOURS) + 1
    assert [t.get_text() for t in axes.texts] == ["18 %"] * 4
    np.testing.assert_allclose(picture.table.column("fill_s"), [0, 1e-3, 2e-3, 3e-3])


def test_plot_makes_a_panel_for_each_number_of_ranks(tmp_path: Path, partita: Command) -> None:
    for ranks in (2, 4):
        Synthetic(ranks=ranks, bubble=columns(ranks, closed_form_idle_s=3e-3, replayed_idle_s=4e-3)).write(
            tmp_path / f"np{ranks}.h5"
        )
    assert [a.get_title(loc="left") for a in bubble_picture(study(tmp_path)).figure.axes] == ["2 ranks", "4 ranks"]
    assert partita("plot", tmp_path)[0] == 0
    assert (tmp_path / "figures" / "bubble.png").is_file()
    with (tmp_path / "figures" / "bubble.csv").open() as stream:
        assert [(row["ranks"], row["rank"]) for row in csv.DictReader(stream)] == [
            ("2", "0"), ("2", "1"), ("4", "0"), ("4", "1"), ("4", "2"), ("4", "3"),
        ]  # fmt: skip


@pytest.mark.parametrize("ranks", [1, 2])
def test_without_a_pipeline_there_is_no_picture(tmp_path: Path, partita: Command, ranks: int) -> None:
    Synthetic(ranks=ranks).write(tmp_path / "a.h5")
    assert partita("plot", tmp_path)[0] == 0 and not (tmp_path / "figures" / "bubble.png").exists()
