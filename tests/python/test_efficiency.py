# SPDX-License-Identifier: BSD-3-Clause
"""Efficiency split into its parts: what was planted in invented records comes back."""

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from synthetic_efficiency import Planted

from partita.analysis.efficiency import (
    EVENTS,
    LOST,
    PHASES,
    Split,
    efficiency,
    karp_flatt,
)
from partita.records.record import read_record
from synthetic import PHASES as NAMES
from synthetic import Pipeline, Synthetic

EXACT = 1e-9
FACTORS = (5, 1, 2)  # Steps of different length: what is planted is of the median one, times 2.


def split(path: Path) -> Split:
    found = efficiency(read_record(path))
    assert found is not None
    return found


def ratios(found: Split) -> tuple[float, ...]:
    return found.parallel_efficiency, found.load_balance, found.serialisation, found.transfer


def points(found: Split) -> list[float]:
    """Of 100 %: imbalance, serialisation, communication, bubble, other."""
    return [100 * found.lost[name] for name in LOST]


def assert_consistent(found: Split) -> None:
    pe, lb, ser, te = ratios(found)
    assert pe == pytest.approx(lb * ser * te, abs=EXACT)
    assert pe + sum(found.lost.values()) == pytest.approx(1, abs=EXACT)


def test_planted_imbalance_and_communication(tmp_path: Path) -> None:
    # 6 and 4 ms, together at 6, an exchange until 8.
    p = Planted(factors=FACTORS)
    for rank, busy in enumerate((6, 4)):
        p.compute(rank, 0, busy)
        p.event(rank, "exchange", busy, 8)
        p.event(rank, "wait", busy, 6)
    found = split(p.write(tmp_path / "a.h5"))
    assert ratios(found) == pytest.approx((5 / 8, 5 / 6, 1, 6 / 8), abs=EXACT)
    assert points(found) == pytest.approx([12.5, 0, 25, 0, 0], abs=EXACT)
    assert (found.exposed_s, found.step_s) == pytest.approx((4e-3, 16e-3), abs=EXACT)
    assert (found.source, found.steps, found.reason) == (EVENTS, 3, "")


def test_planted_serialisation(tmp_path: Path) -> None:
    # 2 ms, a message of 1 ms, 3 ms, a message of 1 ms, 1 ms: T = 8, T_id = 6, C = 3 and 3.
    p = Planted(factors=FACTORS)
    p.compute(0, 0, 2)
    p.message(1, 0, 1, sent=2, wanted=0, arrived=3)
    p.compute(1, 3, 6)
    p.message(2, 1, 0, sent=6, wanted=2, arrived=7)
    p.compute(0, 7, 8)
    found = split(p.write(tmp_path / "a.h5"))
    assert ratios(found) == pytest.approx((3 / 8, 1, 3 / 6, 6 / 8), abs=EXACT)
    assert points(found) == pytest.approx([0, 37.5, 25, 0, 0], abs=EXACT)


def test_what_lies_in_no_event_is_other(tmp_path: Path) -> None:
    # 1 ms of input, then 6 and 4 ms, an exchange from 7 to 9, 1 ms of nothing.
    p = Planted(factors=FACTORS)
    for rank, busy in enumerate((6, 4)):
        p.compute(rank, 1, 1 + busy)
        p.event(rank, "exchange", 1 + busy, 9)
    found = split(p.write(tmp_path / "a.h5", 10))
    assert_consistent(found)
    assert ratios(found) == pytest.approx((5 / 10, 5 / 6, 6 / 8, 8 / 10), abs=EXACT)
    assert points(found) == pytest.approx([10, 0, 20, 0, 20], abs=EXACT)


def test_the_bubble_of_a_pipeline_is_told_from_serialisation(tmp_path: Path) -> None:
    # Four equal stages, 18.2 ms of work in 27.2 ms: 9 ms idle on each, which is what the schedule has.
    parts = dict.fromkeys(("busy_s", "fill_s", "steady_idle_s", "wait_s", "drain_s"), np.zeros(4))
    bubble = {**parts, "replayed_idle_s": np.array([9e-3, 9e-3, 9.5e-3, 9e-3])}
    path = Pipeline(ranks=4, micro_batches=6).write(tmp_path / "a.h5", bubble=bubble, step_s=lambda step: 0.03)
    found = split(path)
    assert_consistent(found)
    lost = dict(zip(LOST, points(found), strict=True))
    assert lost["bubble"] == pytest.approx(100 * 9 / 30, abs=1e-4)  # Steps of the record are 30 ms.
    assert (lost["imbalance"], lost["serialisation"]) == pytest.approx((0, 0), abs=EXACT)


def planted_phases(path: Path, seconds: list[list[float]], **record: object) -> Path:
    """A record of 10 ms steps whose ranks have these ms of compute, communication, wait."""
    Synthetic(ranks=len(seconds), step_s=lambda step: 0.01, **record).write(path)
    with h5py.File(path, "r+") as file:
        phases = np.zeros(file["steps/phase_s"].shape)
        names = [name for name, _ in NAMES]
        for rank, mine in enumerate(seconds):
            for name, ms in zip(("forward", "allreduce", "wait"), mine, strict=True):
                phases[:, rank, names.index(name)] = 1e-3 * ms
        file["steps/phase_s"][...] = phases
    return path


def test_without_events_phases_give_what_they_can(tmp_path: Path) -> None:
    found = split(planted_phases(tmp_path / "a.h5", [[7, 1.5, 0.5], [5, 1.5, 2.5]]))
    assert (found.parallel_efficiency, found.load_balance) == pytest.approx((6 / 10, 6 / 7), abs=EXACT)
    assert math.isnan(found.serialisation) and math.isnan(found.transfer) and math.isnan(found.exposed_s)
    assert (found.source, found.steps) == (PHASES, 9)
    assert found.reason == "no events were recorded (record.events = [FIRST, LAST])"
    lost = {name: 100 * value for name, value in found.lost.items()}
    assert math.isnan(lost.pop("serialisation"))
    assert lost == pytest.approx({"imbalance": 10, "communication": 20, "bubble": 0, "other": 10}, abs=EXACT)


def test_events_of_warm_up_alone_count_for_nothing(tmp_path: Path) -> None:
    p = Planted()
    for rank in range(2):
        p.compute(rank, 0, 1)
    found = split(p.write(tmp_path / "a.h5", 30, warmup=8))
    assert found.source == PHASES and "all are warm-up" in found.reason


def test_a_step_that_cannot_be_replayed_is_left_out(tmp_path: Path) -> None:
    p = Planted(factors=FACTORS)
    for rank in range(2):
        p.compute(rank, 0, 6)
    path = p.write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        step, rank = file["events/step"][...], file["events/rank"][...]
        file["events/rank"][...] = np.where(step == 5, 0, rank)  # Rank 1 has no events there.
    found = split(path)
    assert (found.source, found.steps, found.step_s) == (EVENTS, 2, pytest.approx(9e-3))


def test_damaged_events_are_a_reason(tmp_path: Path) -> None:
    p = Planted()
    for rank in range(2):
        p.compute(rank, 0, 1)
    path = p.write(tmp_path / "a.h5", 30)
    with h5py.File(path, "r+") as file:
        file["events/part"][:] = 99
    found = split(path)
    assert found.source == PHASES and "/events/part holds values beyond 0 to 9" in found.reason
    assert found.parallel_efficiency > 0


@pytest.mark.parametrize("events", [True, False])
def test_records_of_statistics_over_ranks(tmp_path: Path, events: bool) -> None:
    p = Planted()
    for rank, busy in enumerate((6, 4)):
        p.compute(rank, 1, 1 + busy)
        p.event(rank, "exchange", 1 + busy, 9)
    path = p.write(tmp_path / "a.h5", 10)
    with h5py.File(path, "r+") as file:
        steps = file["steps"]
        phases = steps["phase_s"][...].mean(axis=1)
        for name in ("start_ns", "end_ns", "phase_s"):
            del steps[name]
        steps["step_max_s"], steps["step_mean_s"], steps["phase_mean_s"] = np.full(12, 0.01), np.full(12, 0.01), phases
        if not events:
            del file["events"]
    found = split(path)
    if events:  # From the first event to the last.
        assert ratios(found) == pytest.approx((5 / 8, 5 / 6, 6 / 6, 6 / 8), abs=EXACT)
    else:
        assert math.isnan(found.load_balance)
        assert (
            found.reason == 'no events were recorded (record.events = [FIRST, LAST]), and record.detail = "stats" '
            "has no phases of each rank"
        )


def test_workers_that_do_not_meet_have_no_efficiency(tmp_path: Path) -> None:
    path = Synthetic(ranks=3).write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["workers"] = 2
    found = split(path)
    assert math.isnan(found.parallel_efficiency) and "do not meet" in found.reason


def test_nothing_of_a_record_whose_steps_do_not_count(tmp_path: Path) -> None:
    assert efficiency(read_record(Synthetic(written=2).write(tmp_path / "a.h5.part"))) is None


def test_formulas() -> None:
    p, serial = 16, 0.05
    assert karp_flatt(1 / (serial + (1 - serial) / p), p) == pytest.approx(serial)
    assert math.isnan(karp_flatt(1, 1))
