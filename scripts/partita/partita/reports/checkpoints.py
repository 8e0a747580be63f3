# SPDX-License-Identifier: BSD-3-Clause
"""What checkpoints cost, and how often to leave one: a table of the report, a few lines of `partita show`."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from partita.analysis.checkpoints import MTBF_S, daly_s, in_steps, in_words, young_s
from partita.records.record import Record, plural
from partita.reports.blocks import Block, Grid, Shown
from partita.reports.cells import places, value_of
from partita.reports.numbers import in_bytes, in_seconds, prefixed, significant
from partita.table import Table

if TYPE_CHECKING:
    import pandas as pd

TITLE = "How often to leave a checkpoint"
MEANS = ("Computing between two checkpoints that loses least, where failures come at random with a mean time M between "
         "them (of the whole job): Young, sqrt(2 C M); Daly (2006), of higher order. C is the median time of a "
         "checkpoint. Small numbers: steps.")  # fmt: skip
MOST = 36  # Points.


def checkpoint_blocks(rows: "pd.DataFrame", study: str, mtbf_s: Sequence[float] = ()) -> list[Block]:
    """A row for each point that left checkpoints; nothing where none did. `rows`: over runs."""
    cost, step = value_of(rows, "checkpoint_s"), value_of(rows, "step_s")
    known = [p for p in places(rows) if p in cost and cost[p]["value"] > 0 and p in step and step[p]["value"] > 0]
    if not known:
        return []
    means = tuple(mtbf_s) or MTBF_S
    more = [name for i, name in ((2, "threads"), (3, "nodes")) if len({p[i] for p in known}) > 1]
    laws = [(name, law, m) for m in means for name, law in (("Young", young_s), ("Daly", daly_s))]
    head = ("series", "ranks", *more, "time of a checkpoint", *(f"{n}, M = {in_words(m)}" for n, _, m in laws))
    table, shown = Table(*("series", "ranks", "threads", "nodes", "checkpoint_s", "step_s", "mtbf_s", "young_s",
                           "young_steps", "daly_s", "daly_steps")), []  # fmt: skip
    for place in known[:MOST]:
        c, s = float(cost[place]["value"]), float(step[place]["value"])
        found = {(name, m): in_steps(law(c, m), s) for name, law, m in laws}
        extra = [str(place[("series", "ranks", "threads", "nodes").index(name)]) for name in more]
        cells = [Shown(_time(i.seconds), f"{i.steps:,}") for i in found.values()]
        texts = (str(place[0]), str(place[1]), *extra, in_seconds(c))
        shown.append((*map(Shown, texts), *cells))
        for m in means:
            y, d = found["Young", m], found["Daly", m]
            values: dict[str, Any] = dict(zip(("series", "ranks", "threads", "nodes"), place, strict=True))
            table.add(**values, checkpoint_s=c, step_s=s, mtbf_s=m, young_s=y.seconds, young_steps=y.steps,
                      daly_s=d.seconds, daly_steps=d.steps)  # fmt: skip
    note = MEANS + (f" The first {MOST} of {len(known)} points." if len(known) > MOST else "")
    return [Grid(f"{study}_checkpoint_interval", TITLE, head, (False, *(True for _ in head[1:])), tuple(shown), table,
                 note)]  # fmt: skip


def show_checkpoints(record: Record, console: Console) -> None:
    """What `partita show` says of them."""
    table = record.groups.get("checkpoints", {})
    n = len(table.get("seconds", ()))
    if not n:
        return
    seconds, size = table["seconds"], table["bytes"].astype(float)
    cost = float(np.median(seconds))
    share = record.summary("checkpoint_share")
    grid = RichTable.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("left", f"{plural(n, 'checkpoint')}, the last after step {int(table['step'][-1])}")
    rate = prefixed(float(size.sum() / seconds.sum()), "B/s") if seconds.sum() > 0 else "-"
    grid.add_row("each", f"{in_seconds(cost)} (median), {in_bytes(float(np.median(size)))}, {rate}")
    if not math.isnan(share):
        grid.add_row("share of the run", f"{significant(100 * share, 3)} %")
    if cost > 0 and record.median_step_s > 0:
        for m in MTBF_S:
            said = []
            for name, law in (("Young", young_s), ("Daly", daly_s)):
                every = in_steps(law(cost, m), record.median_step_s)
                said.append(f"{name} {_time(every.seconds)} = {plural(every.steps, 'step')}")
            grid.add_row(f"a failure in {in_words(m)}", f"leave one every {', '.join(said)}")
    console.print()
    console.print(Text("Checkpoints", style="bold"))
    console.print(grid)


def _time(seconds: float) -> str:
    return in_words(seconds) if seconds >= 120 else f"{significant(seconds, 3)} s"
