# SPDX-License-Identifier: BSD-3-Clause
"""TOML as text and tables: values as `--set key=value` takes them, dotted keys, files whose errors name lines."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from partita.errors import UsageError, reason

LONGEST = 200  # Characters of a value in a message.
MOST_BYTES = 64 << 20  # Of a file, more than anybody writes.
DEEPEST = 32  # Tables in tables, lists in lists.


def toml_value(value: Any) -> str:
    """A value as TOML text, as the apps' `--set key=value` reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        bare = re.fullmatch(r"[A-Za-z_][\w./-]*", value) and value not in ("true", "false", "inf", "nan")
        return value if bare else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ", ".join(map(_quoted, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_quoted(each)}" for key, each in value.items()) + "}"
    return repr(value)


def _quoted(value: Any) -> str:
    """Inside a list or a table: a text has its quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else toml_value(value)


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables -> dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def shown(value: Any) -> str:
    """A value in a message, the beginning of a long one."""
    return shortened(json.dumps(value, default=str, ensure_ascii=False))


def shortened(text: str) -> str:
    """A text in a message."""
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def read_toml(path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """Text and tables of a file; UsageError names the line. `what`: "a study file"."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:  # A device has no end.
            raise UsageError(path, f"it goes on after {MOST_BYTES} bytes", what)
        text = data.decode().replace("\r\n", "\n")
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        line = re.search(r"line (\d+)", place)
        raise UsageError(f"{path}{':' + line[1] if line else ''}", f"not TOML ({message})", what) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(path, f"cannot be read ({reason(error)})", f"the path of {what}") from error
    except (ValueError, RecursionError) as error:  # An integer of thousands of digits, a nest of a thousand lists.
        raise UsageError(path, f"not TOML ({reason(error).partition(';')[0]})", what) from error
    _check_values(path, text, tree, what)
    return text, tree


def _check_values(path: Path, text: str, tree: dict[str, Any], what: str) -> None:
    """What tomllib reads and TOML does not have: integers beyond 64 bits. And no deeper than can be followed."""
    todo: list[tuple[str, Any, int]] = [(key, value, 1) for key, value in tree.items()]
    while todo:
        key, value, depth = todo.pop()
        if depth > DEEPEST:
            raise UsageError(path, f"tables or lists {depth} deep", f"{what}, at most {DEEPEST} deep")
        if isinstance(value, dict):
            todo += [(f"{key}.{below}", each, depth + 1) for below, each in value.items()]
        elif isinstance(value, list):
            todo += [(key, each, depth + 1) for each in value]
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise UsageError(f"{path}{line_of(text, key)}: {key}", shown(value), "an integer of 64 bits")


def line_of(text: str, key: str, table_number: int | None = None) -> str:
    """`:12` where the key stands, "" where it is not found; tomllib keeps no positions, so the text is searched.

    With a number: below the so-many-th (from 0) header `[[run]]`, whose tables are `[run.set]` and so on.
    """
    name, table, runs = "", "", -1
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[{1,2}([^\[\]]+)\]", line):
            name = header[1].strip()
            table = name + "."
            runs += re.sub(r"\s", "", line).startswith("[[run]]")
        elif entry := re.match(r"\s*([\w.\"'-]+(?:\s*\.\s*[\w\"'-]+)*)\s*=", line):
            name = table + entry[1]
        else:
            continue
        if re.sub(r"[\"'\s]", "", name) == key and table_number in (None, runs):
            return f":{number}"
    return ""
