# SPDX-License-Identifier: BSD-3-Clause
"""`partita league`: places, what cannot be told apart, what is refused, the shipped study."""

import csv
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_runs import deck, environment, noise, write_runs

from partita.analysis.league import PEAK, RATE, SENT, League, Standing, finding, outcome
from partita.analysis.matching import Point
from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
MEMORY = (4_000_000, 4_000_000, 8_000_000)


def standing(name: str, values: dict[int, float], metric: str = RATE) -> Standing:
    point = Point("runs", "s", "mlp_dp", name, 2, 1, {}, values, False)
    return Standing(point, {metric: {("runs", block): v for block, v in values.items()}})


def rate(name: str, factor: float, repeats: int = 6) -> Standing:
    """Blocks that differ by more than strategies do."""
    return standing(name, {b: 1000 * factor * (1 + 0.05 * b) * noise(b, len(name)) for b in range(1, repeats + 1)})


@pytest.mark.parametrize(
    ("factors", "places"),
    [
        ({"a": 1.1, "bb": 1.1, "ccc": 1.0}, [1, 1, 3]),
        ({"a": 1.2, "bb": 1.1, "ccc": 1.0}, [1, 2, 3]),
        ({"a": 1.0, "bb": 1.0, "ccc": 1.0}, [1, 1, 1]),
        ({"a": 1.2, "bb": 1.0, "ccc": 1.0, "dddd": 0.9}, [1, 2, 2, 4]),
        ({"a": 1.0}, [1]),
    ],
)
def test_those_that_cannot_be_told_apart_share_a_place(factors: dict[str, float], places: list[int]) -> None:
    standings = tuple(rate(name, factor) for name, factor in factors.items())
    assert League(2, 1, standings).places(RATE) == places


def test_too_few_runs_have_no_place_and_take_none() -> None:
    league = League(2, 1, (rate("few", 2.0, repeats=3), rate("a", 1.1), rate("bb", 1.0)))
    assert league.places(RATE) == [None, 1, 2]
    assert League(2, 1, (rate("a", 2.0, 3), rate("bb", 1.0, 3))).places(RATE) == [None, None]


@pytest.mark.parametrize(
    ("factors", "repeats", "said"),
    [
        ({"a": 1.2, "bb": 1.1, "ccc": 1.0}, 6, "mlp_dp a has the first place alone; 2 are slower for sure."),
        ({"a": 1.1, "bb": 1.1, "ccc": 1.0}, 6, "mlp_dp a and mlp_dp bb share the first place: nothing tells which is "
         "fastest; 1 is slower for sure."),
        ({"a": 2.0, "bb": 1.0}, 3, "there are too few runs to say who is first."),
    ],
)  # fmt: skip
def test_one_sentence_says_who_leads(factors: dict[str, float], repeats: int, said: str) -> None:
    standings = tuple(rate(name, factor, repeats) for name, factor in factors.items())
    assert finding([League(1, 1, ()), League(2, 1, standings)]) == f"At 2 ranks {said}"
    assert finding([League(2, 1, standings[:1])]) == ""


def test_what_is_counted_needs_one_run_and_what_is_measured_many() -> None:
    a, b, same = (standing(name, {1: v}, SENT) for name, v in (("a", 100.0), ("b", 101.0), ("c", 100.0)))
    assert [outcome(a, b, SENT), outcome(b, a, SENT), outcome(a, same, SENT)] == [
        "better",
        "worse",
        "indistinguishable",
    ]
    assert League(2, 1, (a, b, same)).places(SENT) == [1, 3, 1] and League(2, 1, (a,)).places(PEAK) == [None]
    assert outcome(standing("a", {1: 1.0}, PEAK), standing("b", {1: 2.0}, PEAK), PEAK) == "too few runs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two strategies of one app that are alike, one of another that takes 20 % longer."""
    made = tmp_path_factory.mktemp("league") / "runs"
    edit = deck("seed = 1", "seed = 1\nmicro_batches = 1")
    for number, strategy in enumerate(("allreduce", "zero1")):
        memory = MEMORY if number == 0 else (*MEMORY[:2], MEMORY[2] // 2)
        parallel = f'strategy = "{strategy}"'
        write_runs(made, 0.02, seed=number, name=strategy, parallel=parallel, memory=memory, edit=edit)
    write_runs(made, 0.024, seed=2, name="tensor", app="transformer_tp", strategy="tensor 2/ring", edit=edit)
    return made


def test_the_command_ranks_and_writes_picture_and_table(folder: Path, tmp_path: Path, partita: Command) -> None:
    code, out, err = partita("league", folder, "-o", tmp_path)
    assert (code, err) == (0, "") and "3 pairs are compared" in out
    assert (tmp_path / "league.png").stat().st_size > 5000
    with (tmp_path / "league.csv").open(encoding="utf-8") as stream:
        rows = {f"{r['app']} {r['series']}": r for r in csv.DictReader(stream)}
    assert [r["samples_per_s_place"] for r in rows.values()] == ["1", "1", "3"]
    assert list(rows)[2] == "transformer_tp tensor 2/ring"
    for row, seconds in zip(rows.values(), (0.02, 0.02, 0.024), strict=True):
        assert float(row["samples_per_s"]) == pytest.approx(64 / seconds, rel=6e-3) and row["runs"] == "6"
    assert rows["mlp_dp zero1"]["state_bytes_place"] == "1" and rows["mlp_dp allreduce"]["state_bytes_place"] == "2"
    assert rows["transformer_tp tensor 2/ring"]["state_bytes_place"] == ""  # Its record does not say.
    lines = [line.split() for line in out.splitlines() if "mlp_dp" in line or "transformer_tp" in line]
    assert [line[0] for line in lines[:3]] == ["1.", "1.", "3."]


def test_apps_of_one_study_are_compared_by_their_blocks(tmp_path: Path, partita: Command) -> None:
    """2 % are told apart where blocks differ by 5 % from one to the next; between two studies they are not."""
    for study in ("one", "two"):
        for app, factor in (("mlp_dp", 1.0), ("cnn_pp", 1.02)):
            for repeat in range(1, 7):
                seconds = 0.02 * factor * (1 + 0.05 * repeat)
                of = study if study == "one" else f"{study}_{app}"
                point = f"{app}-r{repeat}"
                path = tmp_path / study / f"{point}.h5"
                path.parent.mkdir(exist_ok=True)
                Synthetic(ranks=2, app=app, study=of, point=point, steps=6, step_s=lambda _, s=seconds: s).write(path)
    for study, places in (("one", ["1.", "2."]), ("two", ["1.", "1."])):
        code, out, _ = partita("league", tmp_path / study, "-o", tmp_path / "out")
        assert code == 0 and [line.split()[0] for line in out.splitlines() if " data-parallel mpi " in line] == places


def test_machines_and_models_are_not_mixed(folder: Path, tmp_path: Path, partita: Command) -> None:
    other = write_runs(tmp_path / "cpu", seed=3, repeats=1, edit=environment(cpu_model="Another CPU"))
    wide = write_runs(tmp_path / "wide", seed=3, repeats=1, model="hidden = [64, 64]")
    big = write_runs(tmp_path / "big", seed=3, repeats=1, batch=128)
    for path, message in (
        (other, "machines are mixed: CPU Synthetic CPU (test data) in np2-"),
        (wide, "models are mixed: model.hidden [32, 32] in np2-"),
        (big, "train.batch 64 in np2-"),
    ):
        code, out, err = partita("league", folder, path, "-o", tmp_path / "out")
        assert (code, out) == (2, "") and message in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_tells_no_model_apart_is_allowed_and_builds_are_said(
    folder: Path, tmp_path: Path, partita: Command
) -> None:
    def edit(file: object) -> None:
        deck("steps = 6\nseed = 1", "steps = 60\nseed = 5\nmicro_batches = 4")(file)
        environment(compiler="clang 19")(file)

    more = write_runs(tmp_path / "more", 0.03, seed=4, repeats=2, app="cnn_pp", strategy="pipeline", edit=edit)
    code, out, err = partita("league", folder, more, "-o", tmp_path / "out")
    assert (code, err) == (0, "") and "careful: compiler differs: clang 19, g++ 12" in out
    assert any(line.split()[:2] == ["-", "cnn_pp"] for line in out.splitlines())  # Two runs: no place.


def test_the_shipped_study_holds_one_model_for_all_apps() -> None:
    study = tomllib.loads((ROOT / "inputs" / "studies" / "league_mlp.toml").read_text())
    shared = study["set"]
    assert shared["data"]["features"] == 784 and shared["data"]["classes"] == 10
    assert shared["model"] == {"kind": "mlp", "hidden": [2048, 2048], "activation": "relu"}
    assert {run["app"] for run in study["run"]} == {"mlp_dp", "transformer_tp", "cnn_pp", "param_server"}
    assert (study["ranks"], study["repeats"], shared["train"]["steps"]) == ([2], 6, 40)
    for run in study["run"]:  # A run may change how the model is trained, never what it is.
        own = {f"{table}.{key}" for table, keys in run["set"].items() for key in keys}
        assert not {key for key in own if key.startswith(("model.", "data."))}
        assert {key for key in own if key.startswith("train.")} <= {"train.micro_batches"}
