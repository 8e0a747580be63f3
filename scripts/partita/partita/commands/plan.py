# SPDX-License-Identifier: BSD-3-Clause
"""`partita plan`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from partita.console import make_console
from partita.errors import ExitCode

if TYPE_CHECKING:
    from partita.studies.plan import Plan

Study = Annotated[Path, typer.Argument(help="Study file, such as inputs/studies/quickstart_strong.toml.")]
Output = Annotated[Path | None, typer.Option(help="Folder for records and logs [runs/NAME OF THE STUDY].")]
Build = Annotated[Path | None, typer.Option(help="Build or installation folder with the apps [the study's `build`].")]
Repeated = Annotated[int | None, typer.Option(min=1, help="Runs of every point [the study's `repeats`].")]


def plan(
    study: Study,
    output: Output = None,
    build: Build = None,
    repeats: Repeated = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the points as JSON, and nothing else.")] = False,
) -> int:
    """Say what a study would run, and run nothing.

    A table of its points, a launch line for each, core-hours by the time limits and as measured so far; the apps read
    every distinct deck, and of a weak study say how many flops a rank counts. Nothing is written.

    \b
    Examples:
        partita plan inputs/studies/quickstart_strong.toml
        partita plan inputs/studies/quickstart_strong.toml --json > points.json
    """  # noqa: D301
    return show_plan(opened(study, output, build, repeats), make_console(), as_json)


def opened(study: Path, output: Path | None, build: Path | None, repeats: int | None = None) -> "Plan":
    """The plan of a study file, in the folder, of the build and with the repeats that the options say."""
    from dataclasses import replace

    from partita.studies.plan import make_plan
    from partita.studies.study import Repeats, read_study

    checked = read_study(study)
    if repeats is not None:
        checked = replace(checked, repeats=Repeats(repeats, repeats))
    return make_plan(checked, output or checked.root / "runs" / checked.name, (build or checked.build).resolve())


def show_plan(plan: "Plan", console: Console, as_json: bool = False) -> int:
    """The plan in full; its decks are checked where the apps are built."""
    import json

    from partita.studies.execute import check_plan, launchable

    if as_json:
        print(json.dumps(plan.document(), indent=1, ensure_ascii=False))
    else:
        print_heading(plan, console)
        _print_points(plan, console)
        _print_cost(plan, console)
    if launchable(plan):
        decks, work = check_plan(plan)
        if not as_json:
            console.print(f"{', '.join(plan.study.apps)}: all {decks} decks are accepted", soft_wrap=True)
            if work:
                console.print(work, soft_wrap=True)
    return ExitCode.DONE


def print_heading(plan: "Plan", console: Console) -> None:
    """How many points, what is oversubscribed, what is not built."""
    study, repeats = plan.study, plan.study.repeats
    decks = dict.fromkeys(f"{run.app}, {run.deck.name}" for run in study.runs)
    surely = [p for p in plan.surely if p.digest not in plan.finished]
    blocks = f"{repeats.min} to {repeats.max}" if repeats.adaptive else f"{repeats.min}"
    console.print(
        f"{study.name}: {study.kind} study of {'; '.join(decks)}; {len(plan.surely)} points = "
        f"{len(plan.expansion.configurations)} configurations x {blocks} repeats; "
        f"{len(plan.surely) - len(surely)} finished, {len(surely)} to run, in random order (seed {study.seed})",
        soft_wrap=True,
        markup=False,
    )
    if repeats.adaptive:
        console.print(
            f"more blocks until no ratio's interval is wider than {repeats.ratio_width:g} of its value, "
            f"{repeats.max} at most",
            soft_wrap=True,
        )
    over = sorted({(p.ranks, p.threads) for p in plan.points if plan.oversubscribed(p)})
    if over:
        shown = ", ".join(f"{ranks} ranks x {threads} threads" for ranks, threads in over)
        console.print(
            f"note: {plan.cores} cores here: points at {shown} are oversubscribed; they run, are marked, and count in "
            "no speed-up",
            soft_wrap=True,
        )
    for binary in plan.binaries.values():
        if not binary.is_file():
            console.print(f"note: {binary} is not built", soft_wrap=True)


def _print_points(plan: "Plan", console: Console) -> None:
    import shlex

    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("configuration", "app", "ranks", "threads", "nodes", "repeats", "finished"):
        table.add_column(name, justify="left" if name in ("configuration", "app") else "right", no_wrap=True)
    repeats = plan.study.repeats
    blocks = f"{repeats.min}..{repeats.max}" if repeats.adaptive else str(repeats.min)
    done: dict[str, int] = {}
    for point in plan.points:
        done[point.configuration] = done.get(point.configuration, 0) + (point.digest in plan.finished)
    for p in plan.expansion.configurations:
        counts = (str(n) for n in (p.ranks, p.threads, p.nodes))
        table.add_row(p.configuration, p.run.app, *counts, blocks, str(done[p.configuration]))
    console.print(table)
    for p in plan.expansion.configurations:
        flags = " ".join(f"{name}={value}" for name, value in plan.threads(p).items())
        command = plan.command(p)
        command[command.index(f"record.point={p.name}")] = f"record.point={p.configuration}-rN"
        console.print(f"{p.configuration}: {flags} {shlex.join(command)}", soft_wrap=True, markup=False)


def _print_cost(plan: "Plan", console: Console) -> None:
    from partita.studies.cost import cost

    found = cost(plan)
    measured = (
        f"; as measured, {found.measured:.3g} for {found.known} of the {found.points} points" if found.known else ""
    )
    console.print(
        f"core-hours of the {found.points} points to run: {found.at_most:.3g} at most, by their time limits{measured}",
        soft_wrap=True,
    )
