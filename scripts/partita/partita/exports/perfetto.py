# SPDX-License-Identifier: BSD-3-Clause
"""The events of a record in the trace event format, which ui.perfetto.dev and chrome://tracing open.

A process is a node, a thread a rank; a step encloses its actions, an action its units; an arrow leads from each send to
the receive of the same message. Times are microseconds on the clock of rank 0, from the first event on.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from partita.errors import UsageError, reason
from partita.records.events import Events

ARGUMENTS = ("stage", "micro_batch", "piece", "peer", "match")  # -1: none


@dataclass(frozen=True)
class Trace:
    """What the file holds, and what is odd about it."""

    events: list[dict[str, Any]]
    attributes: dict[str, Any]
    arrows: int
    late_ns: int  # The most by which a message ends before it was sent: the error of the clocks, at least.

    def write(self, path: Path) -> None:
        """JSON, a line for each event."""
        lines = ",\n".join(json.dumps(e, allow_nan=False) for e in self.events)
        other = json.dumps(self.attributes, allow_nan=False)
        text = f'{{"displayTimeUnit":"ms","otherData":{other},"traceEvents":[\n{lines}\n]}}\n'
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(path, f"cannot be written ({reason(error)})", "the path of a file") from error


def trace(events: Events) -> Trace:
    """All events of the record."""
    record = events.record
    held = [s for s in events.steps if 0 <= events.row(s) < len(events.step_start_ns)]
    zero = min([int(events.columns["start_ns"].min()), *(int(events.step_start_ns[events.row(s)].min()) for s in held)])
    nodes = record.groups.get("ranks", {}).get("node", np.zeros(record.ranks, int))
    place = [{"pid": int(nodes[rank]), "tid": rank} for rank in range(record.ranks)]
    spans = [*_steps(events, held), *_spans(events)]
    # An outer one comes before what is inside of it.
    spans.sort(key=lambda s: (s["rank"], s["start"], -s["end"], s["order"]))
    made = list(_names(events, place))
    for s in spans:
        at = {"ph": "X", "ts": _us(s["start"] - zero), "dur": _us(s["end"] - s["start"]), **place[s["rank"]]}
        made.append({"name": s["name"], "cat": s["cat"], **at, "args": s["args"]})
    arrows, late_ns = 0, 0
    c = events.columns
    for number, message in enumerate(events.messages()):
        # At the begin of the send and within the end of the receive: an arrow is bound to the boxes around its ends.
        left = int(c["start_ns"][message.send])
        arrived = max(int(c["start_ns"][message.receive]), int(c["end_ns"][message.receive]) - 1)
        common = {"name": "message", "cat": "message", "id": number}
        sender, receiver = (place[c["rank"][row]] for row in (message.send, message.receive))
        made.append({**common, "ph": "s", "ts": _us(left - zero), **sender})
        made.append({**common, "ph": "f", "bp": "e", "ts": _us(arrived - zero), **receiver})
        arrows, late_ns = arrows + 1, max(late_ns, left - arrived)
    attributes = {name: str(record.attributes[name]) for name in ("app", "strategy", "study", "point", "run_uuid",
                  "git_sha") if name in record.attributes}  # fmt: skip
    return Trace(made, attributes, arrows, late_ns)


def _us(ns: int) -> float:
    return ns / 1000


def _names(events: Events, place: list[dict[str, int]]) -> Iterator[dict[str, Any]]:
    """What the processes and threads are called."""
    hosts = events.record.groups.get("ranks", {}).get("hostname", [""] * len(place))
    seen: set[int] = set()
    for rank, at in enumerate(place):
        if at["pid"] not in seen:
            seen.add(at["pid"])
            yield {"ph": "M", "name": "process_name", **at, "args": {"name": f"node {at['pid']}: {hosts[rank]}"}}
        yield {"ph": "M", "name": "thread_name", **at, "args": {"name": f"rank {rank}{_coordinates(events, rank)}"}}
        yield {"ph": "M", "name": "thread_sort_index", **at, "args": {"sort_index": rank}}


def _coordinates(events: Events, rank: int) -> str:
    ranks = events.record.groups.get("ranks", {})
    axes = ranks.get("axis", ())
    if len(axes) < 2:
        return ""
    return f" ({', '.join(f'{axis} {at}' for axis, at in zip(axes, ranks['coordinate'][rank], strict=True))})"


def _steps(events: Events, held: list[int]) -> Iterator[dict[str, Any]]:
    for step in held:
        for rank in range(events.record.ranks):
            at = (events.row(step), rank)
            start, end = int(events.step_start_ns[at]), int(events.step_end_ns[at])
            yield {"rank": rank, "start": start, "end": end, "order": -1, "name": f"step {step}", "cat": "step",
                   "args": {"step": step}}  # fmt: skip


def _spans(events: Events) -> Iterator[dict[str, Any]]:
    c, actions = events.columns, events.is_action()
    for row in range(len(events)):
        part, unit = events.parts[c["part"][row]], int(c["unit"][row])
        args: dict[str, Any] = {"step": int(c["step"][row])}
        args |= {name: int(c[name][row]) for name in ARGUMENTS if c[name][row] >= 0}
        if unit >= 0:
            args["unit"] = events.units[unit]
        if c["bytes"][row] > 0:
            args["bytes"] = int(c["bytes"][row])
        category = "action" if actions[row] else "unit" if unit >= 0 else "rest"
        name = part if unit < 0 else f"{events.units[unit]} {part}"
        yield {"rank": int(c["rank"][row]), "start": int(c["start_ns"][row]), "end": int(c["end_ns"][row]),
               "order": row, "name": name, "cat": category, "args": args}  # fmt: skip
