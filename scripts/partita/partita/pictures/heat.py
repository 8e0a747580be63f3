# SPDX-License-Identifier: BSD-3-Clause
"""A table of series and ranks whose cells are shaded by their value: what many series look like at once."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize

from partita.analysis.scaling import Scaling
from partita.pictures import style
from partita.pictures.picture import Picture, subtitle
from partita.pictures.scaling import MOST_LINES
from partita.records.folder import RecordedStudy
from partita.table import Table

MAP = "cividis"  # Brightness alone carries the value: nothing is lost in grey, or to colour-blind readers.
MOST_ROWS = 60
ROW, COLUMN, NAME = 0.165, 0.42, 2.0  # Inches.

Values = Mapping[tuple[str, int], float]  # (series, ranks) -> value.


def heat_picture(study: RecordedStudy, scaling: Scaling, finding: str = "") -> Picture | str:
    """Efficiency of every series at every number of ranks; step times where there is no efficiency."""
    if len(scaling.lines) <= MOST_LINES:
        return f"no more than {MOST_LINES} series: lines show more"
    compared = scaling.comparable
    values = {
        (series.label, e.ranks): 100 * e.efficiency.value if compared else 1e3 * e.step_s.value
        for series, line in scaling.lines for e in line if not compared or e.efficiency.n
    }  # fmt: skip
    words = "efficiency (%)" if compared else "median step (ms)"
    title = f"{'Efficiency' if compared else 'Time per step'} of {study.app}"
    return heat("heat", title, study, values, words, scaling.notes, compared, finding)


def heat(
    name: str, title: str, study: RecordedStudy, values: Values, words: str, notes: Sequence[str], more_is_better: bool,
    finding: str = "",
) -> Picture:  # fmt: skip
    """Any value by series and ranks: the best series, at the most ranks that it has, stands at the top."""
    ranks = sorted({p for _, p in values})
    sign = -1 if more_is_better else 1
    last = {series: max(p for s, p in values if s == series) for series, _ in values}
    order = sorted(last, key=lambda s: (-last[s], sign * values[s, last[s]], s))
    table = Table("series", "ranks", "value", "unit")
    for (series, p), value in values.items():
        table.add(series=series, ranks=p, value=float(value), unit=words)
    shown = order[:MOST_ROWS]
    grid = np.array([[values.get((series, p), np.nan) for p in ranks] for series in shown])
    longest = max(style.inches_of(name, style.SMALL) for series in shown for name in style.wrapped(series, NAME)[:1])
    wide = longest + 0.4 + COLUMN * max(3, len(ranks)) > style.ONE
    page = style.Page(style.TWO if wide else style.ONE, ROW * len(shown) + 0.75, nrows=1, ncols=1)
    axes = page.axes[0]
    least, most = float(np.nanmin(grid)), float(np.nanmax(grid))
    wide_span = least > 0 and most > 20 * least
    norm = LogNorm(least, most) if wide_span else Normalize(min(least, 0), max(most, least + 1e-12))
    with mpl.rc_context(style.SETTINGS):
        image = axes.pcolormesh(grid, cmap=MAP, norm=norm, edgecolors="white", linewidth=0.6)
        for row, column in np.ndindex(*grid.shape) if len(ranks) <= 16 else ():
            if np.isfinite(value := grid[row, column]):
                axes.text(column + 0.5, row + 0.5, _short(value), ha="center", va="center_baseline",
                          fontsize=style.SMALL, color=style.text_colour(image.cmap(norm(value))[:3]))  # fmt: skip
        axes.set_xticks(np.arange(len(ranks)) + 0.5, ranks)
        names = ["\n".join(style.wrapped(series, NAME)[:1]) for series in shown]
        named = [name if name == series else name + " ..." for name, series in zip(names, shown, strict=True)]
        axes.set_yticks(np.arange(len(shown)) + 0.5, named)
        axes.invert_yaxis()
        axes.grid(False)
        axes.tick_params(length=0)
        axes.set_xlabel("ranks")
        bar = page.figure.colorbar(image, ax=axes, location="bottom", aspect=40, pad=0.01, shrink=0.6)
        bar.set_label(words)
        bar.outline.set_visible(False)
        bar.ax.minorticks_off()
    cut = f"the first {MOST_ROWS} of {len(order)} series are drawn; all: in the CSV file" if shown != order else ""
    figure = page.finish(title, subtitle(study), [*notes, cut, "white: not run, or not comparable"], (), finding)
    return Picture(name, figure, table)


def _short(value: float) -> str:
    if abs(value) >= 10_000:
        return style.short(value)
    return f"{value:.0f}" if abs(value) >= 9.95 else f"{value:.2g}"
