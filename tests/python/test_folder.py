# SPDX-License-Identifier: BSD-3-Clause
"""A folder of records -> series."""

from pathlib import Path

import pytest

from partita.errors import UsageError
from partita.records.folder import read_folder
from synthetic import Synthetic


def write(folder: Path, *runs: Synthetic) -> Path:
    for index, run in enumerate(runs):
        run.write(folder / f"run{index}.h5")
    return folder


def ranks_of(folder: Path) -> dict[str, list[int]]:
    (study,), *_ = read_folder(folder)
    return {s.label: [c.ranks for c in s.cells] for s in study.series}


def test_series_differ_in_one_key_and_share_the_base(tmp_path: Path) -> None:
    runs = [Synthetic(ranks=1), Synthetic(ranks=2), Synthetic(ranks=2, allreduce="ring")]
    assert ranks_of(write(tmp_path, *runs)) == {"mpi": [1, 2], "ring": [1, 2]}
    (study,), _, notes = read_folder(tmp_path)
    assert study.series_keys == ("parallel.allreduce",) and notes == []
    assert study.series[0].cells[0].records == study.series[1].cells[0].records
    assert [(label, c.ranks) for label, c in study.distinct_cells()] == [("", 1), ("mpi", 2), ("ring", 2)]


def test_a_base_of_its_own_is_not_replaced(tmp_path: Path) -> None:
    runs = [Synthetic(ranks=p, allreduce=a) for p in (1, 2) for a in ("mpi", "ring")]
    (study,), *_ = read_folder(write(tmp_path, *runs))
    assert [[c.ranks for c in s.cells] for s in study.series] == [[1, 2], [1, 2]]
    assert study.series[0].cells[0].records != study.series[1].cells[0].records


def test_the_study_says_what_is_equal_at_one_rank(tmp_path: Path) -> None:
    write(tmp_path, Synthetic(ranks=1), Synthetic(ranks=2), Synthetic(ranks=2, allreduce="ring"))
    (tmp_path / "study.toml").write_text('name = "synthetic"\nscaling = "strong"\nequal_at_one_rank = []\n')
    assert ranks_of(tmp_path) == {"mpi": [1, 2], "ring": [2]}


def test_a_base_that_only_others_use_is_no_line(tmp_path: Path) -> None:
    write(tmp_path, Synthetic(ranks=1, allreduce="none"), Synthetic(ranks=2), Synthetic(ranks=2, allreduce="ring"))
    assert ranks_of(tmp_path) == {"mpi": [1, 2], "ring": [1, 2]}


def test_batch_that_grows_with_ranks_makes_no_series(tmp_path: Path) -> None:
    (study,), *_ = read_folder(write(tmp_path, *[Synthetic(ranks=p, batch=32 * p) for p in (1, 2, 3)]))
    assert study.series_keys == () and study.rank_keys == ("train.batch",)
    assert [s.label for s in study.series] == ["data-parallel mpi"]


def test_a_strategy_that_names_its_ranks_is_one_series(tmp_path: Path) -> None:
    runs = [Synthetic(ranks=p, strategy=f"data {p} x tensor 2/ring") for p in (1, 2, 4)]
    assert ranks_of(write(tmp_path, *runs)) == {"data x tensor/ring": [1, 2, 4]}
    for path in tmp_path.glob("*.h5"):
        path.unlink()
    assert ranks_of(write(tmp_path, *runs[:1])) == {"data 1 x tensor 2/ring": [1]}


def test_models_of_two_sizes_are_two_series(tmp_path: Path) -> None:
    runs = [Synthetic(ranks=p, model=f"hidden = [{h}]") for p in (1, 2) for h in (64, 128)]
    assert ranks_of(write(tmp_path, *runs)) == {"hidden [64]": [1, 2], "hidden [128]": [1, 2]}


def test_threads_per_rank_tell_series_apart(tmp_path: Path) -> None:
    runs = [Synthetic(ranks=p, threads=t) for p in (1, 2) for t in (1, 2)]
    assert ranks_of(write(tmp_path, *runs)) == {"threads per rank 1": [1, 2], "threads per rank 2": [1, 2]}


def strategies(*words: str) -> list[Synthetic]:
    return [Synthetic(ranks=2, parallel=word) for word in words]


def test_a_label_leaves_out_what_most_strategies_have_in_common(tmp_path: Path) -> None:
    plain = "bucket_mib = 0.0\nlocal_steps = 1\nstrategy = "
    every = plain.replace("local_steps = 1", "local_steps = 4")
    runs = strategies(plain + '"zero2"', plain + '"allreduce"', plain.replace("0.0", "0.5") + '"allreduce"',
                      every + '"local_sgd"', plain + '"zero10"')  # fmt: skip
    found = list(ranks_of(write(tmp_path, *runs)))
    assert found == ["allreduce", "allreduce, bucket_mib 0.5", "local_sgd, local_steps 4", "zero2", "zero10"]


def test_keys_that_a_study_sets_together_are_no_function_of_the_ranks(tmp_path: Path) -> None:
    runs = [Synthetic(ranks=p, parallel=f'strategy = "{s}"') for p, s in ((1, "allreduce"), (2, "zero1"))]
    write(tmp_path, *runs)
    assert ranks_of(tmp_path) == {"data-parallel mpi": [1, 2]}
    study = 'name = "synthetic"\nscaling = "strong"\nequal_at_one_rank = ["parallel.strategy"]\n'
    (tmp_path / "study.toml").write_text(study + '[[together]]\nparallel.strategy = "zero1"\n')
    assert ranks_of(tmp_path) == {"zero1": [1, 2]}


def test_repeats_are_one_cell(tmp_path: Path) -> None:
    (study,), *_ = read_folder(write(tmp_path, *[Synthetic(point=f"r{r}") for r in range(4)]))
    assert [len(c.records) for c in study.series[0].cells] == [4]


def test_unusable_files_are_left_out_with_a_note(tmp_path: Path) -> None:
    Synthetic().write(tmp_path / "good.h5")
    Synthetic(complete=0, exit_reason="signal SIGTERM").write(tmp_path / "stopped.h5")
    Synthetic(complete=0).write(tmp_path / "killed.h5.part")
    Synthetic(verified=0).write(tmp_path / "wrong.h5")
    (tmp_path / "bad.h5").write_text("no HDF5")
    (study,), _, notes = read_folder(tmp_path)
    assert [r.path.name for r in study.records] == ["good.h5"]
    assert len(notes) == 4 and all(n.startswith("left out: ") for n in notes)
    assert "bad.h5: damaged" in notes[0] and "incomplete (signal SIGTERM)" in notes[1]
    assert "wrong.h5: its results failed the run's own check" in notes[2] and "1 record of runs" in notes[3]


def test_a_deck_that_cannot_be_read_leaves_its_record_out_alone(tmp_path: Path) -> None:
    import h5py

    write(tmp_path, Synthetic(), Synthetic(ranks=2))
    with h5py.File(tmp_path / "run0.h5", "r+") as file:
        file["config/toml"][()] = "= ="
    (study,), _, notes = read_folder(tmp_path)
    assert [r.path.name for r in study.records] == ["run1.h5"] and "run0.h5: /config/toml: not TOML" in notes[0]


def test_two_studies_in_one_folder_stay_apart(tmp_path: Path) -> None:
    studies, *_ = read_folder(write(tmp_path, Synthetic(study="a"), Synthetic(study="b")))
    assert [s.name for s in studies] == ["a", "b"]


def test_different_code_is_not_joined_and_said(tmp_path: Path) -> None:
    write(tmp_path, Synthetic(), Synthetic(ranks=2, git_sha="f" * 40))
    (study,), *_ = read_folder(tmp_path)
    assert study.warnings == ("different commits are not joined: 0123456 (1 run), fffffff (1 run)",)
    assert ranks_of(tmp_path) == {"code 0123456": [1], "code fffffff": [2]}


def test_other_machines_and_compilers_are_series_of_their_own(tmp_path: Path) -> None:
    """Even where they follow from the number of ranks, or would share a base."""
    amd, intel = {"cpu": "AMD EPYC"}, {"cpu": "Xeon"}
    write(tmp_path, Synthetic(**amd), Synthetic(ranks=2, **intel), Synthetic(ranks=4, **intel, compiler="clang 19"))
    (study,), *_ = read_folder(tmp_path)
    assert ranks_of(tmp_path) == {"AMD EPYC, g++ 12": [1], "Xeon, clang 19": [4], "Xeon, g++ 12": [2]}
    assert study.rank_keys == () and study.warnings == (
        "different CPUs are not joined: AMD EPYC (1 run), Xeon (2 runs)",
        "different compilers are not joined: clang 19 (1 run), g++ 12 (2 runs)",
    )
    write(tmp_path, Synthetic(ranks=2, **intel), Synthetic(**amd), Synthetic(ranks=2, allreduce="ring", **amd))
    assert ranks_of(tmp_path) == {"Xeon": [2], "ring, AMD EPYC": [1, 2]}


def test_what_was_asked_for_tells_series_apart_and_not_what_follows_from_it(tmp_path: Path) -> None:
    def runs(*lines: tuple[str, int, str]) -> Path:
        for path in tmp_path.glob("*.h5"):
            path.unlink()
        made = [Synthetic(parallel=f"{key}\nbucket = {bucket}", command=f"app {asked}") for key, bucket, asked in lines]
        return write(tmp_path, *made)

    asked = "deck.toml --set parallel.depth={}"
    follows = runs(("depth = 1", 4, asked.format(1)), ("depth = 2", 8, asked.format(2)))
    assert list(ranks_of(follows)) == ["depth 1", "depth 2"]
    same_depth = runs(("depth = 1", 4, asked.format(1)), ("depth = 1", 8, asked.format(1)))
    assert list(ranks_of(same_depth)) == ["bucket 4", "bucket 8"]
    nothing_asked = runs(("depth = 1", 4, "deck.toml"), ("depth = 2", 8, "deck.toml"))
    assert list(ranks_of(nothing_asked)) == ["bucket 4, depth 1", "bucket 8, depth 2"]


def test_a_base_is_shared_by_what_only_sends_in_another_way(tmp_path: Path) -> None:
    """Without a study file: where the key that differs names the algorithm of /traffic, as ranks used it."""
    two = "strategy = {}\n"
    names = ('"zero1"', '"zero2"')
    write(
        tmp_path, Synthetic(parallel=two.format(names[0])), *[Synthetic(ranks=2, parallel=two.format(n)) for n in names]
    )
    assert ranks_of(tmp_path) == {"zero1": [1, 2], "zero2": [2]}
    write(tmp_path, Synthetic(), *[Synthetic(ranks=2, allreduce=a) for a in ("mpi", "ring")])
    assert ranks_of(tmp_path) == {"mpi": [1, 2], "ring": [1, 2]}


def test_apps_of_one_study_are_studies_apart(tmp_path: Path) -> None:
    write(tmp_path, Synthetic(study="s"), Synthetic(study="s", app="cnn"), Synthetic(study="t", app="cnn"))
    studies, *_ = read_folder(tmp_path)
    assert [(s.name, s.app, len(s.records)) for s in studies] == [
        ("s_cnn", "cnn", 1),
        ("s_mlp_dp", "mlp_dp", 1),
        ("t", "cnn", 1),
    ]


def test_nothing_to_plot(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing to plot: no records \(\*\.h5\) in it"):
        read_folder(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        read_folder(tmp_path / "none")
    Synthetic(complete=0).write(tmp_path / "killed.h5.part")
    with pytest.raises(UsageError, match="nothing to plot: left out: 1 record of runs that were killed"):
        read_folder(tmp_path)
