# SPDX-License-Identifier: BSD-3-Clause
"""The command `partita`: run a study, show a record, plot a folder of records."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from partita import __version__
from partita.errors import ExitCode, IncompleteError, PartitaError, UsageError, held_to_the_layout, reason

if TYPE_CHECKING:  # A command imports what it needs when it runs: plotting takes a second to load.
    from partita.figures import Picture
    from partita.folder import RecordedStudy
    from partita.plan import Plan
    from partita.record import Record
    from partita.scaling import Scaling

LOG_WIDTH = 132  # Columns where no terminal says how many there are.

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,
    help="Run studies of Partita's mini-apps, show their records, plot how they scale.",
)


class Format(StrEnum):
    """Kinds of picture files."""

    PNG = "png"
    SVG = "svg"


def _console() -> Console:
    console = Console(highlight=False, soft_wrap=False)
    if console.is_terminal:
        return console
    columns = os.environ.get("COLUMNS", "")
    return Console(highlight=False, width=int(columns) if columns.isdecimal() and int(columns) > 0 else LOG_WIDTH)


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="Study file, such as inputs/studies/quickstart_strong.toml.")],
    output: Annotated[Path | None, typer.Option(help="Folder for records and logs [runs/NAME OF THE STUDY].")] = None,
    build: Annotated[
        Path | None, typer.Option(help="Build or installation folder with the app [the study's `build`].")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run, have the app check each deck, and run nothing.")
    ] = False,
) -> int:
    """Run the points of a study that are not finished.

    Points are ranks x grid x repeats, in random order; each leaves one record and one log.

    \b
    Example:
        partita run inputs/studies/quickstart_strong.toml --dry-run
    """  # noqa: D301
    from partita.execute import check_plan, launchable, run_plan
    from partita.plan import make_plan
    from partita.study import read_study

    checked = read_study(study)
    plan = make_plan(checked, output or checked.root / "runs" / checked.name, (build or checked.build).resolve())
    console = _console()
    _print_plan(plan, console, every_command=dry_run)
    if not dry_run:
        return run_plan(plan, console)
    if launchable(plan):
        decks = check_plan(plan)
        console.print(f"{plan.study.app} accepts all {decks} decks", soft_wrap=True)
    return ExitCode.DONE


def _print_plan(plan: "Plan", console: Console, every_command: bool) -> None:
    import shlex

    study, todo = plan.study, [p for p in plan.points if p.digest not in plan.finished]
    console.print(
        f"{study.name}: {study.scaling} scaling of {study.app}, {study.deck.name}; {len(plan.points)} points = "
        f"ranks {', '.join(map(str, study.ranks))} x grid x {study.repeats} repeats; "
        f"{len(plan.points) - len(todo)} finished, {len(todo)} to run, in random order (seed {study.seed})",
        soft_wrap=True,
    )
    over = sorted({p.ranks for p in plan.points if plan.oversubscribed(p)})
    if over:
        console.print(
            f"note: {plan.cores} cores here: points at {', '.join(map(str, over))} ranks x {study.threads} threads are "
            "oversubscribed; they run, are marked, and count in no speed-up",
            soft_wrap=True,
        )
    if not plan.binary.is_file():
        console.print(f"note: {plan.binary} is not built", soft_wrap=True)
    if every_command:
        for point in plan.points:
            state = "finished" if point.digest in plan.finished else "to run  "
            flags = f"OMP_NUM_THREADS={point.threads} OMP_PROC_BIND=false"
            console.print(
                f"{state} {point.stem}: {flags} {shlex.join(plan.command(point))}", soft_wrap=True, markup=False
            )


@app.command()
def show(file: Annotated[Path, typer.Argument(help="A record (.h5), or what a killed run left (.h5.part).")]) -> int:
    """Summarise one record.

    \b
    Example:
        partita show runs/quickstart_strong/np2-ring-r1_*.h5
    """  # noqa: D301
    from partita.record import read_record
    from partita.summary import show as print_summary

    print_summary(read_record(file), _console())
    return ExitCode.DONE


@app.command()
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
) -> int:
    """Plot a folder of records.

    Time per step, speed-up, efficiency, phases, loss and accuracy, strategies side by side, the roofline of
    kernel_bench, and time and bandwidth of the collectives of comm_bench; the numbers go to CSV files beside the
    pictures. Of pipelines also where the ranks idle, of shared image rows also their halos, of
    parameter servers also time to the target loss, staleness and queues.

    With --timeline: a row for each rank, a box for each forward and backward of a micro-batch, white where it idles.

    \b
    Examples:
        partita plot runs/quickstart_strong
        partita plot --timeline runs/one.h5 --step 7 -o timeline.png
    """  # noqa: D301
    from partita.folder import read_folder

    console = _console()
    if timeline is not None:
        if folder is not None:
            raise UsageError("partita plot", f"--timeline {timeline} and the folder {folder}", "one of the two")
        _plot_timeline(timeline, step, output, picture_format, console)
        return ExitCode.DONE
    if folder is None or step is not None:
        given = "no folder" if folder is None else f"--step {step} of a folder"
        raise UsageError("partita plot", given, "a folder of records, or --timeline RECORD with or without --step")
    below = [] if any(folder.glob("*.h5")) or not folder.is_dir() else sorted({p.parent for p in folder.glob("*/*.h5")})
    for place in below or [folder]:
        studies, benches, notes = read_folder(place)
        target = (output / place.name if output and below else output) or place / "figures"
        for study in studies:
            _plot_study(study, target, picture_format, f"{study.name}_" if len(studies) > 1 else "", console)
        for record in benches:
            _plot_bench(record, target, picture_format, console)
        for note in notes:
            console.print(f"note: {note}", soft_wrap=True, markup=False)
    return ExitCode.DONE


def _plot_timeline(path: Path, step: int | None, output: Path | None, kind: Format, console: Console) -> None:
    from partita.events import read_events
    from partita.timeline import chosen_step, timeline_picture

    target = output or path.parent / "figures" / f"{path.name.partition('.h5')[0]}_timeline.{kind.value}"
    if target.suffix[1:] not in list(Format):
        kinds = " or ".join(f".{k.value}" for k in Format)
        raise UsageError(f"--output {target}", "not the name of a picture", f"a file that ends with {kinds}")
    events = read_events(path)
    with held_to_the_layout(path, "events: "):
        picture = timeline_picture(events, chosen_step(events, step))
    _save_as(picture, target)
    console.print(f"{path.name}: {target} (numbers in {target.with_suffix('.csv').name})", soft_wrap=True)


def _plot_bench(record: "Record", target: Path, kind: Format, console: Console) -> None:
    from partita.collectives import collectives_pictures
    from partita.roofline import roofline_picture

    with held_to_the_layout(record.path):
        pictures = collectives_pictures(record) if record.collectives else [roofline_picture(record)]
    _save(pictures, target, kind, f"{record.path.stem}_")
    names = ", ".join(f"{record.path.stem}_{p.name}.{kind.value}" for p in pictures)
    console.print(f"{record.path.name}: {names} -> {target}", soft_wrap=True)


def _plot_study(study: "RecordedStudy", target: Path, kind: Format, prefix: str, console: Console) -> None:
    from partita import bubble, curves, figures, scaling, server_figures, strategies, surface

    result = scaling.analyse(study)
    pictures = [
        figures.scaling_picture(study, result) if study.intended_scaling != "none" else None,
        figures.phases_picture(study),
        strategies.strategies_picture(study, result),
        curves.loss_picture(study),
        curves.accuracy_picture(study),
        bubble.bubble_picture(study),
        surface.halo_picture(study),
        *server_figures.server_pictures(study),
    ]
    _save(pictures, target, kind, prefix)
    console.print(_scaling_table(study, result))
    for note in result.notes:
        console.print(f"note: {note}", soft_wrap=True)
    names = ", ".join(f"{prefix}{p.name}.{kind.value}" for p in pictures if p)
    console.print(f"{study.name}: {names} (numbers in .csv) -> {target}", soft_wrap=True)


def _save(pictures: list, target: Path, kind: Format, prefix: str) -> None:
    for picture in filter(None, pictures):
        _save_as(picture, target / f"{prefix}{picture.name}.{kind.value}")


def _save_as(picture: "Picture", file: Path) -> None:
    from partita import style

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        style.save(picture.figure, file)
        picture.table.write_csv(file.with_suffix(".csv"))
    except OSError as error:
        raise UsageError(
            file.parent, f"pictures cannot be written there ({reason(error)})", "a folder, there or not"
        ) from error


def _scaling_table(study: "RecordedStudy", result: "Scaling") -> RichTable:
    table = RichTable(
        title=f"{study.name} ({result.kind or 'no'} scaling)", title_justify="left", box=None, pad_edge=False
    )
    for name in ("series", "ranks", "runs", "step", "95 % interval", "speed-up", "efficiency", ""):
        table.add_column(name, justify="left" if name in ("series", "") else "right")
    for series, line in result.lines:
        for e in line:
            ms = e.step_s.scaled(1e3)
            table.add_row(
                series.label, str(e.ranks), str(e.runs), f"{ms.value:.2f} ms",
                f"{ms.low:.2f} .. {ms.high:.2f} ms {e.scope}" if ms.bounded else "-",
                f"{e.speedup.value:.3f}" if e.speedup.n else "-",
                f"{100 * e.efficiency.value:.1f} %" if e.efficiency.n else "-",
                "oversubscribed" if e.oversubscribed else "",
            )  # fmt: skip
    return table


@app.command()
def predict(
    calibration: Annotated[
        Path, typer.Argument(help="Record of one server and one worker, made with server.profile = true.")
    ],
    measured: Annotated[list[Path], typer.Argument(help="Records of param_server on ranks, or folders of them.")],
    build: Annotated[Path, typer.Option(help="Build or installation folder with the app.")] = Path("build/release"),
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The picture's file; numbers go to .csv beside it.")
    ] = Path("prediction.png"),
) -> int:
    """Predict steps of a parameter server: virtual time, calibrated from one record, against measured records.

    Each record's deck runs again in the virtual engine.

    \b
    Example:
        partita predict runs/calibration.h5 runs/server_widths -o runs/prediction.png
    """  # noqa: D301
    from partita.predict import NEAR, prediction_picture, prediction_table, records_of
    from partita.predict import predict as run_again

    made = run_again(build, calibration, records_of(measured))
    console = _console()
    console.print(prediction_table(made))
    _save_as(prediction_picture(calibration, made), output)
    near = sum(abs(p.error) <= NEAR for p in made)
    console.print(f"{near} of {len(made)} within {NEAR:.0%}: {output}", soft_wrap=True)
    return ExitCode.DONE


@app.command()
def export(
    perfetto: Annotated[
        Path, typer.Option(metavar="RECORD", help="Record with events (record.events), for https://ui.perfetto.dev.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The trace's file [RECORD with .trace.json].")
    ] = None,
) -> int:
    """Write the events of a record for another program.

    A process of the trace is a node, a thread a rank; arrows lead from sends to their receives.

    \b
    Example:
        partita export --perfetto runs/one.h5 -o trace.json
    """  # noqa: D301
    from partita.events import read_events
    from partita.perfetto import trace

    events = read_events(perfetto)
    with held_to_the_layout(perfetto, "events: "):
        made = trace(events)
    target = output or perfetto.with_name(f"{perfetto.name.partition('.h5')[0]}.trace.json")
    made.write(target)
    console = _console()
    console.print(f"{perfetto.name}: {len(events)} events, {made.arrows} arrows -> {target}", soft_wrap=True)
    if made.late_ns > 0:
        console.print(
            f"note: a message seems to arrive {made.late_ns / 1e3:.3g} us before it was sent: the clocks are known no "
            "better",
            soft_wrap=True,
        )
    return ExitCode.DONE


def _version(wanted: bool) -> None:
    if wanted:
        print(f"partita {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    """Run the command; every error is one line on standard error and an exit code of DESIGN.md section 8."""
    try:
        return int(app(arguments, standalone_mode=False, prog_name="partita") or 0)
    except PartitaError as error:
        return _complain(error)
    except (KeyboardInterrupt, typer.Abort):
        return _complain(IncompleteError("partita", "interrupted"))
    except OSError as error:  # A disk that is full, a folder that was taken away.
        return _complain(PartitaError(error.filename or "partita", reason(error), "a place to read and write"))
    except Exception as error:
        if not hasattr(error, "format_message"):  # Not the command line's own complaint.
            raise
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "partita"
        return _complain(
            UsageError(command, error.format_message().strip().rstrip("."), f"what `{command} --help` lists")
        )


def _complain(error: PartitaError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return int(error.code)


def entry() -> None:
    """What the installed command calls."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
