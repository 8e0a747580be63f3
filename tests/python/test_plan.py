# SPDX-License-Identifier: BSD-3-Clause
"""What a study consists of: layouts, axes, runs of several apps; `partita plan`; plan.json."""

import json
from collections.abc import Callable

import pytest

from conftest import Checkout
from partita.errors import UsageError
from partita.studies.points import Point, expand_study
from partita.studies.study import Layout, Repeats, read_study
from partita.studies.work import counted_flop

Command = Callable[..., tuple[int, str, str]]
ONE = ("repeats = 2", "repeats = 1")
GRID = '[grid]\nparallel.allreduce = ["mpi", "ring"]\n'


def configurations(checkout: Checkout, *replacements: tuple[str, str]) -> dict[str, Point]:
    return {p.configuration: p for p in expand_study(read_study(checkout.study(*replacements))).configurations}


@pytest.mark.parametrize(
    ("lines", "layouts"),
    [
        ('ranks = "pow2 up to 8"', [(1, 1, 1), (2, 1, 2), (4, 1, 4), (8, 1, 8)]),
        ('ranks = "pow2 up to 6"', [(1, 1, 1), (2, 1, 2), (4, 1, 4)]),
        ("ranks = [1, 3, 4]\nranks_per_node = 2", [(1, 1, 1), (3, 2, 2), (4, 2, 2)]),
        ("ranks = [2, 5]\nnodes = 2", [(2, 2, 1), (5, 2, 3)]),
        ('nodes = "pow2 up to 4"\nranks_per_node = 3', [(3, 1, 3), (6, 2, 3), (12, 4, 3)]),
    ],
)
def test_layouts(checkout: Checkout, lines: str, layouts: list[tuple[int, int, int]]) -> None:
    (run,) = read_study(checkout.study(("ranks = [1, 2]", lines))).runs
    assert run.layouts == tuple(Layout(*layout) for layout in layouts)


def test_threads_are_an_axis(checkout: Checkout) -> None:
    found = configurations(checkout, ("threads = 1", "threads = [1, 4]"), (GRID, ""), ('["parallel.allreduce"]', "[]"))
    assert {name: (p.ranks, p.threads, p.cores) for name, p in found.items()} == {
        "np1-t1": (1, 1, 1), "np1-t4": (1, 4, 4), "np2-t1": (2, 1, 2), "np2-t4": (2, 4, 8),
    }  # fmt: skip


def test_zips_advance_together_and_multiply(checkout: Checkout) -> None:
    axes = "[[zip]]\nmodel.width = [8, 16]\ntrain.batch = [64, 32]\n[[zip]]\nmodel.depth = [1, 2, 3]\n"
    found = configurations(checkout, (GRID, axes), ("ranks = [1, 2]", "ranks = [2]"), ('["parallel.allreduce"]', "[]"))
    chosen = [tuple(p.settings[k] for k in ("model.width", "train.batch", "model.depth")) for p in found.values()]
    assert chosen == [(w, b, d) for w, b in ((8, 64), (16, 32)) for d in (1, 2, 3)]
    assert next(iter(found)) == "np2-width8-batch64-depth1"


RUNS = """
[[run]]
app = "mlp_dp"
deck = "inputs/mlp_dp/deck.toml"
[run.grid]
parallel.allreduce = ["mpi", "ring"]
[[run]]
name = "wide"
app = "mlp_dp"
deck = "inputs/mlp_dp/deck.toml"
ranks = [2]
timeout_s = 7
[run.set]
train.steps = 14
model.width = 64
"""
TOP = ('app = "mlp_dp"\ndeck = "inputs/mlp_dp/deck.toml"\n', ""), ('equal_at_one_rank = ["parallel.allreduce"]\n', "")


def test_runs_of_several_apps_have_what_the_study_says_and_their_own(checkout: Checkout) -> None:
    found = configurations(checkout, *TOP, (GRID, RUNS))
    ways = [f"mlp_dp-np{n}-{w}" for n in (1, 2) for w in ("mpi", "ring")]
    assert list(found) == [*ways, "wide-np2"]
    assert found["wide-np2"].overrides == (("model.width", "64"), ("train.steps", "14"))
    assert found["mlp_dp-np2-ring"].overrides == (("parallel.allreduce", "ring"), ("train.steps", "12"))
    assert [found[name].run.timeout_s for name in ("mlp_dp-np1-mpi", "wide-np2")] == [3600, 7]


@pytest.fixture
def other(checkout: Checkout) -> None:
    """A second app, which says of its records that they are its own."""
    folder = checkout.root / "build" / "release" / "apps"
    (folder / "other").mkdir()
    text = (folder / "mlp_dp" / "mlp_dp").read_text().replace("fields = dict(", 'fields = dict(app="other",')
    (folder / "other" / "other").write_text(text)
    (folder / "other" / "other").chmod(0o755)


OTHER = RUNS.replace('name = "wide"\napp = "mlp_dp"', 'app = "other"')


@pytest.mark.usefixtures("other")
def test_work_is_checked_in_each_app(checkout: Checkout, partita: Command) -> None:
    grown = OTHER.replace("[run.set]", "[run.at_ranks]\ntrain.batch = [8, 12]\n[run.set]")
    path = checkout.study(*TOP, ONE, (GRID, grown.replace("ranks = [2]", "ranks = [1, 2]")))
    code, out, err = partita("run", path)
    assert code == 3 and "6 points run" in out
    assert f"error: {path}: kind: " in err and ": expected a step's work to be the same at every number of ranks" in err


@pytest.mark.usefixtures("other")
def test_a_study_of_two_apps_runs(checkout: Checkout, partita: Command) -> None:
    study = checkout.study(*TOP, ONE, (GRID, OTHER))
    code, out, _ = partita("run", study)
    assert code == 0 and "mlp_dp, deck.toml; other, deck.toml" in out
    document = json.loads((checkout.runs / "plan.json").read_text())
    assert {p["name"]: p["app"] for p in document["points"]}["other-np2-r1"] == "other"
    assert sorted(checkout.records()) == sorted(p["name"] for p in document["points"])
    assert len(checkout.records()) == 5


def test_ratios_are_speedups_and_series_against_the_first(checkout: Checkout) -> None:
    found = {(r.above, r.below) for r in expand_study(read_study(checkout.study())).ratios}
    assert found == {("np1-mpi", "np2-mpi"), ("np1-mpi", "np2-ring"), ("np2-mpi", "np2-ring")}  # One base at one rank.
    of_runs = {(r.above, r.below) for r in expand_study(read_study(checkout.study(*TOP, (GRID, RUNS)))).ratios}
    assert of_runs == {
        ("mlp_dp-np1-mpi", "mlp_dp-np2-mpi"), ("mlp_dp-np1-ring", "mlp_dp-np2-ring"),
        ("mlp_dp-np1-mpi", "mlp_dp-np1-ring"), ("mlp_dp-np2-mpi", "mlp_dp-np2-ring"),
    }  # fmt: skip
    compared = read_study(checkout.study(*TOP, (GRID, RUNS), ('kind = "strong"', 'kind = "compare"')))
    more = {(r.above, r.below) for r in expand_study(compared).ratios} - of_runs
    assert more == {("mlp_dp-np2-mpi", "wide-np2")}  # Across runs, too.


def test_names_that_would_be_equal_are_numbered(checkout: Checkout) -> None:
    found = configurations(checkout, ('["mpi", "ring"]', '["a b", "a/b", "a.b"]'), ("ranks = [1, 2]", "ranks = [2]"))
    assert list(found) == ["np2-.a.b.", "np2-a.b", "np2-a.b-2"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ranks = [1, 2]", 'ranks = "pow2 to 8"', ':6: ranks: "pow2 to 8": expected a list of different integers'),
        ("ranks = [1, 2]", "ranks = [1, 2]\nnodes = 2", ":7: nodes: 2: expected no more than ranks: 1"),
        ("ranks = [1, 2]", "ranks = [4]\nnodes = 2\nranks_per_node = 2", ":7: nodes: given, and ranks and"),
        ("threads = 1", "threads = [1, 1]", ":7: threads: [1, 1]: expected a list of different integers"),
        ("repeats = 2", "repeats = {min = 4, max = 3, ratio_width = 1}", ":8: repeats.max: 3: expected an integer"),
        ("repeats = 2", "repeats = {min = 4, max = 6}", "repeats.ratio_width: missing"),
        ("repeats = 2", "repeats = {min = 4, max = 6, ratio_width = 0}", ":8: repeats: ratio_width 0: expected"),
        ("repeats = 2", "repeats = {mi = 4, max = 6, ratio_width = 1}", "repeats.min: missing"),
        ("seed = 7", "retries = -1", ":9: retries: -1: expected an integer from 0 on"),
        ("seed = 7", "work_tolerance = 0.1", ':9: work_tolerance: given, and kind is no "weak"'),
        ("[grid]", "[[zip]]\na.b = [1, 2]\na.c = [1]\n[grid]", ":16: zip.a.c: 1 values: expected 2, as a.b has"),
        ("[grid]", "[[zip]]\na.b = 1\n[grid]", ":15: zip.a.b: 1: expected a list of values"),
        ("[grid]", "[[zip]]\na.b = [1, 1]\n[grid]", "zip: "),
        ("[grid]", '[[zip]]\nparallel.allreduce = ["mpi"]\n[grid]', "grid.parallel.allreduce: also in [zip]"),
        (GRID, RUNS.replace("wide", "mlp_dp"), ':21: run.name: "mlp_dp": expected a `name` for each run, each once'),
        (GRID, RUNS.replace("deck.toml", "dock.toml"), ":17: run.deck: no file"),
        (GRID, RUNS.replace("timeout_s = 7", "timeout_s = 0"), ":25: run.timeout_s: 0: expected a number of seconds"),
        (GRID, RUNS.replace("timeout_s = 7", "timeout = 7"), ":25: run.timeout: unknown key: expected timeout_s"),
        (GRID, RUNS.replace('name = "wide"', 'name = "a-b"'), ':21: run.name: "a-b": expected a letter'),
    ],
)
def test_errors_name_file_line_key_and_remedy(checkout: Checkout, old: str, new: str, message: str) -> None:
    top = TOP[1:] if "[[run]]" in new else ()
    lines = (("[set]", "\n[set]"),) if top else ()  # As many lines as before.
    path = checkout.study((old, new), *top, *lines)
    with pytest.raises(UsageError) as error:
        read_study(path)
    text = str(error.value)
    assert text.startswith(str(path)) and message in text and ": expected " in text and "\n" not in text


def test_the_older_key_is_read(checkout: Checkout) -> None:
    for old, kind in (("strong", "strong"), ("none", "compare")):
        assert read_study(checkout.study(('kind = "strong"', f'scaling = "{old}"'))).kind == kind
    grown = ("[grid]", "[per_rank]\ntrain.batch = 2\n[grid]")
    for key, tolerance in (("scaling", 0.02), ("kind", 1e-6)):
        assert read_study(checkout.study(('kind = "strong"', f'{key} = "weak"'), grown)).work_tolerance == tolerance


def test_plan_says_what_would_run_and_writes_nothing(checkout: Checkout, partita: Command) -> None:
    more = ("repeats = 2", "repeats = {min = 2, max = 5, ratio_width = 0.1}"), ("seed = 7", "timeout_s = 60\nseed = 7")
    path = checkout.study(*more)
    assert read_study(path).repeats == Repeats(2, 5, 0.1)
    code, out, err = partita("plan", path)
    assert (code, err) == (0, "") and not checkout.calls() and not checkout.runs.exists()
    assert "6 points = 3 configurations x 2 to 5 repeats; 0 finished, 6 to run" in out
    row = next(line for line in out.splitlines() if line.startswith("np2-ring "))
    assert row.split() == ["np2-ring", "mlp_dp", "2", "1", "1", "2..5", "0"]
    line = next(line for line in out.splitlines() if line.startswith("np2-ring: "))
    assert "mpiexec -n 2 build/release/apps/mlp_dp/mlp_dp inputs/mlp_dp/deck.toml " in line
    assert "--set record.point=np2-ring-rN" in line
    hours = 5 * (1 + 2 + 2) * 60 / 3600  # Repeats at most x ranks x limit.
    assert f"core-hours of the 15 points to run: {hours:.3g} at most, by their time limits\n" in out
    assert "mlp_dp: all 2 decks are accepted" in out


def test_plan_knows_what_is_finished_and_what_it_took(checkout: Checkout, partita: Command) -> None:
    partita("run", checkout.study(ONE))
    _, out, _ = partita("plan", checkout.study())
    assert "3 finished, 3 to run" in out and "for 3 of the 3 points" in out
    rows = [line.split() for line in out.splitlines() if line.startswith("np") and ":" not in line]
    assert len(rows) == 3 and all(row[-2:] == ["2", "1"] for row in rows)  # Repeats, finished.


def test_plan_as_json_is_plan_json(checkout: Checkout, partita: Command) -> None:
    code, out, _ = partita("plan", checkout.study(), "--json")
    said = json.loads(out)
    assert code == 0 and said["format"] == "partita-plan-1" and (said["study"], said["kind"]) == ("fake", "strong")
    partita("run", checkout.study())
    kept = json.loads((checkout.runs / "plan.json").read_text())
    assert kept["points"] == said["points"] and len(said["points"]) == 6
    point = next(p for p in said["points"] if p["name"] == "np2-ring-r2")
    assert point["settings"] == {"parallel.allreduce": "ring", "train.steps": "12"}
    assert point["configuration"] == "np2-ring"
    assert {"ranks": 2, "threads": 1, "nodes": 1, "ranks_per_node": 2, "repeat": 2}.items() <= point.items()
    assert point["environment"] == {"OMP_NUM_THREADS": "1", "OMP_PROC_BIND": "false"}


@pytest.mark.parametrize(
    ("text", "flop"),
    [
        ("a network\ncounted: 1.5e9 flop a step of 2 ranks\n", 1.5e9),
        ("counted: 1500 flop a step of 2 ranks\n\n", 1500),
        ("counted: 1500 flop a step of 4 ranks\n", None),
        ("counted: 1500 flop a step of 2 ranks\nand more\n", None),
        ("counted: many flop a step of 2 ranks\n", None),
        ("", None),
    ],
)
def test_counted_flops_are_read_from_the_last_line(text: str, flop: float | None) -> None:
    assert counted_flop(text, 2) == flop


WEAK = ('"strong"', '"weak"'), ("[grid]", "[at_ranks]\ntrain.batch = [64, 128]\nfake.flop = FLOP\n[grid]"), ONE


@pytest.mark.parametrize(("flop", "good"), [("[1000, 2000]", True), ("[1000000, 2000003]", False)])
def test_a_weak_study_is_asked_for_its_flops_before_it_runs(
    checkout: Checkout, partita: Command, flop: str, good: bool
) -> None:
    path = checkout.study(*WEAK, ("FLOP", flop))
    for command in ("plan", "run"):
        code, out, err = partita(command, path)
        if good:
            assert code == 0 and "counted flops per rank are constant: 0 apart, allowed are 1e-06" in out
        else:
            assert code == 3 and f"error: {path}: kind: " in err and "within 1e-06 (work_tolerance)" in err
            assert not checkout.calls()
    wide = checkout.study(*WEAK, ("FLOP", flop), ('"weak"', '"weak"\nwork_tolerance = 0.01'))
    assert partita("plan", wide)[0] == 0


def test_an_app_that_counts_nothing_is_checked_after_the_run(checkout: Checkout, partita: Command) -> None:
    code, out, _ = partita("plan", checkout.study(*WEAK, ("fake.flop = FLOP\n", "")))
    assert code == 0 and "mlp_dp says no flops before it runs" in out
