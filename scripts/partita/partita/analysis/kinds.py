# SPDX-License-Identifier: BSD-3-Clause
"""Which kind of scaling the records of a study allow to compute: what runs counted decides, not what they are called.

strong       the same work a step at every number of ranks
weak         the same work a rank
throughput   neither, and the study says that it is after work over time
compare      no speed-up: the study compares something else
"""

from collections.abc import Callable

import numpy as np

from partita.records.folder import RecordedStudy, Series
from partita.records.record import Record

SAME = 1e-6  # How far work may be apart and still be equal, relative: rounding of counts.
THREADS = "threads per rank"


def scaling_kind(study: RecordedStudy) -> tuple[str | None, str]:
    """The kind, and a remark; None where runs at several numbers of ranks are not comparable, and why.

    Work is the counted flop of a step where all records have it, else samples, provided that the model is the same. A
    model that grows with ranks in whole heads cannot keep a rank's work to the last operation: studies say how far it
    may be apart (`work_tolerance`).
    """
    intended = study.intended_scaling
    if intended == "compare":
        return None, "the study compares something else"
    if any(r.attributes.get("engine") == "virtual" for r in study.records):
        return None, "seconds are virtual"
    if THREADS in study.rank_keys:
        return None, f"threads per rank change with the number of ranks ({_threads(study)})"
    name, work_of = _work(study.records)
    model_grows = [key for key in study.rank_keys if key.startswith(("model.", "data."))] if name == "samples" else []
    if model_grows:
        return None, f"{', '.join(model_grows)} changes with the number of ranks and no flops were counted"
    if intended == "throughput":
        return "throughput", ""
    allowed = study.work_tolerance
    apart = max((_apart(s, lambda r: work_of(r) / r.ranks) for s in study.series), default=0.0)
    strong = all(_apart(s, work_of) <= SAME for s in study.series)
    weak = apart <= allowed
    if strong and not (weak and intended == "weak"):
        found = "strong"
    elif weak:
        found = "weak"
    else:
        unsaid = "" if intended else "; no study file says more"
        return None, (
            f"{name} per step are neither the same at every number of ranks nor the same per rank "
            f"({_percent(apart)} apart, allowed are {_percent(allowed)}{unsaid})"
        )
    if intended and len({r.ranks for r in study.records}) > 1 and found != intended:
        return None, f"the study says {intended} scaling, but {name} per step say {found}"
    if found == "weak" and apart > SAME:
        unsaid = "" if intended else f" (no study file says what is allowed: {_percent(allowed)} are)"
        return found, f"{name} per step and rank are the same within {100 * apart:.2g} %{unsaid}"
    return found, ""


def _work(records: tuple[Record, ...]) -> tuple[str, Callable[[Record], float]]:
    if all(float(r.attributes.get("flop_per_step", 0)) > 0 for r in records):
        return "flops", lambda r: float(r.attributes["flop_per_step"])
    return "samples", lambda r: r.samples_per_step


def _apart(series: Series, value: Callable[[Record], float]) -> float:
    """(largest - smallest) / largest of all records of a line."""
    values = [value(r) for cell in series.cells for r in cell.records]
    return float(np.ptp(values) / max(values))


def _threads(study: RecordedStudy) -> str:
    pairs = sorted({(r.ranks, r.threads) for r in study.records})
    return ", ".join(f"{threads} at {ranks}" for ranks, threads in pairs)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
