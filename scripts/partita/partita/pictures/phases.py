# SPDX-License-Identifier: BSD-3-Clause
"""Where a step's time goes: a stacked bar for each point, by class of phase and then phase by phase."""

from dataclasses import dataclass, replace

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from partita.pictures import bars, style
from partita.pictures.picture import Picture, subtitle
from partita.records.folder import RecordedStudy
from partita.records.record import Record
from partita.table import Table

REST = "unattributed"
WIDE = 5.0  # Longest over shortest step: above it bars are shares, or short ones could not be read.
SMALL, FEW = 0.02, 3  # Of each class, phases below that share of every bar are drawn as one, from so many on.
LABELLED = 0.09  # Of the width of a panel: a smaller part has no room for its share.


@dataclass(frozen=True)
class Phase:
    """How a phase is drawn."""

    cls: str
    colour: object
    hatch: str


@dataclass(frozen=True)
class Row(bars.CellRow):
    """The median step of a point, and the shares of its phases."""

    step_s: float
    shares: dict[str, float]


def phases_picture(study: RecordedStudy, finding: str = "") -> Picture | str:
    """Bars: median shares times the median step; left by class, right by phase."""
    phases = phases_of(study.records)
    if len(phases) == 1:
        return "no record has phases"
    rows = [_row(label or "all alike", cell, phases) for label, cell in study.distinct_cells()]
    table = Table("series", "ranks", "phase", "class", "share", "seconds")
    for row in rows:
        for name, phase in phases.items():
            share = row.shares.get(name, 0.0)
            table.add(series=row.label, ranks=row.ranks, phase=name, share=share, seconds=share * row.step_s,
                      **{"class": phase.cls})  # fmt: skip
    rows, said = bars.fitting(rows)
    phases, rows = _joined(phases, rows)
    sheet, places = bars.page(rows, 2, (1, 1.25))
    longest = max(row.step_s for row in rows)
    apart = longest > WIDE * min(row.step_s for row in rows)
    scale, unit = (1e6, "us") if longest < 1e-3 else (1e3, "ms")
    classes = {cls: Phase(cls, colour, style.HATCH[cls]) for cls, colour in style.CLASS.items()}
    classes[REST] = phases[REST]
    with mpl.rc_context(style.SETTINGS):
        for row, y in zip(rows, places, strict=True):
            by_class = {cls: sum(s for n, s in row.shares.items() if (phases[n].cls or REST) == cls) for cls in classes}
            room = 1.22 if apart else 1.22 * longest / row.step_s
            length = 100 if apart else row.step_s * scale
            _stack(sheet.axes[0], y, length, by_class, classes, room)
            _stack(sheet.axes[1], y, length, row.shares, phases, room)
            bars.value(sheet.axes[0], length, y, f"{row.step_s * scale:.3g} {unit}")
        bars.finish(sheet, rows, places)
        for axes, title in zip(sheet.axes, ("By class", "By phase"), strict=True):
            axes.set_title(title)
            axes.set_xlabel("share of a step (%)" if apart else f"time in a step ({unit})")
        end = 100 if apart else longest * scale
        sheet.axes[0].set_xlim(0, 1.22 * end)
        sheet.axes[1].set_xlim(0, 1.02 * end)
        used = {phase.cls for name, phase in phases.items() if any(row.shares.get(name, 0) > 0 for row in rows)}
        handles = [style.square(c.colour, cls, c.hatch) for cls, c in classes.items() if cls in used]
        handles += [style.square(p.colour, name, p.hatch) for name, p in phases.items() if name not in classes]
        handles.append(style.square(phases[REST].colour, REST))
    notes = ["shares: median over the counted steps of all runs, scaled to 100 %; mean over ranks; beside: median step",
             "phases in the order of their classes, dark to light within one", said]  # fmt: skip
    if any(row.oversubscribed for row in rows):
        notes.append("* oversubscribed: more threads than cores")
    title = f"Where a step of {study.app} spends its time"
    return Picture("phases", sheet.finish(title, subtitle(study), notes, handles, finding), table)


def _joined(phases: dict[str, Phase], rows: list[Row]) -> tuple[dict[str, Phase], list[Row]]:
    """The small phases of each class as one: a legend of thirty names is read by nobody."""
    small: dict[str, list[str]] = {}
    for name, phase in phases.items():
        if name != REST and all(row.shares.get(name, 0.0) < SMALL for row in rows):
            small.setdefault(phase.cls, []).append(name)
    whole = {f"{len(names)} small, {cls}": names for cls, names in small.items() if len(names) >= FEW}
    gone = {name for names in whole.values() for name in names}
    kept: dict[str, Phase] = {}
    for cls in [*style.CLASS, ""]:
        members = [name for name, phase in phases.items() if phase.cls == cls and name not in gone]
        members += [name for name, names in whole.items() if phases[names[0]].cls == cls]
        tints = style.shades(style.CLASS.get(cls, style.REST), max(1, len(members)))
        kept |= {name: Phase(cls, tint, style.HATCH.get(cls, "")) for name, tint in zip(members, tints, strict=False)}
    sums = [{name: sum(row.shares.get(n, 0.0) for n in names) for name, names in whole.items()} for row in rows]
    return kept, [replace(row, shares={n: s for n, s in row.shares.items() if n not in gone} | more)
                  for row, more in zip(rows, sums, strict=True)]  # fmt: skip


def phases_of(records: tuple[Record, ...]) -> dict[str, Phase]:
    """Phase -> how it is drawn: classes in the order of style.CLASS, tints inside a class, the rest at the end."""
    classes: dict[str, str] = {}
    for record in records:
        classes.update(zip(record.phases, record.classes, strict=True))
    result: dict[str, Phase] = {}
    for cls, colour in style.CLASS.items():
        members = [name for name, its in classes.items() if its == cls]
        for name, tint in zip(members, style.shades(colour, max(1, len(members))), strict=False):
            result[name] = Phase(cls, tint, style.HATCH[cls])
    result[REST] = Phase("", style.REST, "")
    return result


def _row(label: str, cell: object, phases: dict[str, Phase]) -> Row:
    step_s = float(np.median(np.concatenate([r.step_s for r in cell.records])))
    return Row(label, cell, step_s, _shares(cell.records, phases))


def _shares(records: tuple[Record, ...], phases: dict[str, Phase]) -> dict[str, float]:
    """Median over the counted steps of all runs, scaled to a sum of 1: medians of parts need not add up."""
    pooled: dict[str, list[np.ndarray]] = {name: [] for name in phases}
    for record in records:
        share = record.phase_s / record.mean_step_s[:, None]
        for index, name in enumerate(record.phases):
            pooled[name].append(share[:, index])
        pooled[REST].append(np.maximum(0.0, 1.0 - share.sum(axis=1)))
    median = {name: float(np.median(np.concatenate(parts))) for name, parts in pooled.items() if parts}
    total = sum(median.values())
    return {name: value / total for name, value in median.items()}


def _stack(axes: Axes, y: float, length: float, shares: dict[str, float], looks: dict[str, Phase], room: float) -> None:
    """A bar of parts; a part that is long enough says its share."""
    left = 0.0
    for name, look in looks.items():
        share = shares.get(name, 0.0)
        bars.bar(axes, y, left, share * length, look.colour, look.hatch)
        if share >= LABELLED * room:
            axes.text(
                left + share * length / 2,
                y,
                f"{100 * share:.0f} %",
                ha="center",
                va="center",
                fontsize=style.SMALL,
                color=style.text_colour(look.colour),
                bbox={"facecolor": look.colour, "edgecolor": "none", "pad": 0.5} if look.hatch else None,
            )
        left += share * length
