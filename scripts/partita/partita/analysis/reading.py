# SPDX-License-Identifier: BSD-3-Clause
"""A folder of records, or of studies below it, with its long table and all that is to be said of it."""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from partita.analysis.metrics import Metric, metric, metrics_table
from partita.analysis.noise import study_warnings
from partita.analysis.run_metrics import measured
from partita.errors import UsageError
from partita.records.folder import RecordedStudy, read_folder
from partita.records.record import Record
from partita.studies.state import study_folders

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class FolderRuns:
    """What compare, league and exports are made of."""

    folder: Path
    studies: tuple[RecordedStudy, ...]
    table: "DataFrame"
    notes: tuple[str, ...]  # What was left out, and what makes the numbers less sure.

    @property
    def records(self) -> list[Record]:
        """Of all studies."""
        return [record for study in self.studies for record in study.records]


def read_runs(folder: Path) -> FolderRuns:
    """UsageError where no run of a training is found."""
    studies: list[RecordedStudy] = []
    notes: list[str] = []
    for place in study_folders(folder) or [folder]:
        found, _, said = read_folder(place, measured)
        studies += found
        notes += said
        for study in found:
            warnings = (*study.warnings, *study_warnings(study))
            notes += [f"{study.name}: {warning}" for warning in dict.fromkeys(warnings)]
    if not studies:
        raise UsageError(folder, "; ".join(["no runs of a training", *notes]), "records of an app that trains")
    return FolderRuns(folder, tuple(studies), metrics_table(studies), tuple(notes))


def home(record: Path) -> Path:
    """The folder of a record's study, whether it lies there or below `points`."""
    return record.parents[3] if record.parent.name.startswith("attempt-") else record.parent


def metric_of(name: str, tables: Sequence["DataFrame"]) -> Metric:
    """What the long table says by this name; UsageError, with the nearest one, where no run has it."""
    there = sorted({str(m) for table in tables for m in table["metric"].unique()})
    if name not in there:
        near = difflib.get_close_matches(name, there, n=1)
        raise UsageError(f"--metric {name}", "no run has it" + (f"; did you mean {near[0]}?" if near else ""),
                         ", ".join(there))  # fmt: skip
    return metric(name)


def short_names(folders: Sequence[Path]) -> list[str]:
    """The folders without what their paths have in common; as given where that leaves nothing."""
    given = [str(folder) for folder in folders]
    whole = [folder.resolve() for folder in folders]
    if len(set(whole)) < len(whole):
        raise UsageError(" ".join(given), "the same folder twice", "different folders")
    common = Path(os.path.commonpath(whole))
    short = [str(folder.relative_to(common)) for folder in whole]
    return given if "." in short else short
