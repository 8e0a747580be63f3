# SPDX-License-Identifier: BSD-3-Clause
"""`partita run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from partita.console import make_console
from partita.errors import ExitCode

if TYPE_CHECKING:
    from partita.studies.plan import Plan


def run(
    study: Annotated[Path, typer.Argument(help="Study file, such as inputs/studies/quickstart_strong.toml.")],
    output: Annotated[Path | None, typer.Option(help="Folder for records and logs [runs/NAME OF THE STUDY].")] = None,
    build: Annotated[
        Path | None, typer.Option(help="Build or installation folder with the app [the study's `build`].")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run, have the app check each deck, and run nothing.")
    ] = False,
) -> int:
    """Run the points of a study that are not finished.

    Points are ranks x grid x repeats, in random order; each leaves one record and one log.

    \b
    Example:
        partita run inputs/studies/quickstart_strong.toml --dry-run
    """  # noqa: D301
    from partita.studies.execute import check_plan, launchable, run_plan
    from partita.studies.plan import make_plan
    from partita.studies.study import read_study

    checked = read_study(study)
    plan = make_plan(checked, output or checked.root / "runs" / checked.name, (build or checked.build).resolve())
    console = make_console()
    _print_plan(plan, console, every_command=dry_run)
    if not dry_run:
        return run_plan(plan, console)
    if launchable(plan):
        decks = check_plan(plan)
        console.print(f"{plan.study.app} accepts all {decks} decks", soft_wrap=True)
    return ExitCode.DONE


def _print_plan(plan: "Plan", console: Console, every_command: bool) -> None:
    import shlex

    study, todo = plan.study, [p for p in plan.points if p.digest not in plan.finished]
    console.print(
        f"{study.name}: {study.scaling} scaling of {study.app}, {study.deck.name}; {len(plan.points)} points = "
        f"ranks {', '.join(map(str, study.ranks))} x grid x {study.repeats} repeats; "
        f"{len(plan.points) - len(todo)} finished, {len(todo)} to run, in random order (seed {study.seed})",
        soft_wrap=True,
    )
    over = sorted({p.ranks for p in plan.points if plan.oversubscribed(p)})
    if over:
        console.print(
            f"note: {plan.cores} cores here: points at {', '.join(map(str, over))} ranks x {study.threads} threads are "
            "oversubscribed; they run, are marked, and count in no speed-up",
            soft_wrap=True,
        )
    if not plan.binary.is_file():
        console.print(f"note: {plan.binary} is not built", soft_wrap=True)
    if every_command:
        for point in plan.points:
            state = "finished" if point.digest in plan.finished else "to run  "
            flags = f"OMP_NUM_THREADS={point.threads} OMP_PROC_BIND=false"
            console.print(
                f"{state} {point.stem}: {flags} {shlex.join(plan.command(point))}", soft_wrap=True, markup=False
            )
