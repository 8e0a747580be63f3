# SPDX-License-Identifier: BSD-3-Clause
"""What starts the ranks of a point: a name -> the whole line for so many ranks, threads and nodes.

"mpiexec"              MPICH's hydra: mpiexec -n R, on several nodes also -ppn
"srun --mpi=pmi2"      a name and options of one's own; pmi2: what Debian's MPICH speaks to Slurm
"jsrun", "flux"        LSF on machines of IBM; Flux
"mpirun -np {ranks} --map-by ppr:{ranks_per_node}:node"     a free line, with the names of PLACES in braces
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from partita.errors import UsageError

PLACE = re.compile(r"(?<!\$)\{(\w+)\}")  # ${NAME} is a shell's.
PLACES = ("ranks", "threads", "nodes", "ranks_per_node", "gpus_per_rank")


@dataclass(frozen=True)
class Layout:
    """Where the ranks of a point go; nodes are filled evenly."""

    ranks: int
    threads: int
    nodes: int
    ranks_per_node: int
    gpus_per_rank: int


def _mpiexec(at: Layout) -> list[str]:
    per_node = ["-ppn", str(at.ranks_per_node)] if at.nodes > 1 else []
    return ["mpiexec", "-n", str(at.ranks), *per_node]


def _srun(at: Layout) -> list[str]:
    gpus = [f"--gpus-per-task={at.gpus_per_rank}"] if at.gpus_per_rank else []
    return [
        "srun", "-N", str(at.nodes), "-n", str(at.ranks), f"--ntasks-per-node={at.ranks_per_node}",
        f"--cpus-per-task={at.threads}",  # From Slurm 22.05 on srun does not take it from the job.
        "--cpu-bind=cores", "--kill-on-bad-exit=1", *gpus,
    ]  # fmt: skip


def _jsrun(at: Layout) -> list[str]:
    """A resource set a rank."""
    return [
        "jsrun", "-n", str(at.ranks), "-r", str(at.ranks_per_node), "-a", "1", "-c", str(at.threads),
        "-g", str(at.gpus_per_rank), "-d", "packed", "-b", f"packed:{at.threads}",
    ]  # fmt: skip


def _flux(at: Layout) -> list[str]:
    gpus = ["-g", str(at.gpus_per_rank)] if at.gpus_per_rank else []
    return [
        "flux", "run", "-N", str(at.nodes), "-n", str(at.ranks), "-c", str(at.threads), *gpus,
        "-o", "cpu-affinity=per-task",
    ]  # fmt: skip


NAMED: dict[str, Callable[[Layout], list[str]]] = {"mpiexec": _mpiexec, "srun": _srun, "jsrun": _jsrun, "flux": _flux}
ALLOWED = f"{', '.join(NAMED)} (options may follow), or a command with {{ranks}} in it"


def complaint(launcher: str) -> tuple[str, str] | None:
    """What is wrong with the text, and what was expected; None: nothing."""
    shown = f'"{launcher}"'
    try:
        words = shlex.split(launcher)
    except ValueError as error:
        return f"{shown} ({error})", "quotes in pairs, as in a shell"
    if not words or not words[0]:
        return shown, "the name of a program first"
    places = PLACE.findall(launcher)
    for place in places:
        if place not in PLACES:
            return f"{shown} has {{{place}}}", "one of " + ", ".join(f"{{{p}}}" for p in PLACES)
    if "ranks" not in places and (places or words[0] not in NAMED):
        return shown, ALLOWED
    return None


def expand(
    launcher: str,
    *,
    ranks: int,
    threads: int = 1,
    nodes: int = 1,
    ranks_per_node: int | None = None,
    gpus_per_rank: int = 0,
    where: str = "launcher",
) -> list[str]:
    """The words before the app; ranks_per_node is ranks / nodes rounded up, if not given. UsageError names `where`."""
    if wrong := complaint(launcher):
        raise UsageError(where, *wrong)
    at = Layout(ranks, threads, nodes, ranks_per_node or -(-ranks // nodes), gpus_per_rank)
    if not (at.nodes <= at.ranks <= at.nodes * at.ranks_per_node):
        found = f"{at.ranks} ranks on {at.nodes} nodes of {at.ranks_per_node}"
        raise UsageError(where, found, "a rank for each node, and room for all of them")
    words = shlex.split(launcher)
    if "{ranks}" not in launcher:
        return NAMED[words[0]](at) + words[1:]
    values = {place: str(getattr(at, place)) for place in PLACES}
    return [PLACE.sub(lambda found: values[found[1]], word) for word in words]
