# SPDX-License-Identifier: BSD-3-Clause
"""A study -> jobs of a scheduler: what is neither finished nor in a job that lives, a job for each number of nodes."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from partita.errors import EnvironmentUnfitError, ExitCode
from partita.studies import schedulers
from partita.studies.plan import Plan
from partita.studies.progress import duration
from partita.studies.scripts import Bundle, bundles, render, values_of
from partita.studies.state import now_utc
from partita.studies.study import STUDY_COPY
from partita.studies.submissions import Submission, living, new_submission


@dataclass(frozen=True)
class Wishes:
    """What the user asks of the scheduler."""

    scheduler: str
    template: Path | None = None
    seconds: int | None = None  # None: what the points may take.
    partition: str = ""
    account: str = ""


@dataclass(frozen=True)
class Command:
    """What `partita run` is told in a job, beside the study and its folder."""

    build: Path
    repeats: int | None = None

    def words(self, plan: Plan, nodes: int) -> list[str]:
        """All of it."""
        words = [
            sys.executable, "-m", "partita", "run", str(plan.study.path.resolve()), "--output", str(plan.folder),
            "--build", str(self.build), "--only-nodes", str(nodes),
        ]  # fmt: skip
        if self.repeats is not None:
            words += ["--repeats", str(self.repeats)]
        path = os.environ.get("PYTHONPATH")
        return ["env", f"PYTHONPATH={path}", *words] if path else words


def submit(plan: Plan, command: Command, wishes: Wishes, say: Callable[[str], None], dry_run: bool) -> ExitCode:
    """Submit what is to run. A job that is refused is said and kept in mind, the others are submitted: UNFIT then."""
    if not dry_run:
        plan.write()
        shutil.copyfile(plan.study.path, plan.folder / STUDY_COPY)
    busy = {digest: job for job in living(plan.folder, ask=not dry_run) for digest in job.points}
    points = plan.document()["points"]
    todo = [p for p in points if p["hash"] not in plan.finished and p["hash"] not in busy]
    waiting = sum(p["hash"] in busy and p["hash"] not in plan.finished for p in points)
    say(
        f"{plan.study.name}: {len(points)} points, {sum(p['hash'] in plan.finished for p in points)} finished, "
        f"{waiting} in jobs that wait or run, {len(todo)} to submit"
    )
    refused = 0
    for after, bundle in enumerate(bundles(todo)):
        job, script = _written(plan, command, wishes, bundle, after if dry_run else None)
        if dry_run:
            say(f"# {job.script}: nodes {bundle.nodes}, points {len(bundle.points)}")
            say(script)
            continue
        try:
            job = job.with_job(schedulers.send(wishes.scheduler, job.script, plan.study.root))
            said = f"{job.name}: nodes {bundle.nodes}, points {len(bundle.points)}, at most {duration(job.time_s)}"
        except EnvironmentUnfitError as error:
            job = replace(job, refused=str(error).partition(": ")[2], submitted_utc=now_utc())
            said, refused = f"nodes {bundle.nodes}, points {len(bundle.points)}: {error}", refused + 1
        job.write()
        say(said)
    if not dry_run and todo:
        say(f"`partita status {plan.folder}` tells what becomes of them")
    return ExitCode.UNFIT if refused else ExitCode.DONE


def _written(plan: Plan, command: Command, wishes: Wishes, bundle: Bundle, dry: int | None) -> tuple[Submission, str]:
    """The submission and its script, on disk before the scheduler hears of it; `dry`: the how manieth that is not."""
    seconds = bundle.seconds if wishes.seconds is None else wishes.seconds
    job = new_submission(plan.folder, wishes.scheduler, bundle.nodes, bundle.hashes, seconds, dry)
    values = values_of(bundle, plan.study.name, seconds, plan.study.root, job.output, job.scheduler_output)
    values["command"] = shlex.join(command.words(plan, bundle.nodes))
    values |= {"partition": wishes.partition, "account": wishes.account}
    script = render(wishes.scheduler, wishes.template, values)
    if dry is None:
        job.script.write_text(script, encoding="utf-8")
        job.write()
    return job, script
