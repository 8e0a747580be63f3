# SPDX-License-Identifier: BSD-3-Clause
"""How many blocks of repeats are enough: until the interval of every ratio that is shown is narrow enough."""

import math
from dataclasses import dataclass, field

from partita.records.record import read_record
from partita.studies.plan import Plan, has_record
from partita.studies.points import Ratio
from partita.studies.state import attempts


@dataclass(frozen=True)
class Width:
    """Of a ratio's interval, (high - low) / value; infinite with too few runs for an interval."""

    ratio: Ratio
    value: float


@dataclass
class Widths:
    """Of the ratios of a plan, from the records that are there. A finished point is read once."""

    plan: Plan
    times: dict[str, dict[int, float]] = field(default_factory=dict)  # Configuration -> repeat -> seconds of a step
    tried: set[str] = field(default_factory=set)  # Configurations with at least one attempt

    def widest(self, among: set[str]) -> Width | None:
        """The widest of the ratios that the configurations are part of; None where there is none to show.

        None are shown of oversubscribed points, of runs without steps, and of configurations that never ended well.
        One that another job has yet to begin may be shown later: its ratios count as infinitely wide.
        """
        from partita.statistics import ratio_of_runs

        self._read()
        over = {p.configuration for p in self.plan.expansion.configurations if self.plan.oversubscribed(p)}
        found: list[Width] = []
        for ratio in self.plan.expansion.ratios:
            both = {ratio.above, ratio.below}
            above, below = (self.times.get(name, {}) for name in (ratio.above, ratio.below))
            if not both & among or both & over:
                continue
            if above and below:
                interval = ratio_of_runs(above, below)
                width = (interval.high - interval.low) / interval.value if interval.bounded else math.inf
                found.append(Width(ratio, width))
            elif not both <= self.tried:
                found.append(Width(ratio, math.inf))
        return max(found, key=lambda width: width.value, default=None)

    def _read(self) -> None:
        for point in self.plan.points:
            known = self.times.setdefault(point.configuration, {})
            if point.repeat in known or not (tried := attempts(self.plan.folder, point.digest)):
                continue
            self.tried.add(point.configuration)
            if has_record(self.plan.folder, point):
                step_s = read_record(tried[-1].record).median_step_s
                if step_s > 0:
                    known[point.repeat] = step_s
