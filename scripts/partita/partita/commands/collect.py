# SPDX-License-Identifier: BSD-3-Clause
"""`partita collect`."""

from pathlib import Path
from typing import Annotated

import typer

from partita.errors import ExitCode, UsageError


def collect(
    folders: Annotated[list[Path], typer.Argument(help="Folders of studies, or folders with such folders.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the copies; made, if need be.")],
) -> int:
    """Copy the finished records of studies into one folder, to be taken home.

    The newest finished record of each point becomes OUT/NAME_HASH.h5, beside study.toml and plan.json; of several
    studies each has a folder in OUT. What is left out is said, with the reason.

    \b
    Example:
        partita collect runs/strong runs/weak -o results && tar czf results.tgz results
    """  # noqa: D301
    from partita.studies.collect import collect as copy_records
    from partita.studies.state import study_folders

    sources = [source for folder in folders for source in study_folders(folder)]
    if not sources:
        named = ", ".join(map(str, folders))
        raise UsageError(named, "no records and no plan in it", "folders that `partita run` or `submit` wrote to")
    names = [source.resolve().name for source in sources]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError("partita collect", f"two folders named {twice}", "different names, or one folder at a time")
    for source, name in zip(sources, names, strict=True):
        done = copy_records(source, output if len(sources) == 1 else output / name)
        print(f"{source}: {done.copied} records -> {done.target}, {len(done.left_out)} points left out")
        for line in done.left_out:
            print(f"    left out: {line}")
    return ExitCode.DONE
