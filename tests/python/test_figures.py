# SPDX-License-Identifier: BSD-3-Clause
"""Pictures: axes, lines, labels and numbers, looked up in matplotlib's own objects."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from partita.analysis.scaling import analyse
from partita.pictures import agreement, curves, scaling, style
from partita.pictures.phases import phases_of, phases_picture
from partita.records.folder import RecordedStudy, read_folder
from synthetic import Synthetic

TIMES = {(1, "mpi"): 0.040, (2, "mpi"): 0.025, (2, "ring"): 0.022}


def study_of(folder: Path, *runs: Synthetic) -> RecordedStudy:
    for index, run in enumerate(runs):
        run.write(folder / f"run{index}.h5")
    return read_folder(folder)[0][0]


def usual(folder: Path, **also: object) -> RecordedStudy:
    runs = [Synthetic(ranks=p, allreduce=a, step_s=lambda s, t=t: t, **also) for (p, a), t in TIMES.items()]
    return study_of(folder, *runs)


def lines(axes: Axes, label: str) -> list[tuple[list[float], list[float]]]:
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines if line.get_label() == "_" + label]


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.texts)


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for box in figure.legends for text in box.get_texts()]


def test_scaling_has_four_panels_with_units_and_an_ideal(tmp_path: Path) -> None:
    study = usual(tmp_path)
    picture = scaling.scaling_picture(study, analyse(study))
    time, rate, speedup, efficiency = picture.figure.axes
    titles = ["Time per step", "Throughput", "Speed-up", "Efficiency"]
    assert [a.get_title(loc="left") for a in picture.figure.axes] == titles
    assert {a.get_xlabel() for a in picture.figure.axes} == {"ranks (1 thread each)"}
    assert [a.get_ylabel() for a in picture.figure.axes] == [
        "median step (ms)",
        "samples per second",
        "relative to 1 rank",
        "speed-up / ideal",
    ]
    assert all(list(a.get_xticks()) == [1, 2] for a in picture.figure.axes)
    assert legend(picture.figure) == ["mpi", "ring", "ideal"]
    assert lines(time, "mpi") == [([1, 2], pytest.approx([40, 25], rel=1e-9))]
    assert lines(rate, "ring") == [([1, 2], pytest.approx([64 / 0.04, 64 / 0.022], rel=1e-9))]
    assert lines(rate, "ideal")[0][1][-1] == pytest.approx(2 * 64 / 0.04, rel=1e-9)
    assert lines(speedup, "ring") == [([1, 2], pytest.approx([1, 40 / 22], rel=1e-9))]
    assert lines(efficiency, "mpi") == [([1, 2], pytest.approx([1, 0.8], rel=1e-9))]
    assert lines(speedup, "ideal") == [([1, 2], [1, 2])]
    assert lines(time, "ideal")[0][1][-1] == pytest.approx(20, rel=1e-9)
    assert "Strong scaling of mlp_dp" in texts(picture.figure) and "no intervals" in texts(picture.figure)


def test_limits_hold_all_data(tmp_path: Path) -> None:
    study = usual(tmp_path)
    for axes in scaling.scaling_picture(study, analyse(study)).figure.axes:
        for line in axes.lines:
            y = np.asarray(line.get_ydata(), float)
            assert axes.get_ylim()[0] <= np.nanmin(y) and np.nanmax(y) <= axes.get_ylim()[1]


def test_oversubscribed_points_are_hollow_in_time_and_absent_elsewhere(tmp_path: Path) -> None:
    runs = [Synthetic(ranks=p, oversubscribed=int(p == 4)) for p in (1, 2, 4)]
    study = study_of(tmp_path, *runs)
    figure = scaling.scaling_picture(study, analyse(study)).figure
    time, _, speedup, efficiency = figure.axes
    full, hollow = lines(time, "data-parallel mpi")
    assert full[0] == [1, 2] and hollow[0] == [4]
    for axes in (speedup, efficiency):
        assert [x for x, _ in lines(axes, "data-parallel mpi")] == [[1, 2]] and list(axes.get_xticks()) == [1, 2]
    assert lines(time, "ideal")[0][0][-1] == 2
    assert "oversubscribed" in legend(figure)
    assert "left out of speed-up and efficiency: 4 ranks" in texts(figure)


def test_work_that_does_not_compare_has_no_speedup(tmp_path: Path) -> None:
    study = study_of(tmp_path, Synthetic(ranks=1, batch=64), Synthetic(ranks=2, batch=96))
    figure = scaling.scaling_picture(study, analyse(study)).figure
    assert len(figure.axes) == 2 and "no speed-up or efficiency: samples per step" in texts(figure).replace("\n", " ")


def test_weak_scaling_has_a_flat_ideal(tmp_path: Path) -> None:
    study = study_of(tmp_path, *[Synthetic(ranks=p, batch=32 * p) for p in (1, 2)])
    figure = scaling.scaling_picture(study, analyse(study)).figure
    assert "Weak scaling" in texts(figure) and figure.axes[2].get_title(loc="left") == "Scaled speed-up"
    assert lines(figure.axes[0], "ideal")[0][1] == pytest.approx([30] * 65, rel=1e-9)


def test_phases_stack_to_the_step_by_class_and_by_phase(tmp_path: Path) -> None:
    picture = phases_picture(usual(tmp_path))
    for axes, parts in zip(picture.figure.axes, (5, 8), strict=True):  # Of the runs on two ranks.
        rows: dict[float, list[float]] = {}
        for bar in axes.patches:
            rows.setdefault(round(bar.get_y(), 6), []).append(bar.get_width())
        assert [sum(widths) for widths in rows.values()] == pytest.approx([40, 25, 22], rel=1e-9)
        assert len(list(rows.values())[-1]) == parts
        assert axes.get_xlabel() == "time in a step (ms)"
    first = picture.figure.axes[0]
    assert [t.get_text() for t in first.get_yticklabels()] == ["all alike", "mpi", "ring"]
    assert [t.get_text() for t in first.texts if "rank" in t.get_text()] == ["1 rank", "2 ranks"]
    rows = {(r["series"], r["ranks"], r["phase"]): r for r in picture.table}
    assert rows["ring", 2, "allreduce"]["share"] == pytest.approx(0.12, rel=1e-9)
    assert rows["ring", 2, "allreduce"]["class"] == "communication"
    assert rows["mpi", 2, "unattributed"]["share"] == pytest.approx(0.02, rel=1e-6)
    assert ("all alike", 1, "forward") in rows


def test_colours_tell_classes_apart(tmp_path: Path) -> None:
    study = usual(tmp_path)
    phases = phases_of(study.records)
    assert len({phase.colour for phase in phases.values()}) == len(phases)
    assert {phase.cls for phase in phases.values()} == {"compute", "input", "communication", "wait", ""}


def test_phases_are_the_runs_own(tmp_path: Path) -> None:
    """Any names, any number, another list in each run: coloured by class, in the order of the records."""
    free = [(f"unit{k}", "compute") for k in range(11)] + [("halo", "communication"), ("pull", "communication")]
    runs = [
        Synthetic(ranks=1),
        Synthetic(ranks=2, allreduce="ring", phases=free, shares=[0.05 + 0.001 * k for k in range(len(free))]),
    ]
    study = study_of(tmp_path, *runs)
    phases = phases_of(study.records)
    assert [n for n, phase in phases.items() if phase.cls == "compute"][-11:] == [n for n, _ in free[:11]]
    assert len({phase.colour for phase in phases.values()}) == len(phases)
    rows = {(r["ranks"], r["phase"]): r for r in phases_picture(study).table}
    assert rows[2, "unit10"]["share"] == pytest.approx(0.06, rel=1e-9) and rows[2, "unit10"]["class"] == "compute"
    assert rows[2, "pull"]["class"] == "communication" and rows[2, "forward"]["share"] == 0


def test_loss_stands_against_samples_and_against_time(tmp_path: Path) -> None:
    picture = curves.loss_picture(usual(tmp_path))
    samples, time = picture.figure.axes
    assert [list(line.get_xdata()) for line in samples.lines] == [[64.0 * k for k in range(1, 13)]] * 3
    ends = [float(line.get_xdata()[-1]) for line in time.lines]
    assert ends == pytest.approx([11 + step_s for step_s in TIMES.values()], rel=1e-9)  # A step begins each second.
    assert samples.get_ylabel() == "training loss (mean over the batch)" and time.get_xlabel() == "time (s)"
    assert legend(picture.figure) == ["1 rank", "2 ranks, mpi", "2 ranks, ring"]
    last = [r for r in picture.table if r["series"] == "ring"][-1]
    assert (last["step"], last["samples"], last["time_s"]) == (12, 768, pytest.approx(11.022))


def test_losses_agree_differ_or_are_not_compared(tmp_path: Path) -> None:
    runs = [
        Synthetic(ranks=p, allreduce=a, loss=lambda s, f=1 + 1e-6 * k: f * 2 / (1 + s))
        for k, (p, a) in enumerate(TIMES)
    ]
    for name in ("apart", "models", "same"):
        (tmp_path / name).mkdir()
    axes = agreement.agreement_picture(study_of(tmp_path / "apart", *runs)).figure.axes[0]
    assert [float(np.median(line.get_ydata())) for line in axes.lines[:2]] == pytest.approx([1e-6, 2e-6], rel=1e-3)
    unlike = [Synthetic(ranks=p, model=f"width = {32 * p}", loss=lambda s, p=p: 2 / (p + s)) for p in (1, 2)]
    assert "different models (model.width)" in agreement.agreement_picture(study_of(tmp_path / "models", *unlike))
    assert agreement.agreement_picture(usual(tmp_path / "same")) == "all losses are bit-identical at every step"


def test_many_points_have_one_legend_entry_a_series(tmp_path: Path) -> None:
    runs = [Synthetic(ranks=p, allreduce=a) for p in (1, 2, 4, 8) for a in ("mpi", "ring") if p > 1 or a == "mpi"]
    figure = curves.loss_picture(study_of(tmp_path, *runs)).figure
    assert legend(figure) == ["1 rank", "2 to 8 ranks, mpi", "2 to 8 ranks, ring"]


def test_accuracy_as_curves_rows_or_not_at_all(tmp_path: Path) -> None:
    for name, accuracy in (("curve", (0.5, 0.8)), ("rows", (0.8,)), ("none", ())):
        (tmp_path / name).mkdir()
        picture = curves.accuracy_picture(usual(tmp_path / name, accuracy=accuracy))
        if name == "none":
            assert picture == "no run was evaluated on held-out samples"
        elif name == "rows":
            labels = [t.get_text() for t in picture.figure.axes[0].get_yticklabels()]
            assert labels == ["1 rank", "2 ranks, mpi", "2 ranks, ring"]
        else:
            assert [list(line.get_ydata()) for line in picture.figure.axes[0].lines] == [[0.5, 0.8]] * 3
            assert list(picture.figure.axes[0].lines[0].get_xdata()) == [6 * 64, 12 * 64]


def test_command_writes_pictures_and_numbers(tmp_path: Path, partita: Callable[..., tuple[int, str, str]]) -> None:
    usual(tmp_path)
    code, out, err = partita("plot", tmp_path, "--output", tmp_path / "pictures", "--format", "svg", "--why")
    assert (code, err) == (0, "")
    for name in ("scaling", "phases", "loss", "accuracy"):
        assert (tmp_path / "pictures" / f"{name}.svg").stat().st_size > 8000
        with (tmp_path / "pictures" / f"{name}.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) >= 4
    assert "1.600" in out and "80.0 %" in out and "scaling.svg" in out and "phases.svg" in out
    assert "not drawn: agreement: all losses are bit-identical at every step" in out
    with (tmp_path / "pictures" / "scaling.csv").open() as stream:
        row = next(r for r in csv.DictReader(stream) if (r["series"], r["ranks"]) == ("mpi", "2"))
    assert (float(row["step_s"]), float(row["speedup"]), row["step_s_low"]) == (0.025, 1.6, "")


def test_same_records_same_bytes(tmp_path: Path) -> None:
    study = usual(tmp_path)
    for kind in ("png", "svg", "pdf"):
        for name in ("a", "b"):
            style.save(phases_picture(study).figure, tmp_path / f"{name}.{kind}")
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
