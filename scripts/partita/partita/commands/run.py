# SPDX-License-Identifier: BSD-3-Clause
"""`partita run`."""

from typing import Annotated

import typer

from partita.commands.plan import Build, Output, Repeated, Study, opened, print_heading, show_plan
from partita.console import make_console


def run(
    study: Study,
    output: Output = None,
    build: Build = None,
    repeats: Repeated = None,
    only_nodes: Annotated[
        int | None, typer.Option(min=1, help="Run only the points of so many nodes, as a job of that size does [all].")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same as `partita plan`: run nothing.")] = False,
) -> int:
    """Run the points of a study that are not finished, one at a time.

    Points are configurations x repeats, in random order within blocks of one repeat; each leaves its record and log in
    FOLDER/points/HASH/attempt-N. Stopped at any moment, the same command goes on from there.

    \b
    Example:
        partita run inputs/studies/quickstart_strong.toml
    """  # noqa: D301
    plan, console = opened(study, output, build, repeats), make_console()
    if dry_run:
        return show_plan(plan, console)
    from partita.studies.execute import run_plan

    print_heading(plan, console)
    return run_plan(plan, console, only_nodes)
