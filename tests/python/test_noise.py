# SPDX-License-Identifier: BSD-3-Clause
"""Warnings of drift and noise: planted ones are said with their size, chance alone is not."""

import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from partita.analysis import noise
from partita.analysis.noise import (
    began,
    drift_over,
    drift_within,
    kendall_p,
    machine_noise,
    record_warnings,
    study_warnings,
)
from partita.pictures import views
from partita.records.folder import RecordedStudy, read_folder
from partita.records.record import read_record
from synthetic import Synthetic


def steps(n: int, drift: float, sigma: float, seed: int) -> np.ndarray:
    """Steps that grow by this share from the middle of the first third to that of the last."""
    rng = np.random.default_rng(seed)
    return 0.03 * (1 + drift * 1.5 * np.arange(n) / n) * rng.lognormal(0, sigma, n)


def autocorrelated(n: int, rho: float, sigma: float, seed: int) -> np.ndarray:
    rng, x = np.random.default_rng(seed), [0.0]
    for step in rng.normal(0, sigma * np.sqrt(1 - rho * rho), n - 1):
        x.append(rho * x[-1] + step)
    return 0.03 * np.exp(x)


def test_a_planted_drift_is_found_with_its_size() -> None:
    found = [drift_within(steps(63, 0.10, 0.02, seed)) for seed in range(200)]
    assert np.mean([f.matters for f in found]) > 0.95
    # Medians at the steps 10 and 52 of 63.
    expected = (1 + 0.15 * 52 / 63) / (1 + 0.15 * 10 / 63) - 1
    assert np.median([f.change for f in found]) == pytest.approx(expected, abs=0.003)
    faster = drift_within(steps(60, -0.10, 0.02, 1))
    assert faster.matters and faster.change < -0.05


def test_small_drift_and_chance_are_not_said() -> None:
    assert not any(drift_within(steps(60, 0.03, 0.002, seed)).matters for seed in range(100))
    sure = drift_within(steps(60, 0.03, 0.002, 0))
    assert sure.p < 0.01 and abs(sure.change) < 0.05  # Certain, and too small to matter.
    by_chance = [drift_within(steps(60, 0, 0.3, seed)) for seed in range(400)]
    assert max(abs(f.change) for f in by_chance) > 0.05
    assert np.mean([f.p < 0.01 for f in by_chance]) <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 400)


def test_steps_that_depend_on_their_neighbours_seldom_look_like_drift() -> None:
    found = [drift_within(autocorrelated(90, 0.5, 0.1, seed)) for seed in range(300)]
    assert np.mean([f.matters for f in found]) < 0.03


def test_the_permutation_test_is_exact() -> None:
    """The p of nine steps' blocks, counted by hand over all orders of nine."""
    x = np.repeat([1.0, 3.0, 2.0, 5.0, 4.0, 9.0, 7.0, 6.0, 8.0], 2)
    logs = np.log(x[::2])
    seen = abs(logs[-3:].mean() - logs[:3].mean())
    orders = logs[np.array(list(itertools.permutations(range(9))))]
    gaps = np.abs(orders[:, -3:].mean(axis=1) - orders[:, :3].mean(axis=1))
    assert drift_within(x).p == pytest.approx(np.mean(gaps >= seen - 1e-12), abs=1e-12)
    assert drift_within(x[:17]) is None
    assert drift_within(np.concatenate([[99.0] * 5, x])).p == drift_within(x).p  # What fills no block is left out.


def test_kendall_is_exact_and_near_normal_beyond() -> None:
    def s_of(order: tuple[int, ...]) -> int:
        return sum(np.sign(b - a) for a, b in itertools.combinations(order, 2))

    orders = [s_of(o) for o in itertools.permutations(range(5))]
    both = np.add.outer(orders, [s_of(o) for o in itertools.permutations(range(3))])
    for s in (0, 5, 9, 13):
        assert kendall_p(s, [5, 3]) == pytest.approx(np.mean(np.abs(both) >= s), abs=1e-12)
    for sizes in ([100], [102]):  # Counted, and normal.
        n = sizes[0]
        z = (700 - 1) / np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
        assert kendall_p(700, sizes) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=0.02)


def study_of(folder: Path, step_s: dict[str, float], created: dict[str, str], **more: dict) -> RecordedStudy:
    for point, seconds in step_s.items():
        path = Synthetic(
            ranks=int(point[2]), point=point, allreduce=point.split("-")[1], step_s=lambda step, s=seconds: s,
            **more.get(point.rsplit("-", 1)[0], {}),
        ).write(folder / f"{point}.h5")  # fmt: skip
        with h5py.File(path, "r+") as file:
            file.attrs["created_utc"] = created[point]
            file.attrs["run_uuid"] = point
    return read_folder(folder)[0][0]


def repeats(drift: float, seed: int, cells: tuple[str, ...] = ("np1-mpi", "np2-mpi", "np2-ring")) -> tuple[dict, dict]:
    """Five blocks in random order, a minute a run; times grow by `drift` from the first run to the last."""
    rng = np.random.default_rng(seed)
    order = [f"{cell}-r{repeat}" for repeat in range(1, 6) for cell in rng.permutation(cells)]
    base = dict(zip(cells, (0.03, 0.016, 0.018), strict=False))
    times = {
        point: base[point.rsplit("-", 1)[0]] * (1 + drift * k / (len(order) - 1)) * rng.lognormal(0, 0.01)
        for k, point in enumerate(order)
    }
    return times, {point: f"2026-01-01T10:{k:02d}:00Z" for k, point in enumerate(order)}


def test_drift_over_a_study(tmp_path: Path) -> None:
    study = study_of(tmp_path, *repeats(0.2, 1))
    found = drift_over(study)
    assert found.matters and found.change == pytest.approx(0.2, abs=0.06)
    said = [w for w in study_warnings(study) if "drift over the study" in w]
    assert len(said) == 1 and f"{100 * found.change:.1f} % slower" in said[0]


def test_a_study_without_drift_says_none(tmp_path: Path) -> None:
    for seed in range(2):
        (tmp_path / str(seed)).mkdir()
        study = study_of(tmp_path / str(seed), *repeats(0.0, seed))
        assert not drift_over(study).matters and study_warnings(study) == []


def test_a_study_without_times_has_no_drift(tmp_path: Path) -> None:
    times, created = repeats(0.2, 1)
    assert drift_over(study_of(tmp_path, times, dict.fromkeys(created, "yesterday"))) is None


def test_when_a_run_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    record = read_record(Synthetic().write(tmp_path / "a.h5"))
    assert began(record) == 1767225600  # 2026-01-01T00:00:00Z
    record.attributes["created_utc"] = "2026-01-01T01:00:00+01:00"
    assert began(record) == 1767225600
    record.attributes["created_utc"] = "2026-01-01T00:00:00"
    assert began(record) == 1767225600
    monkeypatch.undo()
    time.tzset()


def noisy_machine(path: Path, noise: float) -> None:
    with h5py.File(path, "r+") as file:
        del file["calibration"]
        for name, value in (("quantity", ["triad_byte_per_s", "fixed_work_noise"]), ("value", [1e10, noise]),
                            ("unit", ["byte/s", "1"]), ("description", ["", ""])):  # fmt: skip
            file[f"calibration/{name}"] = value


def test_warnings_of_a_record(tmp_path: Path) -> None:
    calm = Synthetic().write(tmp_path / "calm.h5")
    assert record_warnings(read_record(calm)) == [] and np.isnan(machine_noise(read_record(calm)))
    path = Synthetic(steps=66, step_s=lambda step: 0.03 * (1 + 0.004 * step)).write(tmp_path / "a.h5")
    noisy_machine(path, 0.47)
    said = record_warnings(read_record(path))
    # 63 counted steps, of 3 to 65: medians of the outer thirds at the steps 13 and 55.
    change = (1 + 0.004 * 55) / (1 + 0.004 * 13) - 1
    assert said[0].startswith(f"drift within the run: the last third of its steps is {100 * change:.1f} % slower")
    assert said[1].startswith("noisy machine: one in a hundred repeats of the same work takes 47 % longer")
    virtual = read_record(path)
    virtual.attributes["engine"] = "virtual"
    assert len(record_warnings(virtual)) == 1
    noisy_machine(path, 0.24)
    assert len(record_warnings(read_record(path))) == 1
    with h5py.File(path, "r+") as file:
        del file["calibration/value"]
    assert len(record_warnings(read_record(path))) == 1


def test_warnings_of_a_study(tmp_path: Path) -> None:
    times, created = repeats(0.0, 1)
    longer = {"steps": 63}
    more = {"np1-mpi": {"threads": 2} | longer, "np2-mpi": longer, "np2-ring": {"oversubscribed": 1} | longer}
    study_of(tmp_path, times, created, **more)
    noisy_machine(tmp_path / "np1-mpi-r2.h5", 0.9)
    slow = Synthetic(ranks=2, point="np2-mpi-r9", steps=63, step_s=lambda step: 0.016 * (1 + 0.004 * step))
    slow.write(tmp_path / "slow.h5")
    said = study_warnings(read_folder(tmp_path)[0][0])
    starts = [
        "oversubscribed (more threads than cores), left out of speed-up and efficiency: 2 ranks",
        "threads per rank change along mpi: 2 at 1 rank; 1 at 2 ranks; its speed-up is not over ranks alone (and so",
        "drift within 1 of 16 runs: the last third of the steps of np2-mpi-r9",
        "noisy machine in 1 of 16 runs: one in a hundred repeats of the same work takes 90 %",
    ]
    assert len(said) == len(starts)
    for warning, start in zip(said, starts, strict=True):
        assert warning.startswith(start)


def test_of_many_runs_few_calibrations_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of(tmp_path, *repeats(0.0, 1, ("np1-mpi",)))
    for record in study.records:
        noisy_machine(record.path, 0.9)
    study = read_folder(tmp_path)[0][0]
    assert "noisy machine in 5 of 5 runs" in study_warnings(study)[0]
    monkeypatch.setattr(noise, "MOST_LOOKED_AT", 3)
    assert "noisy machine in 3 of 3 runs" in study_warnings(study)[0]


def test_show_and_plot_say_it(
    tmp_path: Path, partita: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "study_pictures", lambda sight: ())  # Drawing takes long, and shows no notes.
    times, created = repeats(0.2, 1)
    study_of(tmp_path, times, created)
    path = tmp_path / "np1-mpi-r2.h5"
    noisy_machine(path, 0.9)
    assert "warning: noisy machine: one in a hundred" in partita("show", path)[1]
    out = partita("plot", tmp_path)[1]
    assert (
        "note: drift over the study: repeats that ran last are " in out and "note: noisy machine in 1 of 15 runs" in out
    )
