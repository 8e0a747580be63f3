# SPDX-License-Identifier: BSD-3-Clause
"""Image rows that ranks share: the table of `partita show`, the bars of `partita plot`."""

import csv
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from partita.pictures.surface import halo_picture
from partita.records.folder import RecordedStudy, read_folder
from partita.records.record import read_record
from partita.records.spatial import halos
from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]


def columns(slices: list[int], scale: float = 1.0, replicas: int = 1, **more: object) -> dict[str, object]:
    """Of so many rows a rank; rank r exposes 1.5 + r ms and hides 3 ms."""
    rank = np.arange(len(slices) * replicas)
    return {
        "first_image_row": np.tile(np.cumsum([0, *slices[:-1]]), replicas),
        "image_rows": np.tile(slices, replicas),
        "halo_exposed_s": scale * 1e-3 * (1.5 + rank),
        "halo_hidden_s": scale * 3e-3 + 0 * rank,
        **more,
    }


def study(folder: Path) -> RecordedStudy:
    ((found,), _, _) = read_folder(folder)
    return found


def test_show_has_a_row_for_each_rank(tmp_path: Path, partita: Command) -> None:
    path = Synthetic(ranks=3, halos=columns([10, 9, 9]), halo_bytes=[1024, 2048, 1024]).write(tmp_path / "a.h5")
    code, out, err = partita("show", path)
    assert (code, err) == (0, "")
    _, _, table = out.partition("Halos (in a step, mean over counted steps)\n")
    head, _, *rows = table.split("\n\n")[0].splitlines()
    assert " ".join(head.split()) == "rank image rows halo rows exposed hidden exposed share sent"
    assert [" ".join(row.split()) for row in rows] == [  # Of a step of 30 ms.
        "0 10 1 1.500 ms 3.000 ms 5.0 % 1.00 KiB",
        "1 9 2 2.500 ms 3.000 ms 8.3 % 2.00 KiB",
        "2 9 1 3.500 ms 3.000 ms 11.7 % 1.00 KiB",
    ]


def test_replicas_have_rows_of_their_own(tmp_path: Path) -> None:
    """What is above the first slice of a replica is no rank's, and bytes are those of halos alone."""
    path = Synthetic(ranks=4, halos=columns([14, 14], replicas=2), halo_bytes=[8, 8, 8, 8]).write(tmp_path / "a.h5")
    found = halos(read_record(path))
    np.testing.assert_array_equal(found.halo_rows, [1, 1, 1, 1])
    np.testing.assert_allclose(found.surface, 1 / 14)
    np.testing.assert_array_equal(found.sent_bytes, [8, 8, 8, 8])


def test_without_shared_rows_there_is_neither(tmp_path: Path, partita: Command) -> None:
    for name, given in (("none", None), ("half", {"image_rows": [14], "first_image_row": [0]})):
        code, out, err = partita("show", Synthetic(halos=given).write(tmp_path / f"{name}.h5"))
        assert (code, err) == (0, "") and "Halos" not in out
    assert partita("plot", tmp_path)[0] == 0 and not (tmp_path / "figures" / "halos.png").exists()


def test_a_column_of_odd_shape_is_one_error(tmp_path: Path, partita: Command) -> None:
    path = Synthetic(ranks=3, halos=columns([10, 9, 9], halo_hidden_s=[1.0, 2.0])).write(tmp_path / "a.h5")
    for arguments in (("show", path), ("plot", tmp_path)):
        code, _, err = partita(*arguments)
        assert code == 2 and "/strategy/halo_hidden_s" in err and err.count("\n") == 1


def test_a_record_that_counts_no_step_has_no_share(tmp_path: Path, partita: Command) -> None:
    path = Synthetic(ranks=2, halos=columns([5, 5]), written=0, complete=0).write(tmp_path / "a.h5")
    row = next(line for line in partita("show", path)[1].splitlines() if line.strip().startswith("0 "))
    assert row.split()[:3] == ["0", "5", "1"] and row.split()[-3:] == ["-", "0", "B"]


def test_bars_are_means_over_runs_by_image_size(tmp_path: Path) -> None:
    for size, sent in ((28, 4000), (112, 1000)):
        for repeat, scale in ((1, 0.5), (2, 1.5)):  # Their mean is what is told above.
            Synthetic(ranks=2, point=f"{size}-r{repeat}", model=f"rows = {size}", halo_bytes=[sent, 2 * sent],
                      halos=columns([size // 2] * 2, scale)).write(tmp_path / f"{size}-{repeat}.h5")  # fmt: skip
    picture = halo_picture(study(tmp_path))
    time, surface, sent = picture.figure.axes
    assert [label.get_text() for label in time.get_yticklabels()] == ["rows 28", "rows 112"]
    ends = [bar.get_x() + bar.get_width() for bar in time.patches]
    np.testing.assert_allclose(ends, [2.0, 5.0] * 2)  # ms: exposed, and hidden after it.
    np.testing.assert_allclose([bar.get_width() for bar in surface.patches], [100 / 14, 100 / 56])
    np.testing.assert_allclose([bar.get_width() for bar in sent.patches], [6.0, 1.5])  # kB, mean over ranks.
    np.testing.assert_allclose([line.get_xdata()[0] for line in sent.lines], [8.0, 2.0])
    assert [t.get_text() for t in time.texts if "%" in t.get_text()] == ["6.7 %", "6.7 %"]
    np.testing.assert_allclose(picture.table.column("halo_bytes_most"), [8000, 2000])


def test_a_series_is_named_by_its_image_alone(tmp_path: Path) -> None:
    """Numbers of an image follow from its size; without images they are what tells series apart."""
    for index, (image, features) in enumerate((("[8, 8, 1]", 64), ("[16, 16, 1]", 256), ("[]", 5), ("[]", 7))):
        data = f"hidden = []\n[data]\nimage = {image}\nfeatures = {features}"
        folder = tmp_path / ("images" if features > 7 else "features")
        folder.mkdir(exist_ok=True)
        asked = f"--set data.image='{image}'" if features > 7 else f"--set data.features={features}"
        Synthetic(model=data, command=f"cnn deck.toml {asked}").write(folder / f"{index}.h5")
    labels = [[series.label for series in study(tmp_path / name).series] for name in ("images", "features")]
    assert labels == [["image [8, 8, 1]", "image [16, 16, 1]"], ["features 5", "features 7"]]


@pytest.mark.parametrize("oversubscribed", [0, 1])
def test_plot_draws_the_runs_that_share_images_alone(tmp_path: Path, partita: Command, oversubscribed: int) -> None:
    Synthetic(ranks=1).write(tmp_path / "np1.h5")
    for ranks in (2, 4):
        Synthetic(ranks=ranks, halos=columns([8] * ranks), oversubscribed=oversubscribed).write(
            tmp_path / f"np{ranks}.h5"
        )
    names = [t.get_text() for t in halo_picture(study(tmp_path)).figure.axes[0].get_yticklabels()]
    star = "*" * oversubscribed
    assert names == [f"2 ranks{star}", f"4 ranks{star}"]
    assert partita("plot", tmp_path)[0] == 0
    with (tmp_path / "figures" / "halos.csv").open() as stream:
        found = [(row["ranks"], float(row["surface_to_volume"])) for row in csv.DictReader(stream)]
    assert found == [("2", 0.125), ("4", 0.25)]


def test_bytes_of_a_step_leave_out_warm_up(tmp_path: Path) -> None:
    """Traffic counts the steps after warm-up: as many as /steps has marked so."""
    path = Synthetic(ranks=2, steps=12, warmup=4, halos=columns([5, 5]), halo_bytes=[80, 80]).write(tmp_path / "a.h5")
    with h5py.File(path) as file:
        assert file["traffic/sent_bytes"][1].tolist() == [640, 640]
    np.testing.assert_array_equal(halos(read_record(path)).sent_bytes, [80, 80])
