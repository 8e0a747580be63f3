# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a kernel_bench record: every kernel under the roof of its machine (Williams et al. 2009)."""

from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from partita.pictures import style
from partita.pictures.figures import Picture, machine_line
from partita.records.record import Record, plural
from partita.table import Table

MEASURES = ("flop", "byte", "flop_per_s", "byte_per_s", "time_s", "ci_low_s", "ci_high_s", "peak_share")
LABELLED = 3  # Kernels whose names stand in the picture.


def roofline_picture(record: Record) -> Picture:
    """GFLOP/s against flop per byte, a colour each family, below memory bandwidth and the best rate of a product."""
    kernels = record.groups["kernels"]
    peak_flop, peak_byte = (float(record.groups["peaks"][name]) for name in ("flop_per_s", "byte_per_s"))
    table = Table("benchmark", "family", "intensity", *MEASURES)
    for row, name in enumerate(kernels["benchmark"]):
        values = {measure: float(kernels[measure][row]) for measure in MEASURES}
        table.add(
            benchmark=str(name), family=_family(str(name)), intensity=_ratio(values["flop"], values["byte"]), **values
        )
    shown = [row for row in table if row["flop_per_s"] > 0 and np.isfinite(row["intensity"])]

    page = style.Page(9.6, 4.6, nrows=1, ncols=1)
    axes = page.axes[0]
    families = list(dict.fromkeys(row["family"] for row in shown))
    handles = []
    with mpl.rc_context(style.SETTINGS):
        ridge = peak_flop / peak_byte
        _axes(axes, [*(row["intensity"] for row in shown), ridge], [*(row["flop_per_s"] for row in shown), peak_flop])
        x = np.array([axes.get_xlim()[0], ridge, axes.get_xlim()[1]])
        axes.plot(x, np.minimum(x * peak_byte, peak_flop) / 1e9, color=style.GREY, lw=1.6, zorder=1.5, label="_roof")
        axes.annotate(
            f"triad {peak_byte / 1e9:.3g} GB/s", (ridge / 2, ridge / 2 * peak_byte / 1e9), (-8, 2),
            textcoords="offset points", ha="right", fontsize=8.5, color=style.GREY,
        )  # fmt: skip
        axes.annotate(
            f"gemm {peak_flop / 1e9:.4g} GFLOP/s", (x[2], peak_flop / 1e9), (-4, 5), textcoords="offset points",
            ha="right", fontsize=8.5, color=style.GREY,
        )  # fmt: skip
        for index, family in enumerate(families):
            members = [row for row in shown if row["family"] == family]
            colour, marker = style.series_colour(index), style.MARKERS[index % len(style.MARKERS)]
            axes.plot(
                [m["intensity"] for m in members], [m["flop_per_s"] / 1e9 for m in members], ls="", marker=marker,
                color=colour, mec="white", mew=0.8, zorder=3, label="_" + family,
            )  # fmt: skip
            handles.append(Line2D([], [], ls="", marker=marker, color=colour, mec="white", mew=0.8, label=family))
        _name_extremes(axes, shown, peak_flop, peak_byte)
    notes = [
        "flop and byte by closed form, every operand moved once; time: median over repetitions",
        "above the slanted roof: operands that stay in a nearer cache than the triad's",
    ]
    title = "Kernels under the roof of this machine"
    return Picture(
        "roofline",
        page.finish(
            title, machine_line(f"{record.path.stem}, {plural(record.threads, 'thread')}", record), notes, handles
        ),
        table,
    )


def _family(name: str) -> str:
    """`attention` of `attention_forward/blockwise/...`, `model` of `model/gpt`."""
    first = name.partition("/")[0]
    for end in ("_forward_backward", "_forward", "_backward", "_backward_input", "_backward_weights", "_update"):
        first = first.removesuffix(end)
    families = {
        "dense": ("gemm", "linear"), "attention": ("attention",),
        "norm": ("layernorm", "rmsnorm", "batchnorm", "groupnorm"),
        "convolution": ("conv2d",), "model": ("model",),
        "optimizer": ("optimizer",),
    }  # fmt: skip
    for family, beginnings in families.items():
        if first.startswith(beginnings):
            return family
    return "elementwise"


def _ratio(flop: float, byte: float) -> float:
    return flop / byte if byte > 0 else float("nan")


def _axes(axes: Axes, intensity: Iterable[float], rate: Iterable[float]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    low_x, high_x = min(intensity), max(intensity)
    low_y, high_y = min(rate) / 1e9, max(rate) / 1e9
    axes.set_xlim(low_x / 2, high_x * 4)
    axes.set_ylim(low_y / 2, high_y * 3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10))
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("flop per byte")
    axes.set_ylabel("GFLOP/s")


def _name_extremes(axes: Axes, shown: list[dict], peak_flop: float, peak_byte: float) -> None:
    """The names of those furthest below the roof: where there is something to win."""
    far = sorted(shown, key=lambda row: row["flop_per_s"] / min(peak_flop, row["intensity"] * peak_byte))
    for index, row in enumerate(far[:LABELLED]):
        axes.annotate(
            row["benchmark"], (row["intensity"], row["flop_per_s"] / 1e9), (7, 4 if index % 2 else -9),
            textcoords="offset points", fontsize=7.5,
        )  # fmt: skip
