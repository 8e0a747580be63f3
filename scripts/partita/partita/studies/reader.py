# SPDX-License-Identifier: BSD-3-Clause
"""Typed access to the keys of a study file, with messages that name file, line, key, what was found and allowed."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from partita.errors import UsageError
from partita.studies.toml_text import flatten, line_of, shortened, shown

POW2 = re.compile(r"pow2 up to (\d{1,10})")
MOST = 2**31 - 1  # Ranks, nodes, threads.
COUNTS = 'a list of different integers from 1 on, such as [1, 2, 4], or "pow2 up to 64"'
Table = dict[str, Any]


class Reader:
    """Keys of a study, or of one of its [[run]] tables: what such a table lacks is taken from the study."""

    def __init__(self, path: Path, text: str, tree: Table, run: int | None = None, above: Table | None = None) -> None:
        self.path, self.text, self.tree, self.run, self.above = path, text, tree, run, above or {}
        self.known: dict[str, str] = {}

    def fail(self, key: str, found: str, expected: str) -> UsageError:
        """The error; of a [[run]] table with the line there, else with that of the study."""
        key, found = shortened(key), shortened(found)
        if self.run is not None and (line := line_of(self.text, f"run.{key}", self.run)):
            return UsageError(f"{self.path}{line}: run.{key}", found, expected)
        of_run = f"run {self.run + 1}: " if self.run is not None and key.partition(".")[0] in self.tree else ""
        line = line_of(self.text, key) or line_of(self.text, key.partition(".")[0])  # An inline table has one line.
        return UsageError(f"{self.path}{line}: {of_run}{key}", found, expected)

    def get(self, key: str, kind: type | tuple[type, ...], default: Any, allowed: str) -> Any:
        """The value; None as default: it must be there."""
        self.known[key] = allowed
        if key not in self.tree and key not in self.above:
            if default is None:
                raise UsageError(f"{self.path}: {key}", "missing", allowed)
            return default
        value = self.tree.get(key, self.above.get(key))
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.fail(key, shown(value), allowed)
        return value

    def has(self, key: str) -> bool:
        """Whether it is given."""
        return key in self.tree or key in self.above

    def integer(self, key: str, default: int | None, low: int) -> int:
        """From `low` on."""
        allowed = f"an integer from {low} on"
        value = self.get(key, int, default, allowed)
        if value < low:
            raise self.fail(key, str(value), allowed)
        return value

    def number(self, key: str, default: float, what: str) -> float:
        """Above 0."""
        allowed = f"{what} above 0"
        value = self.get(key, float, default, allowed)
        if not value > 0:
            raise self.fail(key, f"{value:g}", allowed)
        return value

    def text_of(self, key: str, default: str | None, allowed: str) -> str:
        """Not empty, printable."""
        value = self.get(key, str, default, allowed)
        if not value.strip():
            raise self.fail(key, "an empty text", allowed)
        if not value.isprintable():
            raise self.fail(key, f"{shown(value)} has characters that cannot be printed", allowed)
        return value

    def one_of(self, key: str, choices: Iterable[str]) -> str:
        """A text from a list."""
        *first, last = (f'"{choice}"' for choice in choices)
        allowed = f"{', '.join(first)} or {last}"
        value = self.text_of(key, None, allowed)
        if value not in choices:
            raise self.fail(key, shown(value), allowed)
        return value

    def counts(self, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """A list of integers, or powers of two up to one."""
        values = self.get(key, (list, str), list(default) if default else None, COUNTS)
        if isinstance(values, str):
            found = POW2.fullmatch(values.strip())
            values = [2**k for k in range(int(found[1]).bit_length())] if found else []
        whole = all(isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= MOST for v in values)
        if not values or not whole or len(set(values)) != len(values):
            raise self.fail(key, shown(self.tree.get(key, self.above.get(key))), COUNTS)
        return tuple(values)

    def table(self, key: str) -> Table:
        """Dotted keys; those of a run over those of the study."""
        allowed = "a table of deck keys"
        mine = self.get(key, dict, {}, allowed)
        theirs = self.above.get(key, {})
        return {**flatten(theirs if isinstance(theirs, dict) else {}), **flatten(mine)}

    def tables(self, key: str) -> tuple[Table, ...]:
        """A list of tables with dotted keys."""
        allowed = "tables of deck keys, none of them empty"
        tables = self.get(key, list, [], allowed)
        if not all(isinstance(table, dict) and table for table in tables):
            raise self.fail(key, shown(tables), allowed)
        return tuple(flatten(table) for table in tables)

    def finish(self, also: Iterable[str] = ()) -> None:
        """Refuse keys that nobody asked for."""
        known = [*self.known, *also]
        for key in self.tree:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                raise self.fail(key, "unknown key", near[0] if near else "one of " + ", ".join(known))
