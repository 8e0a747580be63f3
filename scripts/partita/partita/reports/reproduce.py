# SPDX-License-Identifier: BSD-3-Clause
"""How each distinct point is run again: the line for a shell, once for all its repeats."""

import re
import shlex
from typing import Any

from partita.records.record import Record, plural
from partita.reports.blocks import Block, Commands, Paragraph
from partita.reports.material import Material, Place

MOST = 400


def reproduce(material: Material) -> list[Block]:
    """The code, then a line for each point."""
    shas = sorted({str(r.attributes.get("git_sha", "")) for r in material.records} - {""})
    blocks: list[Block] = []
    if len(shas) == 1:
        blocks.append(Commands((("The code", f"git checkout {shas[0]}"),)))
    blocks.append(
        Paragraph(
            "Each line makes one record; repeats of a point differ in nothing but the name. Paths are those of the "
            "checkout from which the study was run. A click selects a line.",
            "note",
        )
    )
    lines = [line for place in material.places for line in _lines(place)]
    blocks.append(Commands(tuple(lines[:MOST])))
    if len(lines) > MOST:
        blocks.append(Paragraph(f"The first {MOST} of {plural(len(lines), 'distinct point')}.", "note"))
    return blocks


def _lines(place: Place) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for point in place.planned:
        if isinstance(point.get("command"), list):
            found.setdefault(_plain(str(point["name"])), of_plan(point))
    for record in [*(r for s in place.studies for r in s.records), *place.benches]:
        name = _plain(str(record.attributes.get("point", ""))) or record.path.stem
        if name not in found:
            found[name] = of_record(record)
    prefix = f"{place.name}: " if place.name else ""
    return [(f"{prefix}{name}", line) for name, line in found.items() if line]


def of_plan(point: dict[str, Any]) -> str:
    """Variables of the environment, launcher, app, deck, settings."""
    variables = {str(k): str(v) for k, v in (point.get("environment") or {}).items()}
    words = [f"{k}={shlex.quote(v)}" for k, v in sorted(variables.items())]
    return " ".join([*words, _renamed([str(w) for w in point["command"]], str(point["name"]))])


def of_record(record: Record) -> str:
    """What the record says of itself; the launcher is not in it, so mpiexec stands for it."""
    given = str(record.attributes.get("command", ""))
    if not given or record.ranks < 1:
        return ""
    try:
        words = shlex.split(given)
    except ValueError:
        words = given.split()
    name = str(record.attributes.get("point", "")) or record.path.stem
    return f"OMP_NUM_THREADS={record.threads} mpiexec -n {record.ranks} {_renamed(words, name)}"


def _renamed(words: list[str], name: str) -> str:
    """The same words, but the record goes to a file here: where it once lay need not be there."""
    made = list(words)
    for i, word in enumerate(made[:-1]):
        if word in ("--output", "-o"):
            made[i + 1] = f"{_plain(name) or 'record'}.h5"
    return shlex.join(made)


def _plain(name: str) -> str:
    """Without the number of the repeat."""
    return re.sub(r"-r\d+$", "", name)
