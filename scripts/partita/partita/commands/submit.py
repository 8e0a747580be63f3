# SPDX-License-Identifier: BSD-3-Clause
"""`partita submit`."""

from pathlib import Path
from typing import Annotated

import typer

from partita.commands.plan import Build, Output, Repeated, opened
from partita.errors import ExitCode, UsageError


def submit(
    study: Annotated[Path | None, typer.Argument(help="Study file, such as inputs/studies/strong.toml.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="slurm, pbs, lsf or flux [the one whose commands are on this machine].")
    ] = None,
    output: Output = None,
    build: Build = None,
    repeats: Repeated = None,
    template: Annotated[Path | None, typer.Option(help="Job script (jinja2) in place of the shipped one.")] = None,
    time: Annotated[
        str | None, typer.Option(help="Time limit of each job: minutes, or H:MM:SS [what its points may take].")
    ] = None,
    partition: Annotated[str, typer.Option(help="Partition or queue [the scheduler's].")] = "",
    account: Annotated[str, typer.Option(help="Account, project or bank [the scheduler's].")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the job scripts, submit nothing.")] = False,
    print_template: Annotated[
        str | None, typer.Option(metavar="SCHEDULER", help="Print the shipped job script of a scheduler, to be edited.")
    ] = None,
) -> int:
    """Hand the points of a study to a scheduler: one job for each number of nodes.

    Each job runs `partita run --only-nodes N` inside its allocation. What is finished, or in a job that waits or runs,
    is not submitted again: after a job that reached its limit the same command submits what is left. Scripts and
    outputs are kept in FOLDER/submissions.

    \b
    Example:
        partita submit inputs/studies/strong.toml --time 2:00:00 --partition standard
        partita submit --print-template slurm > mine.j2
        partita submit inputs/studies/strong.toml --template mine.j2 --dry-run
    """  # noqa: D301
    from partita.studies import schedulers
    from partita.studies.scripts import seconds_of, shipped

    if print_template is not None:
        print(shipped(schedulers.find(print_template)), end="")
        return ExitCode.DONE
    if study is None:
        raise UsageError("partita submit", "no study", "the path of a study file, such as inputs/studies/strong.toml")
    from partita.studies.execute import check_binaries
    from partita.studies.submit import Command, Wishes, submit

    wishes = Wishes(
        schedulers.find(scheduler), template, seconds_of(time) if time is not None else None, partition, account
    )
    plan = opened(study, output, build, repeats)
    check_binaries(plan)
    job = Command((build or plan.study.build).resolve(), repeats)
    return submit(plan, job, wishes, lambda line: print(line, flush=True), dry_run)
