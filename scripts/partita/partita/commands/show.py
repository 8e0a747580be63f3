# SPDX-License-Identifier: BSD-3-Clause
"""`partita show`."""

from pathlib import Path
from typing import Annotated

import typer

from partita.console import make_console
from partita.errors import ExitCode


def show(file: Annotated[Path, typer.Argument(help="A record (.h5), or what a killed run left (.h5.part).")]) -> int:
    """Summarise one record.

    \b
    Example:
        partita show runs/quickstart_strong/points/HASH/attempt-1/record.h5
    """  # noqa: D301
    from partita.records.record import read_record
    from partita.reports.summary import show as print_summary

    print_summary(read_record(file), make_console())
    return ExitCode.DONE
