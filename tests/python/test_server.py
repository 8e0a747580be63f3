# SPDX-License-Identifier: BSD-3-Clause
"""Parameter servers: what `partita show` says, what `partita plot` draws, and that virtual seconds say so."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from synthetic_server import ServerSynthetic

from partita.pictures.picture import Picture
from partita.pictures.server_figures import server_pictures
from partita.records.folder import read_folder

Command = Callable[..., tuple[int, str, str]]
MARKED = re.compile(r"\b0*[.,]?0*7[.,]?77?\b|7[.,]?7[.,]?7")  # MARK_S in any unit.
NAN = float("nan")


def pictures(folder: Path) -> dict[str, Picture]:
    ((study,), _, _) = read_folder(folder)
    return {p.name: p for _, p in server_pictures(study) if isinstance(p, Picture)}


def compared(folder: Path, engine: str = "virtual", seeds: int = 5) -> Path:
    """Three protocols by two severities by workers, and seeds."""
    speed = {"bsp": 4.0, "async": 1.0, "k-sync": 2.0}
    for protocol, pace in speed.items():
        for factor in (1, 4):
            for workers in (4, 8):
                for seed in range(1, seeds + 1):
                    keys = f"slow_factor = {factor}"
                    ServerSynthetic(
                        engine=engine, protocol=protocol, seed=seed, workers=workers, virtual_keys=keys,
                        server_keys="k = 3" if protocol == "k-sync" else "", step_s=0.0777 * pace,
                        to_target=NAN if (protocol, factor, seed) == ("bsp", 4, 1) else 7.77 * pace * factor,
                    ).write(folder / f"{protocol}_{factor}_{workers}_{seed}.h5")  # fmt: skip
    return folder


def test_show_says_what_consistency_cost(tmp_path: Path, partita: Command) -> None:
    code, out, err = partita("show", ServerSynthetic(bytes_off=4).write(tmp_path / "a.h5"))
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    for words in (
        "protocol async: 4 workers, 2 servers", "engine virtual", "staleness mean 2.5, max 5", "conflict rate 25.0 %",
        "dropped share 12.5 %", "utilisation 80.0 %", "queue depth p95 6 (largest of 2 servers)",
        "pull, virtual s p50 0.000777 (0.000777), p95 0.00777",
        "received by servers 8008 B; closed form 8000 B: DIFFERS",
        "sent by servers 8000 B; closed form 8000 B: equal", "to target, samples 1280",
    ):  # fmt: skip
        assert words in said, words


def test_a_target_that_was_not_reached_is_no_number(tmp_path: Path, partita: Command) -> None:
    out = partita("show", ServerSynthetic(to_target=NAN).write(tmp_path / "a.h5"))[1]
    assert "to target, virtual s  not reached" in out
    assert "to target" not in partita("show", ServerSynthetic(to_target=None).write(tmp_path / "b.h5"))[1]


def test_no_line_of_show_has_a_virtual_number_without_the_word(tmp_path: Path, partita: Command) -> None:
    out = partita("show", ServerSynthetic().write(tmp_path / "a.h5"))[1]
    # A UUID, which depends on the folder's name, may hold any digits.
    marked = [line for line in out.splitlines() if MARKED.search(line) and not line.startswith("run uuid")]
    assert len(marked) >= 5 and all("virtual" in line for line in marked), marked
    real = partita("show", ServerSynthetic(engine="mpi").write(tmp_path / "b.h5"))[1]
    assert "virtual" not in real and "pull, s" in real


def test_no_axis_and_no_column_has_virtual_seconds_without_the_word(tmp_path: Path) -> None:
    found = pictures(compared(tmp_path))
    assert set(found) == {"error_runtime", "time_to_target", "staleness", "queues"}
    timed = 0
    for picture in found.values():
        labels = [t for a in picture.figure.axes for t in (a.get_xlabel(), a.get_ylabel(), a.get_title(loc="left"))]
        for text in [t for t in labels if re.search(r"\bs\)|second|\btime\b", t)]:
            assert "virtual" in text, text
            timed += 1
        for text in [t.get_text() for t in picture.figure.texts if "second" in t.get_text()]:
            assert "virtual" in text, text
        assert all(c.endswith("virtual_s") for c in picture.table.columns if re.search(r"(^|_)s$|second", c))
    assert timed >= 5


def test_time_to_target_has_medians_ranges_and_who_did_not_reach_it(tmp_path: Path) -> None:
    table = pictures(compared(tmp_path))["time_to_target"].table
    rows = {(r["protocol"], r["place"]): r for r in table}
    assert len(rows) == 12
    place = "virtual.slow_factor 4, virtual.workers 8"
    row = rows["bsp", place]
    assert (row["runs"], row["reached"]) == (5, 4)
    noise = [1 + 0.05 * np.random.default_rng(s).standard_normal() for s in range(1, 6)]
    assert row["median_virtual_s"] == pytest.approx(7.77 * 16 * np.median(noise[1:]))
    assert np.isnan(row["low_virtual_s"])  # Five runs are too few for an interval: their range is named as such.
    assert row["max_virtual_s"] == pytest.approx(7.77 * 16 * max(noise[1:]))
    assert {name for name, _ in rows} == {"bsp", "async", "k-sync, K = 0.75 P", "k-sync, K = 0.375 P"}


def test_from_six_runs_on_there_is_an_interval(tmp_path: Path) -> None:
    for seed in range(1, 7):
        ServerSynthetic(seed=seed).write(tmp_path / f"{seed}.h5")
    (row,) = pictures(tmp_path)["time_to_target"].table
    assert row["low_virtual_s"] == row["min_virtual_s"] and row["high_virtual_s"] == row["max_virtual_s"]


def test_a_key_that_no_axis_holds_is_no_seed(tmp_path: Path) -> None:
    for value in ("free", "slow"):
        ServerSynthetic(virtual_keys=f'network = "{value}"').write(tmp_path / f"{value}.h5")
    names = pictures(tmp_path)["time_to_target"].table.column("protocol")
    assert sorted(names) == ["async, network free", "async, network slow"]


def test_staleness_is_a_share_of_the_pushes_with_a_band_over_workers(tmp_path: Path) -> None:
    ServerSynthetic().write(tmp_path / "a.h5")
    rows = list(pictures(tmp_path)["staleness"].table)
    assert sum(r["share"] for r in rows) == pytest.approx(1)
    assert all(r["least_of_a_worker"] <= r["share"] <= r["most_of_a_worker"] for r in rows)
    assert rows[0]["least_of_a_worker"] < rows[0]["most_of_a_worker"]


def test_queues_against_the_number_of_servers(tmp_path: Path, partita: Command) -> None:
    for servers in (1, 2, 4):
        ServerSynthetic(servers=servers, depth=12 / servers).write(tmp_path / f"{servers}.h5")
    assert partita("plot", tmp_path)[0] == 0
    with (tmp_path / "figures" / "queues.csv").open() as stream:
        found = [(r["servers"], r["queue_depth_p95"], r["service_p95_virtual_s"]) for r in csv.DictReader(stream)]
    assert found == [("1", "24", "0.00777"), ("2", "12", "0.00777"), ("4", "6", "0.00777")]


def test_a_line_for_each_k(tmp_path: Path) -> None:
    for k in (2, 4, 8):
        for seed in (1, 2):
            ServerSynthetic(protocol="k-sync", workers=8, server_keys=f"k = {k}", seed=seed, step_s=0.0777 * k).write(
                tmp_path / f"{k}_{seed}.h5"
            )
    picture = pictures(tmp_path)["error_runtime"]
    assert [t.get_text() for t in picture.figure.legends[0].get_texts()] == [f"k-sync, K = {k} of 8" for k in (2, 4, 8)]
    last = {r["protocol"]: r["virtual_s"] for r in picture.table if r["against"] == "virtual_s"}
    assert last["k-sync, K = 8 of 8"] == pytest.approx(4 * last["k-sync, K = 2 of 8"])


def test_the_two_clocks_are_never_in_one_picture(tmp_path: Path) -> None:
    for engine in ("mpi", "virtual"):
        ServerSynthetic(engine=engine).write(tmp_path / f"{engine}.h5")
    found = pictures(tmp_path)
    assert "time_to_target_mpi" in found and "time_to_target_virtual" in found
    assert found["error_runtime_mpi"].figure.axes[1].get_xlabel() == "time (s)"


def test_of_other_apps_there_is_none_of_it(tmp_path: Path, partita: Command) -> None:
    from synthetic import Synthetic

    path = Synthetic().write(tmp_path / "a.h5")
    assert pictures(tmp_path) == {} and "Parameter server" not in partita("show", path)[1]
