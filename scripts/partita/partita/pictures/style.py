# SPDX-License-Identifier: BSD-3-Clause
"""One look for every picture: sizes of print, header and footer, hatched classes, axes of ranks, saving.

Pictures are drawn at the size in which they are printed, one column or two of a page, with no text below 7 pt: nothing
has to be enlarged to be read. Colours of series: colours.py.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from partita.pictures.colours import DASHES, MARKERS, PALETTE, Look, colour_of, colours_of, looks

__all__ = ["DASHES", "MARKERS", "PALETTE", "Look", "colour_of", "colours_of", "looks"]  # And all that stands below.

ONE, TWO = 3.5, 7.16  # Inches: one column, and both, of a page of two.
SMALLEST_PT = 7.0
INK, GREY, RULE = "#1a1a1a", "#5f6368", "#d9dce1"
# Classes of phases: a colour and a hatch each, so that both a screen and grey paper tell them apart.
CLASS = {"compute": "#0072B2", "input": "#009E73", "communication": "#D55E00", "wait": "#E69F00", "other": "#5f6368"}
HATCH = {"compute": "", "input": "ooo", "communication": "/////", "wait": "xxxx", "other": "||"}
REST = "#d5d8dc"  # Time that no phase covers.

INCH_PT = 72.0
MEASURE_DPI = 1000  # Letters are set on whole pixels: at few of them lines come out too short or too long.
NORMAL, SMALL = 7.5, SMALLEST_PT  # Points.
SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": NORMAL,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 8.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.labelpad": 2.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.55,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.pad": 2.5,
    "ytick.major.pad": 2.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.2,
    "errorbar.capsize": 2.0,
    "legend.frameon": False,
    "legend.fontsize": NORMAL,
    "svg.fonttype": "none",
    "svg.hashsalt": "partita",  # The same records give the same file, byte for byte.
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
}


def shades(colour: str, n: int) -> list[tuple[float, float, float]]:
    """n tints of a colour, dark to light."""
    base = to_rgb(colour)
    steps = [0.0] if n == 1 else [0.62 * k / (n - 1) for k in range(n)]
    return [tuple(c + (1.0 - c) * t for c in base) for t in steps]


def luminance(colour: Any) -> float:
    """What is left of a colour in grey print, 0 black to 1 white (ITU-R BT.601)."""
    red, green, blue = to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def text_colour(background: Any) -> str:
    """Ink or white, whichever is read more easily on the background."""
    return INK if luminance(background) > 0.55 else "white"


def square(colour: Any, label: str, hatch: str = "") -> Patch:
    """The legend of a bar."""
    return Patch(facecolor=colour, edgecolor="white", hatch=hatch, linewidth=0.5, label=label)


def line(look: Look, label: str, **more: Any) -> Line2D:
    """The legend of a series: colour, marker and dashes."""
    given = {"color": look.colour, "marker": look.marker, "ls": look.dashes, "mec": "white", "mew": 0.5}
    return Line2D([], [], label=label, **(given | more))


class Page:
    """A figure with a header (title, subtitle, finding, legend) and a footer (notes) around a rectangle of axes."""

    def __init__(self, width: float, height: float, **subplots: Any) -> None:
        """Inches of the rectangle of axes; the header and the footer come on top."""
        self.width, self.height = width, height
        with mpl.rc_context(SETTINGS):
            self.figure = Figure(figsize=(width, height), layout="constrained")
            FigureCanvasAgg(self.figure)
            self.axes: list[Axes] = list(self.figure.subplots(squeeze=False, **subplots).flat)

    def finish(
        self, title: str, subtitle: str, notes: Sequence[str], handles: Sequence[Artist] = (), finding: str = ""
    ) -> Figure:
        """Add header and footer, and make room for them: nothing covers data."""
        inside = self.width - 0.14
        head = [(line, 9.0, "bold", INK) for line in wrapped(title, inside, 9.0, "bold")]
        head += [(line, SMALL, "normal", GREY) for line in wrapped(subtitle, inside)]
        head += [(line, NORMAL, "normal", INK) for line in wrapped(finding, inside, NORMAL)]
        foot = [line for note in notes if note for line in wrapped(note, inside)]
        columns = self._legend_columns(handles)
        rows = -(-len(handles) // columns)
        top = 0.08 + sum(_line_in(size) for _, size, _, _ in head) + (0.05 + 0.155 * rows if handles else 0.0) + 0.04
        bottom = 0.08 + _line_in(SMALL) * len(foot)
        total = self.height + top + bottom
        fig, left, y = self.figure, 0.07 / self.width, 0.08
        fig.set_size_inches(self.width, total)
        fig.get_layout_engine().set(rect=(0.008, bottom / total, 0.984, self.height / total), w_pad=0.05, h_pad=0.03)
        with mpl.rc_context(SETTINGS):
            for text, size, weight, colour in head:
                fig.text(left, 1 - y / total, text, fontsize=size, fontweight=weight, color=colour, va="top")
                y += _line_in(size)
            if handles:
                legend = fig.legend(
                    handles=handles, loc="upper left", bbox_to_anchor=(left, 1 - (y + 0.05) / total), ncols=columns,
                    borderaxespad=0.0, borderpad=0.0, handlelength=2.6, handletextpad=0.5, columnspacing=1.4,
                    labelspacing=0.3,
                )  # fmt: skip
                legend.set_in_layout(False)
            for index, text in enumerate(foot):
                at = (bottom - 0.03 - _line_in(SMALL) * index) / total
                fig.text(left, at, text, fontsize=SMALL, color=GREY, va="top")
        return fig

    def _legend_columns(self, handles: Sequence[Artist]) -> int:
        """As many columns as the longest labels let stand side by side."""
        inches = [0.47 + inches_of(str(handle.get_label())) for handle in handles]
        for columns in range(len(handles), 1, -1):
            rows = -(-len(handles) // columns)  # Filled column by column.
            if sum(max(inches[k : k + rows]) for k in range(0, len(inches), rows)) <= self.width - 0.12:
                return -(-len(handles) // rows)
        return 1


def wrapped(text: str, inches: float, size: float = SMALL, weight: str = "normal") -> list[str]:
    """The text in lines that are no wider than so many inches; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and inches_of(longer, size, weight) <= inches:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@functools.lru_cache(maxsize=4096)
def inches_of(text: str, size: float = NORMAL, weight: str = "normal") -> float:
    """How wide a text is."""
    font = FontProperties(family=SETTINGS["font.family"], size=size, weight=weight)
    width, _, _ = _measure().get_renderer().get_text_width_height_descent(text, font, False)
    return width / MEASURE_DPI


@functools.cache
def _measure() -> FigureCanvasAgg:
    return FigureCanvasAgg(Figure(figsize=(1, 1), dpi=MEASURE_DPI))


def _line_in(size_pt: float) -> float:
    return 1.28 * size_pt / INCH_PT


def rank_axis(axes: Axes, ranks: Sequence[int], label: str, inches: float = 2.4) -> None:
    """Ticks at the numbers of ranks that were run alone, named where there is room; logarithmic from 9 on."""
    values = sorted(set(ranks))
    if values[-1] > 8:
        axes.set_xscale("log", base=2)
        axes.set_xlim(values[0] / 1.25, values[-1] * (values[-1] / values[0]) ** 0.2)
    else:
        span = max(1, values[-1] - values[0])
        axes.set_xlim(values[0] - 0.14 * span, values[-1] + 0.3 * span)  # The right margin is for labels.
    place = (axes.transScale + axes.transLimits).transform
    named: dict[int, float] = {}
    for value in [*values[::-1][:1], *values]:  # The last one always has its name.
        at, half = inches * place((value, 1))[0], 0.035 * len(str(value)) + 0.03
        if value in named or all(abs(at - named[v]) > half + 0.035 * len(str(v)) + 0.03 for v in named):
            named[value] = at
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{round(x)}" if round(x) in named else ""))
    axes.set_xlabel(label)
    axes.grid(False, axis="x")


def short(value: float) -> str:
    """A value beside a point: `22.9 k`, `345`, `1.61`."""
    for least, unit, word in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= least:
            return f"{value / unit:.3g} {word}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def end_labels(axes: Axes, page: Page, labels: Sequence[tuple[float, float, str, str]], offset_pt: float) -> None:
    """Texts (x, y, text, colour) right of the ends of lines, moved apart where they overlap. Limits must be final."""
    height_pt = page.height / axes.get_gridspec().nrows * INCH_PT * 0.76
    gap = 8.5 / height_pt
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
        axes.annotate(text, (x, y), (offset_pt, lift), textcoords="offset points", va="center", ha="left",
                      fontsize=SMALL, color=colour)  # fmt: skip


def save(figure: Figure, path: Path) -> None:
    """Write the picture; no date inside, so that the same records give the same bytes."""
    dateless = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with mpl.rc_context(SETTINGS):
        figure.savefig(path, metadata=dateless.get(path.suffix, {"Software": None}))
