# SPDX-License-Identifier: BSD-3-Clause
"""The metrics of one run, from its record: what `partita` computes once, and all views read.

    cost    median over the counted steps, or a total over the steps it was counted in
    rate    work over time: all samples of the counted steps over their time
    ratio   of the run's own costs; never a mean of ratios

A value that is missing has a reason. Metrics that a run cannot have (a pipeline's bubble without one) have no row.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from partita.analysis.efficiency import Split, efficiency
from partita.analysis.scaling import samples_per_s
from partita.errors import UsageError, held_to_the_layout
from partita.records.pipeline import bubble
from partita.records.record import Record
from partita.records.server import server_run

SIGNED = ("loss", "training_loss", "lost:other", "karp_flatt")  # Below nothing is a value, and no fault.
STATE = ("weight_bytes", "gradient_bytes", "optimizer_bytes")
CLASSES = ("compute", "communication", "wait", "input", "other")
CHECKPOINTS = ("checkpoint_s", "checkpoint_share", "checkpoint_bytes", "checkpoint_byte_per_s")
VIRTUAL = "the run's seconds are virtual"


class Value(NamedTuple):
    """Of one run: tenth and nine tenths of its steps are their spread; NaN: not known."""

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 1
    reason: str = ""


Values = dict[str, Value]
Part = Callable[[Record, Split | None], Values]


@dataclass(frozen=True)
class Run:
    """A record, and what its metrics and those of its point are made of."""

    record: Record
    values: Values
    compute_s: float  # Useful seconds of a step, sum over ranks: sum C.
    elapsed_s: float  # T of the same steps.

    def of(self, name: str) -> float:
        """A value; NaN where there is none."""
        return self.values[name].value if name in self.values else math.nan


def measured(record: Record) -> Run:
    """All metrics of one run, made once. Tables that are damaged are a reason, no error."""
    return record.once(_measured)


def _measured(record: Record) -> Run:
    values: Values = {}
    split = None
    try:
        with record.opened():  # Once, for all groups.
            split = efficiency(record)
            for part, fallback in PARTS:
                values |= _part(part, fallback, record, split)
    except UsageError as error:  # Gone, or another file by now.
        values |= _unknown([name for _, fallback in PARTS for name in fallback], error)
    compute = split.parallel_efficiency * split.step_s * record.ranks if split else math.nan
    return Run(record, {name: _sound(name, value) for name, value in values.items()}, compute,
               split.step_s if split else math.nan)  # fmt: skip


def _part(part: Part, fallback: Iterable[str], record: Record, split: Split | None) -> Values:
    try:
        with held_to_the_layout(record.path, f"{part.__name__.strip('_')}: "):
            return part(record, split)
    except UsageError as error:
        return _unknown(fallback, error)


def _unknown(names: Iterable[str], error: UsageError) -> Values:
    return {name: Value(math.nan, reason=str(error)) for name in names}


def _sound(name: str, value: Value) -> Value:
    """The value, or why it is none: nothing negative or NaN enters the table without a reason."""
    if math.isnan(value.value):
        return value if value.reason else Value(math.nan, n=value.n, reason="not a number in the record")
    if math.isinf(value.value) or (value.value < 0 and name not in SIGNED):
        return Value(math.nan, n=value.n, reason=f"the record says {value.value:g}")
    return value


def _times(record: Record, _: Split | None) -> Values:
    """Steps, phases and classes: means over ranks of phases, the longest rank of a step."""
    if _is_virtual(record):
        return {"step_s": Value(math.nan, reason=VIRTUAL), "samples_per_s": Value(math.nan, reason=VIRTUAL)}
    kept = [c for c in CLASSES if c in record.classes]
    names = ["step_s", *(f"phase_s:{p}" for p in record.phases), *(f"class_s:{c}" for c in kept)]
    phase_s = record.phase_s
    member = np.array([[float(its == c) for c in kept] for its in record.classes]).reshape(len(record.classes), -1)
    columns = np.concatenate([record.step_s[:, None], phase_s, phase_s @ member], axis=1)
    low, middle, high = _tenths(columns)
    n = len(columns)
    found = {name: Value(*of, n) for name, *of in zip(names, middle, low, high, strict=True)}
    samples = record.samples_per_step
    found["samples_per_s"] = Value(samples_per_s(record), samples / high[0], samples / low[0], n)
    return found


def _tenths(columns: np.ndarray) -> list[list[float]]:
    """Tenth, median, nine tenths of each column, between the nearest two values."""
    ordered = np.sort(columns, axis=0)
    at = np.array([0.1, 0.5, 0.9]) * (len(columns) - 1)
    below = at.astype(int)
    part = (at - below)[:, None]
    return ((1 - part) * ordered[below] + part * ordered[np.minimum(below + 1, len(columns) - 1)]).tolist()


def _virtual(record: Record, _: Split | None) -> Values:
    run = server_run(record)
    if run is None or not run.virtual:
        return {}
    ends, samples = run.seconds, record.steps["samples"]
    seconds = float(ends[-1] - ends[0])
    n = len(ends) - 1
    if n < 1 or seconds <= 0:
        return {"virtual_step_s": Value(math.nan, reason="fewer than two updates")}
    return {
        "virtual_step_s": Value(seconds / n, n=n),
        "samples_per_virtual_s": Value(float(samples[1:].sum()) / seconds, n=n),
    }


def _communication(record: Record, split: Split | None) -> Values:
    """Exposed: what the strategy measured of itself; else what a replay on a free network saves; else the phases.

    A strategy that overlaps counts its own time, in the phase and between units; one that does not has the phase.
    """
    if _is_virtual(record):
        return {}
    chosen = [c == "communication" for c in record.classes]
    phase = float(record.phase_s[:, chosen].sum()) / len(record.step_s)
    table = record.groups.get("strategy", {})
    if "exposed_s" not in table or "hidden_s" not in table:
        replayed = split.exposed_s if split else math.nan
        return {"exposed_s": Value(phase if math.isnan(replayed) else replayed)}
    exposed, hidden = max(phase, float(np.mean(table["exposed_s"]))), float(np.mean(table["hidden_s"]))
    total = exposed + hidden
    share = Value(hidden / total) if total > 0 else Value(math.nan, reason="no communication")
    return {"exposed_s": Value(exposed), "hidden_s": Value(hidden), "overlap": share}


def _traffic(record: Record, _: Split | None) -> Values:
    """Bytes and messages of a step, mean over ranks; counted from warm-up on."""
    table = record.groups.get("traffic", {})
    if not len(table.get("sent_bytes", ())):
        return {}
    steps = int((record.steps["warmup"] == 0).sum())
    return {
        name: Value(float(table[column].sum()) / (record.ranks * steps), n=steps)
        for name, column in (("sent_bytes", "sent_bytes"), ("messages", "messages"))
    }


def _memory(record: Record, _: Split | None) -> Values:
    found = {}
    peak = record.groups.get("ranks", {}).get("peak_memory_bytes")
    if peak is not None:
        found["peak_memory_bytes"] = Value(float(np.max(peak)))
    table = record.groups.get("strategy", {})
    if set(STATE) <= set(table):
        found["state_bytes"] = Value(float(np.max(sum(table[column] for column in STATE))))
    return found


def _split(record: Record, split: Split | None) -> Values:
    if split is None:
        return {}
    names = ("parallel_efficiency", "load_balance", "serialisation", "transfer")
    pairs = [(name, getattr(split, name)) for name in names]
    if not math.isnan(split.parallel_efficiency):
        pairs += [(f"lost:{name}", share) for name, share in split.lost.items()]
    return {
        name: Value(value, n=split.steps, reason=(split.reason or "not known") if math.isnan(value) else "")
        for name, value in pairs
    }


def _bubble(record: Record, _: Split | None) -> Values:
    if (found := bubble(record)) is None:
        return {}
    idle, busy = found.idle_s.sum(), found.parts["busy_s"].sum()
    return {"bubble_share": Value(float(idle / (idle + busy)) if idle + busy > 0 else math.nan)}


def _work(record: Record, _: Split | None) -> Values:
    """Utilisation: counted flop of a step over its median time and the calibrated peak of all ranks."""
    flop = float(record.attributes.get("flop_per_step", 0) or 0)
    if flop <= 0:
        return {}
    found = {"flop_per_step": Value(flop)}
    if _is_virtual(record):
        return found
    table = record.groups.get("calibration", {})
    at = {str(name): i for i, name in enumerate(table.get("quantity", ()))}.get("gemm_flop_per_s")
    if at is None:
        return found | {"mfu": Value(math.nan, reason="no calibrated peak (run.calibration)")}
    peak = float(table["value"][at]) * record.ranks
    return found | {"mfu": Value(flop / (record.median_step_s * peak), n=len(record.step_s))}


def _checkpoints(record: Record, _: Split | None) -> Values:
    """Seconds are those of the longest rank; of the share, all of them over the run from its first step on."""
    table = record.groups.get("checkpoints", {})
    n = len(table.get("seconds", ()))
    if not n:
        return {}
    seconds, size = table["seconds"], table["bytes"].astype(float)
    if not (seconds > 0).all():
        return _unknown(CHECKPOINTS, UsageError(record.path, "/checkpoints/seconds are not above 0", "times"))
    low, middle, high = (ends[0] for ends in _tenths(seconds[:, None]))
    return {
        "checkpoint_s": Value(middle, low, high, n),
        "checkpoint_share": Value(record.summary("checkpoint_share"), n=n),
        "checkpoint_bytes": Value(float(np.median(size)), n=n),
        "checkpoint_byte_per_s": Value(float(size.sum() / seconds.sum()), n=n),
    }


def _learning(record: Record, _: Split | None) -> Values:
    found = {"training_loss": Value(float(record.steps["loss"][-1]))}
    table = record.groups.get("evaluation", {})
    done = np.flatnonzero(np.asarray(table.get("step", ())) >= 0)
    for name in ("loss", "accuracy") if len(done) else ():
        found[name] = Value(float(table[name][done[-1]]))
    run = server_run(record)
    counts = run.column("staleness_count") if run else None
    if counts is not None and counts.sum() > 0:
        found["staleness_mean"] = Value(float((counts.sum(axis=0) * run.column("staleness")).sum() / counts.sum()))
    if run and run.has_target:
        seconds = "virtual_seconds_to_target" if run.virtual else "seconds_to_target"
        for name, value in ((seconds, run.to_target), ("samples_to_target", record.summary("samples_to_target"))):
            found[name] = Value(value, reason="the target was not reached" if math.isnan(value) else "")
    return found


def _is_virtual(record: Record) -> bool:
    return record.attributes.get("engine") == "virtual"


PARTS: tuple[tuple[Part, tuple[str, ...]], ...] = (
    (_times, ("step_s", "samples_per_s")),
    (_virtual, ("virtual_step_s",)),
    (_communication, ("exposed_s",)),
    (_traffic, ("sent_bytes", "messages")),
    (_memory, ("peak_memory_bytes", "state_bytes")),
    (_split, ("parallel_efficiency",)),
    (_bubble, ("bubble_share",)),
    (_work, ("flop_per_step",)),
    (_checkpoints, CHECKPOINTS),
    (_learning, ("loss", "accuracy")),
)
