# SPDX-License-Identifier: BSD-3-Clause
"""`partita compare`: which points are the same, what is said of their ratio, and the exit code that others build on."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import deck, environment, noise, write_runs

from partita.analysis.compare import Decision, compare_folders
from partita.analysis.matching import Point, differences, match
from partita.analysis.metrics import METRICS
from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs at 1 and at 2 ranks."""
    return write_runs(tmp_path_factory.mktemp("base") / "before", lambda p: 0.04 / p, ranks=(1, 2), repeats=4)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_points_of_two_folders_are_matched_and_their_ratio_is_the_planted_one(
    base: Path, slow: Path, tmp_path: Path, partita: Command
) -> None:
    code, out, err = partita("compare", base, slow, "-o", tmp_path / "table.csv")
    assert (code, err) == (0, "") and out.count("slower") == 2
    found = rows(tmp_path / "table.csv")
    assert [(r["ranks"], r["verdict"], r["a_runs"], r["b_runs"]) for r in found] == [
        ("1", "slower", "4", "4"), ("2", "slower", "4", "4")
    ]  # fmt: skip
    for row, planted in zip(found, (1.1, 1.05), strict=True):
        assert float(row["ratio_low"]) < planted < float(row["ratio_high"])
        assert float(row["ratio"]) == pytest.approx(planted, rel=3e-3)
        assert row["method"].startswith("Hodges-Lehmann") and 0.95 <= float(row["level"]) < 1
    code, out, _ = partita("compare", base, slow, "--metric", "samples_per_s")
    assert code == 0 and out.count("slower") == 2 and "0.95" in out  # Fewer samples a second.


def test_what_differs_on_purpose_is_no_difference(base: Path, tmp_path: Path, partita: Command) -> None:
    """Paths, names, the seed of a repeat, whether the machine was measured; nor a key that newer code alone knows."""

    def edit(file: object) -> None:
        deck("seed = 1", 'seed = 9\nnew_key = "its default"')(file)
        deck('path = "', 'path = "elsewhere')(file)
        deck("[record]", '[run]\ncalibration = "off"\n[record]')(file)

    after = write_runs(tmp_path / "after", lambda p: 0.04 / p, ranks=(1, 2), repeats=4, seed=1, edit=edit)
    code, out, err = partita("compare", base, after)
    assert (code, err) == (0, "") and out.count("indistinguishable") == 2 and "only in" not in out
    assert "so not compared: train.new_key" in out


def test_what_has_no_counterpart_is_named_with_the_reason(base: Path, tmp_path: Path, partita: Command) -> None:
    after = write_runs(tmp_path / "after", repeats=4, seed=1, batch=128)
    code, out, err = partita("compare", base, after)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert "nothing to compare" in err and "train.batch 64 there 128" in err and "number of ranks" in err
    write_runs(tmp_path / "after", repeats=4, seed=1, name="b")
    code, out, _ = partita("compare", base, after)
    assert code == 0 and out.count("only in") == 2 and "before: mlp_dp data-parallel mpi, 1 rank (not" in out


def test_a_key_that_differs_on_purpose_is_ignored_when_told(base: Path, tmp_path: Path, partita: Command) -> None:
    after = write_runs(tmp_path / "after", repeats=4, seed=1, allreduce="ring")
    assert partita("compare", base, after)[0] == 2
    code, out, _ = partita("compare", base, after, "--ignore", "parallel.allreduce")
    assert code == 0 and "slower" in out


def test_machines_and_builds_that_differ_are_said(base: Path, tmp_path: Path, partita: Command) -> None:
    edit = environment(cpu_model="Another CPU", compiler="clang 19")
    after = write_runs(tmp_path / "after", repeats=4, seed=1, edit=edit)
    _, out, _ = partita("compare", base, after)
    flat = " ".join(out.split())
    assert "CPU Synthetic CPU (test data) | Another CPU; compiler g++ 12 | clang 19" in flat
    assert "the ratio cannot tell which" in flat
    assert "same machine and build" in partita("compare", base, write_runs(tmp_path / "c", repeats=4, seed=2))[1]


def invented(step_s: float, repeats: int = 6, seed: int = 0, metric: str = "step_s", **also: Any) -> Point:
    """Runs that are not on disk."""
    given = {"folder": "a", "study": "s", "app": "mlp_dp", "series": "ring", "ranks": 2, "threads": 1, "settings": {},
             "oversubscribed": False} | also  # fmt: skip
    values = {(given["folder"], repeat): step_s * noise(repeat, seed) for repeat in range(1, repeats + 1)}
    return Point(values={k: v if metric == "step_s" else 1 / v for k, v in values.items()}, **given)


@pytest.mark.parametrize("metric", ["step_s", "samples_per_s"])
@pytest.mark.parametrize(
    ("step_s", "repeats", "decision", "said"),
    [
        (0.022, 6, Decision.SLOWER, "slower"),  # 10 % slower, 5 % allowed.
        (0.0204, 6, Decision.NOT_SLOWER, "slower"),
        (0.02095, 6, Decision.UNDECIDED, "slower"),
        (0.02105, 6, Decision.UNDECIDED, "slower"),  # The median is beyond, the interval is not.
        (0.02, 6, Decision.NOT_SLOWER, "indistinguishable"),
        (0.018, 4, Decision.NOT_SLOWER, "faster"),
        (0.03, 3, Decision.TOO_FEW, "too few runs"),  # 50 % slower, and nobody can be sure.
    ],
)
def test_slower_by_more_than_is_allowed_is_decided_by_the_whole_interval(
    step_s: float, repeats: int, decision: Decision, said: str, metric: str
) -> None:
    a = invented(0.02, metric=metric)
    b = invented(step_s, repeats, seed=1, metric=metric, folder="b")
    ((found,), missing, _) = compare_folders([[a], [b]], ["a", "b"], METRICS[metric])
    assert not missing and found.decide(5) is decision and found.said == said


def test_zero_has_no_ratio() -> None:
    pair = [[invented(0.0)], [invented(0.02, folder="b")]]
    ((found,), _, _) = compare_folders(pair, ["a", "b"], METRICS["step_s"])
    assert found.said == "no ratio" and found.decide(5) is Decision.TOO_FEW


def test_a_point_is_found_whatever_the_order_and_what_only_newer_code_knows() -> None:
    old = [invented(0.02, settings={"train.batch": b}) for b in (64, 128)]
    new = [invented(0.02, folder="b", settings={"new": 1.5, "train.batch": b}) for b in (128, 32, 64)]
    found = match(old, new)
    assert [(a.settings["train.batch"], b.settings["train.batch"]) for a, b in found.pairs] == [(64, 64), (128, 128)]
    assert not found.only_a and found.only_b == (new[1],) and found.new_keys == ("new",)
    assert differences(new[1], old) == "new 1.5 there -, train.batch 32 there 64"
    new[0].settings["new"] = 2.5  # Now it tells points apart.
    assert not match(old, new).pairs
    assert differences(old[0], old) == "another point is the same as its counterpart"
    assert differences(invented(1, app="cnn_pp"), old) == "no run of cnn_pp there"
    assert differences(invented(1, ranks=3), old) == "not at this number of ranks and threads"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10 % slower than `base` at 1 rank, 5 % at 2."""
    return write_runs(
        tmp_path_factory.mktemp("slow") / "after", lambda p: 0.044 if p == 1 else 0.021, ranks=(1, 2), repeats=4, seed=1
    )


@pytest.mark.parametrize(
    ("percent", "strict", "code", "said"),
    [
        (7, False, 3, "1 slower, 1 not slower"),
        (10, False, 0, "1 not slower, 1 undecided"),
        (10, True, 3, "1 not slower, 1 undecided"),
        (20, True, 0, "2 not slower"),
    ],
)
def test_the_exit_code_says_what_was_decided(
    percent: int, strict: bool, code: int, said: str, base: Path, slow: Path, partita: Command
) -> None:
    found, out, err = partita("compare", base, slow, "--fail-if-slower", percent, *(["--strict"] if strict else []))
    assert found == code and f"slower by more than {percent} %? 2 points: {said}" in out
    assert bool(err) == (code == 3) and ("not decided" in out) == ("undecided" in said)
    if code == 3:
        assert "mlp_dp data-parallel mpi, 1 rank" in err and "on 4 + 4 runs" in err and err.count("\n") == 1


def test_a_missing_point_is_no_pass(base: Path, tmp_path: Path, partita: Command) -> None:
    after = write_runs(tmp_path / "after", 0.02, repeats=4, seed=1)
    code, out, _ = partita("compare", base, after, "--fail-if-slower", 5)
    assert code == 0 and "not decided: only in" in out and "mpi, 1 rank (not at this number of ranks" in out
    assert partita("compare", base, after, "--fail-if-slower", 5, "--strict")[0] == 3


def test_strategies_of_one_folder_are_compared_by_their_blocks(tmp_path: Path, partita: Command) -> None:
    """What a block has in common cancels: 1 % is found below the 10 % by which blocks differ."""
    for name, factor in (("mpi", 1.0), ("ring", 1.01)):
        for repeat in range(1, 7):
            seconds = 0.03 * factor * (1 + 0.1 * repeat) * noise(repeat, len(name)) ** 0.1
            one = write_runs(tmp_path / "one", seconds / noise(1), repeats=1, allreduce=name, name=name)
            (one / f"np2-{name}-r1.h5").rename(tmp_path / "one" / f"{name}{repeat}.h5")
            point(tmp_path / "one" / f"{name}{repeat}.h5", f"np2-{name}-r{repeat}")
    target = tmp_path / "table.csv"
    code, out, err = partita("compare", tmp_path / "one", "--by", "strategy", "-o", target)
    assert (code, err) == (0, "") and "step_s of ring to mpi" in out
    (row,) = rows(target)
    assert row["method"] == "median of paired ratios" and row["verdict"] == "slower"
    assert 1.005 < float(row["ratio_low"]) < 1.01 < float(row["ratio_high"]) < 1.015
    code, out, _ = partita("compare", tmp_path / "one", "--by", "strategy", "--base", "ring")
    assert code == 0 and "faster" in out


def test_runs_that_name_no_repeat_are_two_groups(tmp_path: Path, partita: Command) -> None:
    """Seeds as repeats: nobody knows which of them ran side by side."""
    for name, factor in (("mpi", 1.0), ("ring", 1.1)):
        for seed in range(1, 7):
            path = tmp_path / f"{name}{seed}.h5"
            seconds = 0.02 * factor * noise(seed)
            Synthetic(ranks=2, allreduce=name, point=f"seed{seed}", step_s=lambda _, s=seconds: s, steps=6).write(path)
    assert partita("compare", tmp_path, "--by", "strategy", "-o", tmp_path / "t.csv")[0] == 0
    (row,) = rows(tmp_path / "t.csv")
    assert row["method"].startswith("Hodges-Lehmann") and (row["a_runs"], row["b_runs"]) == ("6", "6")
    assert row["verdict"] == "slower" and float(row["ratio"]) == pytest.approx(1.1, rel=3e-3)


def point(path: Path, name: str) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        file.attrs["point"], file.attrs["run_uuid"] = name, name


def test_a_damaged_file_is_named_and_ends_nothing(base: Path, tmp_path: Path, partita: Command) -> None:
    after = write_runs(tmp_path / "after", lambda p: 0.04 / p, ranks=(1, 2), repeats=4, seed=1)
    (after / "cut.h5").write_bytes((after / "np1-a-r1.h5").read_bytes()[:3000])
    (after / "empty.h5").touch()
    code, out, err = partita("compare", base, after)
    assert (code, err) == (0, "") and "cut.h5" in out and "empty.h5" in out and out.count("indistinguishable") == 2


def test_wrong_use_is_one_line_and_exit_2(tmp_path: Path, partita: Command) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    base, copied = (write_runs(tmp_path / name / "before", repeats=1) for name in "ab")  # The same run_uuids.
    for arguments, message in (
        ([base], "one folder"),
        ([base, tmp_path / "none"], "no such folder"),
        ([base, empty], "no"),
        ([base, base], "the same folder twice"),
        ([base, copied], "1 run that"),
        ([base, copied, "--by", "strategy"], "2 folders: expected one"),
        ([base, "--by", "strategy"], "nothing to compare"),
        ([base, "--by", "strategy", "--base", "ring"], "no such series: expected data-parallel mpi"),
        ([base, copied, "--base", "ring"], "--by strategy with it"),
        ([base, copied, "--metric", "steps_s"], "did you mean step_s?"),
        ([base, copied, "--strict"], "--fail-if-slower PCT with it"),
        ([base, copied, "--fail-if-slower", -1], "greater than or equal to 0"),
    ):
        code, out, err = partita("compare", *arguments)
        assert (code, out) == (2, "") and message in err and err.count("\n") == 1, arguments
