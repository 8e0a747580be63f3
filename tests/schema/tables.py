#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the tables of lib/partita/io/README.md from the stored structure of a record, golden/*.txt.

    python3 tests/schema/tables.py            # after a wanted change of the structure
    python3 tests/schema/tables.py --check    # the page is what this would write

Needs nothing but Python: the golden files say all there is to say, and test_golden.py holds the writer to them.
"""

import difflib
import re
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "lib" / "partita" / "io" / "README.md"
BEGIN, END = "<!-- tables: tests/schema/tables.py writes what follows -->\n", "<!-- end of tables -->\n"
OF_THE_APP = "/strategy"  # an example of what an app adds


@dataclass
class Dataset:
    """One line of a golden file with the attributes below it."""

    path: str
    kind: str
    dimensions: list[str]
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def name(self):
        """Last part of the path."""
        return self.path.split("/")[-1]

    @property
    def is_scale(self):
        """Whether it gives a dimension its values."""
        return self.dimensions == [self.name]


def read(text):
    """Groups in their order, each as (attributes, datasets)."""
    groups, current = {}, None
    for line in text.splitlines():
        attribute = re.match(r"  @(\w+) = (.*)$", line)
        dataset = re.match(r"(/\S+): (\S+) \((.*?)\)( = .*)?$", line)
        if attribute:
            current[attribute[1]] = attribute[2].strip("'\"")
        elif dataset:
            dimensions = [scale.split("=")[0].split("/")[-1] for scale in dataset[3].split(", ") if scale]
            kind = "string" if dataset[2].startswith("string") else dataset[2]
            made = Dataset(dataset[1], kind, dimensions)
            group = dataset[1].rsplit("/", 1)[0] or "/"
            groups.setdefault(group, ({}, []))[1].append(made)
            current = made.attributes
        elif " -> " not in line:  # a group; a scale of the root, linked, is told by the dimensions that use it
            current = groups.setdefault(line, ({}, []))[0]
    return groups


def row(dataset):
    """Name, type, dimensions, unit, meaning."""
    meaning = dataset.attributes.get("long_name", "")
    if "cell_methods" in dataset.attributes:
        meaning += f" (`{dataset.attributes['cell_methods']}`)"
    shape = "scale" if dataset.is_scale else ", ".join(dataset.dimensions) or "-"
    unit = dataset.attributes.get("units", "-")
    return f"| `{dataset.name}` | {dataset.kind} | {shape} | {unit} | {meaning} |"


def table(datasets):
    """Scales first, then the rest, both by name."""
    head = ["| dataset | type | dimensions | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    return head + [row(each) for each in sorted(datasets, key=lambda each: (not each.is_scale, each.name))]


def tables(full, stats):
    """The generated part of the page."""
    lines = []
    for group, (attributes, datasets) in full.items():
        if group == OF_THE_APP:
            continue
        lines += [f"### `{group}`", ""]
        if group == "/environment":
            lines += ["Attributes alone, as above.", ""]
        elif attributes:
            names = [f"`{name}`" for name in sorted(attributes)]
            if "schema_version" in attributes:
                names[names.index("`schema_version`")] += f" ({attributes['schema_version'].split()[-1]})"
            lines += [*textwrap.wrap("Attributes: " + ", ".join(names) + ".", 100), ""]
        if datasets:
            lines += [*table(datasets), ""]
        if group == "/steps":
            known = {each.path for each in datasets}
            own = [each for each in stats[group][1] if each.path not in known]
            gone = sorted(known - {each.path for each in stats[group][1]})
            names = ", ".join(f"`{path.split('/')[-1]}`" for path in gone)
            lines += [*textwrap.wrap(f'With `record.detail = "stats"`, in place of {names}:', 100), "", *table(own), ""]
    return "\n".join(lines)


def page(text):
    """The page with its tables written anew."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    golden = [read((HERE / "golden" / f"{detail}.txt").read_text(encoding="utf-8")) for detail in ("full", "stats")]
    return before + BEGIN + "\n" + tables(*golden) + END + after


def main():
    """Write, or compare."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = page(text)
    if "--check" not in sys.argv:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if text == wanted:
        return 0
    sys.stdout.writelines(difflib.unified_diff(text.splitlines(True), wanted.splitlines(True), str(PAGE), "golden"))
    print("the tables differ from the golden structure: run python3 tests/schema/tables.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
