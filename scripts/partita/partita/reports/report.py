# SPDX-License-Identifier: BSD-3-Clause
"""The report of a folder: what was found first, then the numbers, how to make them again, what they mean."""

import io
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import TYPE_CHECKING

from partita.analysis.drills import finding_of_drills
from partita.analysis.links import bench_times, study_times
from partita.analysis.scaling import scaling_kind
from partita.errors import PartitaError, held_to_the_layout
from partita.records.folder import RecordedStudy
from partita.records.record import Record, plural
from partita.reports import breakdown, cells, charts, learning, setup, tally
from partita.reports.blocks import Block, Bullets, Drawing, Paragraph, Report, Section, plain_grid
from partita.reports.checkpoints import checkpoint_blocks
from partita.reports.drills import drill_blocks
from partita.reports.glossary import TERMS
from partita.reports.links import link_blocks
from partita.reports.material import Material, Place, title_of
from partita.reports.reproduce import reproduce

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from partita.analysis.fits import Fit

MOST_FINDINGS = (10, 4)  # Of one study, of each of several, in the first section; the study's own has all.
MOST_FIRST = 3  # Studies whose first finding is in the answer.
OF_STUDY = "Messages and exchanges, of one run of each point"
MOST_FITTED = 2  # Series whose fits are drawn; the fits of more are said in words.


def make_report(material: Material, mtbf_s: Sequence[float] = ()) -> Report:
    """All sections; what cannot be drawn of one record is said and stops nothing.

    mtbf_s: mean times between failures, for the intervals of checkpoints; none: an hour, a day, a week.
    """
    findings = {s.name: _findings(s, material) for s in material.studies}
    findings |= {_drilled(p, material): finding_of_drills(p.drills) for p in material.places if p.drills}
    warnings = _warnings(material)
    sections = [Section("What was found", tuple(_found(findings)))] if findings else []
    if warnings:
        sections.append(Section("Warnings", (Bullets(tuple(warnings), "warning"),)))
    sections.append(Section("Set-up", (setup.machine_grid(material),)))
    sections.append(Section("What was planned, what ran", tuple(tally.tally(material))))
    for place in material.places:
        for study in place.studies:
            title = study.name if study.app in study.name else f"{study.name}: {study.app}"
            sections.append(Section(title, tuple(_study(study, place, material, findings[study.name], mtbf_s))))
        if place.drills:
            sections.append(Section(f"{_drilled(place, material)}: drills of faults", tuple(_drills(place, material))))
    benches = [block for name, record in material.benches for block in _bench(name, record)]
    if benches:
        sections.append(Section("Benchmarks", tuple(benches)))
    sections.append(Section("How to reproduce each point", tuple(reproduce(material))))
    terms = plain_grid("glossary", "Words", ("word", "meaning"), TERMS)
    sections.append(Section("Where the statistics come from", (terms,)))
    return Report(f"Report: {title_of(material.folder)}", _answer(material, findings), tuple(sections), material.table)


def _drilled(place: Place, material: Material) -> str:
    return place.name or title_of(material.folder)


def _drills(place: Place, material: Material) -> list[Block]:
    from partita.pictures.drills import drills_picture

    name = _drilled(place, material)
    found = drills_picture(name, place.drills)
    return [*drill_blocks(name, place.drills), drawing(f"{name}_{found.name}", "Noticed and gone", found.figure)]


def _answer(material: Material, findings: dict[str, list[str]]) -> str:
    """One paragraph: what was found first, then of how many runs that is known."""
    several = len(findings) > 1
    first = [f"{name}: {s[0]}" if several else s[0] for name, s in findings.items() if s][:MOST_FIRST]
    runs = sum(len(s.records) for s in material.studies)
    studies = material.studies
    text = []
    if studies:
        apps = sorted({s.app for s in studies})
        what = f"{plural(len(studies), 'study').replace('studys', 'studies')} of {', '.join(apps)}"
        text.append(f"From {plural(runs, 'run')} in {what}.")
    if drills := sum(len(cell.runs) for place in material.places for cell in place.drills):
        text.append(f"{plural(drills, 'drill')} of faults.")
    if material.benches:
        text.append(f"{plural(len(material.benches), 'benchmark')}.")
    out = sum(len(p.left_out) for p in material.places)
    if out:
        text.append(f"{plural(out, 'file')} could not be used and {'is' if out == 1 else 'are'} named below.")
    missed = sum(1 for p in material.places for point in tally.points(p) if point.state != "done")
    if missed:
        text.append(f"{plural(missed, 'planned point')} {'has' if missed == 1 else 'have'} no result.")
    return " ".join([*(_sentence(s) for s in first), *text])


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def _findings(study: RecordedStudy, material: Material) -> list[str]:
    from partita.analysis.findings import findings

    return list(findings(study, material.table))


def _of_scaling(study: RecordedStudy, material: Material) -> str:
    from partita.analysis.findings import finding_of_scaling, finding_of_strategies

    several = len({r.ranks for r in study.records}) > 1
    return (finding_of_scaling if several else finding_of_strategies)(study, material.table)


def _of_breakdown(study: RecordedStudy, material: Material) -> dict[str, str]:
    from partita.analysis.findings import finding_of_efficiency
    from partita.analysis.shares import finding_of_classes, finding_of_memory, finding_of_volume

    volume = [f(study, material.table) for f in (finding_of_volume, finding_of_memory)]
    return {"classes": _sentence(finding_of_classes(study, material.table)),
            "split": _sentence(finding_of_efficiency(study, material.table)),
            "volume": _sentence("; ".join(filter(None, volume)))}  # fmt: skip


def _found(findings: dict[str, list[str]]) -> Iterable[Block]:
    for name, sentences in findings.items():
        if len(findings) > 1:
            yield Paragraph(name, "head")
        shown = sentences[: _most(findings)]
        yield Bullets(tuple(_sentence(s) for s in shown) or ("Nothing that could be compared.",))


def _most(studies: Sized) -> int:
    return MOST_FINDINGS[len(studies) > 1]


def _changed(study: RecordedStudy) -> list[str]:
    """Code that no commit holds."""
    dirty = sum(1 for r in study.records if int(r.attributes.get("git_dirty", 0) or 0))
    many = f"{dirty} of {plural(len(study.records), 'run')}"
    return [f"{many}: built from a checkout with changes that no commit holds"] if dirty else []


def _warnings(material: Material) -> list[str]:
    """Of folders, of studies, of the machine; each once."""
    from partita.analysis.noise import study_warnings

    found = [f"{p.name}: {w}" if p.name else w for p in material.places for w in p.warnings]
    for study in material.studies:
        own = [*getattr(study, "warnings", ()), *study_warnings(study), *_changed(study)]
        found += [f"{study.name}: {w}" for w in own]
    return list(dict.fromkeys(found))


def _study(
    study: RecordedStudy, place: Place, material: Material, findings: list[str], mtbf_s: Sequence[float]
) -> list[Block]:
    rows = cells.over_runs(material.table, study.name)
    found, why = scaling_kind(study)
    kind = found or ""
    blocks: list[Block] = [] if found or not why else [Paragraph(f"No speed-up or efficiency: {why}.", "note")]
    if len(findings) > _most(material.studies):
        blocks.append(Bullets(tuple(_sentence(s) for s in findings)))
    blocks.append(setup.factors(study, place))
    fits, lacking = _fits(rows) if kind == "strong" else ([], "")
    drawn = fits if len(study.series) <= MOST_FITTED else ()
    blocks += charts.scaling_charts(rows, study.name, kind, _sentence(_of_scaling(study, material)), drawn)
    if fits:
        blocks.append(Bullets(tuple(f"{fit.name}, {series}: {fit.words}." for series, fit in fits)))
    if lacking:
        blocks.append(Paragraph(f"No fit of Amdahl's law or the USL: {lacking}.", "note"))
    blocks += breakdown.breakdown_charts(rows, study.name, _of_breakdown(study, material))
    blocks += _tried(study.name, lambda: link_blocks(study.name, OF_STUDY, study_times(study)))
    blocks += _tried(study.name, lambda: learning.learning_charts(study))
    blocks += _tried(study.name, lambda: _pictures(study))
    blocks += cells.grids(rows, study.name)
    return blocks + checkpoint_blocks(rows, study.name, mtbf_s)


def _fits(rows: "pd.DataFrame") -> tuple[list[tuple[str, "Fit"]], str]:
    """Laws of scaling of each series that ran on enough numbers of ranks, and why others have none."""
    from partita.analysis.fits import amdahl, usl

    made, why = [], []
    for series, line in charts.lines_of(charts.measured(rows, "step_s")).items():
        ranks, seconds = [p[1] for p, _ in line], [row["value"] for _, row in line]
        if len(ranks) == len(set(ranks)) > 1:
            found = [amdahl(ranks, seconds), usl(ranks, seconds)]
            made += [(series, fit) for fit in found if not isinstance(fit, str)]
            why += [fit for fit in found if isinstance(fit, str)]
    return made, "; ".join(dict.fromkeys(why))


def _tried(name: str, make: Callable[[], Iterable]) -> list[Block]:
    """What can be drawn; a damaged table of a record costs the chart and is said."""
    try:
        with held_to_the_layout(name):
            return list(make())
    except PartitaError as error:
        return [Paragraph(f"Not drawn: {error}", "note")]


def _pictures(study: RecordedStudy) -> list[Block]:
    """Where a drawing says more than a chart: rows of images that ranks share."""
    from partita.pictures import surface

    picture = surface.halo_picture(study)
    if isinstance(picture, str):  # Why there is none.
        return []
    return [drawing(f"{study.name}_{picture.name}", "Shared image rows", picture.figure)]


def _bench(place: str, record: Record) -> list[Block]:
    from partita.pictures.collectives import collectives_pictures
    from partita.pictures.roofline import roofline_picture

    where = f"{place}/{record.path.name}" if place else record.path.name
    stem = record.header.point or record.path.stem  # Records of a study are all named alike.
    made = _tried(where, lambda: collectives_pictures(record) if record.collectives else [roofline_picture(record)])
    drawn: list[Block] = [
        b if isinstance(b, Paragraph) else drawing(f"{stem}_{b.name}", f"{where}: {b.name}", b.figure) for b in made
    ]
    if not record.operations:
        return drawn
    title = f"{where}: latency and bandwidth"
    return drawn + _tried(where, lambda: link_blocks(stem, title, bench_times(record), record.oversubscribed))


def drawing(name: str, title: str, figure: "Figure") -> Drawing:
    """The figure as SVG; no date inside."""
    import matplotlib as mpl

    from partita.pictures import style

    stream = io.BytesIO()
    with mpl.rc_context(style.SETTINGS):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return Drawing(name, title, stream.getvalue())
