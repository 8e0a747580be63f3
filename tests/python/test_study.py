# SPDX-License-Identifier: BSD-3-Clause
"""Study files: expansion, order, hashes, messages."""

import re
import tomllib
from pathlib import Path

import pytest

from conftest import HERE, Checkout
from partita.errors import UsageError
from partita.studies.points import in_random_order, points, with_digests
from partita.studies.study import flatten, read_study, toml_value


def names(checkout: Checkout, *replacements: tuple[str, str]) -> list[str]:
    return [p.name for p in points(read_study(checkout.study(*replacements)))]


def test_points_are_ranks_times_grid_times_repeats(checkout: Checkout) -> None:
    expected = [f"{n}-r{r}" for r in (1, 2) for n in ("np1-mpi", "np2-mpi", "np2-ring")]
    assert names(checkout) == expected  # One base at one rank: the all-reduces are equal there.


def test_all_of_the_grid_at_one_rank_unless_told_otherwise(checkout: Checkout) -> None:
    found = names(checkout, ('equal_at_one_rank = ["parallel.allreduce"]\n', ""), ("repeats = 2", "repeats = 1"))
    assert found == ["np1-mpi-r1", "np1-ring-r1", "np2-mpi-r1", "np2-ring-r1"]


def test_grid_is_a_product_and_numbers_are_named(checkout: Checkout) -> None:
    found = names(
        checkout,
        ('["mpi", "ring"]\n', '["mpi", "ring"]\nmodel.hidden = [64, 128]\n'),
        ("ranks = [1, 2]", "ranks = [2]"),
        ("repeats = 2", "repeats = 1"),
    )
    assert found == [f"np2-{a}-hidden{h}-r1" for a in ("mpi", "ring") for h in (64, 128)]


TOGETHER = """
[[together]]
parallel.strategy = "allreduce"
[[together]]
parallel.strategy = "allreduce"
parallel.bucket_mib = 0.5
[[together]]
parallel.strategy = "zero2"
"""


def test_keys_that_are_set_together_are_one_line_each(checkout: Checkout) -> None:
    both = ["parallel.strategy", "parallel.bucket_mib"]
    equal = ('["parallel.allreduce"]', str([*both, "parallel.allreduce"]).replace("'", '"'))
    study = read_study(checkout.study(("[grid]", TOGETHER + "[grid]"), equal, ("repeats = 2", "repeats = 1")))
    by_name = {p.name: dict(p.overrides) for p in points(study)}
    words = ("allreduce", "allreduce-bucket_mib0.5", "zero2")
    two = [f"np2-{word}-{a}-r1" for word in words for a in ("mpi", "ring")]
    assert list(by_name) == ["np1-allreduce-mpi-r1", *two]  # The first table is the base.
    assert by_name["np2-allreduce-bucket_mib0.5-ring-r1"] == {
        "parallel.allreduce": "ring", "parallel.bucket_mib": "0.5", "parallel.strategy": "allreduce",
        "train.steps": "12",
    }  # fmt: skip
    assert "parallel.bucket_mib" not in by_name["np2-zero2-mpi-r1"]  # The deck's.
    assert study.runs[0].varied == ("parallel.allreduce", "parallel.strategy", "parallel.bucket_mib")


def test_what_differs_in_other_keys_runs_at_one_rank_too(checkout: Checkout) -> None:
    equal = ('["parallel.allreduce"]', '["parallel.allreduce", "parallel.strategy"]')
    found = names(checkout, ("[grid]", TOGETHER + "[grid]"), equal, ("ranks = [1, 2]", "ranks = [1]"))
    assert found[:2] == ["np1-allreduce-mpi-r1", "np1-allreduce-bucket_mib0.5-mpi-r1"] and len(found) == 4


def test_overrides_hold_set_and_grid(checkout: Checkout) -> None:
    by_name = {p.name: p for p in points(read_study(checkout.study()))}
    assert by_name["np2-ring-r1"].overrides == (("parallel.allreduce", "ring"), ("train.steps", "12"))


def test_weak_scaling_multiplies_by_ranks(checkout: Checkout) -> None:
    weak = ('kind = "strong"', 'kind = "weak"'), ("[grid]", "[per_rank]\ntrain.batch = 96\n[grid]")
    for point in points(read_study(checkout.study(*weak))):
        assert dict(point.overrides)["train.batch"] == str(96 * point.ranks)


def test_values_for_each_number_of_ranks(checkout: Checkout) -> None:
    table = "[at_ranks]\nmodel.width = [96, 64]\nmodel.hidden = [[8], [8, 16]]\n[grid]"
    for scaling in ("strong", "weak"):
        path = checkout.study(("[1, 2]", "[2, 1]"), ('"strong"', f'"{scaling}"'), ("[grid]", table))
        for point in points(read_study(path)):
            chosen = dict(point.overrides)
            expected = {1: ("64", "[8, 16]"), 2: ("96", "[8]")}[point.ranks]  # In the order of `ranks`.
            assert (chosen["model.width"], chosen["model.hidden"]) == expected


def test_order_is_random_seeded_and_in_blocks_of_repeats(checkout: Checkout) -> None:
    study = read_study(checkout.study(("repeats = 2", "repeats = 20")))
    ordered = in_random_order(study, points(study))
    assert ordered == in_random_order(study, points(study))
    assert sorted(p.name for p in ordered) == sorted(p.name for p in points(study))
    assert [p.repeat for p in ordered] == [r for r in range(1, 21) for _ in range(3)]  # Repeats are interleaved.
    blocks = {tuple(p.name.rpartition("-")[0] for p in ordered[3 * b : 3 * b + 3]) for b in range(20)}
    assert len(blocks) > 3  # Not one order repeated.
    other = read_study(checkout.study(("repeats = 2", "repeats = 20"), ("seed = 7", "seed = 8")))
    assert [p.name for p in in_random_order(other, points(other))] != [p.name for p in ordered]


def digests(checkout: Checkout, *replacements: tuple[str, str], binary: str = "a", deck: str = "") -> dict[str, str]:
    if deck:
        (checkout.root / "inputs" / "mlp_dp" / "deck.toml").write_text(deck)
    study = read_study(checkout.study(*replacements))
    return {p.name: p.digest for p in with_digests(study, points(study), {"mlp_dp": binary})}


def test_hash_changes_with_all_that_decides_a_result(checkout: Checkout) -> None:
    base = digests(checkout)
    assert base == digests(checkout)
    assert len(set(base.values())) == len(base) == 6
    changes = [
        digests(checkout, binary="b"),
        digests(checkout, ("train.steps = 12", "train.steps = 13")),
        digests(checkout, ("train.steps = 12", "train.steps = 12\nmodel.width = 8")),
        digests(checkout, ("threads = 1", "threads = 2")),
        digests(checkout, ("threads = 1", "threads = 1\nranks_per_node = 1\ngpus_per_rank = 1")),
        digests(checkout, ("-n {ranks}", "-n {ranks} --bind")),
        digests(checkout, deck="[train]\nsteps = 12\nseed = 4\n"),
    ]
    for changed in changes:
        assert not set(changed.values()) & set(base.values())


def test_hash_knows_what_changes_nothing(checkout: Checkout) -> None:
    base = digests(checkout, deck="[train]\nsteps = 12\nseed = 4\nrate = 0.1\n")
    same = '# a comment\n[record]\nstudy = "x"\n[output]\npath = "y"\n[train]\nrate=1e-1 # and one here\nseed = 4\n'
    assert base == digests(checkout, deck=same + "steps = 99\n")  # Every point sets train.steps itself.
    assert base == digests(checkout, ("train.steps = 12", "train.steps = 12  # spoken"), deck=same)
    assert base == digests(checkout, ("seed = 7", "seed = 9"))  # The order is no part of a result.
    more = digests(checkout, ("repeats = 2", "repeats = 3"))
    assert len(more) == 9 and base.items() <= more.items()  # More repeats only add points.
    moved = {k: v for k, v in digests(checkout, ('["mpi", "ring"]', '["ring", "tree"]')).items() if k in base}
    assert moved["np2-ring-r1"] == base["np2-ring-r1"]


def test_a_key_changed_in_one_point_changes_its_hash_alone(checkout: Checkout) -> None:
    rows = "[[together]]\nmodel.width = 8\n[[together]]\nmodel.width = 9\nmodel.depth = {depth}\n[grid]"
    two_ranks = ("ranks = [1, 2]", "ranks = [2]")
    one, other = (digests(checkout, ("[grid]", rows.replace("{depth}", depth)), two_ranks) for depth in "34")
    assert len(one) == 8
    same = set(one.values()) & set(other.values())
    assert {name for name, digest in one.items() if digest in same} == {name for name in one if "width8" in name}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "fake"', 'nam = "fake"', "name: missing: expected a name of letters, digits, _ and -"),
        ("repeats = 2", "repeat = 2", ":8: repeat: unknown key: expected repeats"),
        ("repeats = 2", "repeats = 0", ":8: repeats: 0: expected an integer from 1 on"),
        ("threads = 1", "threads = 1.5", ":7: threads: 1.5: expected an integer from 1 on"),
        ("ranks = [1, 2]", "ranks = [1, 1]", ":6: ranks: [1, 1]: expected a list of different integers"),
        ("ranks = [1, 2]", "ranks = []", ":6: ranks: []: expected a list of different integers"),
        ('"strong"', '"linear"', ':5: kind: "linear": expected "strong", "weak", "throughput", "compare" or "faults"'),
        ('"strong"', '"weak"', ':5: kind: "weak" without [per_rank] or [at_ranks]: expected one of them'),
        (
            "[grid]",
            "[at_ranks]\nmodel.width = [64, 96, 128]\n[grid]",
            ":15: at_ranks.model.width: [64, 96, 128]: expected a list of 2 values: at 1, 2 ranks",
        ),
        (
            "[grid]",
            "[at_ranks]\nmodel.width = 64\n[grid]",
            ":15: at_ranks.model.width: 64: expected a list of 2 values",
        ),
        (
            "[grid]",
            "[at_ranks]\ntrain.steps = [1, 2]\n[grid]",
            ":15: at_ranks.train.steps: also in [set]: expected it in one of them",
        ),
        (
            "[grid]",
            "[at_ranks]\noutput.path = [1, 2]\n[grid]",
            ":15: at_ranks.output.path: given: expected no such key",
        ),
        ("[grid]", "[per_rank]\ntrain.batch = 2\n[grid]", ':5: kind: "strong" with [per_rank]: expected no key'),
        (
            '"strong"',
            '"compare"\nper_rank = {"train.batch" = 2}',
            ':5: kind: "compare" with [per_rank]: expected no key that grows',
        ),
        ("deck.toml", "dock.toml", ":4: deck: no file"),
        ('["mpi", "ring"]', '"mpi"', ':15: grid.parallel.allreduce: "mpi": expected a list of values'),
        ('["mpi", "ring"]', '["mpi", "mpi"]', ":15: grid.parallel.allreduce:"),
        (
            "train.steps = 12",
            'parallel.allreduce = "mpi"',
            ":15: grid.parallel.allreduce: also in [set]: expected it in one of them",
        ),
        (
            "train.steps = 12",
            'output.path = "x"',
            ":13: set.output.path: given: expected no such key: `partita run` sets it itself",
        ),
        ("-n {ranks}", "-n 2", ":10: launcher:"),
        ('["parallel.allreduce"]', '["parallel.bucket"]', ":11: equal_at_one_rank:"),
        ("[grid]", "[[together]]\n[grid]", "together: [{}]: expected tables of deck keys, none of them empty"),
        (
            "[grid]",
            "[[together]]\na.b = 1\n[[together]]\na.b = 1\n[grid]",
            'together: {"a.b": 1}: expected each table once',
        ),
        (
            "[grid]",
            '[[together]]\nparallel.allreduce = "mpi"\n[grid]',
            ":17: grid.parallel.allreduce: also in [together]: expected it in one of them",
        ),
        (
            "[grid]",
            "[[together]]\noutput.path = 1\n[grid]",
            ":15: together.output.path: given: expected no such key",
        ),
        ("seed = 7", "seed = = 7", ":9: not TOML (Invalid value): expected a study file"),
        ("seed = 7", "timeout_s = 0", ":9: timeout_s: 0: expected a number of seconds above 0"),
        ("-n {ranks}", "-n {ranks} 'x", ":10: launcher: "),
        ("-n {ranks}", "-n {ranks} 'x", "(No closing quotation): expected quotes in pairs"),
        ("-n {ranks}", "-n {ranks} \\u0000", ":10: launcher: "),
        ('["parallel.allreduce"]', "[[1]]", ":11: equal_at_one_rank: [1]: expected keys that vary: parallel.allreduce"),
    ],
)
def test_errors_name_file_line_key_and_remedy(checkout: Checkout, old: str, new: str, message: str) -> None:
    path = checkout.study((old, new))
    with pytest.raises(UsageError) as error:
        read_study(path)
    text = str(error.value)
    assert text.startswith(str(path)) and message in text and ": expected " in text and "\n" not in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 7", f"seed = {'9' * 400}", "seed: 9999"),
        ("seed = 7", f"seed = {'9' * 5000}", "not TOML (Exceeds the limit"),
        ("seed = 7", f"timeout_s = 1{'0' * 400}", "expected an integer of 64 bits"),
        ("seed = 7", f"seed = {'[' * 3000}{']' * 3000}", "not TOML (maximum recursion depth"),
        ("seed = 7", f"seed = {'[' * 50}{']' * 50}", "tables or lists 33 deep"),
        ("seed = 7", f"{'a.' * 5000}b = 1", "tables or lists 33 deep"),
        ("repeats = 2", "repeats = 1_000_000_000", "points: expected at most 100000"),
        ("ranks = [1, 2]", f'ranks = "pow2 up to {"9" * 5000}"', "expected a list of different integers"),
        ("ranks = [1, 2]", "ranks = [1, 4294967296]", "expected a list of different integers"),
        ("inputs/mlp_dp/deck.toml", "x" * 5000, "xxx...: expected the path"),
    ],
)
def test_what_nobody_would_write_is_one_short_line(checkout: Checkout, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        read_study(checkout.study((old, new)))
    assert message in str(error.value) and len(str(error.value)) < 2000 and str(error.value).isprintable()


def test_a_device_has_no_end() -> None:
    with pytest.raises(UsageError, match="it goes on after"):
        read_study(Path("/dev/zero"))


def test_missing_study_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read \(No such file or directory\): expected the path of a study"):
        read_study(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (3, "3"), (1e-05, "1e-05"), ("ring", "ring"), ("a b", '"a b"'), ("5", '"5"'), ("true", '"true"'),
     ([1, 2], "[1, 2]"), (["a"], '["a"]')],
)  # fmt: skip
def test_values_are_written_as_toml(value: object, text: str) -> None:
    assert toml_value(value) == text


@pytest.mark.parametrize("path", sorted((HERE.parents[1] / "inputs" / "studies").glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_studies_are_valid(path: Path) -> None:
    study = read_study(path)
    assert study.name == path.stem and points(study)
    timed = [point for point in points(study) if not point.drill]
    for keys in (dict(point.overrides) for point in timed):
        assert int(keys["train.steps"]) - int(keys["run.warmup"]) >= 30  # Timed steps a point.


def gpt_flop(width: int, heads: int, hidden: int, *, words: int, tokens: int, blocks: int, sequences: int) -> float:
    """Operations of a training step of a GPT, in products alone: three times those of forward, two a multiply-add.

    Scores are of the tokens up to one's own, and drawn again in backward: two products forward, five backward.
    """
    products = blocks * (4 * width**2 + 2 * width * hidden) + width * words
    scores = blocks * heads * (tokens + 1) / 2 * 7 * width / heads
    return sequences * tokens * (6 * products + 2 * scores)


def test_the_shipped_weak_study_keeps_the_flops_of_a_rank() -> None:
    root = HERE.parents[1]
    study = read_study(root / "inputs" / "studies" / "tensor_weak.toml")
    deck = flatten(tomllib.loads(study.runs[0].deck.read_text(encoding="utf-8")))
    per_rank = []
    for point in (p for p in points(study) if p.repeat == 1):
        keys = {**deck, **dict(point.overrides)}
        width, heads, hidden, words, tokens, blocks, sequences = (
            int(keys[key])
            for key in (
                "model.width", "model.heads", "model.hidden", "model.vocabulary", "model.tokens", "model.blocks",
                "train.batch",
            )
        )  # fmt: skip
        assert width % heads == 0 and heads % point.ranks == 0 and hidden % point.ranks == 0
        flop = gpt_flop(width, heads, hidden, words=words, tokens=tokens, blocks=blocks, sequences=sequences)
        per_rank.append(flop / point.ranks)
    assert len(per_rank) == 3 and max(per_rank) <= 1.02 * min(per_rank)


def test_the_shipped_study_of_image_rows_keeps_the_pixels_of_a_step() -> None:
    study = read_study(HERE.parents[1] / "inputs" / "studies" / "spatial_strong.toml")
    shipped = [dict(p.overrides) | {"ranks": str(p.ranks)} for p in points(study) if p.repeat == 1]
    images = [(tomllib.loads(f"x = {keys['data.image']}")["x"], int(keys["train.batch"])) for keys in shipped]
    assert [image[0] for image, _ in images] == [28, 56, 112, 224] * 2
    assert len({batch * rows * columns for (rows, columns, _), batch in images}) == 1
    assert all(keys["parallel.spatial"] == keys["ranks"] for keys in shipped)


def test_the_shipped_comparison_has_every_strategy() -> None:
    root = HERE.parents[1]
    header = (root / "lib" / "partita" / "parallel" / "data_parallel.hpp").read_text(encoding="utf-8")
    names = re.findall(r'\{"(\w+)", Strategy::\w+\}', header)
    shipped = points(read_study(root / "inputs" / "studies" / "data_parallel.toml"))
    at = {p: [dict(x.overrides) for x in shipped if (x.ranks, x.repeat) == (p, 1)] for p in (1, 2)}
    assert len(names) == 6 and {o["parallel.strategy"] for o in at[2]} == set(names)
    assert [o["parallel.strategy"] for o in at[1]] == ["allreduce"] and "parallel.bucket_mib" not in at[1][0]
    assert all(int(o["train.steps"]) % int(o.get("parallel.local_steps", 1)) == 0 for o in at[2])
