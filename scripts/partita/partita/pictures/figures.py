# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of one study: each a figure and the table of the numbers it shows."""

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from matplotlib.transforms import ScaledTranslation

from partita.analysis.scaling import Entry, Scaling, interval_note, ratio_note
from partita.pictures import style
from partita.records.folder import RecordedStudy
from partita.records.record import Record, plural
from partita.statistics import Interval
from partita.table import Table

DODGE_PT = (6.5, 2.5)  # Lines of equal values stay visible side by side; less of it where lines have many points.


@dataclass(frozen=True)
class Picture:
    """A figure, its file name without extension, and what it shows."""

    name: str
    figure: Figure
    table: Table


def scaling_picture(study: RecordedStudy, scaling: Scaling) -> Picture:
    """Time per step, and where it may be computed speed-up and efficiency, against ranks."""
    compared = scaling.comparable
    page = style.Page(11.2 if compared else 5.8, 3.5, nrows=1, ncols=3 if compared else 1)
    entries = [e for _, line in scaling.lines for e in line]
    threads = {e.threads for e in entries}
    label = f"ranks ({plural(min(threads), 'thread')} each)" if len(threads) == 1 else "ranks"
    ranks = [e.ranks for e in entries]
    with mpl.rc_context(style.SETTINGS):
        for axes in page.axes:
            style.rank_axis(axes, ranks, label)
        _time_panel(page.axes[0], scaling)
        _label_ends(page.axes[0], page, scaling, lambda e: e.step_s.scaled(1e3), "{:.3g} ms")
        if compared:
            counted = [e.ranks for e in entries if not e.oversubscribed]
            for axes in page.axes[1:]:
                style.rank_axis(axes, counted, label)
            _speedup_panel(page.axes[1], scaling, max(counted))
            _efficiency_panel(page.axes[2], scaling, max(counted))
            _label_ends(page.axes[1], page, scaling, lambda e: e.speedup, "{:.2f}")
            _label_ends(page.axes[2], page, scaling, lambda e: e.efficiency.scaled(100), "{:.1f} %", 0.01)
        handles = [_handle(i, series.label) for i, (series, _) in enumerate(scaling.lines)]
        if any(e.oversubscribed for e in entries):
            handles.append(Line2D([], [], ls="", marker="o", mfc="white", mec=style.GREY, label="oversubscribed"))
        if compared:
            handles.append(Line2D([], [], color=style.GREY, ls=(0, (4, 3)), lw=1.2, label="ideal"))
    kind = f"{scaling.kind.capitalize()} scaling" if compared and scaling.kind else "Time per step"
    notes = [interval_note(scaling), *scaling.notes]
    if compared:
        notes.append(ratio_note(scaling))
    figure = page.finish(f"{kind} of {study.app}", subtitle(study), notes, handles)
    return Picture("scaling", figure, scaling.table())


def _dodge(scaling: Scaling) -> float:
    return DODGE_PT[len({e.ranks for _, line in scaling.lines for e in line}) > 3]


def _label_ends(
    axes: Axes, page: style.Page, scaling: Scaling, value: Callable[[Entry], Interval], text: str, unit: float = 1.0
) -> None:
    """The value at the end of each line."""
    labels = []
    for index, (_, line) in enumerate(scaling.lines):
        counted = [e for e in line if not e.oversubscribed and value(e).n]
        if counted:
            end = value(counted[-1]).value
            labels.append((counted[-1].ranks, end * unit, text.format(end), style.series_colour(index)))
    style.end_labels(axes, page, labels, len(scaling.lines) * _dodge(scaling) / 2 + 5)


def _handle(index: int, label: str) -> Line2D:
    colour, marker = style.series_colour(index), style.MARKERS[index % len(style.MARKERS)]
    return Line2D([], [], color=colour, marker=marker, mec="white", mew=0.8, label=label)


def _time_panel(axes: Axes, scaling: Scaling) -> None:
    _lines(axes, scaling, lambda e: e.step_s.scaled(1e3), oversubscribed=True)
    axes.set_title("Time per step")
    axes.set_ylabel("median step (ms)")
    if scaling.kind and axes.get_xscale() == "log":
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0, axes.get_ylim()[1] * 1.06)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    bases = [e for _, line in scaling.lines for e in line if e.ranks == scaling.base and e.speedup.n]
    if bases and scaling.kind:
        base = min(bases, key=lambda e: e.step_s.value)
        most = max(e.ranks for _, line in scaling.lines for e in line if not e.oversubscribed)
        p = np.geomspace(base.ranks, most, 65)
        ideal = base.step_s.value * 1e3 * (base.ranks / p if scaling.kind == "strong" else np.ones_like(p))
        _ideal(axes, p, ideal)


def _speedup_panel(axes: Axes, scaling: Scaling, most: int) -> None:
    _ideal(axes, np.array([scaling.base, most]), np.array([1.0, most / scaling.base]))
    _lines(axes, scaling, lambda e: e.speedup)
    axes.set_title("Speed-up" if scaling.kind == "strong" else "Scaled speed-up")
    axes.set_ylabel(f"relative to {plural(scaling.base, 'rank')}")
    if axes.get_xscale() == "log":
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    else:
        axes.set_ylim(0, 1.08 * max(most / scaling.base, axes.get_ylim()[1] / 1.05))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _efficiency_panel(axes: Axes, scaling: Scaling, most: int) -> None:
    _ideal(axes, np.array([scaling.base, most]), np.ones(2))
    _lines(axes, scaling, lambda e: e.efficiency)
    axes.set_title("Efficiency")
    axes.set_ylabel("speed-up / ideal" if scaling.kind == "strong" else "time of the base / time")
    axes.set_ylim(0, 1.08 * max(1.0, axes.get_ylim()[1] / 1.05))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def _ideal(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    axes.plot(x, y, color=style.GREY, ls=(0, (4, 3)), lw=1.2, zorder=1.5, label="_ideal")


def _lines(axes: Axes, scaling: Scaling, value: Callable[[Entry], Interval], oversubscribed: bool = False) -> None:
    """One line with intervals a series; oversubscribed points hollow and apart from the line, or not at all."""
    middle = (len(scaling.lines) - 1) / 2
    for index, (series, line) in enumerate(scaling.lines):
        colour, marker = style.series_colour(index), style.MARKERS[index % len(style.MARKERS)]
        shift = ScaledTranslation((index - middle) * _dodge(scaling) / style.INCH_PT, 0, axes.figure.dpi_scale_trans)
        transform = axes.transData + shift
        for wanted, face, link in ((False, colour, "-"), (True, "white", "")):
            chosen = [e for e in line if e.oversubscribed == wanted]
            if not chosen or (wanted and not oversubscribed):
                continue
            at = [value(e) for e in chosen]
            y = np.array([i.value for i in at])
            low = np.nan_to_num(y - [i.low for i in at])
            high = np.nan_to_num(np.array([i.high for i in at]) - y)
            ranks = [e.ranks for e in chosen]
            axes.plot(
                ranks, y, color=colour, ls=link, marker=marker, mfc=face, mec=colour if wanted else "white",
                mew=1.2 if wanted else 0.8, transform=transform, zorder=3, label="_" + series.label,
            )  # fmt: skip
            axes.errorbar(
                ranks, y, yerr=[low, high], fmt="none", ecolor=colour, elinewidth=1.2, transform=transform, zorder=2.5
            )
            axes.update_datalim(np.column_stack([np.tile(ranks, 2), np.concatenate([y - low, y + high])]))
    axes.autoscale_view(scalex=False)


def phases_picture(study: RecordedStudy) -> Picture:
    """Where a step's time goes, one stacked bar a point: heights are median shares times the median step."""
    bars = study.distinct_cells()
    phases = _phases(study)
    table = Table("series", "ranks", "phase", "class", "share", "seconds")
    longest = max(len(word) for label, _ in bars for word in label.split(", "))
    names = [_phase_label(name, cls) for name, (cls, _) in phases.items()]
    beside = max(3.4, 0.9 + 0.083 * max(map(len, names)))  # The legend, and the axis' own words.
    width = max(6.8, beside + max(0.78, 0.098 * longest) * len(bars))
    page = style.Page(width, max(3.9, 0.2 * len(names) + 0.3), nrows=1, ncols=1)
    axes = page.axes[0]
    positions = _positions([cell.ranks for _, cell in bars])
    tops = []
    with mpl.rc_context(style.SETTINGS):
        for x, (label, cell) in zip(positions, bars, strict=True):
            step_ms = 1e3 * float(np.median(np.concatenate([r.step_s for r in cell.records])))
            shares = _shares(cell.records, phases)
            bottom = 0.0
            for name, (cls, colour) in phases.items():
                share = shares.get(name, 0.0)
                height = share * step_ms
                table.add(
                    series=label, ranks=cell.ranks, phase=name, share=share, seconds=height / 1e3, **{"class": cls}
                )
                if height <= 0:
                    continue
                axes.bar(x, height, bottom=bottom, width=0.74, color=colour, edgecolor="white", linewidth=0.8)
                axes.annotate(
                    f"{share:.0%}".replace("%", " %"), (x, bottom + height / 2), ha="center", va="center", fontsize=8,
                    color=style.text_colour(colour), gid=f"share:{share:.6f}",
                )  # fmt: skip
                bottom += height
            axes.annotate(
                f"{step_ms:.3g} ms", (x, bottom), (0, 3), textcoords="offset points", ha="center", va="bottom",
                fontsize=8.5, fontweight="bold",
            )  # fmt: skip
            tops.append(bottom)
        _finish_phases(axes, study, bars, positions, phases, max(tops))
    title = f"Where a step of {study.app} spends its time"
    notes = ["shares: median over the counted steps of all runs, scaled to 100 %; mean over ranks; on top: median step"]
    if any(cell.oversubscribed for _, cell in bars):
        notes.append("* oversubscribed: more threads than cores")
    return Picture("phases", page.finish(title, subtitle(study), notes), table)


def _finish_phases(
    axes: Axes, study: RecordedStudy, bars: list, positions: list[float], phases: dict, top: float
) -> None:
    axes.set_ylim(0, top * 1.1)
    for text in list(axes.texts):  # A label that does not fit its segment says less than none.
        gid = text.get_gid()
        if gid and float(gid.partition(":")[2]) * _bar_top(axes, text.xy[0]) < 0.042 * top * 1.1:
            text.remove()
    many = len({label for label, _ in bars if label}) > 1
    axes.set_xticks(
        positions,
        [
            plural(c.ranks, "rank")
            + ("*" if c.oversubscribed else "")
            + ("\n" + label.replace(", ", "\n") if label and many else "")
            for label, c in bars
        ],
    )
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(positions[0] - 0.65, positions[-1] + 0.65)
    axes.grid(False, axis="x")
    axes.set_ylabel("time in a step (ms)")
    handles = []
    for name, (cls, colour) in reversed(phases.items()):
        handles.append(Line2D([], [], ls="", marker="s", ms=9, color=colour, label=_phase_label(name, cls)))
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, labelspacing=0.5)


def _phase_label(name: str, cls: str) -> str:
    return name if cls in ("", name) else f"{name} ({cls})"


def _bar_top(axes: Axes, x: float) -> float:
    return max(
        (p.get_y() + p.get_height() for p in axes.patches if abs(p.get_x() + p.get_width() / 2 - x) < 1e-6), default=0
    )


def _positions(ranks: list[int]) -> list[float]:
    """Bars of the same number of ranks stand together."""
    positions, x = [], 0.0
    for index, count in enumerate(ranks):
        if index:
            x += 1.0 if count == ranks[index - 1] else 1.35
        positions.append(x)
    return positions


def _phases(study: RecordedStudy) -> dict[str, tuple[str, object]]:
    """Phase -> (class, colour): classes in the order of style.CLASS, tints inside a class, the rest on top."""
    classes: dict[str, str] = {}
    for record in study.records:
        classes.update(zip(record.phases, record.classes, strict=True))
    result: dict[str, tuple[str, object]] = {}
    for cls, colour in style.CLASS.items():
        members = [name for name, its in classes.items() if its == cls]
        for name, tint in zip(members, style.shades(colour, max(1, len(members))), strict=False):
            result[name] = (cls, tint)
    result["unattributed"] = ("", style.REST)
    return result


def _shares(records: tuple[Record, ...], phases: dict[str, tuple[str, object]]) -> dict[str, float]:
    """Median over the counted steps of all runs, scaled to a sum of 1: medians of parts need not add up."""
    pooled: dict[str, list[np.ndarray]] = {name: [] for name in phases}
    for record in records:
        share = record.phase_s / record.mean_step_s[:, None]
        for index, name in enumerate(record.phases):
            pooled[name].append(share[:, index])
        pooled["unattributed"].append(np.maximum(0.0, 1.0 - share.sum(axis=1)))
    median = {name: float(np.median(np.concatenate(parts))) for name, parts in pooled.items() if parts}
    total = sum(median.values())
    return {name: value / total for name, value in median.items()}


def subtitle(study: RecordedStudy) -> str:
    """Which study, on which machine, from which code."""
    return machine_line(study.name, study.records[0])


def machine_line(name: str, record: Record) -> str:
    """A name, and on which machine and from which code the record is."""
    cpu = record.environment.get("cpu_model", "")
    cores = record.environment.get("cores_online", "")
    if cores.isdigit():
        cpu += f", {plural(int(cores), 'hardware thread')}"
    sha = str(record.attributes.get("git_sha", ""))[:8]
    dirty = "+" if int(record.attributes.get("git_dirty", 0) or 0) else ""
    parts = [name, cpu, f"code {sha}{dirty}" if sha else ""]
    return "   ·   ".join(p for p in parts if p)
