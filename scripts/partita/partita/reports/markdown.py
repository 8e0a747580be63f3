# SPDX-License-Identifier: BSD-3-Clause
"""A report as Markdown: all its texts and tables; charts are named, their numbers are in the tables."""

from partita.reports.blocks import Block, Bullets, Chart, Commands, Drawing, Grid, Paragraph, Report

SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>#|~"})


def to_markdown(report: Report) -> str:
    """The file's text."""
    lines = [f"# {_escaped(report.title)}", "", _escaped(report.answer), ""]
    for section in report.sections:
        lines += [f"## {_escaped(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block), ""]
    return "\n".join(lines).rstrip() + "\n"


def _block(block: Block) -> list[str]:
    match block:
        case Paragraph(text=text, kind=kind):
            return [f"**Warning:** {_escaped(text)}" if kind == "warning" else _escaped(text)]
        case Bullets(items=items):
            return [f"- {_escaped(item)}" for item in items]
        case Grid():
            return _grid(block)
        case Chart(title=title, finding=finding):
            return [f"*Chart in the HTML report: {_escaped(title)}.* {_escaped(finding)}".rstrip()]
        case Drawing(title=title):
            return [f"*Picture in the HTML report: {_escaped(title)}.*"]
        case Commands(lines=commands):
            return [text for what, line in commands for text in (f"{_escaped(what)}:", "", f"    {_line(line)}", "")][
                :-1
            ]
    raise TypeError(block)


def _grid(grid: Grid) -> list[str]:
    head = "| " + " | ".join(_escaped(c) for c in grid.columns) + " |"
    rule = "| " + " | ".join("---:" if right else "---" for right in grid.numeric) + " |"
    rows = ["| " + " | ".join(_escaped(str(cell)) for cell in row) + " |" for row in grid.rows]
    return [f"**{_escaped(grid.title)}**", "", head, rule, *rows, *(["", _escaped(grid.note)] if grid.note else [])]


def _escaped(text: str) -> str:
    return _line(text).translate(SPECIAL)


def _line(text: str) -> str:
    return " ".join(text.split())
