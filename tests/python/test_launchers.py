# SPDX-License-Identifier: BSD-3-Clause
"""Names of launchers and free lines -> the words before the app."""

import pytest

from partita.errors import UsageError
from partita.studies.launchers import complaint, expand


@pytest.mark.parametrize(
    ("launcher", "line"),
    [
        ("mpiexec", "mpiexec -n 6 -ppn 3"),
        (
            "srun",
            "srun -N 2 -n 6 --ntasks-per-node=3 --cpus-per-task=4 --cpu-bind=cores --kill-on-bad-exit=1 "
            "--gpus-per-task=1",
        ),
        ("jsrun", "jsrun -n 6 -r 3 -a 1 -c 4 -g 1 -d packed -b packed:4"),
        ("flux", "flux run -N 2 -n 6 -c 4 -g 1 -o cpu-affinity=per-task"),
        ("flux -o mpi=none", "flux run -N 2 -n 6 -c 4 -g 1 -o cpu-affinity=per-task -o mpi=none"),
        ("aprun -n {ranks} -N {ranks_per_node} -d {threads}", "aprun -n 6 -N 3 -d 4"),
        ("run{nodes}x --gpus={gpus_per_rank}/{ranks}", "run2x --gpus=1/6"),
    ],
)
def test_each_name_has_its_line(launcher: str, line: str) -> None:
    assert " ".join(expand(launcher, ranks=6, threads=4, nodes=2, gpus_per_rank=1)) == line


def test_one_node_needs_no_word_about_nodes_from_mpiexec() -> None:
    assert expand("mpiexec", ranks=4) == ["mpiexec", "-n", "4"]


def test_options_follow_a_name_and_cpus_are_told_to_srun_itself() -> None:
    words = expand("srun --mpi=pmi2 --label", ranks=2, threads=3)
    assert words[-2:] == ["--mpi=pmi2", "--label"]
    assert "--cpus-per-task=3" in words
    assert not any(word.startswith("--gpus") for word in words)


def test_ranks_that_nodes_do_not_share_evenly_are_rounded_up() -> None:
    assert "--ntasks-per-node=2" in expand("srun", ranks=3, nodes=2)


def test_words_stay_whole_and_other_braces_stay() -> None:
    assert expand("env 'A=b c' sh -c '${X}{}' {ranks}", ranks=2) == ["env", "A=b c", "sh", "-c", "${X}{}", "2"]


@pytest.mark.parametrize(
    ("launcher", "said"),
    [
        ("mpirun", '"mpirun": expected mpiexec, srun, jsrun, flux (options may follow), or a command with {ranks}'),
        ("mpirun -np {rank}", "has {rank}: expected one of {ranks}, {threads}"),
        ("srun --ntasks-per-node={ranks_per_node}", "a command with {ranks} in it"),
        ("mpiexec 'a", "expected quotes in pairs"),
        (" ", "expected the name of a program first"),
    ],
)
def test_what_is_wrong_is_said(launcher: str, said: str) -> None:
    assert complaint(launcher)
    with pytest.raises(UsageError) as error:
        expand(launcher, ranks=1, where="s.toml:3: launcher")
    assert str(error.value).startswith("s.toml:3: launcher: ")
    assert said in str(error.value)


@pytest.mark.parametrize(("nodes", "per_node"), [(3, None), (1, 1)])
def test_ranks_need_room_and_nodes_need_ranks(nodes: int, per_node: int | None) -> None:
    with pytest.raises(UsageError, match=f"2 ranks on {nodes} nodes of 1"):
        expand("srun", ranks=2, nodes=nodes, ranks_per_node=per_node)
