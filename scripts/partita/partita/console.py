# SPDX-License-Identifier: BSD-3-Clause
"""Where commands print and save: one console, pictures with their numbers beside them."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from partita.errors import UsageError, reason

if TYPE_CHECKING:
    from partita.pictures.picture import Picture

LOG_WIDTH = 132  # Columns where no terminal says how many there are.


class Format(StrEnum):
    """Kinds of picture files."""

    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


def make_console() -> Console:
    """As wide as the terminal, as $COLUMNS, or as LOG_WIDTH."""
    console = Console(highlight=False, soft_wrap=False)
    if console.is_terminal:
        return console
    columns = os.environ.get("COLUMNS", "")
    return Console(highlight=False, width=int(columns) if columns.isdecimal() and int(columns) > 0 else LOG_WIDTH)


def save_pictures(pictures: list, target: Path, kind: Format, prefix: str) -> None:
    """Those that there are, with the prefix before their names."""
    for picture in filter(None, pictures):
        save_picture(picture, target / f"{prefix}{picture.name}.{kind.value}")


def save_picture(picture: "Picture", file: Path) -> None:
    """The picture, and its numbers as CSV beside it."""
    from partita.pictures import style

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        style.save(picture.figure, file)
        picture.table.write_csv(file.with_suffix(".csv"))
    except OSError as error:
        raise UsageError(
            file.parent, f"pictures cannot be written there ({reason(error)})", "a folder, there or not"
        ) from error
