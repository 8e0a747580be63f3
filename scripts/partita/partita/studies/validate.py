# SPDX-License-Identifier: BSD-3-Clause
"""Each distinct deck of a study, read by its app before the first point runs: a wrong key shows in a second."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from partita.errors import EnvironmentUnfitError, ExitCode, UsageError
from partita.studies import launch
from partita.studies.plan import Plan
from partita.studies.points import Overrides, Point
from partita.studies.progress import tail


def distinct(points: Iterable[Point]) -> list[Point]:
    """One point for each app, deck and set of overrides: that of the most ranks, for which a batch may be too small."""
    found: dict[tuple[str, Path, Overrides], Point] = {}
    for point in points:
        key = (point.run.app, point.run.deck, point.overrides)
        if key not in found or point.ranks > found[key].ranks:
            found[key] = point
    return list(found.values())


def validate(plan: Plan, points: Iterable[Point], token: str) -> int:
    """Have the app validate each deck; how many there were. UsageError with the app's line for the first that fails.

    The output is elsewhere, so that nothing appears in the study's folder.
    """
    decks = distinct(points)
    with tempfile.TemporaryDirectory(prefix="partita-") as folder:
        for number, point in enumerate(decks):
            log = Path(folder) / f"{number}.log"
            checkpoint = Path(folder) / f"{number}.checkpoint.h5" if plan.study.resume else None
            command = [*plan.command(point, Path(folder) / f"{number}.h5", checkpoint), "--validate"]
            ended = launch.run(command, log, plan.study.root, plan.environment(point), point.run.timeout_s, token)
            if ended.status == 0 and not ended.timed_out:
                continue
            lines = tail(log) or [f"exit code {ended.status}"]
            said = next((line for line in lines if line.startswith("error: ")), lines[-1]).removeprefix("error: ")
            raise (UsageError if ended.status == ExitCode.USAGE else EnvironmentUnfitError)(
                f"{plan.study.path}: {point.name}",
                "timed out" if ended.timed_out else f"refused by {point.run.app} ({said})",
                f"a deck that `{point.run.app} --validate` accepts at {point.ranks} ranks",
            )
    return len(decks)
