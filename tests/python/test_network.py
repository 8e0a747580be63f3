# SPDX-License-Identifier: BSD-3-Clause
"""The replay of a step on a free network, against steps worked out by hand."""

from pathlib import Path

import pytest
from synthetic_efficiency import Planted

from partita.analysis.network import Replay, replay_step
from partita.records.events import read_events
from synthetic import Pipeline

EXACT = 1e-12  # Seconds: instants are whole nanoseconds.


def replayed(planted: Planted, path: Path, end: float | None = None) -> Replay:
    found = replay_step(read_events(planted.write(path / "a.h5", end)), 5)
    assert isinstance(found, Replay), found
    return found


def ideal_ms(planted: Planted, path: Path, elapsed: float) -> float:
    found = replayed(planted, path)
    assert found.elapsed_s == pytest.approx(1e-3 * elapsed, abs=EXACT)
    return 1e3 * found.ideal_s


def test_an_exchange_ends_when_the_last_rank_has_come(tmp_path: Path) -> None:
    # 6 and 4 ms, an exchange of 2 ms for which rank 1 waits 2 ms at a barrier, 1 ms of update.
    p = Planted()
    for rank, busy in enumerate((6, 4)):
        p.compute(rank, 0, busy)
        p.event(rank, "exchange", busy, 8)
        p.event(rank, "wait", busy, 6)
        p.event(rank, "update", 8, 9)
    found = replayed(p, tmp_path)
    assert found.compute_s.tolist() == pytest.approx([7e-3, 5e-3], abs=EXACT)
    assert (found.ideal_s, found.bare_s) == pytest.approx((7e-3, 7e-3), abs=EXACT)


def test_a_chain_of_messages_stays_a_chain(tmp_path: Path) -> None:
    # Rank 0: 2 ms, then to rank 1: 3 ms, then back: 1 ms. Each message takes 1 ms.
    p = Planted(offset_ns=(0, -7_000_000_000))
    p.compute(0, 0, 2)
    p.message(1, 0, 1, sent=2, wanted=0, arrived=3)
    p.compute(1, 3, 6)
    p.message(2, 1, 0, sent=6, wanted=2, arrived=7)
    p.compute(0, 7, 8)
    assert ideal_ms(p, tmp_path, 8) == pytest.approx(6)


def test_what_lies_in_no_event_stays_and_is_told_apart(tmp_path: Path) -> None:
    # 1 ms of input, 2 ms of forward, 0.5 ms of nothing, 2 ms of forward, an exchange of 1 ms, 0.25 ms of nothing.
    p = Planted(ranks=1, places=[[0]])
    p.compute(0, 1, 3)
    p.compute(0, 3.5, 5.5)
    p.event(0, "exchange", 5.5, 6.5)
    found = replayed(p, tmp_path, 6.75)
    assert (found.ideal_s, found.bare_s) == pytest.approx((5.75e-3, 4e-3), abs=EXACT)


def test_helping_on_a_collective_between_units_is_network(tmp_path: Path) -> None:
    p = Planted(ranks=1, places=[[0]], hidden_s=0.001)
    p.compute(0, 1, 3)
    p.compute(0, 3.5, 5.5)
    # Of the three gaps the middle one is the network's.
    assert replayed(p, tmp_path, 6).ideal_s == pytest.approx(5.5e-3, abs=EXACT)


def test_nested_events_count_once_and_the_inner_one_decides(tmp_path: Path) -> None:
    # A whole action from 0 to 6, within it a receive of 2 ms, a unit of 3 ms that has a sum of 1 ms inside.
    p = Planted()
    p.event(0, "forward", 0, 6, micro_batch=0)
    p.message(1, 1, 0, sent=1, wanted=0, arrived=2)
    p.event(0, "forward", 2, 5, "linear0", micro_batch=0)
    p.event(0, "forward", 3, 4, "linear0.all-reduce", micro_batch=0)
    p.compute(1, 0, 1)
    found = replayed(p, tmp_path)
    assert found.compute_s.tolist() == pytest.approx([2e-3, 1e-3], abs=EXACT)
    assert found.bare_s == pytest.approx(3e-3, abs=EXACT)  # Rank 1's 1 ms, then rank 0's 2 ms.


def test_replicas_of_one_stage_meet_and_stages_do_not(tmp_path: Path) -> None:
    # Two stages of two replicas; ranks 0 and 2 are replicas of stage 0. Exchange after 1, 5, 2, 1 ms; update of 1, 1,
    # 4, 1 ms. Stage 0 meets at 2 and ends at 6; were all four to meet at 5, the end would be 9.
    p = Planted(ranks=4, axes=("data", "pipeline"), places=[[0, 0], [0, 1], [1, 0], [1, 1]])
    for rank, (busy, after) in enumerate(((1, 1), (5, 1), (2, 4), (1, 1))):
        p.compute(rank, 0, busy)
        p.event(rank, "exchange", busy, 8)
        p.event(rank, "update", 8, 8 + after)
    assert ideal_ms(p, tmp_path, 12) == pytest.approx(6)


def test_ranks_that_share_a_unit_meet_in_it(tmp_path: Path) -> None:
    # Two tensor ranks, two units' worth of sums: 1 + 3 against 3 + 1 ms. Each sum waits for the later one: 3 + 3.
    p = Planted(axes=("data", "tensor"), places=[[0, 0], [0, 1]])
    for rank, (first, second) in enumerate(((1, 3), (3, 1))):
        p.compute(rank, 0, first)
        p.event(rank, "forward", first, 4, "linear0.all-reduce", micro_batch=0, piece=0)
        p.event(rank, "forward", 4, 4 + second, "linear1", micro_batch=0)
        p.event(rank, "forward", 4 + second, 8, "norm.gather-tokens", micro_batch=0, piece=0)
    assert ideal_ms(p, tmp_path, 8) == pytest.approx(6)


def test_a_sum_in_flight_holds_up_its_last_row_alone(tmp_path: Path) -> None:
    # Posted after 1 and 3 ms, waited for after 1.5 and 1 ms more of work.
    p = Planted(axes=("data", "tensor"), places=[[0, 0], [0, 1]])
    for rank, (before, during) in enumerate(((1, 1.5), (3, 1))):
        p.compute(rank, 0, before)
        p.event(rank, "backward_input", before, before + 0.25, "linear0.all-reduce", micro_batch=0)
        p.event(rank, "backward_weights", before + 0.25, before + 0.25 + during, "linear0", micro_batch=0)
        p.event(rank, "backward_input", before + 0.25 + during, 5, "linear0.all-reduce", micro_batch=0)
        p.event(rank, "update", 5, 5.5)
    # Rank 0 works for 2.5 ms and waits until 3, when rank 1 posts; rank 1 goes on to 4; each then has 0.5 ms to do.
    assert ideal_ms(p, tmp_path, 5.5) == pytest.approx(4.5)


@pytest.mark.parametrize(("slow", "busy", "ends"), [(2, 0, 6.0), (1, 0, 8.0), (0, 2, 6.0), (1, 2, 8.0)])
def test_a_halo_waits_for_neighbours(tmp_path: Path, slow: int, busy: int, ends: float) -> None:
    # Three ranks along space. Rank `slow` posts after 5 ms, others at once; after its halo rank `busy` works for 3 ms,
    # the others for 1 ms: ranks 0 and 2 need rank 1, and not each other.
    p = Planted(ranks=3, axes=("spatial",), places=[[0], [1], [2]])
    for rank in range(3):
        at = 5 if rank == slow else 0
        p.compute(rank, 0, at)
        p.event(rank, "forward", at, at + 0.5, "conv0.halo", micro_batch=0)
        p.event(rank, "forward", at + 0.5, 9, "conv0.halo", micro_batch=0)
        p.event(rank, "update", 9, 12 if rank == busy else 10)
    assert ideal_ms(p, tmp_path, 12) == pytest.approx(ends)


def test_gathers_meet_by_the_unit_that_needs_them(tmp_path: Path) -> None:
    # Rank 1 found the first unit's weights there: its only gather is for the second unit, as is rank 0's second one.
    p = Planted()
    p.event(0, "exchange", 0, 1, micro_batch=0)
    p.event(0, "forward", 1, 2, "linear0", micro_batch=0)
    p.event(0, "exchange", 2, 6, micro_batch=0)
    p.event(0, "forward", 6, 7, "linear1", micro_batch=0)
    p.event(1, "forward", 0, 5, "linear0", micro_batch=0)
    p.event(1, "exchange", 5, 6, micro_batch=0)
    p.event(1, "forward", 6, 9, "linear1", micro_batch=0)
    assert ideal_ms(p, tmp_path, 9) == pytest.approx(8)


def test_a_gather_for_a_forward_that_is_done_again_meets_its_like(tmp_path: Path) -> None:
    # Rank 1 gathers for the second forward of the unit alone, rank 0 for both.
    p = Planted()
    p.event(0, "exchange", 0, 1, micro_batch=0)
    p.event(0, "forward", 1, 2, "linear0", micro_batch=0)
    p.event(0, "exchange", 2, 6, micro_batch=0)
    p.event(0, "forward", 6, 12, "linear0", micro_batch=0)
    p.event(1, "forward", 0, 5, "linear0", micro_batch=0)
    p.event(1, "exchange", 5, 6, micro_batch=0)
    p.event(1, "forward", 6, 9, "linear0", micro_batch=0)
    assert ideal_ms(p, tmp_path, 12) == pytest.approx(11)  # Rank 0 has 1 ms behind it when they meet at 5.


def test_a_replay_is_never_longer_than_the_step(tmp_path: Path) -> None:
    # Rank 1 begins 2 ms after rank 0, whose message it needs at once: they take 3 and 4 ms, begun together 3 + 3.
    p = Planted(begin_ms=(0, 2))
    p.compute(0, 0, 3)
    p.message(1, 0, 1, sent=3, wanted=2, arrived=3)
    p.compute(1, 3, 6)
    found = replayed(p, tmp_path)
    assert (found.elapsed_s, found.ideal_s, found.bare_s) == pytest.approx((4e-3, 4e-3, 4e-3), abs=EXACT)


def test_a_pipeline_of_equal_stages_has_its_closed_form(tmp_path: Path) -> None:
    # 1F1B, p = 4 stages of F = 1 ms and B = 2 ms, m = 6 micro-batches: (m + p - 1)(F + B) = 27 ms; 0.2 ms of update.
    events = read_events(Pipeline(ranks=4, micro_batches=6).write(tmp_path / "a.h5"))
    found = replay_step(events, 5)
    assert isinstance(found, Replay)
    assert found.compute_s.tolist() == pytest.approx([18.2e-3] * 4, abs=EXACT)
    assert found.bare_s == pytest.approx(27.2e-3, abs=EXACT)


def lone_receive(p: Planted) -> None:
    p.event(1, "receive", 1, 2, micro_batch=0, peer=0, match=9)


def crossed(p: Planted) -> None:
    """Each rank waits for what the other one sends after it has it."""
    p.message(1, 0, 1, sent=3, wanted=1, arrived=2)
    p.message(2, 1, 0, sent=3, wanted=1, arrived=2)


def silent(p: Planted) -> None:
    p.rows[:] = [row for row in p.rows if row["rank"] == 0]


def lost(p: Planted) -> None:
    p.dropped = 3


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lone_receive, "step 5: 1 receive without the send of the same message"),
        (crossed, "step 5: 2 ranks wait for each other for ever (rank 0 first)"),
        (silent, "step 5: 1 rank without events"),
        (lost, "3 events of the run found no room"),
    ],
)
def test_what_cannot_be_replayed_says_why(tmp_path: Path, spoil: object, reason: str) -> None:
    p = Planted()
    for rank in range(2):
        p.compute(rank, 0, 1)
    spoil(p)
    assert replay_step(read_events(p.write(tmp_path / "a.h5", 4)), 5) == reason
