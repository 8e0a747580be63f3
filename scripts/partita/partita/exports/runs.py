# SPDX-License-Identifier: BSD-3-Clause
"""The rows of single runs in the long table, a run each: what exports to other programs are made of."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

PHASE = "phase_s:"  # Metrics of phases begin so.
IDENTITY = ["study", "app", "series", "ranks", "threads", "point", "repeat"]


@dataclass(frozen=True)
class Run:
    """What the table says of one run."""

    study: str
    app: str
    series: str
    ranks: int
    threads: int
    point: str
    repeat: int
    values: dict[str, float]  # Metric -> value; without those that are missing.

    @property
    def phases(self) -> dict[str, float]:
        """Phase -> seconds of a step."""
        return {name.removeprefix(PHASE): v for name, v in self.values.items() if name.startswith(PHASE)}


def runs(table: "DataFrame") -> list[Run]:
    """All runs; one that several series share, such as a base at one rank, is in each of them."""
    rows = table[(table["scope"] == "within run") & table["value"].notna()]
    found = []
    for (study, app, series, ranks, threads, point, repeat), group in rows.groupby(IDENTITY, sort=False):
        values = dict(zip(group["metric"], map(float, group["value"]), strict=True))
        found.append(Run(study, app, series, int(ranks), int(threads), point, int(repeat), values))
    return found
