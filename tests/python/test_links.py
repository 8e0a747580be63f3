# SPDX-License-Identifier: BSD-3-Clause
"""Alpha-beta fits of records: planted latencies and bandwidths come back, from comm_bench and from recorded events."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from synthetic_efficiency import Planted
from test_collectives import ALPHA, BETA, SIZES, bench_record

from partita.analysis.event_times import HIDDEN, NO_EVENTS, event_samples
from partita.analysis.fits import Fit
from partita.analysis.links import Timed, bench_times, run_times, study_times
from partita.records.folder import read_folder
from partita.records.record import read_record
from partita.reports.blocks import Paragraph
from partita.reports.links import link_blocks
from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]
LATENCY, PER_BYTE = 20e-6, 1e-9  # Of planted messages.
BYTES = [1_000, 5_000, 20_000, 100_000, 400_000]
ROUNDED = 1e-4  # Instants are whole nanoseconds, the shortest message takes 21 us.


def ms(size: int) -> float:
    return 1e3 * (LATENCY + PER_BYTE * size)


def fit_of(times: Sequence[Timed] | str) -> Fit:
    assert not isinstance(times, str), times
    (one,) = times
    assert isinstance(one.fit, Fit), one.fit
    return one.fit


def message(p: Planted, number: int, size: int, sent: float, wanted: float, taken: float) -> None:
    p.event(0, "send", sent, sent, micro_batch=0, peer=1, match=number, bytes=size)
    p.event(1, "receive", wanted, max(wanted, sent) + taken, micro_batch=0, peer=0, match=number, bytes=size)


def messages(sizes: Sequence[int] = BYTES, late: bool = False) -> Planted:
    """Of these sizes, one after the other; late: each has a copy whose receiver comes when it is long there."""
    p = Planted(axes=("pipeline",), offset_ns=(0, 3_000_000_000))
    for number, size in enumerate(sizes):
        message(p, 2 * number, size, 10 * number + 1, 10 * number + 0.5, ms(size))
        if late:
            message(p, 2 * number + 1, size, 10 * number + 3, 10 * number + 6, 0.001)
    return p


def exchanges(sizes: Sequence[int] = BYTES, **more: object) -> Planted:
    """Rank 1 comes 2 ms after rank 0."""
    p = Planted(**more)
    for number, size in enumerate(sizes):
        for rank, came in enumerate((0, 2)):
            p.event(rank, "exchange", 10 * number + came, 10 * number + 2 + ms(size), bytes=size)
    return p


def test_what_is_planted_in_comm_bench_comes_back(tmp_path: Path) -> None:
    times = bench_times(read_record(bench_record(tmp_path / "a.h5")))
    assert [t.name for t in times] == ["allreduce mpi", "allreduce ring", "halo mpi", "halo ring"]
    for t in times:
        k = ["mpi", "ring"].index(t.way)
        assert isinstance(t.fit, Fit) and not t.disagrees
        assert t.fit.parameters == pytest.approx({"alpha": ALPHA[k], "beta": BETA[k]}, rel=1e-9)
        assert t.fit.implied == pytest.approx({"bandwidth": 1 / BETA[k], "half": ALPHA[k] / BETA[k]}, rel=1e-9)
        assert t.fit.largest < 1e-12


def test_an_outlier_is_the_largest_residual(tmp_path: Path, partita: Command) -> None:
    path = bench_record(tmp_path / "a.h5", ("allreduce",))
    with h5py.File(path, "r+") as file:
        file["allreduce/median_s"][2, 1] *= 1.5  # The ring at 512 bytes.
    mpi, ring = bench_times(read_record(path))
    assert isinstance(mpi.fit, Fit) and mpi.fit.largest < 1e-12
    # The same least squares by another way, without a bound for alpha.
    x, t = np.array(SIZES, float), np.array(ring.seconds)
    alpha, beta = np.linalg.lstsq(np.stack([1 / t, x / t], axis=1), np.ones(5), rcond=None)[0]
    assert isinstance(ring.fit, Fit)
    assert ring.fit.parameters == pytest.approx({"alpha": alpha, "beta": beta}, rel=1e-9)
    size, residual = ring.worst
    assert size == 512 and residual == pytest.approx((alpha + beta * 512) / t[2] - 1) and -1 / 3 < residual < -0.2
    # The app's own columns still hold the line without the outlier: that is said.
    assert ring.disagrees and not mpi.disagrees
    code, out, _ = partita("show", path)
    assert code == 0 and f"residuals {100 * ring.fit.rms:.2g} % (rms), {100 * -residual:.2g} % (largest)" in out
    assert "The record's own fit is another one: allreduce ring (1.000 us" in " ".join(out.split())


def test_four_sizes_have_no_fit_and_five_have(tmp_path: Path, partita: Command) -> None:
    four = bench_record(tmp_path / "four.h5", sizes=SIZES[:4])
    code, out, _ = partita("show", four)
    why = "4 sizes: fits from 5 on (allreduce mpi, allreduce ring, halo mpi, halo ring)"
    assert code == 0 and f"no fit: {why}" in out
    (said,) = link_blocks("four", "Four", bench_times(read_record(four)))
    assert said == Paragraph(f"Four: no alpha-beta fit: {why}.", "note")
    (tmp_path / "s").mkdir()
    bench_record(tmp_path / "s" / "five.h5", ("halo",))
    code, _, err = partita("report", tmp_path / "s", "-o", tmp_path / "r.html", "--markdown", "--csv", tmp_path / "csv")
    assert (code, err) == (0, "")
    text = (tmp_path / "r.md").read_text()
    assert "| halo mpi | 2 | 5: 8 B .. 32 KiB | 2.00 | 1.00 | 1.95 KiB |" in text
    (name,) = (p.name for p in (tmp_path / "csv").iterdir() if p.name.endswith("_links.csv"))
    with (tmp_path / "csv" / name).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(r["alpha_s"]) for r in rows] == pytest.approx(ALPHA)
    assert [float(r["byte_per_s"]) for r in rows] == pytest.approx(1 / BETA)


@pytest.mark.parametrize("planted", [messages(), messages(late=True), exchanges()])
def test_what_is_planted_in_events_comes_back(tmp_path: Path, planted: Planted) -> None:
    times = run_times(read_record(planted.write(tmp_path / "a.h5", warmup=1)))
    found = fit_of(times)
    assert found.parameters == pytest.approx({"alpha": LATENCY, "beta": PER_BYTE}, rel=ROUNDED)
    assert found.largest < ROUNDED
    (one,) = times
    assert isinstance(one, Timed) and (one.ranks, one.calls, one.sizes) == ("2", 15, tuple(map(float, BYTES)))
    assert one.name in ("message along pipeline", "exchange along data (mpi)")


def test_what_is_not_the_time_of_its_bytes_is_not_taken(tmp_path: Path, partita: Command) -> None:
    hidden = exchanges(hidden_s=0.001).write(tmp_path / "hidden.h5", warmup=1)
    assert run_times(read_record(hidden)) == HIDDEN
    late = Planted(axes=("pipeline",))
    message(late, 0, 640, 1, 2, 0.001)
    assert run_times(read_record(late.write(tmp_path / "late.h5"))) == "no receiver waited for its message"
    dropped = exchanges(dropped=3).write(tmp_path / "dropped.h5")
    assert run_times(read_record(dropped)) == "3 events of the run found no room"
    assert run_times(read_record(Synthetic(ranks=2).write(tmp_path / "none.h5"))) == NO_EVENTS
    code, out, _ = partita("show", hidden)
    assert code == 0 and "no fit: exchanges go on while units work" in out


def test_points_of_a_study_are_taken_together_and_algorithms_apart(tmp_path: Path, partita: Command) -> None:
    folder = tmp_path / "sizes"
    folder.mkdir()
    for number, size in enumerate(BYTES):
        for way in ("mpi", "ring"):
            path = folder / f"b{number}-{way}.h5"
            slower = 3 if way == "ring" else 1
            exchanges([slower * size]).write(
                path, warmup=1, batch=64 * (number + 1), allreduce=way, study="sizes", point=f"b{number}-{way}-r1"
            )
    (study,), _, _ = read_folder(folder)
    times = study_times(study)
    assert not isinstance(times, str) and [t.name for t in times] == [
        "exchange along data (mpi)", "exchange along data (ring)"]  # fmt: skip
    for t in times:
        assert isinstance(t.fit, Fit)
        assert t.fit.parameters == pytest.approx({"alpha": LATENCY, "beta": PER_BYTE}, rel=ROUNDED)
    (alone, *_) = run_times(study.records[0])
    assert isinstance(alone, Timed) and alone.fit == "1 size: fits from 5 on"
    code, _, err = partita("report", folder, "-o", tmp_path / "r.html", "--markdown")
    assert (code, err) == (0, "")
    text = (tmp_path / "r.md").read_text()
    assert "| exchange along data (mpi) | 2 | 5: 1000 B .. 390.62 KiB | 20.0 | 1.00 |" in text


def test_a_study_without_events_is_not_read_for_them(tmp_path: Path) -> None:
    for ranks in (1, 2):
        Synthetic(ranks=ranks, point=f"np{ranks}-mpi-r1").write(tmp_path / f"{ranks}.h5")
    (study,), _, _ = read_folder(tmp_path)
    for record in study.records:
        record.path.unlink()
    assert study_times(study) == NO_EVENTS


def test_damaged_events_are_a_reason(tmp_path: Path) -> None:
    path = messages().write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["events/rank"][0] = 7
    found = event_samples(read_record(path))
    assert isinstance(found, str) and "/events/rank holds values beyond 0 to 1" in found
