# SPDX-License-Identifier: BSD-3-Clause
"""One look for every picture: colours that colour-blind readers can tell apart, header and footer, sizes, saving."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

INK, GREY, RULE = "#1a1a1a", "#5f6368", "#d9dce1"
# Okabe and Ito 2008, darkest first so that the first lines stand out on white.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")  # One more than colours: the eighth line is not the first again.
CLASS = {"compute": "#0072B2", "input": "#009E73", "communication": "#D55E00", "wait": "#E69F00", "other": "#8a8f98"}
REST = "#d5d8dc"  # Time that no phase covers.

INCH_PT = 72.0
SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9.0,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 6.0,
    "errorbar.capsize": 3.5,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "partita",  # The same records give the same file, byte for byte.
    "savefig.dpi": 160,
}


def shades(colour: str, n: int) -> list[tuple[float, float, float]]:
    """n tints of a colour, dark to light."""
    base = to_rgb(colour)
    steps = [0.0] if n == 1 else [0.62 * k / (n - 1) for k in range(n)]
    return [tuple(c + (1.0 - c) * t for c in base) for t in steps]


def text_colour(background: Any) -> str:
    """Ink or white, whichever is read more easily on the background."""
    red, green, blue = to_rgb(background)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "white"


def series_colour(index: int) -> str:
    """Colour of the line of that index."""
    return SERIES[index % len(SERIES)]


def series_dashes(index: int) -> object:
    """Of a line without markers: solid, and another pattern each time that the colours begin again."""
    return ("-", (0, (5, 2)), (0, (1.2, 1.2)))[index // len(SERIES) % 3]


class Page:
    """A figure with a header (title, subtitle, legend) and a footer (notes) around a rectangle of axes."""

    def __init__(self, width: float, height: float, **subplots: Any) -> None:
        """Inches of the rectangle of axes; the header and the footer come on top."""
        self.width, self.height = width, height
        with mpl.rc_context(SETTINGS):
            self.figure = Figure(figsize=(width, height), layout="constrained")
            FigureCanvasAgg(self.figure)
            self.axes: list[Axes] = list(self.figure.subplots(squeeze=False, **subplots).flat)

    def finish(
        self, title: str, subtitle: str, notes: Sequence[str], handles: Sequence[Artist] = (), legend_title: str = ""
    ) -> Figure:
        """Add header and footer, and make room for them: nothing covers data."""
        foot = [line for note in notes if note for line in textwrap.wrap(note, int(self.width * 16.5))]
        columns = self._legend_columns(handles)
        rows = -(-len(handles) // columns)
        top = 0.64 + (0.32 + 0.2 * (rows - 1) if handles else 0.0)
        bottom = 0.16 + 0.165 * len(foot)
        total = self.height + top + bottom
        fig, left = self.figure, 0.14 / self.width
        fig.set_size_inches(self.width, total)
        fig.get_layout_engine().set(rect=(0.006, bottom / total, 0.988, self.height / total), w_pad=0.09, h_pad=0.05)
        with mpl.rc_context(SETTINGS):
            fig.text(left, 1 - 0.14 / total, title, fontsize=13, fontweight="bold", va="top")
            fig.text(left, 1 - 0.42 / total, subtitle, fontsize=9.5, color=GREY, va="top")
            if handles:
                legend = fig.legend(
                    handles=handles,
                    loc="upper left",
                    bbox_to_anchor=(left, 1 - 0.63 / total),
                    ncols=columns + (rows == 1),
                    borderaxespad=0.0,
                    borderpad=0.0,
                    handlelength=2.4,
                    columnspacing=1.8,
                    title=legend_title or None,
                )
                legend.set_in_layout(False)
            for index, line in enumerate(foot):
                y = (bottom - 0.10 - 0.165 * index) / total
                fig.text(left, y, line, fontsize=8, color=GREY, va="top")
        return fig

    def _legend_columns(self, handles: Sequence[Artist]) -> int:
        """As many columns as the longest label lets stand side by side, if one row does not do for all."""
        inches = [0.66 + 0.076 * len(str(handle.get_label())) for handle in handles]
        if sum(inches) <= self.width - 0.2:
            return max(1, len(handles))
        return max(1, min(len(handles), int((self.width - 0.2) / max(inches))))


def rank_axis(axes: Axes, ranks: Sequence[int], label: str) -> None:
    """Ticks at the numbers of ranks that were run, and at no other; logarithmic from 16 on."""
    values = sorted(set(ranks))
    if values[-1] > 8:
        axes.set_xscale("log", base=2)
        axes.set_xlim(values[0] / 1.25, values[-1] * (values[-1] / values[0]) ** 0.2)
    else:
        span = max(1, values[-1] - values[0])
        axes.set_xlim(values[0] - 0.14 * span, values[-1] + 0.3 * span)  # The right margin is for labels.
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{round(x)}"))
    axes.set_xlabel(label)
    axes.grid(False, axis="x")


def end_labels(axes: Axes, page: Page, labels: Sequence[tuple[float, float, str, str]], offset_pt: float) -> None:
    """Texts (x, y, text, colour) right of the ends of lines, moved apart where they overlap. Limits must be final."""
    height_pt = page.height * INCH_PT * 0.76
    gap = 12.0 / height_pt
    to_axes = axes.transScale + axes.transLimits  # Data -> fraction of the axes.
    placed = sorted((to_axes.transform((x, y))[1], x, y, text, colour) for x, y, text, colour in labels)
    at = [p[0] for p in placed]
    for index in range(1, len(at)):
        at[index] = max(at[index], at[index - 1] + gap)
    shift = (sum(p[0] for p in placed) - sum(at)) / max(1, len(at))  # The bundle stays where its lines end.
    if at:
        shift = max(shift, 0.02 - at[0])  # And above the axis.
    for fraction, (own, x, y, text, colour) in zip(at, placed, strict=True):
        lift = (fraction + shift - own) * height_pt
        axes.annotate(
            text,
            (x, y),
            (offset_pt, lift),
            textcoords="offset points",
            va="center",
            ha="left",
            fontsize=8.5,
            color=colour,
        )


def save(figure: Figure, path: Path) -> None:
    """Write the picture; no date inside, so that the same records give the same bytes."""
    with mpl.rc_context(SETTINGS):
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, metadata=metadata)
