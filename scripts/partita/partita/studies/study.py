# SPDX-License-Identifier: BSD-3-Clause
"""One study file -> the points to run, each with a content hash, in a seeded random order."""

import difflib
import hashlib
import itertools
import json
import random
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from partita.errors import UsageError, reason

HASH_SCHEMA = "partita-point-1"  # Change it when the meaning of a point changes: every point then runs again.
RESERVED = ("output.path", "record.study", "record.point")  # Set by `partita run` itself.
STUDY_COPY = "study.toml"  # Left beside the records: `partita plot` reads from it what was intended.
SCALINGS = ("strong", "weak", "none")  # "none": what is compared is something else, such as protocols.
SCALINGS_SAID = '"strong", "weak" or "none"'
LAUNCHER = "mpiexec -n {ranks}"

Overrides = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Study:
    """A checked study file."""

    path: Path
    root: Path  # Relative paths of the study start here.
    name: str
    app: str
    deck: Path
    build: Path
    scaling: str
    ranks: tuple[int, ...]
    threads: int = 1
    repeats: int = 1
    seed: int = 1
    timeout_s: float = 3600.0
    launcher: str = LAUNCHER
    equal_at_one_rank: tuple[str, ...] = ()
    fixed: dict[str, Any] = field(default_factory=dict)
    per_rank: dict[str, int] = field(default_factory=dict)
    at_ranks: dict[str, list[Any]] = field(default_factory=dict)  # A value for each of `ranks`, in their order.
    grid: dict[str, list[Any]] = field(default_factory=dict)
    together: tuple[dict[str, Any], ...] = ()  # Each a line of the plots, with all of the grid.

    @property
    def varied(self) -> tuple[str, ...]:
        """Keys of [grid] and [[together]]."""
        return tuple(dict.fromkeys([*self.grid, *itertools.chain.from_iterable(self.together)]))


@dataclass(frozen=True)
class Point:
    """One run of the app: `name` for people, `digest` for resuming."""

    name: str
    ranks: int
    threads: int
    repeat: int
    overrides: Overrides
    digest: str = ""

    @property
    def stem(self) -> str:
        """File name without extension of everything that this point writes."""
        return f"{self.name}_{self.digest}"


def toml_value(value: Any) -> str:
    """A value as TOML text, as the apps' `--set key=value` reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        bare = re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value not in ("true", "false", "inf", "nan")
        return value if bare else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return (
            "["
            + ", ".join(json.dumps(v, ensure_ascii=False) if isinstance(v, str) else toml_value(v) for v in value)
            + "]"
        )
    return repr(value)


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables -> dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def find_root(path: Path) -> Path:
    """The checkout around the path: nearest folder above with CMakeLists.txt and inputs/; else the current folder."""
    for folder in path.resolve().parents:
        if (folder / "CMakeLists.txt").is_file() and (folder / "inputs").is_dir():
            return folder
    return Path.cwd()


class _Reader:
    """Typed access to a study's keys, with messages that name file, line and key."""

    def __init__(self, path: Path, text: str, tree: dict[str, Any]) -> None:
        self.path, self.text, self.tree, self.known = path, text, tree, {}

    def fail(self, key: str, found: str, expected: str) -> UsageError:
        return UsageError(f"{self.path}{self._line(key)}: {key}", found, expected)

    def _line(self, key: str) -> str:
        """`:12` where the key stands; tomllib keeps no positions, so the text is searched."""
        table = ""
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[{1,2}([^\[\]]+)\]", line):
                table = header[1].strip() + "."
                name = table[:-1]
            elif entry := re.match(r"\s*([\w.\"'-]+(?:\s*\.\s*[\w\"'-]+)*)\s*=", line):
                name = table + entry[1]
            else:
                continue
            if re.sub(r"[\"'\s]", "", name) == key:
                return f":{number}"
        return ""

    def get(self, key: str, kind: type, default: Any, allowed: str) -> Any:
        self.known[key] = allowed
        if key not in self.tree:
            if default is None:
                raise UsageError(f"{self.path}: {key}", "missing", allowed)
            return default
        value = self.tree[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.fail(key, _shown(value), allowed)
        return value

    def integer(self, key: str, default: int | None, low: int) -> int:
        allowed = f"an integer from {low} on"
        value = self.get(key, int, default, allowed)
        if value < low:
            raise self.fail(key, str(value), allowed)
        return value

    def text_of(self, key: str, default: str | None, allowed: str) -> str:
        value = self.get(key, str, default, allowed)
        if not value.strip():
            raise self.fail(key, "an empty text", allowed)
        if not value.isprintable():
            raise self.fail(key, f"{_shown(value)} has characters that cannot be printed", allowed)
        return value

    def table(self, key: str) -> dict[str, Any]:
        return flatten(self.get(key, dict, {}, "a table of deck keys"))

    def tables(self, key: str) -> tuple[dict[str, Any], ...]:
        allowed = "tables of deck keys, none of them empty"
        tables = self.get(key, list, [], allowed)
        if not all(isinstance(table, dict) and table for table in tables):
            raise self.fail(key, _shown(tables), allowed)
        return tuple(flatten(table) for table in tables)

    def finish(self) -> None:
        for key in self.tree:
            if key not in self.known:
                near = difflib.get_close_matches(key, self.known, 1)
                raise self.fail(key, "unknown key", near[0] if near else "one of " + ", ".join(self.known))


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def read_study(path: Path) -> Study:
    """Read and check a study file; UsageError in the form of DESIGN.md section 7."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(path, f"cannot be read ({reason(error)})", "the path of a study file") from error
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        line = re.search(r"line (\d+)", place)
        raise UsageError(f"{path}{':' + line[1] if line else ''}", f"not TOML ({message})", "a study file") from error

    read = _Reader(path, text, tree)
    root = find_root(path)
    name = read.text_of("name", None, "a name of letters, digits, _ and -")
    if not re.fullmatch(r"[\w-]+", name):
        raise read.fail("name", _shown(name), "letters, digits, _ and -: it names a folder")
    scaling = read.text_of("scaling", None, SCALINGS_SAID)
    if scaling not in SCALINGS:
        raise read.fail("scaling", _shown(scaling), SCALINGS_SAID)
    study = Study(
        path=path,
        root=root,
        name=name,
        scaling=scaling,
        app=read.text_of("app", None, "the name of an app, as in apps/"),
        deck=root / read.text_of("deck", None, "the path of a deck"),
        build=root / read.text_of("build", "build/release", "the path of a build folder"),
        ranks=_ranks(read),
        threads=read.integer("threads", 1, 1),
        repeats=read.integer("repeats", 1, 1),
        seed=read.integer("seed", 1, 0),
        timeout_s=read.get("timeout_s", float, 3600.0, "a number of seconds above 0"),
        launcher=read.text_of("launcher", LAUNCHER, "a command with {ranks} in it"),
        equal_at_one_rank=tuple(read.get("equal_at_one_rank", list, [], "a list of keys of [grid] and [[together]]")),
        fixed=read.table("set"),
        per_rank=read.table("per_rank"),
        at_ranks=read.table("at_ranks"),
        grid=read.table("grid"),
        together=read.tables("together"),
    )
    read.finish()
    _check(study, read)
    return study


def _ranks(read: _Reader) -> tuple[int, ...]:
    allowed = "a list of different integers from 1 on, such as [1, 2, 4]"
    values = read.get("ranks", list, None, allowed)
    whole = all(isinstance(v, int) and not isinstance(v, bool) and v >= 1 for v in values)
    if not values or not whole or len(set(values)) != len(values):
        raise read.fail("ranks", _shown(values), allowed)
    return tuple(values)


def _check(study: Study, read: _Reader) -> None:
    """What no single key can tell."""
    if not study.timeout_s > 0:
        raise read.fail("timeout_s", f"{study.timeout_s:g}", "a number of seconds above 0")
    if "{ranks}" not in study.launcher:
        raise read.fail("launcher", _shown(study.launcher), "a command with {ranks} in it")
    try:
        words = shlex.split(study.launcher)
    except ValueError as error:
        raise read.fail("launcher", f"{_shown(study.launcher)} ({error})", "quotes in pairs, as in a shell") from error
    if not words or not words[0]:
        raise read.fail("launcher", _shown(study.launcher), "the name of a program first")
    if not study.deck.is_file():
        raise read.fail("deck", f"no file {study.deck}", "the path of a deck, from the checkout")
    for key, values in study.grid.items():
        if not isinstance(values, list) or not values:
            raise read.fail(f"grid.{key}", _shown(values), "a list of values, one point each")
        if len({toml_value(v) for v in values}) != len(values):
            raise read.fail(f"grid.{key}", _shown(values), "each value once")
    for key in study.equal_at_one_rank:
        if not isinstance(key, str) or key not in study.varied:
            raise read.fail("equal_at_one_rank", _shown(key), f"keys that vary: {', '.join(study.varied)}")
    for index, line in enumerate(study.together):
        if line in study.together[:index]:
            raise read.fail("together", _shown(line), "each table once")
    if study.scaling == "weak" and not study.per_rank and not study.at_ranks:
        raise read.fail(
            "scaling", '"weak" without [per_rank] or [at_ranks]', "one of them with the keys that grow with ranks"
        )
    if study.scaling != "weak" and study.per_rank:
        raise read.fail("scaling", f'"{study.scaling}" with [per_rank]', "no key that grows with ranks")
    for key, value in study.per_rank.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise read.fail(f"per_rank.{key}", _shown(value), "an integer from 1 on: the value per rank")
    for key, values in study.at_ranks.items():
        if not isinstance(values, list) or len(values) != len(study.ranks):
            counts = ", ".join(map(str, study.ranks))
            raise read.fail(
                f"at_ranks.{key}", _shown(values), f"a list of {len(study.ranks)} values: at {counts} ranks"
            )
    seen: dict[str, str] = {}
    together = [key for key in study.varied if any(key in line for line in study.together)]
    tables = (
        ("set", study.fixed), ("per_rank", study.per_rank), ("at_ranks", study.at_ranks), ("together", together),
        ("grid", study.grid),
    )  # fmt: skip
    for table, keys in tables:
        for key in keys:
            if key in RESERVED:
                raise read.fail(f"{table}.{key}", "given", "no such key: `partita run` sets it itself")
            if key in seen:
                raise read.fail(f"{table}.{key}", f"also in [{seen[key]}]", "it in one of them")
            seen[key] = table


def points(study: Study) -> list[Point]:
    """Ranks x grid x repeats, without digests, in the order of the study file."""
    return [
        Point(_name(ranks, choice, repeat), ranks, study.threads, repeat, _overrides(study, ranks, choice))
        for repeat in range(1, study.repeats + 1)
        for ranks in study.ranks
        for choice in _choices(study, ranks)
    ]


def _choices(study: Study, ranks: int) -> Iterator[dict[str, Any]]:
    """A table of [[together]] with one value for each key of the grid.

    At one rank only the first of those that differ in nothing but keys that are said to change nothing there.
    """
    seen: list[dict[str, Any]] = []
    for line, values in itertools.product(study.together or ({},), itertools.product(*study.grid.values())):
        choice = {**line, **dict(zip(study.grid, values, strict=True))}
        told_apart = {k: v for k, v in choice.items() if ranks > 1 or k not in study.equal_at_one_rank}
        if told_apart not in seen:
            seen.append(told_apart)
            yield choice


def _overrides(study: Study, ranks: int, choice: dict[str, Any]) -> Overrides:
    grown = {key: value * ranks for key, value in study.per_rank.items()}
    chosen = {key: values[study.ranks.index(ranks)] for key, values in study.at_ranks.items()}
    return tuple(
        (key, toml_value(value)) for key, value in sorted({**study.fixed, **grown, **chosen, **choice}.items())
    )


def _name(ranks: int, choice: dict[str, Any], repeat: int) -> str:
    parts = [f"np{ranks}"]
    for key, value in choice.items():
        text = toml_value(value)
        parts.append(text if isinstance(value, str) else key.rpartition(".")[2] + text)
    return re.sub(r"[^\w.+-]+", ".", "-".join([*parts, f"r{repeat}"]))


def with_digests(study: Study, plain: list[Point], binary: str) -> list[Point]:
    """The same points with the hash of all that decides a result: binary, deck, overrides, ranks, threads, repeat."""
    deck = study.deck.read_text(encoding="utf-8", errors="surrogateescape")  # What is no text, the app refuses.
    result = []
    for p in plain:
        content = [HASH_SCHEMA, study.app, binary, deck, study.launcher, p.overrides, p.ranks, p.threads, p.repeat]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
        result.append(Point(p.name, p.ranks, p.threads, p.repeat, p.overrides, digest))
    return result


def in_random_order(study: Study, ordered: list[Point]) -> list[Point]:
    """Blocks of one repeat, shuffled inside: drift of a machine falls on all points alike. Same seed, same order."""
    generator = random.Random(study.seed)
    result: list[Point] = []
    for _, block in itertools.groupby(sorted(ordered, key=lambda p: p.repeat), key=lambda p: p.repeat):
        members = list(block)
        generator.shuffle(members)
        result += members
    return result
