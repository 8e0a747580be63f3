# SPDX-License-Identifier: BSD-3-Clause
"""One sentence each on bytes, on memory and on the classes of a step, from the table of metrics, over runs.

Medians side by side at the largest number of ranks, and no verdict: that two differ is said in `findings` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from partita.records.folder import RecordedStudy
from partita.records.record import plural

if TYPE_CHECKING:
    import pandas as pd

ALIKE = 0.02
CLASSES = ("compute", "communication", "wait", "input", "other")
EXPOSED = ("exposed_s", "class_s:communication")  # The first one that is known.
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))
Values = Mapping[str, float]


def finding_of_volume(study: RecordedStudy, table: pd.DataFrame) -> str:
    """Who sends least and most, and how much communication is exposed; or ""."""
    at, found = _widest(study, table, "sent_bytes", EXPOSED)
    if not found:
        return ""
    names = sorted(found, key=lambda n: found[n]["sent_bytes"])
    least, most = found[names[0]]["sent_bytes"], found[names[-1]]["sent_bytes"]
    metric = next((m for m in EXPOSED if all(m in v for v in found.values())), "")
    what = "exposed communication" if metric == "exposed_s" else "in phases of communication"
    exposed = {n: found[n][metric] for n in names} if metric else {}
    where = f"at {plural(at, 'rank')}"
    if most - least > ALIKE * most:
        text = (f"{where} {names[-1]} sends {most / least:.3g} times as much as {names[0]}: {_size(most)} and "
                f"{_size(least)} a rank in a step")  # fmt: skip
        return f"{text}; {what}: {_time(exposed[names[-1]])} and {_time(exposed[names[0]])}" if exposed else text
    who = f"{names[0]} sends" if len(names) == 1 else f"{_all(len(names))} send"
    text = f"{where} {who} {_size(most)} a rank in a step"
    return f"{text}; {what}: {_between(exposed, _time)}" if exposed else text


def finding_of_memory(study: RecordedStudy, table: pd.DataFrame) -> str:
    """Who needs least and most on its fullest rank: for the state of training where that differs, else at all."""
    for metric, what in (("state_bytes", "for weights, gradients and optimizer"), ("peak_memory_bytes", "at its peak")):
        at, found = _widest(study, table, metric, ())
        sizes = {name: values[metric] for name, values in found.items()}
        if sizes and max(sizes.values()) - min(sizes.values()) > ALIKE * max(sizes.values()):
            least, most = min(sizes, key=sizes.__getitem__), max(sizes, key=sizes.__getitem__)
            return (f"at {plural(at, 'rank')} the fullest rank of {least} needs least {what}, {_size(sizes[least])}, "
                    f"that of {most} most, {_size(sizes[most])}")  # fmt: skip
    at, found = _widest(study, table, "peak_memory_bytes", ("state_bytes",))
    if not found:
        return ""
    peak = {name: values["peak_memory_bytes"] for name, values in found.items()}
    state = [values["state_bytes"] for values in found.values() if "state_bytes" in values]
    who = next(iter(found)) if len(found) == 1 else f"each of {len(found)} series"
    text = f"at {plural(at, 'rank')} the fullest rank of {who} has {_size(max(peak.values()))} at its peak"
    return f"{text}, {_size(max(state))} of it weights, gradients and optimizer" if state else text


def finding_of_classes(study: RecordedStudy, table: pd.DataFrame) -> str:
    """What the series that computes least of its time does instead; or ""."""
    at, found = _widest(study, table, "step_s", tuple(f"class_s:{c}" for c in CLASSES))
    share = {
        name: {c: values.get(f"class_s:{c}", 0.0) / _whole(values) for c in CLASSES}
        for name, values in found.items()
        if values.get("class_s:compute", 0.0) > 0
    }
    if not share:
        return ""
    name = min(share, key=lambda n: share[n]["compute"])
    rest = sorted((c for c in CLASSES[1:] if share[name][c] >= 0.005), key=lambda c: -share[name][c])
    others = "".join(f", {100 * share[name][c]:.0f} % in {c}" for c in rest)
    among = f", least of {len(share)} series" if len(share) > 1 else ""
    return (f"at {plural(at, 'rank')} {name} spends {100 * share[name]['compute']:.0f} % of a step in compute{among}"
            f"{others}")  # fmt: skip


def _widest(study: RecordedStudy, table: pd.DataFrame, metric: str, more: tuple[str, ...]) -> tuple[int, dict]:
    """The largest number of ranks at which a metric is above nothing, and the values of the series there."""
    mine = table[(table["study"] == study.name) & (table["app"] == study.app) & (table["point"] == "")]
    rows = mine[mine["metric"].isin((metric, *more))].to_dict("records")
    known = [r for r in rows if math.isfinite(r["value"])]
    at = max((int(r["ranks"]) for r in known if r["metric"] == metric and r["value"] > 0), default=0)
    found: dict[str, dict[str, float]] = {}
    for r in known:
        if r["ranks"] == at:
            found.setdefault(r["series"], {})[r["metric"]] = r["value"]
    return at, {name: values for name, values in found.items() if values.get(metric, 0.0) > 0}


def _between(values: Mapping[str, float], text: Callable[[float], str]) -> str:
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    return text(values[high]) if len(values) == 1 else f"{text(values[low])} ({low}) to {text(values[high])} ({high})"


def _whole(values: Values) -> float:
    """A step, or its classes where their medians add up to more."""
    return max(values["step_s"], sum(values.get(f"class_s:{c}", 0.0) for c in CLASSES))


def _all(count: int) -> str:
    return "both series" if count == 2 else f"all {count} series"


def _size(value: float) -> str:
    return _in(value, (*SIZES, (1.0, "byte")))


def _time(value: float) -> str:
    return _in(value, TIMES)


def _in(value: float, units: tuple[tuple[float, str], ...]) -> str:
    factor, unit = next((u for u in units if value >= u[0]), units[-1])
    return f"{value / factor:.3g} {unit}"
