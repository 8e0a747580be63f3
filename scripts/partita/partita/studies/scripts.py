# SPDX-License-Identifier: BSD-3-Clause
"""Job scripts from templates (jinja2): one for each scheduler in templates/, or a file of one's own.

Names in a template:
    name, nodes                         of the study; of this job
    ranks_per_node, threads             so many that every point fits: threads is CPUs for each rank
    gpus_per_node                       0: none are asked for
    seconds, minutes, hhmmss            time limit of the job
    notice_s                            so long before the limit `partita run` is told to end
    partition, account                  as given to `partita submit`; "" if not
    launcher                            the program that starts the ranks, such as srun
    root, command                       where, and what is run, quoted for a shell
    output, scheduler_output            files for what the script writes and for what the scheduler writes
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partita.errors import UsageError, reason

TEMPLATES = Path(__file__).with_name("templates")
NOTICE_S = 60
RESERVE_S = 120  # For what is between points, and for the notice: Slurm may give it a minute early.


@dataclass(frozen=True)
class Bundle:
    """All points of one number of nodes that go into one job; points as in plan.json."""

    nodes: int
    points: tuple[dict[str, Any], ...]

    @property
    def hashes(self) -> tuple[str, ...]:
        """Of its points."""
        return tuple(str(p["hash"]) for p in self.points)

    @property
    def ranks_per_node(self) -> int:
        """Most of any point."""
        return max(_ranks_per_node(p) for p in self.points)

    @property
    def threads(self) -> int:
        """CPUs for each of these ranks: the fullest point fits."""
        cores = max(_ranks_per_node(p) * int(p["threads"]) for p in self.points)
        return -(-cores // self.ranks_per_node)

    @property
    def gpus_per_node(self) -> int:
        """Most of any point."""
        return max(_ranks_per_node(p) * int(p.get("gpus_per_rank", 0)) for p in self.points)

    @property
    def seconds(self) -> int:
        """Its points' limits of time, one after the other, and a reserve."""
        return round(sum(float(p["timeout_s"]) for p in self.points)) + RESERVE_S


def _ranks_per_node(point: dict[str, Any]) -> int:
    return int(point.get("ranks_per_node") or -(-int(point["ranks"]) // int(point["nodes"])))


def bundles(points: list[dict[str, Any]]) -> list[Bundle]:
    """One for each number of nodes, ascending."""
    counts = sorted({int(p["nodes"]) for p in points})
    return [Bundle(n, tuple(p for p in points if int(p["nodes"]) == n)) for n in counts]


def seconds_of(text: str) -> int:
    """`90` minutes, `30:00`, `2:00:00`, `1-12:00:00`; UsageError where it is none of these."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)|(\d+)", text.strip())
    if not found:
        raise UsageError("--time", f'"{text}"', "minutes, or [days-][hours:]minutes:seconds")
    days, hours, minutes, seconds, alone = (int(part or 0) for part in found.groups())
    total = alone * 60 + ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if total < 1:
        raise UsageError("--time", f'"{text}"', "a time above 0")
    return total


def hhmmss(seconds: int) -> str:
    """`26:03:04`."""
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def shipped(scheduler: str) -> str:
    """The template as it is shipped."""
    return (TEMPLATES / f"{scheduler}.sh.j2").read_text(encoding="utf-8")


def render(scheduler: str, template: Path | None, values: dict[str, Any]) -> str:
    """The script; UsageError names the line of the template that cannot be used."""
    import jinja2

    folders = [template.resolve().parent] if template else []
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, TEMPLATES]), undefined=jinja2.StrictUndefined, trim_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    path = template or TEMPLATES / f"{scheduler}.sh.j2"
    try:
        text = path.read_text(encoding="utf-8")
        return environment.from_string(text).render(values)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(path, f"cannot be read ({reason(error)})", "the path of a template") from error
    except jinja2.TemplateSyntaxError as error:
        raise UsageError(f"{error.filename or path}:{error.lineno}", str(error.message), "a jinja2 template") from error
    except jinja2.TemplateError as error:
        raise UsageError(path, str(error), "the names listed in partita/studies/scripts.py") from error


def values_of(
    bundle: Bundle, name: str, seconds: int, root: Path, output: Path, scheduler_output: Path
) -> dict[str, Any]:
    """The names of a template, but for the command and what the user gives."""
    words = bundle.points[0].get("command") or [""]
    return {
        "name": name,
        "nodes": bundle.nodes,
        "ranks_per_node": bundle.ranks_per_node,
        "threads": bundle.threads,
        "gpus_per_node": bundle.gpus_per_node,
        "seconds": seconds,
        "minutes": -(-seconds // 60),
        "hhmmss": hhmmss(seconds),
        "notice_s": min(NOTICE_S, seconds // 2),
        "launcher": Path(str(words[0])).name,
        "root": shlex.quote(str(root)),
        "output": shlex.quote(str(output)),
        "scheduler_output": shlex.quote(str(scheduler_output)),
    }
