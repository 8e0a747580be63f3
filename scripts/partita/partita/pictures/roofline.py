# SPDX-License-Identifier: BSD-3-Clause
"""The picture of a kernel_bench record: every kernel under the roof of its machine (Williams et al. 2009)."""

from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from partita.pictures import style
from partita.pictures.picture import Picture, record_line
from partita.records.record import Record, plural
from partita.table import Table

MEASURES = ("flop", "byte", "flop_per_s", "byte_per_s", "time_s", "ci_low_s", "ci_high_s", "peak_share")
FAMILIES = {
    "dense": ("gemm", "linear"), "attention": ("attention",),
    "norm": ("layernorm", "rmsnorm", "batchnorm", "groupnorm"),
    "convolution": ("conv2d",), "model": ("model",),
    "optimizer": ("optimizer",),
}  # fmt: skip
LABELLED = 3  # Kernels whose names stand in the picture.
CACHES = {"l1d_bytes": "first", "l2_bytes": "second", "l3_bytes": "third"}  # /environment -> level.


def roofline_picture(record: Record) -> Picture:
    """GFLOP/s against flop per byte, a colour each family, below memory bandwidth and the best rate of a product.

    Both roofs were measured by the same run, with as many threads as its kernels had.
    """
    peak_flop, peak_byte = (float(record.groups["peaks"][name]) for name in ("flop_per_s", "byte_per_s"))
    threads = plural(record.threads, "thread")
    table = _table(record, peak_flop, peak_byte)
    shown = [row for row in table if row["flop_per_s"] > 0 and np.isfinite(row["intensity"])]
    page = style.Page(style.ONE, 2.7, nrows=1, ncols=1)
    axes = page.axes[0]
    looks = style.looks(row["family"] for row in shown)
    with mpl.rc_context(style.SETTINGS):
        ridge = peak_flop / peak_byte
        _axes(axes, [*(row["intensity"] for row in shown), ridge], [*(row["flop_per_s"] for row in shown), peak_flop])
        x = np.array([axes.get_xlim()[0], ridge, axes.get_xlim()[1]])
        axes.plot(x, np.minimum(x * peak_byte, peak_flop) / 1e9, color=style.GREY, lw=1.2, zorder=1.5, label="_roof")
        for family, look in looks.items():
            members = [row for row in shown if row["family"] == family]
            axes.plot([m["intensity"] for m in members], [m["flop_per_s"] / 1e9 for m in members], ls="",
                      marker=look.marker, color=look.colour, mec="white", mew=0.4, zorder=3,
                      label="_" + family)  # fmt: skip
        far = sorted(shown, key=lambda row: row["roof_share"])[:LABELLED]
        for number, row in enumerate(far, 1):
            axes.annotate(str(number), (row["intensity"], row["flop_per_s"] / 1e9), (3.5, -1),
                          textcoords="offset points", fontsize=style.SMALL, va="center")  # fmt: skip
    named = ", ".join(f"{n} {row['benchmark']} ({100 * row['roof_share']:.2g} %)" for n, row in enumerate(far, 1))
    notes = [
        f"roofs of {threads}, measured by this run: triad {peak_byte / 1e9:.3g} GB/s, gemm {peak_flop / 1e9:.4g} "
        "GFLOP/s",
        "flop and byte by closed form, every operand moved once; time: median over repetitions",
        f"furthest below the roof: {named}",
        *above_the_roof(record, shown, peak_flop),
    ]
    handles = [style.line(look, family, ls="") for family, look in looks.items()]
    heading = record_line(f"{record.path.stem}, {threads}", record)
    return Picture("roofline", page.finish("Kernels under the roof of this machine", heading, notes, handles), table)


def above_the_roof(record: Record, shown: list[dict], peak_flop: float) -> list[str]:
    """In words: which kernels are faster than the roof allows, and what their operands fit into."""
    notes = []
    faster = [row for row in shown if row["flop_per_s"] > peak_flop]
    if faster:
        best = max(faster, key=lambda row: row["flop_per_s"])
        notes.append(
            f"above the flat roof: {len(faster)} of {plural(len(shown), 'kernel')}, the most {best['benchmark']}, at "
            f"{best['flop_per_s'] / peak_flop:.2f} times the rate of the best square gemm that was measured"
        )
    slanted = [row for row in shown if row["roof_share"] > 1 and row not in faster]
    levels: dict[str, int] = {}
    for row in slanted:
        levels[_level(record, row["byte"])] = levels.get(_level(record, row["byte"]), 0) + 1
    if slanted:
        where = ", ".join(f"{count} {level}" for level, count in levels.items())
        notes.append(
            f"above the slanted roof: {len(slanted)} of {plural(len(shown), 'kernel')}; the triad streams from memory, "
            f"their operands need not: {where}"
        )
    return notes


def _level(record: Record, byte: float) -> str:
    """The first cache that the operands of a call fit into; all threads share the last, each has the others."""
    for name, word in CACHES.items():
        size = record.environment.get(name, "")
        share = 1 if name == "l3_bytes" else record.threads
        if size.isdigit() and byte <= int(size) * share:
            return f"fit the {word}-level cache"
    return "fit no cache whole, parts of them are used again"


def _table(record: Record, peak_flop: float, peak_byte: float) -> Table:
    kernels = record.groups["kernels"]
    table = Table("benchmark", "family", "intensity", *MEASURES, "roof_share")
    for row, name in enumerate(kernels["benchmark"]):
        values = {measure: float(kernels[measure][row]) for measure in MEASURES}
        intensity = _ratio(values["flop"], values["byte"])
        roof = min(peak_flop, intensity * peak_byte)
        table.add(benchmark=str(name), family=_family(str(name)), intensity=intensity,
                  roof_share=_ratio(values["flop_per_s"], roof), **values)  # fmt: skip
    return table


def _family(name: str) -> str:
    """`attention` of `attention_forward/blockwise/...`, `model` of `model/gpt`."""
    first = name.partition("/")[0]
    return next((family for family, begins in FAMILIES.items() if first.startswith(begins)), "elementwise")


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
