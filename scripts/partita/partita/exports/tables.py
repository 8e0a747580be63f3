# SPDX-License-Identifier: BSD-3-Clause
"""Records as the tables of other packages: the long table of a folder (pandas), the steps of a run (xarray).

    from partita.exports.tables import dataset, frame

    runs = frame("runs/quickstart_strong")  # A row for each metric of each run, and of all runs of a point.
    steps = dataset("runs/one.h5")  # phase_s (step, rank, phase), start_ns (step, rank), loss (step) and so on.

Steps that do not count are in neither: warm-up, and the step after a flush of the record.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from partita.errors import UsageError
from partita.records.layout import AXES
from partita.records.record import Record, read_record

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset

UNITS = {"_ns": "ns", "_s": "s"}  # By the end of a column's name.
NOT_COLUMNS = ("step", "rank", "phase", "warmup", "flushed")  # Scales, and masks of what does not count.


def frame(folder: Path | str) -> "DataFrame":
    """The long table of a folder of records, or of studies below it, with the columns of `analysis.metrics`."""
    from partita.analysis.reading import read_runs

    return read_runs(Path(folder)).table


def dataset(record: Record | Path | str) -> "Dataset":
    """The counted steps of a run; UsageError where it has none."""
    import xarray

    if not isinstance(record, Record):
        record = read_record(Path(record))
    if not record.counted.any():
        raise UsageError(record.path, "holds no counted steps", "the record of a run that trained beyond its warm-up")
    columns = {name: values for name, values in record.steps.items() if name not in NOT_COLUMNS}
    made = xarray.Dataset(
        {name: (_axes(name, values), values[record.counted], _units(name)) for name, values in columns.items()},
        coords={"step": record.first_step + np.flatnonzero(record.counted)},
        attrs={name: _attribute(value) for name, value in record.attributes.items()},
    )
    if "phase" in made.dims:
        made = made.assign_coords(phase=list(record.phases), phase_class=("phase", list(record.classes)))
    return made.assign_coords(rank=np.arange(record.ranks)) if "rank" in made.dims else made


def _axes(name: str, values: np.ndarray) -> tuple[str, ...]:
    known = AXES.get(name, ("phase",) if name.startswith("phase_") else (f"{name}_value",))
    return ("step", *known)[: values.ndim]


def _units(name: str) -> dict[str, str]:
    return next(({"units": unit} for end, unit in UNITS.items() if name.endswith(end)), {})


def _attribute(value: object) -> object:
    """What netCDF can hold too."""
    return value if isinstance(value, int | float | str) else str(value)
