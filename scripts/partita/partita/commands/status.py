# SPDX-License-Identifier: BSD-3-Clause
"""`partita status`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from partita.errors import ExitCode

if TYPE_CHECKING:
    from partita.studies.status import StudyStatus


def status(
    folder: Annotated[Path, typer.Argument(help="Folder of a study, such as runs/strong.")],
    every: Annotated[bool, typer.Option("--all", help="A line for each point, also for those that are done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the schedulers for jobs that may wait or run.")] = False,
) -> int:
    """Where every point of a study stands, from files alone: also after log-out, also on another machine.

    Planned, submitted, running, done, failed, timeout, out of memory, preempted, lost; with the reason.

    \b
    Example:
        partita status runs/strong
    """  # noqa: D301
    from partita.studies.status import status_of
    from partita.studies.submissions import asked, submissions

    said: dict[int, str] = {}
    if ask:
        said = {job.number: asked(job).words for job in submissions(folder) if job.may_live}
    found = status_of(folder)
    if as_json:
        import json

        print(json.dumps(_document(found, said), indent=1, ensure_ascii=False))
    else:
        _print(found, said, every)
    return ExitCode.DONE


def _print(found: "StudyStatus", said: dict[int, str], every: bool) -> None:
    counts = ", ".join(f"{count} {state}" for state, count in found.counts.items())
    print(f"{found.study}: {len(found.points)} points: {counts}  ({found.folder})")
    for note in found.notes:
        print(f"note: {note}")
    for job, fate in found.jobs:
        words = "; ".join(filter(None, (fate.why, said.get(job.number, ""))))
        phase = fate.phase.value + (f" ({words})" if words else "")
        print(f"{job.name}: nodes {job.nodes}, points {len(job.points)}: {phase}")
    shown = [p for p in found.points if every or p.state.value != "done"]
    width = max((len(p.name) for p in shown), default=0)
    for point in shown:
        print(f"{point.state.value:13s} {point.name:{width}s}  {point.reason}".rstrip())


def _document(found: "StudyStatus", said: dict[int, str]) -> dict[str, Any]:
    return {
        "study": found.study,
        "folder": str(found.folder),
        "counts": found.counts,
        "points": [
            {
                "hash": p.hash, "name": p.name, "nodes": p.nodes, "state": p.state.value, "reason": p.reason,
                "attempts": p.attempts, "record": str(p.record) if p.record else None,
                "first_step": p.first_step,
            }
            for p in found.points
        ],
        "jobs": [
            {
                "number": job.number, "scheduler": job.scheduler, "job": job.job, "nodes": job.nodes,
                "points": list(job.points), "phase": fate.phase.value, "reason": fate.why,
                "scheduler_says": said.get(job.number),
            }
            for job, fate in found.jobs
        ],
        "notes": list(found.notes),
    }  # fmt: skip
