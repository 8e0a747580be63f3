# SPDX-License-Identifier: BSD-3-Clause
"""`partita export --to extrap`: the lines that Extra-P reads (tests/perf/read_exports.py has it read them)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_runs import noise, write_runs

from partita.exports.extrap import complaints, lines
from partita.exports.runs import Run
from partita.exports.work import Work, work_of

Command = Callable[..., tuple[int, str, str]]


def run(ranks: int, repeat: int = 1, threads: int = 1, **values: float) -> Run:
    return Run("s", "mlp_dp", "ring", ranks, threads, f"np{ranks}-r{repeat}", repeat, {"step_s": 0.5, **values})


def values(made: list[dict[str, Any]], callpath: str, metric: str) -> dict[int, list[float]]:
    of = (line for line in made if (line["callpath"], line["metric"]) == (callpath, metric))
    return {line["params"]["p"]: line["value"] for line in of}


def test_all_repeats_of_a_point_are_one_line() -> None:
    runs = [run(p, r, **{"phase_s:exchange": p + r / 10}) for r in (1, 2, 3) for p in (4, 2)]
    made, left_out = lines(runs, Work.RANK)
    assert not left_out and [set(line) for line in made] == [{"params", "callpath", "metric", "value"}] * 4
    assert values(made, "mlp_dp->step->exchange", "time") == {2: [2.1, 2.2, 2.3], 4: [4.1, 4.2, 4.3]}
    assert values(made, "mlp_dp->step", "time") == {2: [0.5] * 3, 4: [0.5] * 3}


def test_totals_are_of_all_ranks_and_called_so() -> None:
    made, _ = lines([run(p, **{"phase_s:update": 0.25, "sent_bytes": 100.0}) for p in (1, 8)], Work.TOTAL)
    assert {line["metric"] for line in made} == {"total_time", "total_sent_bytes"}
    assert values(made, "mlp_dp->step->update", "total_time") == {1: [0.25], 8: [2.0]}
    assert values(made, "mlp_dp->step", "total_sent_bytes") == {1: [100.0], 8: [800.0]}
    assert work_of("strong") is Work.TOTAL and work_of("weak") is work_of(None) is Work.RANK


def test_a_call_path_that_a_point_lacks_is_left_out_and_named() -> None:
    """Extra-P refuses a file in which a call path has fewer points than another."""
    made, left_out = lines([run(1), run(2, **{"phase_s:exchange": 0.1})], Work.RANK)
    assert {line["callpath"] for line in made} == {"mlp_dp->step"}
    assert left_out == ["time of mlp_dp->step->exchange"]
    few, lacking = complaints(made, left_out)
    assert few == "2 values of p, and Extra-P models from 5 on" and "mlp_dp->step->exchange" in lacking
    assert not complaints(lines([run(p) for p in (1, 2, 4, 8, 16)], Work.RANK)[0], [])


def test_threads_are_a_parameter_of_every_line_where_they_vary() -> None:
    made, _ = lines([run(1), run(2), run(2, threads=4)], Work.RANK)
    assert [line["params"] for line in made] == [{"p": 1, "t": 1}, {"p": 2, "t": 1}, {"p": 2, "t": 4}]


@pytest.mark.parametrize(("scaling", "metric", "factor"), [("strong", "total_time", 2), ("weak", "time", 1)])
def test_the_command_writes_what_the_study_needs(
    scaling: str, metric: str, factor: int, tmp_path: Path, partita: Command
) -> None:
    per_rank = "[per_rank]\ntrain.batch = 64\n" if scaling == "weak" else ""
    folder = write_runs(tmp_path / "runs", 0.02, repeats=3)
    (folder / "study.toml").write_text(f'name = "synthetic"\nscaling = "{scaling}"\n{per_rank}')
    code, out, err = partita("export", folder, "--to", "extrap", "-o", tmp_path / "e.jsonl")
    assert (code, err) == (0, "") and "1 values of p" in out
    assert ("of all ranks" in out) == (scaling == "strong")
    made = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    steps = values(made, "mlp_dp->step", metric)
    assert steps == {2: pytest.approx([factor * 0.02 * noise(r) for r in (1, 2, 3)], rel=1e-6)}
    assert {line["metric"].removeprefix("total_") for line in made} >= {"time", "sent_bytes"}
    assert partita("export", folder, "--to", "extrap", "--work", "rank", "-o", tmp_path / "r.jsonl")[0] == 0
    assert '"time"' in (tmp_path / "r.jsonl").read_text()


def test_without_a_study_file_the_work_says_what_scaling_it_is(tmp_path: Path, partita: Command) -> None:
    for name, batch, metric in (("strong", [64, 64], "total_time"), ("weak", [64, 128], "time")):
        for p, size in zip((1, 2), batch, strict=True):
            write_runs(tmp_path / name, 0.02, ranks=(p,), repeats=1, batch=size, flop_per_step=1e6 * size)
        assert partita("export", tmp_path / name, "--to", "extrap", "-o", tmp_path / f"{name}.jsonl")[0] == 0
        assert f'"metric": "{metric}"' in (tmp_path / f"{name}.jsonl").read_text()


def test_each_series_has_a_file_of_its_own(tmp_path: Path, partita: Command) -> None:
    folder = write_runs(tmp_path / "runs", 0.02, repeats=1, name="mpi")
    write_runs(folder, 0.02, repeats=1, allreduce="ring", name="ring")
    code, out, _ = partita("export", folder, "--to", "extrap", "-o", tmp_path / "e.jsonl")
    assert code == 0 and out.count(" lines -> ") == 2
    assert sorted(p.name for p in tmp_path.glob("*.jsonl")) == ["e-mlp_dp-mpi.jsonl", "e-mlp_dp-ring.jsonl"]
