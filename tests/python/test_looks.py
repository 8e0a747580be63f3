# SPDX-License-Identifier: BSD-3-Clause
"""Colours by name, differences that survive grey print, sizes of print, many series and many ranks."""

import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from conftest import PACKAGE
from partita.pictures import bars, style
from partita.pictures.colours import BASE, DASHES, KNOWN, PALETTE, colour_of, looks
from partita.pictures.views import Made, Sight, study_pictures
from partita.records.folder import RecordedStudy, read_folder
from synthetic import Synthetic


def study_of(folder: Path, *runs: Synthetic) -> RecordedStudy:
    for index, run in enumerate(runs):
        run.write(folder / f"run{index:04}.h5")
    return read_folder(folder)[0][0]


def test_a_name_has_one_colour_everywhere() -> None:
    for name in ("ring", "zero2", "a strategy of somebody else"):
        for others in ([], ["mpi"], ["allreduce", "zero1"]):
            assert looks([*others, name])[name].colour == colour_of(name) == looks([name, *others])[name].colour
    assert colour_of("data_parallel/ring") == colour_of("data-parallel ring") == colour_of("ring") == PALETTE[1]
    assert colour_of("all alike") == BASE and colour_of("ssp, s = 3") == colour_of("ssp")
    assert colour_of("backup 0, k 0, ssp, steps 150") == colour_of("ssp")


def test_a_colour_does_not_depend_on_the_process() -> None:
    code = "from partita.pictures.colours import colour_of; print(colour_of('unheard of'))"
    for seed in ("1", "2"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              env={"PYTHONPATH": str(PACKAGE), "PYTHONHASHSEED": seed})  # fmt: skip
        assert done.stdout.strip() == colour_of("unheard of")


@pytest.mark.parametrize("names", [
    ["mpi", "ring", "recursive", "automatic"],
    ["allreduce", "gather_broadcast", "zero1", "zero2", "zero3", "local_sgd"],
    ["gpipe", "1f1b", "interleaved", "zb-h1", "zb-v"],
    ["data", "zero", "tensor", "pipeline", "parameter server"],
    [f"bucket_mib {k}" for k in range(6)],
    ["ring, bucket_mib 1", "ring, bucket_mib 4", "mpi, bucket_mib 1", "mpi, bucket_mib 4"],
])  # fmt: skip
def test_six_series_differ_in_colour_and_without_colour(names: list[str]) -> None:
    found = list(looks(names).values())
    for kind in ("colour", "marker", "dashes"):
        assert len({str(getattr(look, kind)) for look in found}) == len(names)
    assert looks(names) == looks(names[::-1])


def test_forty_series_differ_in_marker_or_dashes_as_long_as_there_are_any() -> None:
    found = looks([f"series {k}" for k in range(40)]).values()
    assert {look.colour for look in found} == set(PALETTE) and {look.dashes for look in found} == set(DASHES)
    assert all(0 <= number < len(PALETTE) for number in KNOWN.values())


def grey(page: style.Page) -> np.ndarray:
    """The page in grey: luminance, rows from the top."""
    page.figure.canvas.draw()
    return np.asarray(page.figure.canvas.buffer_rgba())[..., :3] @ np.array([0.299, 0.587, 0.114]) / 255


def test_classes_differ_in_grey() -> None:
    """Bars of any two classes differ in mean brightness or in how much it varies: their hatch."""
    page = style.Page(style.ONE, 2.0, nrows=1, ncols=1)
    with mpl.rc_context(style.SETTINGS):
        for row, cls in enumerate(style.CLASS):
            bars.bar(page.axes[0], row, 0, 1, style.CLASS[cls], style.HATCH[cls])
    page.figure.set_dpi(200)
    shown = grey(page)
    signatures = []
    for patch in page.axes[0].patches:
        box = patch.get_window_extent()
        inside = shown[
            shown.shape[0] - int(box.y1) + 3 : shown.shape[0] - int(box.y0) - 3, int(box.x0) + 3 : int(box.x1) - 3
        ]
        signatures.append((inside.mean(), inside.std()))
    for k, (mean, spread) in enumerate(signatures):
        for other_mean, other_spread in signatures[:k]:
            assert abs(mean - other_mean) > 0.1 or abs(spread - other_spread) > 0.05
    assert signatures[0][1] < 0.01 < min(spread for _, spread in signatures[1:])  # Compute alone is plain.


def too_small(figure: Figure) -> list[str]:
    """Texts below 7 pt when the picture is as wide as one column, or two where it has several panels."""
    width = figure.get_size_inches()[0]
    panels = [axes for axes in figure.axes if axes.get_visible() and not hasattr(axes, "_colorbar")]
    scale = min(1.0, (style.ONE if len(panels) == 1 and width <= style.ONE else style.TWO) / width)
    texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    return [f"{t.get_text()} {t.get_fontsize() * scale:.1f} pt" for t in texts if t.get_fontsize() * scale < 6.99]


def beyond_the_page(figure: Figure) -> bool:
    figure.draw_without_rendering()
    page, tight = figure.bbox_inches, figure.get_tightbbox()
    return not (
        tight.x0 >= -0.02 and tight.y0 >= -0.02 and tight.x1 <= page.width + 0.02 and tight.y1 <= page.height + 0.02
    )


def check(made: list[Made]) -> set[str]:
    for each in made:
        assert each.picture or each.why, each.name
        if each.picture:
            figure = each.picture.figure
            assert too_small(figure) == [] and not beyond_the_page(figure), each.name
            header = "\n".join(text.get_text() for text in figure.texts).replace("\n", " ")
            assert "mlp" in header and "batch" in header and "Synthetic CPU" in header and "code 01234567" in header
            assert figure.get_size_inches()[0] in (style.ONE, style.TWO) and figure.get_size_inches()[1] < 11
    return {each.name for each in made if each.picture}


def test_forty_series(tmp_path: Path) -> None:
    runs = [
        Synthetic(ranks=p, allreduce=f"strategy {k} with quite a long name", steps=4, warmup=1,
                  step_s=lambda s, p=p, k=k: 0.01 * (1 + k / 40) / p)
        for k in range(40) for p in (1, 4)
    ]  # fmt: skip
    study = study_of(tmp_path, *runs)
    made = [each for each in study_pictures(Sight(study)) if each.name not in ("accuracy", "agreement", "volume")]
    names = check(made)
    assert {"scaling_by_series", "heat", "phases", "memory", "loss"} <= names and "scaling" not in names


def test_one_series_on_up_to_4096_ranks_and_on_one(tmp_path: Path) -> None:
    for name in ("many", "one"):
        (tmp_path / name).mkdir()
    runs = [Synthetic(ranks=4**k, steps=4, warmup=1, step_s=lambda s, k=k: 0.1 / 3**k) for k in (0, 1, 2, 3, 6)]
    names = check(list(study_pictures(Sight(study_of(tmp_path / "many", *runs)))))
    assert {"scaling", "phases", "loss"} <= names and not {"heat", "scaling_by_series", "throughput"} & names
    names = check(list(study_pictures(Sight(study_of(tmp_path / "one", Synthetic())))))
    assert {"throughput", "phases", "loss", "accuracy"} <= names and "scaling" not in names
