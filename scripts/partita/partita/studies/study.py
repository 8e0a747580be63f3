# SPDX-License-Identifier: BSD-3-Clause
"""A study file, read and checked: what is run, with which settings, how often.

    name kind seed repeats retries resume build launcher work_tolerance   of the study
    app deck ranks threads nodes ranks_per_node gpus_per_rank timeout_s   of the study, or of each [[run]]
    [set]           the same in all points
    [per_rank]      times ranks (weak, throughput)
    [at_ranks]      a list with one value for each of `ranks`
    [grid]          lists: every combination
    [[zip]]         lists of one length, which go together: the first values, the second values, ...
    [[together]]    the same written row by row: each table is a row
    [[drill]]       what goes wrong on purpose, of kind "faults" (drills.py)
    [[run]]         an app and deck with tables of its own, over those of the study

Points are runs x ranks x threads x drills x rows of [[together]] x each [[zip]] x [grid] x repeats.
"""

import itertools
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from partita.errors import UsageError
from partita.studies.axes import check_axes, check_growth, check_once
from partita.studies.drills import Drill, read_drills
from partita.studies.launchers import complaint
from partita.studies.reader import Reader
from partita.studies.toml_text import flatten, read_toml, shown, toml_value

__all__ = ["Layout", "Repeats", "Run", "Study", "find_root", "flatten", "read_study", "toml_value"]

STUDY_COPY = "study.toml"  # Left beside the records: readers learn from it what was intended.
KINDS = ("strong", "weak", "throughput", "compare", "faults")
SCALINGS = ("strong", "weak", "none")  # The older key `scaling`; "none": compare.
WORK_TOLERANCE = 1e-6  # Of flops per rank, relative.
OLD_WORK_TOLERANCE = 0.02  # Where the file has the older key.
MOST_POINTS = 100_000
LAUNCHER = "mpiexec -n {ranks}"
OF_RUNS = (
    "app", "deck", "ranks", "threads", "nodes", "ranks_per_node", "gpus_per_rank", "timeout_s", "equal_at_one_rank",
    "set", "per_rank", "at_ranks", "grid", "zip", "together", "drill",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Ranks on nodes, which are filled evenly."""

    ranks: int
    nodes: int
    ranks_per_node: int


@dataclass(frozen=True)
class Repeats:
    """Blocks: `min` of them, then more until no shown ratio's interval is wider than `ratio_width`, or `max`."""

    min: int
    max: int
    ratio_width: float = 0.0  # (high - low) / value

    @property
    def adaptive(self) -> bool:
        """Whether results decide how many there are."""
        return self.max > self.min


@dataclass(frozen=True)
class Run:
    """An app and deck of a study, and what is changed in the deck."""

    label: str  # Before the names of its points; "" where the study has no [[run]].
    app: str
    deck: Path
    layouts: tuple[Layout, ...]
    threads: tuple[int, ...] = (1,)
    gpus_per_rank: int = 0
    timeout_s: float = 3600.0
    equal_at_one_rank: tuple[str, ...] = ()
    fixed: dict[str, Any] = field(default_factory=dict)
    per_rank: dict[str, int] = field(default_factory=dict)
    at_ranks: dict[str, list[Any]] = field(default_factory=dict)  # A value for each of `ranks`, in their order.
    grid: dict[str, list[Any]] = field(default_factory=dict)
    zips: tuple[dict[str, list[Any]], ...] = ()
    together: tuple[dict[str, Any], ...] = ()
    drills: tuple[Drill, ...] = ()

    @property
    def ranks(self) -> tuple[int, ...]:
        """In the order of the file."""
        return tuple(layout.ranks for layout in self.layouts)

    @property
    def size(self) -> int:
        """How many configurations, those that are equal at one rank counted apart."""
        rows = [len(next(iter(z.values()))) for z in self.zips] + [len(values) for values in self.grid.values()]
        return (
            len(self.layouts)
            * len(self.threads)
            * math.prod(rows)
            * max(1, len(self.together))
            * max(1, len(self.drills))
        )

    @property
    def varied(self) -> tuple[str, ...]:
        """Keys of [grid], [[zip]] and [[together]]."""
        return tuple(dict.fromkeys([*self.grid, *itertools.chain(*self.zips), *itertools.chain(*self.together)]))


@dataclass(frozen=True)
class Study:
    """A checked study file."""

    path: Path
    root: Path  # Relative paths of the study start here.
    name: str
    kind: str
    build: Path
    runs: tuple[Run, ...]
    repeats: Repeats = Repeats(1, 1)
    seed: int = 1
    retries: int = 1
    resume: int = 0  # How often a point may go on from its checkpoint.
    launcher: str = LAUNCHER
    work_tolerance: float = WORK_TOLERANCE

    @property
    def apps(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(run.app for run in self.runs))


def find_root(path: Path) -> Path:
    """The checkout around the path: nearest folder above with CMakeLists.txt and inputs/; else the current folder."""
    for folder in path.resolve().parents:
        if (folder / "CMakeLists.txt").is_file() and (folder / "inputs").is_dir():
            return folder
    return Path.cwd()


def read_study(path: Path) -> Study:
    """Read and check a study file; UsageError in the form of DESIGN.md section 7."""
    text, tree = read_toml(path, "a study file")
    read = Reader(path, text, tree)
    root = find_root(path)
    name = read.text_of("name", None, "a name of letters, digits, _ and -")
    if not re.fullmatch(r"[\w-]+", name):
        raise read.fail("name", shown(name), "letters, digits, _ and -: it names a folder")
    kind, tolerance = _kind(read)
    study = Study(
        path=path,
        root=root,
        name=name,
        kind=kind,
        build=root / read.text_of("build", "build/release", "the path of a build folder"),
        runs=_runs(read, root, kind),
        repeats=_repeats(read),
        seed=read.integer("seed", 1, 0),
        retries=read.integer("retries", 1, 0),
        resume=read.integer("resume", 0, 0),
        launcher=read.text_of("launcher", LAUNCHER, "a launcher"),
        work_tolerance=tolerance,
    )
    if kind == "faults" and (study.resume or study.repeats.adaptive):
        key = "resume" if study.resume else "repeats"
        raise read.fail(key, 'given so, and kind is "faults"', "drills a fixed number of times, each from the begin")
    if wrong := complaint(study.launcher):
        raise read.fail("launcher", *wrong)
    read.finish(OF_RUNS)
    _check_size(study)
    return study


def _kind(read: Reader) -> tuple[str, float]:
    """Kind, and how far a weak study's flops per rank may be apart."""
    key, default = ("kind", WORK_TOLERANCE)
    if read.has("scaling") and not read.has("kind"):
        key, default = ("scaling", OLD_WORK_TOLERANCE)
        kind = read.one_of("scaling", SCALINGS).replace("none", "compare")
    else:
        kind = read.one_of("kind", KINDS)
    tolerance = read.number("work_tolerance", default, "a relative difference of flops per rank")
    if read.has("work_tolerance") and kind != "weak":
        raise read.fail("work_tolerance", f'given, and {key} is no "weak"', "it in weak studies alone")
    return kind, tolerance


def _repeats(read: Reader) -> Repeats:
    allowed = "an integer from 1 on, or {min = 6, max = 12, ratio_width = 0.05}"
    value = read.get("repeats", (int, dict), 1, allowed)
    if isinstance(value, int):
        if value < 1:
            raise read.fail("repeats", str(value), allowed)
        return Repeats(value, value)
    inner = Reader(read.path, read.text, {f"repeats.{key}": v for key, v in value.items()})
    low = inner.integer("repeats.min", None, 1)
    high = inner.integer("repeats.max", None, low)
    width = inner.get("repeats.ratio_width", float, None, "a number above 0: (high - low) / value of a ratio")
    inner.finish()
    if not width > 0:
        raise read.fail("repeats", f"ratio_width {width:g}", "ratio_width above 0: (high - low) / value of a ratio")
    return Repeats(low, high, width)


def _runs(read: Reader, root: Path, kind: str) -> tuple[Run, ...]:
    tables = read.get("run", list, [], "tables [[run]], each with an app and a deck")
    if not tables:
        return (_run(read, "", root, kind),)
    runs: list[Run] = []
    for number, table in enumerate(tables):
        if not isinstance(table, dict):
            raise read.fail("run", shown(table), "tables [[run]], each with an app and a deck")
        inner = Reader(read.path, read.text, table, number, {k: v for k, v in read.tree.items() if k in OF_RUNS})
        app = inner.text_of("app", None, "the name of an app, as in apps/")
        inner.known["name"] = "a name"
        label = table.get("name", app)
        if not isinstance(label, str) or not re.fullmatch(r"[A-Za-z]\w*", label):
            raise inner.fail("name", shown(label), "a letter, then letters, digits and _: it begins names of points")
        if label in (run.label for run in runs):
            raise inner.fail("name" if "name" in table else "app", shown(label), "a `name` for each run, each once")
        runs.append(_run(inner, label, root, kind))
        inner.finish()
    return tuple(runs)


def _run(read: Reader, label: str, root: Path, kind: str) -> Run:
    run = Run(
        label=label,
        app=read.text_of("app", None, "the name of an app, as in apps/"),
        deck=root / read.text_of("deck", None, "the path of a deck"),
        layouts=_layouts(read),
        threads=_threads(read),
        gpus_per_rank=read.integer("gpus_per_rank", 0, 0),
        timeout_s=read.number("timeout_s", 3600.0, "a number of seconds"),
        equal_at_one_rank=tuple(
            read.get("equal_at_one_rank", list, [], "a list of keys of [grid], [[zip]] and [[together]]")
        ),
        fixed=read.table("set"),
        per_rank=read.table("per_rank"),
        at_ranks=read.table("at_ranks"),
        grid=read.table("grid"),
        zips=read.tables("zip"),
        together=read.tables("together"),
        drills=read_drills(read, kind),
    )
    if not _is_file(run.deck):
        raise read.fail("deck", f"no file {run.deck}", "the path of a deck, from the checkout")
    check_axes(run, read)
    check_growth(run, read, kind)
    check_once(run, read)
    return run


def _is_file(path: Path) -> bool:
    """No for a name that no file can have, too."""
    try:
        return path.is_file()
    except OSError:
        return False


def _check_size(study: Study) -> None:
    """Ahead of the product of all lists."""
    count = study.repeats.max * sum(run.size for run in study.runs)
    if count > MOST_POINTS:
        raise UsageError(study.path, f"{count} points", f"at most {MOST_POINTS} of them")


def _threads(read: Reader) -> tuple[int, ...]:
    if isinstance(read.tree.get("threads", read.above.get("threads")), list | str):
        return read.counts("threads")
    return (read.integer("threads", 1, 1),)


def _layouts(read: Reader) -> tuple[Layout, ...]:
    """From `ranks` with `ranks_per_node` or `nodes`, or from lists of `nodes` times `ranks_per_node`."""
    per_node = read.integer("ranks_per_node", 0, 1) if read.has("ranks_per_node") else 0
    read.known["ranks_per_node"] = read.known["nodes"] = "an integer"
    if not read.has("ranks") and read.has("nodes") and per_node:
        return tuple(Layout(n * per_node, n, per_node) for n in read.counts("nodes"))
    ranks = read.counts("ranks")
    if not read.has("nodes"):
        return tuple(Layout(r, -(-r // (per_node or r)), min(per_node or r, r)) for r in ranks)
    if per_node:
        raise read.fail("nodes", "given, and ranks and ranks_per_node, too", "two of the three")
    nodes = read.integer("nodes", 1, 1)
    if nodes > min(ranks):
        raise read.fail("nodes", str(nodes), f"no more than ranks: {min(ranks)}")
    return tuple(Layout(r, nodes, -(-r // nodes)) for r in ranks)
