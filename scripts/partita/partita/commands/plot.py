# SPDX-License-Identifier: BSD-3-Clause
"""`partita plot`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from partita.console import Format, make_console, save_picture, save_pictures
from partita.errors import ExitCode, UsageError, held_to_the_layout

if TYPE_CHECKING:
    from partita.analysis.scaling import Scaling
    from partita.records.folder import RecordedStudy
    from partita.records.record import Record


def plot(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of records, such as runs/quickstart_strong.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for pictures and their numbers [FOLDER/figures]; with --timeline the picture's file "
            "[figures/RECORD_timeline.png beside the record].",
        ),
    ] = None,
    timeline: Annotated[
        Path | None,
        typer.Option(metavar="RECORD", help="Plot one step of this record, made with record.events, instead."),
    ] = None,
    step: Annotated[
        int | None, typer.Option(help="With --timeline: the step, from 0 on [the first with events that counts].")
    ] = None,
    picture_format: Annotated[Format, typer.Option("--format", help="Kind of the picture files.")] = Format.PNG,
    why: Annotated[bool, typer.Option("--why", help="Say of each picture that is not drawn what it lacks.")] = False,
) -> int:
    """Plot a folder of records.

    Time, throughput, speed-up and efficiency, where time is lost, phases, bytes, memory, loss and accuracy,
    strategies side by side, the roofline of kernel_bench, and time and bandwidth of the collectives of comm_bench; the
    numbers go to CSV files beside the pictures. Of pipelines also where the ranks idle, of shared image rows also their
    halos, of parameter servers also time to the target loss, staleness and queues; of drills when each was noticed.
    Pictures are as large as they are printed: one column or two of a page.

    With --timeline: a row for each rank, a box for each forward and backward of a micro-batch, white where it idles.

    \b
    Examples:
        partita plot runs/quickstart_strong --why
        partita plot runs/quickstart_strong --format pdf -o paper/figures
        partita plot --timeline runs/one.h5 --step 7 -o timeline.png
    """  # noqa: D301
    from partita.analysis.drills import has_drills
    from partita.analysis.run_metrics import measured
    from partita.records.folder import read_folder
    from partita.studies.state import study_folders

    console = make_console()
    if timeline is not None:
        if folder is not None:
            raise UsageError("partita plot", f"--timeline {timeline} and the folder {folder}", "one of the two")
        _plot_timeline(timeline, step, output, picture_format, console)
        return ExitCode.DONE
    if folder is None or step is not None:
        given = "no folder" if folder is None else f"--step {step} of a folder"
        raise UsageError("partita plot", given, "a folder of records, or --timeline RECORD with or without --step")
    below = [place for place in study_folders(folder) if place != folder]
    seen: list[RecordedStudy] = []
    for place in below or [folder]:
        target = (output / place.name if output and below else output) or place / "figures"
        if has_drills(place):
            _plot_drills(place, target, picture_format, console)
            continue
        studies, benches, notes = read_folder(place, measured)
        seen += studies
        for study in studies:
            _plot_study(study, target, picture_format, f"{study.name}_" if len(studies) > 1 else "", console, why)
        for record in benches:
            _plot_bench(record, target, picture_format, console)
        for note in notes:
            console.print(f"note: {note}", soft_wrap=True, markup=False)
    _plot_machines(seen, output or folder / "figures", picture_format, console)
    return ExitCode.DONE


def _plot_drills(folder: Path, target: Path, kind: Format, console: Console) -> None:
    from partita.analysis.drills import drill_cells, finding_of_drills
    from partita.pictures.drills import drills_picture

    cells = drill_cells(folder)
    if not cells:
        raise UsageError(folder, "no drill was run", "what `partita run` wrote")
    save_pictures([drills_picture(folder.resolve().name, cells)], target, kind, "")
    for sentence in finding_of_drills(cells):
        console.print(f"{sentence}.", soft_wrap=True, markup=False)
    console.print(f"{folder.name}: drills.{kind.value} (numbers in .csv) -> {target}", soft_wrap=True)


def _plot_machines(studies: "list[RecordedStudy]", target: Path, kind: Format, console: Console) -> None:
    """What only several machines can show; nothing of one."""
    from partita.pictures.hardware import hardware_picture
    from partita.pictures.picture import machine_words

    if len({machine_words(r) for study in studies for r in study.records}) > 1:
        picture = hardware_picture(studies)
        if isinstance(picture, str):
            console.print(f"note: strategies on several machines are not drawn: {picture}", soft_wrap=True)
            return
        save_pictures([picture], target, kind, "")
        console.print(f"several machines: hardware.{kind.value} -> {target}", soft_wrap=True)


def _plot_timeline(path: Path, step: int | None, output: Path | None, kind: Format, console: Console) -> None:
    from partita.pictures.timeline import chosen_step, timeline_picture
    from partita.records.events import read_events

    target = output or path.parent / "figures" / f"{path.name.partition('.h5')[0]}_timeline.{kind.value}"
    if target.suffix[1:] not in list(Format):
        kinds = ", ".join(f".{k.value}" for k in Format)
        raise UsageError(f"--output {target}", "not the name of a picture", f"a file that ends with {kinds}")
    events = read_events(path)
    with held_to_the_layout(path, "events: "):
        picture = timeline_picture(events, chosen_step(events, step))
    save_picture(picture, target)
    console.print(f"{path.name}: {target} (numbers in {target.with_suffix('.csv').name})", soft_wrap=True)


def _plot_bench(record: "Record", target: Path, kind: Format, console: Console) -> None:
    from partita.pictures.views import bench_pictures

    with held_to_the_layout(record.path):
        pictures = [made.picture for made in bench_pictures(record)]
    save_pictures(pictures, target, kind, f"{record.path.stem}_")
    names = ", ".join(f"{record.path.stem}_{p.name}.{kind.value}" for p in pictures)
    console.print(f"{record.path.name}: {names} -> {target}", soft_wrap=True)


def _plot_study(study: "RecordedStudy", target: Path, kind: Format, prefix: str, console: Console, why: bool) -> None:
    from partita.analysis import noise
    from partita.pictures.views import Sight, study_pictures

    sight = Sight(study)
    made = list(study_pictures(sight))
    pictures = [m.picture for m in made if m.picture]
    save_pictures(pictures, target, kind, prefix)
    console.print(_scaling_table(study, sight.scaling))
    for note in dict.fromkeys((*study.warnings, *sight.scaling.notes, *noise.study_warnings(study))):
        console.print(f"note: {note}", soft_wrap=True, markup=False)
    for each in made if why else ():
        if not each.picture:
            console.print(f"not drawn: {each.name}: {each.why}", soft_wrap=True, markup=False)
    names = ", ".join(f"{prefix}{p.name}.{kind.value}" for p in pictures)
    console.print(f"{study.name}: {names} (numbers in .csv) -> {target}", soft_wrap=True)


def _scaling_table(study: "RecordedStudy", result: "Scaling") -> RichTable:
    from partita.statistics import bounds_words

    table = RichTable(
        title=f"{study.name} ({result.kind or 'no'} scaling)", title_justify="left", box=None, pad_edge=False
    )
    for name in ("series", "ranks", "runs", "step", "interval", "speed-up", "efficiency", ""):
        table.add_column(name, justify="left" if name in ("series", "") else "right")
    for series, line in result.lines:
        for e in line:
            ms = e.step_s.scaled(1e3)
            table.add_row(
                series.label, str(e.ranks), str(e.runs), f"{ms.value:.2f} ms",
                bounds_words(ms, "ms", 2) if ms.bounded else "-",
                f"{e.speedup.value:.3f}" if e.speedup.n else "-",
                f"{100 * e.efficiency.value:.1f} %" if e.efficiency.n else "-",
                "oversubscribed" if e.oversubscribed else "",
            )  # fmt: skip
    return table
