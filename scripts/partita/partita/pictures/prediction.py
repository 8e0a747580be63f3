# SPDX-License-Identifier: BSD-3-Clause
"""The picture of `partita predict`: steps in virtual time against measured ones."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from partita.analysis.predict import NEAR, Prediction
from partita.pictures import style
from partita.pictures.picture import Picture, record_line
from partita.table import Table


def prediction_picture(calibration: Path, made: Sequence[Prediction]) -> Picture:
    """Predicted against measured steps, between lines of NEAR."""
    page = style.Page(style.ONE, 2.8)
    axes = page.axes[0]
    table = Table("record", "run", "measured_s", "predicted_virtual_s", "error")
    with mpl.rc_context(style.SETTINGS):
        ends = np.array([p.measured_s for p in made] + [p.predicted_s for p in made]) * 1e3
        line = np.array([0.7 * ends.min(), 1.4 * ends.max()])
        axes.plot(line, line, color=style.GREY, lw=1)
        axes.fill_between(line, line * (1 - NEAR), line * (1 + NEAR), color=style.GREY, alpha=0.15, lw=0)
        looks = style.looks(p.kind for p in made)
        for p in made:
            axes.plot(1e3 * p.measured_s, 1e3 * p.predicted_s, looks[p.kind].marker, color=looks[p.kind].colour,
                      mec="white", mew=0.5, ms=5)  # fmt: skip
            table.add(record=p.record.path.name, run=p.name, measured_s=p.measured_s,
                      predicted_virtual_s=p.predicted_s, error=p.error)  # fmt: skip
        axes.set(xscale="log", yscale="log", xlim=line, ylim=line, xlabel="measured step (ms)",
                 ylabel="predicted step (virtual ms)")  # fmt: skip
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("{x:g}")
        handles = [style.line(look, kind, ls="") for kind, look in looks.items()]
    notes = [f"medians of steps; band: within {NEAR:.0%}; calibrated by {calibration.name}"]
    return Picture("prediction", page.finish("Steps predicted in virtual time", record_line("", made[0].record), notes,
                                             handles), table)  # fmt: skip
