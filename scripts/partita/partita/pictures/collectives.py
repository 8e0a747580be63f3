# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of a comm_bench record: time and bus bandwidth of every collective over the size of its buffer."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from partita.analysis.fits import Fit
from partita.analysis.links import Timed, bench_times, fitted
from partita.pictures import style
from partita.pictures.picture import Picture, record_line
from partita.records.record import Columns, Record, plural
from partita.table import Table

TITLES = {"allreduce": "all-reduce", "tree_allreduce": "tree all-reduce"}
ACROSS = 3  # Panels side by side.
COLUMNS = ("median_s", "ci_low_s", "ci_high_s", "busbw_byte_per_s")
OPTIONAL = ("overlap_of_communication", "overlap_of_possible")
TIME = ("time", "Time of collectives over their size", "time (us)")
BANDWIDTH = ("bandwidth", "Bus bandwidth of collectives over their size", "bus bandwidth (GB/s)")
Fits = dict[tuple[str, str], Fit]  # By operation and algorithm.
UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


def collectives_pictures(record: Record) -> list[Picture]:
    """`time` with fits, and `bandwidth`: a panel for each collective, a line for each algorithm."""
    algorithms = list(dict.fromkeys(str(a) for c in record.collectives.values() for a in c["algorithm"]))
    looks = {name: {"color": k.colour, "marker": k.marker} for name, k in style.looks(algorithms).items()}
    handles = [Line2D([], [], mec="white", mew=0.5, label=name, **look) for name, look in looks.items()]
    times = bench_times(record)
    fits = {(t.operation, t.way): t.fit for t in fitted(times) if isinstance(t.fit, Fit)}
    dashed = Line2D([], [], color=style.GREY, ls=(0, (4, 2)), lw=0.9, label="fit")
    notes = ["median of a call on the slowest rank, with its 95 % interval over the samples of this run"]
    if record.oversubscribed:
        notes.append("more threads than cores: times are of time slices, not of messages")
    line = ["dashed: alpha + beta byte, least squares of relative residuals, from 5 sizes on"] if fits else []
    factor = "bytes / median time x the factor of the operation: comparable with the speed of a link"
    return [
        _picture(record, TIME, looks, fits, [*handles, dashed] if fits else handles, [*notes, *line],
                 finding_of_fits(times)),
        _picture(record, BANDWIDTH, looks, fits, handles, [*notes, factor], _fastest(record)),
    ]  # fmt: skip


def finding_of_fits(times: Sequence[Timed]) -> str:
    """Least latency, most bandwidth, and where a line is farthest from what was measured; "" without a fit."""
    found = [(t, t.fit) for t in times if isinstance(t.fit, Fit)]
    if not found:
        return ""
    first, early = min(found, key=lambda f: f[1].parameters["alpha"])
    wide, broad = max(found, key=lambda f: f[1].implied["bandwidth"])
    off, _ = max(found, key=lambda f: f[1].largest)
    size, residual = off.worst
    return (f"least latency {1e6 * early.parameters['alpha']:.2g} us ({_called(first)}), most bandwidth "
            f"{1e-9 * broad.implied['bandwidth']:.3g} GB/s ({_called(wide)}); farthest from its line: {_called(off)}, "
            f"{100 * abs(residual):.2g} % at {_in_words(size)}")  # fmt: skip


def _called(timed: Timed) -> str:
    return f"{TITLES.get(timed.operation, timed.operation.replace('_', '-'))} {timed.way}"


def _fastest(record: Record) -> str:
    """Where bytes are fastest; "" where nothing is known."""
    every = [(float(columns["busbw_byte_per_s"][row, k]), operation, str(algorithm), byte)
             for operation, columns in record.collectives.items() for k, algorithm in enumerate(columns["algorithm"])
             for row, byte in enumerate(columns["byte"])]  # fmt: skip
    rate, operation, algorithm, byte = max((e for e in every if e[0] > 0), default=(0.0, "", "", 0))
    name = TITLES.get(operation, operation.replace("_", "-"))
    return f"most bus bandwidth: {1e-9 * rate:.3g} GB/s, {name} {algorithm} at {_in_words(byte)}" if rate else ""


def _picture(
    record: Record, kind: tuple[str, str, str], looks: dict[str, dict], fits: Fits, handles: list[Line2D],
    notes: list[str], finding: str,
) -> Picture:  # fmt: skip
    shown, (name, title, label) = record.collectives, kind
    across = min(ACROSS, len(shown))
    down = -(-len(shown) // across)
    page = style.Page(style.ONE if across == 1 else style.TWO, 1.75 * down + 0.15, nrows=down, ncols=across)
    table = Table("operation", "algorithm", "byte", *COLUMNS, *OPTIONAL, "fit_s")
    with mpl.rc_context(style.SETTINGS):
        for axes, (operation, columns) in zip(page.axes, shown.items(), strict=False):
            _panel(axes, operation, columns, looks, fits, kind is TIME, table)
            _axes(axes, columns["byte"])
        for index, axes in enumerate(page.axes):
            axes.set_visible(index < len(shown))
            if index % across == 0:
                axes.set_ylabel(label)
            if index >= len(shown) - across:
                axes.set_xlabel("size")
    heading = record_line(f"{record.path.stem}, {plural(record.ranks, 'rank')}", record)
    return Picture(name, page.finish(title, heading, notes, handles, finding), table)


def _panel(
    axes: Axes, operation: str, columns: Columns, looks: dict[str, dict], fits: Fits, time: bool, table: Table
) -> None:
    size = np.asarray(columns["byte"], float)
    scale, measure = (1e6, "median_s") if time else (1e-9, "busbw_byte_per_s")
    for k, algorithm in enumerate(columns["algorithm"]):
        y = columns[measure][:, k] * scale
        look = looks[str(algorithm)]
        fit = fits.get((operation, str(algorithm)))
        fit_s = np.array([fit.predict(s) for s in size]) if fit else size * np.nan
        # What the interval of the time makes of the measure: bandwidth falls where time grows.
        low, high = (columns[c][:, k] for c in ("ci_low_s", "ci_high_s"))
        if time:
            bars = [y - low * scale, high * scale - y]
        else:
            bars = [y - y * columns["median_s"][:, k] / high, y * columns["median_s"][:, k] / low - y]
        axes.plot(size, y, mec="white", mew=0.5, lw=1.8 - 0.4 * min(k, 2), zorder=3, label="_" + str(algorithm), **look)
        axes.errorbar(size, y, yerr=np.nan_to_num(np.maximum(bars, 0)), fmt="none", ecolor=look["color"],
                      elinewidth=0.8, capsize=1.5, zorder=2.5)  # fmt: skip
        if time and fit:
            x = np.geomspace(size[0], size[-1], 65)
            axes.plot(
                x,
                [fit.predict(s) * scale for s in x],
                color=look["color"],
                ls=(0, (4, 2)),
                lw=0.8,
                zorder=2,
                label="_fit",
            )
        for row, byte in enumerate(columns["byte"]):
            values = {c: float(columns[c][row, k]) for c in COLUMNS}
            also = {c: float(columns[c][row, k]) if c in columns else float("nan") for c in OPTIONAL}
            table.add(operation=operation, algorithm=str(algorithm), byte=int(byte), fit_s=float(fit_s[row]),
                      **values, **also)  # fmt: skip
    axes.set_title(TITLES.get(operation, operation.replace("_", "-")))


def _axes(axes: Axes, sizes: np.ndarray) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.margins(x=0.06, y=0.12)
    step = -(-len(sizes) // 4)
    axes.xaxis.set_major_locator(FixedLocator(list(sizes[::step])))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda byte, _: _in_words(byte)))
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _in_words(byte: float) -> str:
    """`8 B`, `256 KiB`."""
    unit, word = next((u, w) for u, w in UNITS if byte >= u or u == 1)
    return f"{byte / unit:.3g} {word}"
