# SPDX-License-Identifier: BSD-3-Clause
"""`partita export --to thicket`: literal trees, Adiak's names (tests/perf/read_exports.py lets Thicket read them)."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import noise, write_runs

from synthetic import PHASES, SHARES

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs at 2 and at 3 ranks."""
    return write_runs(tmp_path_factory.mktemp("runs") / "runs", 0.02, ranks=(2, 3), repeats=2)


@pytest.fixture
def profiles(folder: Path, tmp_path: Path, partita: Command) -> list[dict[str, Any]]:
    code, out, err = partita("export", folder, "--to", "thicket", "-o", tmp_path / "t.json")
    assert (code, err) == (0, "") and "4 profiles" in out
    return json.loads((tmp_path / "t.json").read_text(), parse_constant=pytest.fail)


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node["children"]:
        yield from nodes(child)


def test_every_run_is_a_profile_with_the_names_of_adiak(profiles: list[dict[str, Any]]) -> None:
    assert len({p["profile"] for p in profiles}) == 4
    seen = sorted((p["metadata"]["jobsize"], p["metadata"]["repeat"]) for p in profiles)
    assert seen == [(2, 1), (2, 2), (3, 1), (3, 2)]
    for profile in profiles:
        of = profile["metadata"]
        assert of["launchdate"] == 1767225600 and of["cluster"] == of["hostname"] == "nowhere"
        assert of["numhosts"] == 1 and of["executable"] == "mlp_dp" and of["cmdline"] == "synthetic"
        assert all(value is None or isinstance(value, int | float | str) for value in of.values())


def test_the_tree_is_a_step_and_its_phases(profiles: list[dict[str, Any]]) -> None:
    for profile in profiles:
        (root,) = profile["graph"]
        (step,) = root["children"]
        assert [root["frame"]["name"], step["frame"]["name"]] == ["mlp_dp", "step"]
        assert [n["frame"]["name"] for n in step["children"]] == [name for name, _ in PHASES]
        seconds = 0.02 * noise(profile["metadata"]["repeat"])
        assert step["metrics"]["time (inc)"] == root["metrics"]["time (inc)"] == pytest.approx(seconds, rel=1e-6)
        for phase, share in zip(step["children"], SHARES, strict=True):
            assert phase["metrics"]["time"] == pytest.approx(share * seconds, rel=1e-6)
        total = sum(n["metrics"]["time"] for n in nodes(root))
        assert total == pytest.approx(seconds, rel=1e-9)  # Exclusive times add up to the inclusive one of the root.
        assert step["metrics"]["time"] == pytest.approx(0.02 * seconds, rel=1e-3)  # In no phase.
        for node in nodes(root):
            assert set(node) == {"frame", "metrics", "children"} and node["frame"]["type"] == "function"


def test_a_base_that_series_share_is_one_profile(folder: Path, tmp_path: Path, partita: Command) -> None:
    shared = write_runs(tmp_path / "shared", 0.02, ranks=(1,), repeats=1)
    for name in ("mpi", "ring"):
        write_runs(shared, 0.02, ranks=(2,), repeats=1, allreduce=name, name=name)
    assert partita("export", shared, "--to", "thicket", "-o", tmp_path / "t.json")[0] == 0
    made = json.loads((tmp_path / "t.json").read_text())
    assert sorted(p["metadata"]["jobsize"] for p in made) == [1, 2, 2]
    assert {p["metadata"]["parallel.allreduce"] for p in made if p["metadata"]["jobsize"] == 2} == {"mpi", "ring"}


def test_a_time_that_is_none_is_null(tmp_path: Path, partita: Command) -> None:
    folder = write_runs(tmp_path / "runs", repeats=1, edit=lambda file: file.attrs.update(created_utc="yesterday"))
    assert partita("export", folder, "--to", "thicket", "-o", tmp_path / "t.json")[0] == 0
    (made,) = json.loads((tmp_path / "t.json").read_text())
    assert made["metadata"]["launchdate"] is None
