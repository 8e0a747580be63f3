# SPDX-License-Identifier: BSD-3-Clause
"""Time, throughput, speed-up and efficiency against ranks: lines of up to six series."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, PercentFormatter
from matplotlib.transforms import ScaledTranslation

from partita.analysis.fits import amdahl
from partita.analysis.scaling import Entry, Scaling, interval_note, ratio_note
from partita.pictures import style
from partita.pictures.picture import Picture, subtitle
from partita.records.folder import RecordedStudy
from partita.records.record import plural
from partita.statistics import Interval

MOST_LINES = 6  # Of one panel.
DODGE_PT = (3.6, 1.4)  # Lines of equal values stay visible side by side; less of it where lines have many points.
IDEAL = {"color": style.GREY, "ls": (0, (4, 3)), "lw": 0.9}
BOUND = {"color": style.INK, "ls": (0, (1, 1.6)), "lw": 0.9}
Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Panel:
    """What a panel shows of an entry."""

    title: str
    label: str
    value: Callable[[Entry], Interval]
    end: Callable[[float], str]  # The value at the end of a line, in words.
    unit: float = 1.0  # What the value of `end` is divided by in the panel.
    oversubscribed: bool = False


def throughput(entry: Entry) -> Interval:
    """Samples per second: where a step takes longest it is least."""
    time, samples = entry.step_s, entry.samples_per_s * entry.step_s.value
    return Interval(samples / time.value, samples / time.high, samples / time.low, time.n)


def scaling_picture(
    study: RecordedStudy, scaling: Scaling, bounds: Mapping[str, Predict] | None = None, finding: str = ""
) -> Picture | str:
    """Lines over ranks; `bounds`: of a series, the speed-up that Amdahl's law allows at so many ranks."""
    entries = [e for _, each in scaling.lines for e in each]
    if len(scaling.lines) > MOST_LINES:
        return f"{len(scaling.lines)} series are too many lines for one panel: see scaling_by_series and heat"
    if len({e.ranks for e in entries}) < 2:
        return "one number of ranks alone: see throughput"
    compared = scaling.comparable
    looks = style.looks(series.label for series, _ in scaling.lines)
    page = style.Page(style.TWO, 4.7 if compared else 2.5, nrows=2 if compared else 1, ncols=2)
    threads = {e.threads for e in entries}
    label = f"ranks ({plural(min(threads), 'thread')} each)" if len(threads) == 1 else "ranks"
    with mpl.rc_context(style.SETTINGS):
        panels = _panels(scaling)
        counted = [e.ranks for e in entries if not e.oversubscribed]
        for axes, panel in zip(page.axes, panels, strict=True):
            style.rank_axis(axes, [e.ranks for e in entries] if panel.oversubscribed else counted, label)
            _lines(axes, scaling, panel, looks)
        _finish_time(page.axes[0], scaling)
        _finish_throughput(page.axes[1], scaling)
        if compared:
            _finish_speedup(page.axes[2], scaling, max(counted), bounds or {}, looks)
            _finish_efficiency(page.axes[3], scaling, max(counted))
        for axes, panel in zip(page.axes, panels, strict=True):
            axes.set_title(panel.title)
            axes.set_ylabel(panel.label)
            _label_ends(axes, page, scaling, panel, looks)
    handles = [style.line(looks[series.label], series.label) for series, _ in scaling.lines]
    if any(e.oversubscribed for e in entries):
        handles.append(Line2D([], [], ls="", marker="o", mfc="white", mec=style.GREY, label="oversubscribed"))
    if compared:
        handles.append(Line2D([], [], label="ideal", **IDEAL))
        handles += [Line2D([], [], label="Amdahl's law, fitted", **BOUND)] if bounds else []
    kind = f"{scaling.kind.capitalize()} scaling" if compared and scaling.kind else "Time per step"
    notes = [interval_note(scaling), "light bars: the middle 80 % of the steps of all runs, no interval",
             ratio_note(scaling) if compared else "", *scaling.notes]  # fmt: skip
    figure = page.finish(f"{kind} of {study.app}", subtitle(study), notes, handles, finding)
    return Picture("scaling", figure, scaling.table())


def amdahl_bounds(scaling: Scaling) -> dict[str, Predict]:
    """Of each series the speed-up that Amdahl's law gives; of strong scaling, from five numbers of ranks on."""
    found: dict[str, Predict] = {}
    for series, line in scaling.lines if scaling.kind == "strong" else ():
        counted = [e for e in line if e.speedup.n]
        fit = amdahl([e.ranks for e in counted], [e.step_s.value for e in counted])
        if not isinstance(fit, str):
            first_s = min(counted, key=lambda e: e.ranks).step_s.value
            found[series.label] = functools.partial(_fitted, fit.predict, first_s)
    return found


def _fitted(seconds: Callable[[float], float], first_s: float, ranks: np.ndarray) -> np.ndarray:
    return first_s / np.array([seconds(p) for p in ranks])


def _fitted(seconds: Callable[[float], float], first_s: float, ranks: np.ndarray) -> np.ndarray:
    return first_s / np.array([seconds(p) for p in ranks])


def _panels(scaling: Scaling) -> list[Panel]:
    strong = scaling.kind == "strong"
    both = [
        Panel("Time per step", "median step (ms)", lambda e: e.step_s.scaled(1e3), lambda v: f"{v:.3g} ms",
              oversubscribed=True),
        Panel("Throughput", "samples per second", throughput, style.short, oversubscribed=True),
    ]  # fmt: skip
    if not scaling.comparable:
        return both
    return [
        *both,
        Panel("Speed-up" if strong else "Scaled speed-up", f"relative to {plural(scaling.base, 'rank')}",
              lambda e: e.speedup, lambda v: f"{v:.2f}" if v < 100 else style.short(v)),
        Panel("Efficiency", "speed-up / ideal" if strong else "time of the base / time",
              lambda e: e.efficiency.scaled(100), lambda v: f"{v:.0f} %", 100.0),
    ]  # fmt: skip


def _dodge(scaling: Scaling) -> float:
    return DODGE_PT[len({e.ranks for _, line in scaling.lines for e in line}) > 3]


def _label_ends(axes: Axes, page: style.Page, scaling: Scaling, panel: Panel, looks: Mapping[str, style.Look]) -> None:
    """The value at the end of each line."""
    labels = []
    for series, line in scaling.lines:
        counted = [e for e in line if not e.oversubscribed and panel.value(e).n]
        if counted:
            end = panel.value(counted[-1]).value
            labels.append((counted[-1].ranks, end / panel.unit, panel.end(end), looks[series.label].colour))
    style.end_labels(axes, page, labels, len(scaling.lines) * _dodge(scaling) / 2 + 3.5)


def _lines(axes: Axes, scaling: Scaling, panel: Panel, looks: Mapping[str, style.Look]) -> None:
    """A line a series: intervals where there are any; oversubscribed points hollow and apart, or not at all."""
    middle = (len(scaling.lines) - 1) / 2
    for index, (series, line) in enumerate(scaling.lines):
        look = looks[series.label]
        shift = ScaledTranslation((index - middle) * _dodge(scaling) / style.INCH_PT, 0, axes.figure.dpi_scale_trans)
        transform = axes.transData + shift
        for hollow in (False, True):
            chosen = [e for e in line if e.oversubscribed == hollow]
            if not chosen or (hollow and not panel.oversubscribed):
                continue
            at = [panel.value(e).scaled(1 / panel.unit) for e in chosen]
            ranks, y = [e.ranks for e in chosen], np.array([i.value for i in at])
            low = np.array([i.low if i.bounded else i.value for i in at])
            high = np.array([i.high if i.bounded else i.value for i in at])
            axes.plot(
                ranks, y, color=look.colour, ls="" if hollow else look.dashes, marker=look.marker,
                mfc="white" if hollow else look.colour, mec=look.colour if hollow else "white",
                mew=1.0 if hollow else 0.5, transform=transform, zorder=3, label="_" + series.label,
            )  # fmt: skip
            if any(i.bounded for i in at):
                axes.errorbar(ranks, y, yerr=[y - low, high - y], fmt="none", ecolor=look.colour, elinewidth=0.9,
                              transform=transform, zorder=2.5)  # fmt: skip
            axes.update_datalim(np.column_stack([np.tile(ranks, 2), np.concatenate([low, high])]))
            if panel.oversubscribed:
                _spread(axes, chosen, panel, look.colour, transform)
    axes.autoscale_view(scalex=False)


def _spread(axes: Axes, chosen: Sequence[Entry], panel: Panel, colour: str, transform: object) -> None:
    """The middle 80 % of the steps of all runs: how much single steps differ, which says nothing of the median."""
    for entry in chosen:
        tenths, samples = np.array(entry.spread_s), entry.samples_per_s * entry.step_s.value
        low, high = tenths * 1e3 if panel.title == "Time per step" else np.sort(samples / tenths)
        axes.plot([entry.ranks] * 2, [low, high], color=colour, lw=3.2, alpha=0.25, solid_capstyle="butt", zorder=2,
                  transform=transform, label="_spread")  # fmt: skip
        axes.update_datalim([(entry.ranks, low), (entry.ranks, high)])


def _finish_time(axes: Axes, scaling: Scaling) -> None:
    logarithmic = bool(scaling.kind) and axes.get_xscale() == "log"
    _vertical(axes, logarithmic)
    if ideal := _ideal_time(scaling):
        axes.plot(*ideal, zorder=1.5, label="_ideal", **IDEAL)


def _finish_throughput(axes: Axes, scaling: Scaling) -> None:
    base = _base(scaling)
    if ideal := _ideal_time(scaling):
        p, _ = ideal
        axes.plot(p, base.samples_per_s * p / base.ranks, zorder=1.5, label="_ideal", **IDEAL)
    axes.autoscale_view(scalex=False)
    _vertical(axes, bool(scaling.kind) and axes.get_xscale() == "log")


def _base(scaling: Scaling) -> Entry | None:
    bases = [e for _, line in scaling.lines for e in line if e.ranks == scaling.base and e.speedup.n]
    return min(bases, key=lambda e: e.step_s.value) if bases and scaling.kind else None


def _ideal_time(scaling: Scaling) -> tuple[np.ndarray, np.ndarray] | None:
    """(ranks, ms) if every rank did its share as fast as those of the fastest base."""
    base = _base(scaling)
    if base is None:
        return None
    most = max(e.ranks for _, line in scaling.lines for e in line if not e.oversubscribed)
    p = np.geomspace(base.ranks, most, 65)
    return p, base.step_s.value * 1e3 * (base.ranks / p if scaling.kind == "strong" else np.ones_like(p))


def _vertical(axes: Axes, logarithmic: bool) -> None:
    if logarithmic:
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if high < 200 * low else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: style.short(y)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0, axes.get_ylim()[1] * 1.06)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: style.short(y)))


def _finish_speedup(
    axes: Axes, scaling: Scaling, most: int, bounds: Mapping[str, Predict], looks: Mapping[str, style.Look]
) -> None:
    axes.plot([scaling.base, most], [1.0, most / scaling.base], zorder=1.5, label="_ideal", **IDEAL)
    p = np.geomspace(scaling.base, most, 65)
    for name, predict in bounds.items():
        axes.plot(p, predict(p), zorder=1.6, label="_bound", **(BOUND | {"color": looks[name].colour}))
    if axes.get_xscale() == "log":
        axes.set_yscale("log", base=2)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    else:
        axes.set_ylim(0, 1.08 * max(most / scaling.base, axes.get_ylim()[1] / 1.05))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))


def _finish_efficiency(axes: Axes, scaling: Scaling, most: int) -> None:
    axes.plot([scaling.base, most], [1.0, 1.0], zorder=1.5, label="_ideal", **IDEAL)
    axes.set_ylim(0, 1.08 * max(1.0, axes.get_ylim()[1] / 1.05))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
