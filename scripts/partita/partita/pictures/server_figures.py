# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of parameter servers: time to the target loss, staleness, queues at the servers."""

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from partita.pictures import style
from partita.pictures.picture import Picture, subtitle
from partita.pictures.server_curves import curves_picture
from partita.records.folder import RecordedStudy
from partita.records.server import AXES, QUANTILES
from partita.records.server_groups import Group, grouped, over_seeds
from partita.statistics import MIN_SAMPLES
from partita.table import Table

COLUMNS = 3  # Panels side by side.


def server_pictures(study: RecordedStudy) -> list[tuple[str, Picture | str]]:
    """(name, picture or why there is none) of each engine."""
    groups, axes = grouped(study)
    views = {"error_runtime": curves_picture, "time_to_target": target_picture, "staleness": staleness_picture,
             "queues": queue_picture}  # fmt: skip
    if not groups:
        return [(name, "no record is of a parameter server") for name in views]
    made = []
    for virtual in (True, False):  # The clocks of the engines are never in one picture.
        chosen = [g for g in groups if g.runs[0].virtual == virtual]
        if chosen:
            engine = "" if len({g.runs[0].virtual for g in groups}) == 1 else f"_{chosen[0].runs[0].engine}"
            made += [(name + engine, view(study, chosen, axes, engine)) for name, view in views.items()]
    return made


def panels(groups: list[Group], axes: list[str]) -> list[tuple[str, list[Group]]]:
    """The groups apart by all axes but the first."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        title = ", ".join(f"{AXES[k]} {group.at(k)}" for k in axes[1:])
        found.setdefault(title, []).append(group)
    return list(found.items())


def handles_of(looks: dict[str, style.Look]) -> list[Line2D]:
    """The legend of lines by name."""
    return [style.line(look, name, ls="-") for name, look in looks.items()]


def page_of(count: int, height: float = 2.2, **more: object) -> style.Page:
    """A page with that many panels, those beyond them hidden."""
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    page = style.Page(style.ONE if columns == 1 else style.TWO, height * rows, nrows=rows, ncols=columns, **more)
    for axes in page.axes[count:]:
        axes.set_visible(False)
    return page


def target_picture(study: RecordedStudy, groups: list[Group], axes: list[str], engine: str) -> Picture | str:
    """Time to the target loss of each protocol, over the first axis."""
    groups = [g for g in groups if g.runs[0].has_target]
    if not groups:
        return "no run had a target loss"
    first, unit, suffix = axes[0] if axes else "", groups[0].runs[0].unit, groups[0].runs[0].suffix
    names = list(dict.fromkeys(g.name for g in groups))
    looks, parts = style.looks(names), panels(groups, axes)
    page = page_of(len(parts), sharey=True)
    table = Table("protocol", "place", "runs", "reached", *(f"{n}_{suffix}" for n in ("median", "low", "high", "min",
                                                                                      "max")))  # fmt: skip
    with mpl.rc_context(style.SETTINGS):
        for axis, (title, members) in zip(page.axes, parts, strict=False):
            values = list(dict.fromkeys(g.at(first) for g in members))
            for group in members:
                x = values.index(group.at(first)) + 0.7 * ((names.index(group.name) + 0.5) / len(names) - 0.5)
                _target(axis, x, group, looks[group.name], table, suffix)
            axis.set_xticks(range(len(values)), values if first else [""])
            axis.set_xlim(-0.5, len(values) - 0.5)
            axis.set_xlabel(AXES.get(first, "protocol"))
            axis.set_title(title)
            axis.grid(False, axis="x")
            axis.set_yscale("log" if _wide(groups) else "linear")
            if not _wide(groups):
                axis.set_ylim(0, None)
        page.axes[0].set_ylabel(f"time to the target loss ({unit})")
    notes = [
        "small dots: runs (seeds); large marker: their median; lines: 95 % interval of the median from "
        f"{MIN_SAMPLES} runs on, else the range of the runs, dashed; n/m: only n of m runs reached the target"
    ]
    title = f"Time to the target loss of {study.app}" + (", in virtual seconds" if suffix == "virtual_s" else "")
    figure = page.finish(title, subtitle(study), notes, handles_of(looks))
    return Picture(f"time_to_target{engine}", figure, table)


def _wide(groups: list[Group]) -> bool:
    values = np.concatenate([g.of("to_target") for g in groups])
    values = values[values > 0]
    return bool(values.size) and values.max() > 20 * values.min()


def _target(axes: Axes, x: float, group: Group, look: style.Look, table: Table, suffix: str) -> None:
    values = group.of("to_target")
    reached = values[~np.isnan(values)]
    middle, colour = over_seeds(values), look.colour
    ends = (float(reached.min()), float(reached.max())) if reached.size else (np.nan, np.nan)
    numbers = (middle.value, middle.low, middle.high, *ends)
    named = dict(zip((f"{n}_{suffix}" for n in ("median", "low", "high", "min", "max")), numbers, strict=True))
    place = ", ".join(f"{key} {value}" for key, value in group.place)
    table.add(protocol=group.name, place=place, runs=len(values), reached=len(reached), **named)
    if len(reached) < len(values):
        axes.annotate(f"{len(reached)}/{len(values)}", (x, 0.01), xycoords=("data", "axes fraction"), ha="center",
                      fontsize=style.SMALL, color=colour)  # fmt: skip
    if not reached.size:
        return
    low, high = (middle.low, middle.high) if middle.bounded else ends
    axes.plot([x, x], [low, high], color=colour, lw=0.9, ls="-" if middle.bounded else (0, (2, 2)), label="_range")
    axes.plot([x] * len(reached), reached, ls="", marker="o", ms=2, color=colour, alpha=0.6, label="_runs")
    axes.plot([x], [middle.value], marker=look.marker, color=colour, mec="white", mew=0.5, ms=5.5,
              label="_median")  # fmt: skip


def staleness_picture(study: RecordedStudy, groups: list[Group], axes: list[str], engine: str) -> Picture | str:
    """Share of the pushes over staleness, a panel for each protocol at the last place; band: least and most worker."""
    groups = [g for g in groups if all(r.staleness() is not None for r in g.runs)]
    if not groups:
        return "a record has no histogram of staleness"
    place = groups[-1].place
    shown = [g for g in groups if g.place == place]
    names = list(dict.fromkeys(g.name for g in groups))  # The colours of the other pictures.
    looks, page = style.looks(names), page_of(len(shown), 2.0)
    table = Table("protocol", "staleness", "share", "least_of_a_worker", "most_of_a_worker")
    with mpl.rc_context(style.SETTINGS):
        for axis, group in zip(page.axes, shown, strict=False):
            counts = _summed([r.column("staleness_count") for r in group.runs])
            share = counts.sum(axis=0) / counts.sum()
            pushed = counts[counts.sum(axis=1) > 0]
            by_worker = pushed / pushed.sum(axis=1, keepdims=True)
            low, high = by_worker.min(axis=0), by_worker.max(axis=0)
            x = np.arange(len(share))
            axis.bar(x, share, width=0.86, color=looks[group.name].colour, label="_share")
            axis.bar(x, high - low, bottom=low, width=0.86, color=style.INK, alpha=0.22, lw=0, label="_workers")
            last = int(np.flatnonzero(share > 1e-4).max())
            axis.set_xlim(-0.6, max(last, 3) + 0.6)
            axis.set_title(group.name)
            axis.set_xlabel("staleness (updates in between)")
            axis.xaxis.set_major_locator(MaxNLocator(8, integer=True))
            for k, values in enumerate(zip(share, low, high, strict=True)):
                numbers = dict(zip(("share", "least_of_a_worker", "most_of_a_worker"), map(float, values), strict=True))
                table.add(protocol=group.name, staleness=k, **numbers)
        page.axes[0].set_ylabel("share of the pushes")
    at = ", ".join(f"{AXES[k]} {v}" for k, v in place)
    notes = ["bars: all workers and runs; band: from the worker with the least to the one with the most share"]
    if at:
        notes.append(f"at {at}; other places of the study are not drawn")
    return Picture(f"staleness{engine}", page.finish(f"Staleness of {study.app}", subtitle(study), notes), table)


def _summed(counts: list[np.ndarray]) -> np.ndarray:
    """Sum over runs, whose largest staleness may differ."""
    total = np.zeros((max(c.shape[0] for c in counts), max(c.shape[1] for c in counts)))
    for c in counts:
        total[: c.shape[0], : c.shape[1]] += c
    return total


def queue_picture(study: RecordedStudy, groups: list[Group], axes: list[str], engine: str) -> Picture | str:
    """Queue depth and service time of the most loaded server against servers or workers, where one of them varies."""
    by = "servers" if "server.count" in axes else "workers" if "virtual.workers" in axes else ""
    needed = [r for g in groups for r in g.runs]
    if not by:
        return "neither the number of servers nor that of workers varies"
    if any(r.column("queue_depth") is None or r.time("service") is None for r in needed):
        return "a record has no queue depths or service times"
    names = list(dict.fromkeys(_queue_name(g, by) for g in groups))
    unit, suffix = groups[0].runs[0].unit, groups[0].runs[0].suffix
    looks, page = style.looks(names), style.Page(style.TWO, 2.4, nrows=1, ncols=2)
    p95 = QUANTILES.index("p95")
    columns = ("queue_depth_p95", f"service_p95_{suffix}")
    table = Table("line", by, "runs", *columns)
    with mpl.rc_context(style.SETTINGS):
        for name in names:
            members = sorted((g for g in groups if _queue_name(g, by) == name), key=lambda g: g.of(by)[0])
            x = [g.of(by)[0] for g in members]
            depth = [np.array([r.column("queue_depth")[:, p95].max() for r in g.runs], float) for g in members]
            service = [np.array([r.time("service")[:, p95].max() for r in g.runs]) for g in members]
            for axis, runs in zip(page.axes, (depth, service), strict=True):
                y = np.array([np.median(v) for v in runs])
                error = [y - [v.min() for v in runs], [v.max() for v in runs] - y]
                axis.errorbar(x, y, yerr=error, color=looks[name].colour, marker=looks[name].marker, mec="white",
                              mew=0.5, label="_" + name)  # fmt: skip
            for k, group in enumerate(members):
                values = dict(zip(columns, (float(np.median(depth[k])), float(np.median(service[k]))), strict=True))
                table.add(line=name, **{by: int(x[k])}, runs=len(group.runs), **values)
        for axis, label in zip(page.axes, ("queue depth p95 (requests)", f"service time p95 ({unit})"), strict=True):
            _counts(axis, sorted({int(g.of(by)[0]) for g in groups}))
            axis.set_xlabel(by)
            axis.set_ylabel(label)
            axis.set_ylim(0, None)
    notes = ["of the most loaded server; points: median of the runs; bars: their range"]
    title = f"Queues at the servers of {study.app}"
    return Picture(f"queues{engine}", page.finish(title, subtitle(study), notes, handles_of(looks)), table)


def _queue_name(group: Group, by: str) -> str:
    key = {"servers": "server.count", "workers": "virtual.workers"}[by]
    return ", ".join([group.name, *(f"{AXES[k]} {v}" for k, v in group.place if k != key)])


def _counts(axes: Axes, values: list[int]) -> None:
    if values[-1] > 8:
        axes.set_xscale("log", base=2)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{round(x)}"))
