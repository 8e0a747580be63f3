# SPDX-License-Identifier: BSD-3-Clause
"""Strategies of one model, the best throughput first: samples a second, memory and bytes, each with its place."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from partita.analysis.league import MEMORY, PEAK, RATE, SENT, League, Standing, finding, table
from partita.pictures import bars, style
from partita.pictures.picture import Picture, record_line
from partita.records.record import Record
from partita.statistics import Interval

NO_INTERVAL = "no interval: fewer than 6 runs of a strategy"
STATE = "state: weights, gradients and optimizer of the fullest rank, without activations and messages on their way"
PLACES = "places: one more than the strategies that are better for sure; those that cannot be told apart share one"


@dataclass(frozen=True)
class Row:
    """A strategy at one number of ranks, with its places."""

    standing: Standing
    places: dict[str, int | None]

    @property
    def label(self) -> str:
        """Its name."""
        return self.standing.name

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return self.standing.point.ranks

    @property
    def oversubscribed(self) -> bool:
        """Whether any run had more threads than cores."""
        return self.standing.point.oversubscribed

    def value(self, metric: str) -> Interval:
        """Over its runs."""
        return self.standing.value(metric)

    def placed(self, metric: str, text: str) -> str:
        """`#2  1,234`."""
        return f"#{place}  {text}" if (place := self.places[metric]) else text


def league_picture(found: Sequence[League], records: Sequence[Record]) -> Picture:
    """Bars in groups by number of ranks."""
    rows = [Row(s, {metric: places[at] for metric, places in of.items()})
            for each in found for of in [{m: each.places(m) for m in (RATE, MEMORY, PEAK, SENT)}]
            for at, s in enumerate(each.standings)]  # fmt: skip
    rows, said = bars.fitting(rows)
    page, at = bars.page(rows, 4, (1.2, 1, 1, 1))
    with mpl.rc_context(style.SETTINGS):
        _rates(page.axes[0], rows, at)
        titles = {MEMORY: "Memory of a rank", PEAK: "Peak memory", SENT: "Sent by a rank"}
        units = {MEMORY: "state ({})", PEAK: "of the process ({})", SENT: "in a step ({})"}
        for axes, (metric, title) in zip(page.axes[1:], titles.items(), strict=True):
            _bytes(axes, rows, at, metric)
            axes.set_title(title)
            axes.set_xlabel(units[metric].format(_unit(rows, metric)[1]))
        bars.finish(page, rows, at)
    unsure = NO_INTERVAL if any(not row.value(RATE).bounded for row in rows) else ""
    lines = "lines: interval of the median over runs, at 95 % or more"
    notes = ["; ".join(part for part in (lines, unsure) if part), PLACES, STATE, said]
    head = record_line("", records[0]).removeprefix(", ")
    return Picture("league", page.finish("League of strategies", head, notes, (), finding(found)), table(found))


def _rates(axes: Axes, rows: Sequence[Row], at: Sequence[float]) -> None:
    looks = style.looks(row.standing.point.series for row in rows)
    most = max(np.nanmax([row.value(RATE).value, row.value(RATE).high]) for row in rows)
    for row, y in zip(rows, at, strict=True):
        value = row.value(RATE)
        bars.bar(axes, y, 0, value.value, looks[row.standing.point.series].colour)
        if value.bounded:
            axes.plot([value.low, value.high], [y, y], color=style.INK, lw=1.2, label="_interval")
        right = np.nanmax([value.value, value.high])
        bars.value(
            axes, right, y, row.placed(RATE, f"{value.value:,.3g}" if value.value < 1e3 else f"{value.value:,.0f}")
        )
    axes.set_xlim(0, 1.5 * most)
    axes.set_title("Throughput")
    axes.set_xlabel("samples/s")


def _bytes(axes: Axes, rows: Sequence[Row], at: Sequence[float], metric: str) -> None:
    scale, _ = _unit(rows, metric)
    for row, y in zip(rows, at, strict=True):
        value = row.value(metric)
        if value.n:
            bars.bar(axes, y, 0, value.value / scale, style.CLASS["other"])
        text = row.placed(metric, f"{value.value / scale:.3g}") if value.n else "not known"
        bars.value(axes, value.value / scale if value.n else 0, y, text)
    axes.set_xlim(0, 1.5 * _most(rows, metric) / scale or 1)


def _most(rows: Sequence[Row], metric: str) -> float:
    return max((row.value(metric).value for row in rows if row.value(metric).n), default=0.0)


def _unit(rows: Sequence[Row], metric: str) -> tuple[float, str]:
    return bars.byte_unit(_most(rows, metric))
