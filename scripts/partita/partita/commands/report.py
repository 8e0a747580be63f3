# SPDX-License-Identifier: BSD-3-Clause
"""`partita report`."""

import math
from pathlib import Path
from typing import Annotated

import typer

from partita.console import make_console
from partita.errors import ExitCode, UsageError


def report(
    folder: Annotated[
        Path, typer.Argument(help="A study's folder, such as runs/quickstart_strong, or one with several below.")
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The HTML file [FOLDER/report.html].")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Also write Markdown, beside the HTML file.")] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="DIR", help="Also write every table as CSV to this folder.")
    ] = None,
    mtbf: Annotated[
        list[float] | None,
        typer.Option(
            metavar="SECONDS",
            help="Mean time between failures of a job, for how often to leave a checkpoint; may be given several times "
            "[an hour, a day, a week].",
        ),
    ] = None,
) -> int:
    """Report on studies in one HTML file that needs no network.

    Set-up, what was planned and ran and what was left out and why, findings in words, tables with intervals, charts,
    how to run each point again.

    \b
    Example:
        partita report runs/quickstart_strong -o report.html --markdown --csv tables
    """  # noqa: D301
    from partita.reports.files import write_csv, write_text
    from partita.reports.html import to_html
    from partita.reports.markdown import to_markdown
    from partita.reports.material import gather
    from partita.reports.report import make_report

    for seconds in mtbf or ():
        if not 0 < seconds < math.inf:
            raise UsageError("--mtbf", f"{seconds:g}", "seconds above 0")
    console = make_console()
    material = gather(folder)
    made = make_report(material, tuple(mtbf or ()))
    target = output or folder / "report.html"
    text = to_html(made)
    write_text(target, text)
    console.print(f"{target} ({len(text.encode()) / 1e6:.1f} MB, needs no network)", soft_wrap=True, markup=False)
    if markdown:
        page = target.with_suffix(".md")
        write_text(page, to_markdown(made))
        console.print(str(page), soft_wrap=True, markup=False)
    if csv:
        written = write_csv(made, csv)
        console.print(f"{csv} ({len(written)} tables)", soft_wrap=True, markup=False)
    for place in material.places:
        for note in place.left_out:
            console.print(f"note: left out: {note}", soft_wrap=True, markup=False)
    return ExitCode.DONE
