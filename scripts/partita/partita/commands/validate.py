# SPDX-License-Identifier: BSD-3-Clause
"""`partita validate`."""

from pathlib import Path
from typing import Annotated

import typer

from partita.console import make_console
from partita.errors import ExitCode, UsageError


def validate(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Study files, decks, records, folders of records.")
    ],
) -> int:
    """Check files and say a line on each: ok, or what is wrong.

    Of a study: its keys. Of a deck: that it is TOML of dotted keys (`partita plan` has the app read it). Of a record:
    that it opens, that its layout is one this version knows, that all of its groups can be read, that counted bytes
    are the expected ones, that steps took time, that its summary follows from its steps.

    \b
    Example:
        partita validate inputs/studies/quickstart_strong.toml runs/quickstart_strong
    """  # noqa: D301
    from partita.records.check import check_path, files_of

    console, refused = make_console(), 0
    for path in (file for given in paths for file in files_of(given)):
        try:
            said = f"ok: {path}: {check_path(path)}"
        except UsageError as error:
            said = f"refused: {error}"
            refused += 1
        console.print(said, soft_wrap=True, markup=False)
    return ExitCode.USAGE if refused else ExitCode.DONE
