# SPDX-License-Identifier: BSD-3-Clause
"""All pictures of a study or of a benchmark's record: each is there, or says in words why it cannot be drawn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from partita.analysis import findings, metrics, scaling, shares
from partita.pictures.picture import Picture
from partita.records.folder import RecordedStudy
from partita.records.record import Record

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Made:
    """A picture, or the reason why there is none."""

    name: str
    picture: Picture | None
    why: str = ""


class Sight:
    """What pictures of a study are made of, each computed when first asked for."""

    def __init__(self, study: RecordedStudy, table: "pd.DataFrame | None" = None) -> None:
        """The table, where it is there already."""
        self.study = study
        if table is not None:
            self.table = table

    @cached_property
    def scaling(self) -> scaling.Scaling:
        """Times, speed-up, efficiency."""
        return scaling.analyse(self.study)

    @cached_property
    def table(self) -> "pd.DataFrame":
        """All metrics, of runs and over runs."""
        return metrics.metrics_table([self.study])

    @cached_property
    def of_scaling(self) -> str:
        """One sentence on how the study scales, or on how its fastest series compare."""
        return findings.finding_of_scaling(self.study, self.table)

    @cached_property
    def of_efficiency(self) -> str:
        """One sentence on where the efficiency goes."""
        return findings.finding_of_efficiency(self.study, self.table)

    @cached_property
    def of_strategies(self) -> str:
        """One sentence on how all series compare."""
        return findings.finding_of_strategies(self.study, self.table)


View = Callable[[Sight], Picture | str]


def study_pictures(sight: Sight) -> Iterator[Made]:
    """Every view of a study, in the order in which they are read."""
    from partita.pictures import (
        agreement,
        bubble,
        curves,
        heat,
        memory,
        multiples,
        phases,
        server_figures,
        split,
        strategies,
        surface,
        throughput,
        volume,
    )  # fmt: skip
    from partita.pictures import scaling as lines

    views: dict[str, View] = {
        "scaling": lambda s: lines.scaling_picture(s.study, s.scaling, lines.amdahl_bounds(s.scaling), s.of_scaling),
        "scaling_by_series": lambda s: multiples.multiples_picture(s.study, s.scaling, s.of_scaling),
        "heat": lambda s: heat.heat_picture(s.study, s.scaling, s.of_scaling),
        "throughput": lambda s: throughput.throughput_picture(s.study, s.scaling, s.of_strategies),
        "efficiency_split": lambda s: split.efficiency_picture(s.study, s.table, s.of_efficiency),
        "phases": lambda s: phases.phases_picture(s.study, s.of_efficiency),
        "strategies": lambda s: strategies.strategies_picture(s.study, s.scaling, s.of_strategies),
        "volume": lambda s: volume.volume_picture(s.study, s.table, shares.finding_of_volume(s.study, s.table)),
        "memory": lambda s: memory.memory_picture(s.study, s.table, shares.finding_of_memory(s.study, s.table)),
        "loss": lambda s: curves.loss_picture(s.study),
        "accuracy": lambda s: curves.accuracy_picture(s.study),
        "agreement": lambda s: agreement.agreement_picture(s.study),
        "bubble": lambda s: bubble.bubble_picture(s.study),
        "halos": lambda s: surface.halo_picture(s.study),
    }
    for name, view in views.items():
        yield _made(name, view(sight))
    for name, result in server_figures.server_pictures(sight.study):
        yield _made(name, result)


def bench_pictures(record: Record) -> Iterator[Made]:
    """The views of a record of kernel_bench or comm_bench."""
    from partita.pictures.collectives import collectives_pictures
    from partita.pictures.roofline import roofline_picture

    for picture in collectives_pictures(record) if record.collectives else [roofline_picture(record)]:
        yield _made(picture.name, picture)


def _made(name: str, result: Picture | str) -> Made:
    return Made(name, None, result) if isinstance(result, str) else Made(result.name, result)
