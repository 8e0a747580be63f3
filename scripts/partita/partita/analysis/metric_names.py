# SPDX-License-Identifier: BSD-3-Clause
"""What metrics there are: their kind, unit, words, and which way is better (DESIGN.md section 10)."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

Kind = Literal["cost", "rate", "ratio"]


@dataclass(frozen=True)
class Metric:
    """A name of the table of metrics."""

    kind: Kind
    unit: str
    words: str
    better: Literal["less", "more"]


METRICS = {
    "step_s": Metric("cost", "s", "time per step", "less"),
    "samples_per_s": Metric("rate", "1/s", "samples per second", "more"),
    "phase_s:": Metric("cost", "s", "time in phase", "less"),  # Families: a name follows.
    "class_s:": Metric("cost", "s", "time in class", "less"),
    "exposed_s": Metric("cost", "s", "exposed communication", "less"),
    "hidden_s": Metric("cost", "s", "hidden communication", "more"),
    "overlap": Metric("ratio", "1", "share of communication that is hidden", "more"),
    "sent_bytes": Metric("cost", "byte", "sent by a rank in a step", "less"),
    "messages": Metric("cost", "1", "messages of a rank in a step", "less"),
    "peak_memory_bytes": Metric("cost", "byte", "peak memory of the fullest rank", "less"),
    "state_bytes": Metric("cost", "byte", "weights, gradients, optimizer of the fullest rank", "less"),
    "parallel_efficiency": Metric("ratio", "1", "parallel efficiency", "more"),
    "load_balance": Metric("ratio", "1", "load balance", "more"),
    "serialisation": Metric("ratio", "1", "serialisation efficiency", "more"),
    "transfer": Metric("ratio", "1", "transfer efficiency", "more"),
    "lost:": Metric("ratio", "1", "efficiency lost to", "less"),
    "computation_scaling": Metric("ratio", "1", "computation scaling", "more"),
    "global_efficiency": Metric("ratio", "1", "global efficiency", "more"),
    "speedup": Metric("ratio", "1", "speed-up", "more"),
    "efficiency": Metric("ratio", "1", "efficiency", "more"),
    "karp_flatt": Metric("ratio", "1", "serial share after Karp and Flatt", "less"),
    "bubble_share": Metric("ratio", "1", "pipeline bubble, share of the step", "less"),
    "mfu": Metric("ratio", "1", "model flop utilisation", "more"),
    "checkpoint_s": Metric("cost", "s", "time of a checkpoint", "less"),
    "checkpoint_share": Metric("ratio", "1", "share of the run in checkpoints", "less"),
    "checkpoint_bytes": Metric("cost", "byte", "size of a checkpoint", "less"),
    "checkpoint_byte_per_s": Metric("rate", "byte/s", "bytes of checkpoints over their time", "more"),
    "flop_per_step": Metric("cost", "flop", "useful work of a step, all ranks", "less"),
    "staleness_mean": Metric("cost", "1", "mean staleness of updates", "less"),
    "training_loss": Metric("cost", "1", "training loss of the last step", "less"),
    "loss": Metric("cost", "1", "held-out loss at the end", "less"),
    "accuracy": Metric("ratio", "1", "held-out accuracy at the end", "more"),
    "seconds_to_target": Metric("cost", "s", "time to the target loss", "less"),
    "samples_to_target": Metric("cost", "1", "samples to the target loss", "less"),
    # Of the virtual engine, whose seconds nobody waits for.
    "virtual_step_s": Metric("cost", "virtual s", "virtual time per update", "less"),
    "samples_per_virtual_s": Metric("rate", "1/virtual s", "samples per virtual second", "more"),
    "virtual_seconds_to_target": Metric("cost", "virtual s", "virtual time to the target loss", "less"),
}


@lru_cache(maxsize=1024)
def metric(name: str) -> Metric:
    """Of `step_s`, or `phase_s:forward`; KeyError for others."""
    if name in METRICS:
        return METRICS[name]
    family, colon, member = name.partition(":")
    found = METRICS[family + colon]
    return replace(found, words=f"{found.words} {member}")
