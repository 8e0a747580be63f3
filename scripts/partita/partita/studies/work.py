# SPDX-License-Identifier: BSD-3-Clause
"""Is a weak study one? The flops of a step as the app counts them, before anything runs and in the records after.

An app knows its cost model, and it is kept nowhere else: `APP DECK --describe`, started at the ranks of a point, ends
with the line `counted: FLOP flop a step of P ranks`. One that prints no such line is held to its records alone.
"""

import re
import tempfile
from contextlib import suppress
from pathlib import Path

from partita.analysis.kinds import scaling_kind
from partita.errors import CheckFailedError, UsageError
from partita.records.folder import read_folder
from partita.studies import launch
from partita.studies.plan import Plan
from partita.studies.points import Point

COUNTED = re.compile(r"counted: (\S+) flop a step of (\d+) ranks?")


def counted_flop(text: str, ranks: int) -> float | None:
    """Flops of a step from the last line of a description; None where it does not say."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = COUNTED.fullmatch(lines[-1]) if lines else None
    if not found or int(found[2]) != ranks:
        return None
    with suppress(ValueError):
        return float(found[1])
    return None


def _ask(plan: Plan, point: Point, token: str) -> float | None:
    with tempfile.TemporaryDirectory(prefix="partita-") as folder:
        log = Path(folder) / "log"
        command = [*plan.command(point, Path(folder) / "record.h5"), "--describe"]
        ended = launch.run(command, log, plan.study.root, plan.environment(point), point.run.timeout_s, token)
        described = ended.status == 0 and not ended.timed_out
        return counted_flop(log.read_text(encoding="utf-8", errors="replace"), point.ranks) if described else None


def planned_work(plan: Plan, token: str) -> str:
    """What a weak study's apps say of their flops per rank, in a sentence; CheckFailedError where they differ.

    Empty for other studies.
    """
    if plan.study.kind != "weak":
        return ""
    by_name = {p.configuration: p for p in plan.expansion.configurations}
    flop: dict[str, float] = {}
    for name, point in by_name.items():
        counted = _ask(plan, point, token)
        if counted is None:
            return f"{point.run.app} says no flops before it runs: what its records count is checked after the run"
        flop[name] = counted / point.ranks
    allowed, apart = plan.study.work_tolerance, 0.0
    for ratio in plan.expansion.ratios:
        if by_name[ratio.above].ranks == by_name[ratio.below].ranks:
            continue
        one, other = flop[ratio.above], flop[ratio.below]
        apart = max(apart, difference := abs(one - other) / max(one, other, 1.0))
        if difference > allowed:
            raise CheckFailedError(
                f"{plan.study.path}: kind",
                f"{one:.6g} flop a rank in {ratio.above}, {other:.6g} in {ratio.below}: {difference:.2g} apart",
                f"a rank's work to be the same at every number of ranks, within {allowed:g} (work_tolerance)",
            )
    return f"counted flops per rank are constant: {apart:.2g} apart, allowed are {allowed:g}"


def check_recorded_work(plan: Plan) -> None:
    """Hold the work that the records of each app counted to what the study says of it: CheckFailedError."""
    if plan.study.kind not in ("strong", "weak"):
        return
    with suppress(UsageError):  # Records of another kind than training.
        studies, _, _ = read_folder(plan.folder)
        for study in studies:
            of_another = study.records[0].attributes.get("study") != plan.study.name
            if of_another or len({r.ranks for r in study.records}) == 1:
                continue
            kind, said = scaling_kind(study)
            if kind != plan.study.kind:
                what = "a rank's" if plan.study.kind == "weak" else "a step's"
                raise CheckFailedError(
                    f"{plan.study.path}: kind", said, f"{what} work to be the same at every number of ranks"
                )
