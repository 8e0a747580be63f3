# SPDX-License-Identifier: BSD-3-Clause
"""A column of numbers in one unit that fits them all: `time per step (ms)`, `efficiency (%)`."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from partita.reports.blocks import NONE, Shown
from partita.reports.numbers import significant

# Unit of the table of metrics -> (factor, what people read), largest first.
LADDERS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "virtual s": ((1.0, "virtual s"), (1e-3, "virtual ms"), (1e-6, "virtual µs")),
    "byte": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    "byte/s": ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1.0, "B/s")),
    "flop": ((1e12, "Tflop"), (1e9, "Gflop"), (1e6, "Mflop"), (1.0, "flop")),
}
PER_CENT = frozenset((
    "efficiency", "parallel_efficiency", "load_balance", "serialisation", "transfer", "computation_scaling",
    "global_efficiency", "overlap", "bubble_share", "mfu", "accuracy",
    "checkpoint_share",
))  # fmt: skip
WORDS = {  # Shorter than the table has them: a heading is no sentence.
    "samples_per_s": "samples / s", "samples_per_virtual_s": "samples / virtual s", "overlap": "communication hidden",
    "karp_flatt": "Karp-Flatt serial share", "sent_bytes": "sent by a rank", "messages": "messages of a rank",
    "state_bytes": "model state", "peak_memory_bytes": "peak memory", "bubble_share": "pipeline bubble",
    "training_loss": "training loss", "loss": "held-out loss", "accuracy": "held-out accuracy",
    "checkpoint_share": "share of the run", "checkpoint_byte_per_s": "bytes over time",
}  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """How a metric is written."""

    factor: float
    name: str  # "": a plain number.

    def text(self, value: float) -> str:
        """With four digits that count, those of a percentage with one decimal."""
        if math.isnan(value):
            return NONE
        scaled = value / self.factor
        return f"{scaled:.1f}" if self.name == "%" else _short(scaled)

    def shown(self, value: float, low: float, high: float, reason: str = "") -> Shown:
        """The value, with its interval or the reason why there is none."""
        if math.isnan(value) or math.isnan(low) or math.isnan(high):
            return Shown(self.text(value), reason)
        return Shown(self.text(value), f"{self.text(low)} .. {self.text(high)}")


def unit_of(metric: str, unit: str, values: Iterable[float]) -> Unit:
    """What suits the median of the values."""
    if metric in PER_CENT:
        return Unit(0.01, "%")
    if unit in LADDERS:
        known = sorted(abs(v) for v in values if not math.isnan(v) and v != 0)
        middle = known[len(known) // 2] if known else 1.0
        ladder = LADDERS[unit]
        return Unit(*next((step for step in ladder if middle >= step[0]), ladder[-1]))
    return Unit(1.0, "" if unit in ("1", "", "1/s", "1/virtual s") else unit)


def words(name: str) -> str:
    """The name of a metric for a heading: `time per step`; of a class or a phase its own."""
    from partita.analysis.metric_names import metric

    return WORDS.get(name) or name.partition(":")[2] or metric(name).words


def heading(metric: str, unit: Unit) -> str:
    """Words and unit."""
    return f"{words(metric)} ({unit.name})" if unit.name else words(metric)


def _short(value: float) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return significant(value) if 1e-4 <= abs(value) < 1e7 else f"{value:.3e}"
