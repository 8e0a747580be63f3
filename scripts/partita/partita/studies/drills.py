# SPDX-License-Identifier: BSD-3-Clause
"""Studies of faults: what goes wrong on purpose in a point, and how its run is to end.

    [[drill]]                      of the study; [[run.drill]] adds to it, or replaces one of the same name
    name                           default: the kind
    kind rank step phase seconds   the [[fault]] of the deck
    exit                           exit code of the launcher, or a list of those that will do
    set                            further keys of the deck

A run that ends so has done what it was to do. One that ends otherwise has failed, and is not tried again.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from partita.studies.axes import RESERVED
from partita.studies.reader import Reader
from partita.studies.toml_text import flatten, shown

FAULT = ("kind", "rank", "step", "phase", "seconds")
KEYS = ("name", *FAULT, "exit", "set")
ALLOWED = f"tables of {', '.join(KEYS)}"
NAME = "letters, digits, _ and -, each name once"


@dataclass(frozen=True)
class Drill:
    """One fault."""

    name: str
    fault: dict[str, Any]
    exit: tuple[int, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def overrides(self) -> dict[str, Any]:
        """Keys of the deck."""
        return {**self.settings, "fault": [self.fault]}

    def described(self) -> dict[str, Any]:
        """For plan.json and job.json."""
        return {"name": self.name, "fault": self.fault, "exit": list(self.exit)}


def read_drills(read: Reader, kind: str) -> tuple[Drill, ...]:
    """Of a run, those of the study first; only in studies of faults, and there at least one."""
    given = read.get("drill", list, [], ALLOWED)
    above = read.above.get("drill", []) if "drill" in read.tree else []
    found: dict[str, Drill] = {}
    for tables in (above, given):
        made = [_drill(read, table) for table in tables]
        names = [drill.name for drill in made]
        if len(set(names)) != len(names):
            raise read.fail("drill", shown(names), NAME)
        found |= {drill.name: drill for drill in made}
    if kind != "faults" and found:
        raise read.fail("drill", f'given, and kind is "{kind}"', 'it in studies of kind "faults"')
    if kind == "faults" and not found:
        raise read.fail("kind", '"faults" without [[drill]]', "what goes wrong, a table for each")
    return tuple(found.values())


def _drill(read: Reader, table: Any) -> Drill:
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        raise read.fail("drill", shown(table), f"a table with a `kind` of fault; keys: {', '.join(KEYS)}")
    if unknown := [key for key in table if key not in KEYS]:
        raise read.fail("drill", f"unknown key {shown(unknown[0])}", f"one of {', '.join(KEYS)}")
    name, codes, settings = table.get("name", table["kind"]), table.get("exit"), table.get("set", {})
    if not isinstance(name, str) or not re.fullmatch(r"[\w-]+", name):
        raise read.fail("drill", shown(name), NAME)
    codes = codes if isinstance(codes, list) else [codes]
    if not codes or not all(isinstance(code, int) and not isinstance(code, bool) for code in codes):
        raise read.fail("drill", f"exit of {name}: {shown(table.get('exit'))}", "an exit code, or a list of them")
    if not isinstance(settings, dict) or any(key in (*RESERVED, "fault") for key in flatten(settings)):
        raise read.fail(
            "drill", f"set of {name}: {shown(settings)}", "keys of the deck that `partita run` leaves alone"
        )
    return Drill(name, {key: table[key] for key in FAULT if key in table}, tuple(codes), flatten(settings))
