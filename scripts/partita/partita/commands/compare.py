# SPDX-License-Identifier: BSD-3-Clause
"""`partita compare`."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table as RichTable

from partita.console import make_console
from partita.errors import CheckFailedError, ExitCode, UsageError, reason

if TYPE_CHECKING:
    from partita.analysis.compare import Comparison
    from partita.analysis.reading import FolderRuns


class By(StrEnum):
    """What is compared."""

    FOLDER = "folder"
    STRATEGY = "strategy"


def compare(
    folders: Annotated[
        list[Path], typer.Argument(help="Folders of records; the first is what the others are held against.")
    ],
    by: Annotated[
        By, typer.Option(help="Compare folders point by point, or the series of one folder with its first.")
    ] = By.FOLDER,
    base: Annotated[
        str | None, typer.Option(help="With --by strategy: the series that the others are held against [the first].")
    ] = None,
    metric: Annotated[str, typer.Option(help="A metric of the long table, such as samples_per_s.")] = "step_s",
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="A key of the decks that differs on purpose between the folders; repeatable."),
    ] = None,
    fail_if_slower: Annotated[
        float | None,
        typer.Option(metavar="PCT", min=0, help="End with 3 where a point is slower by more than PCT % for sure."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="With --fail-if-slower: end with 3 where a point is not decided, too.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The table as CSV.")] = None,
) -> int:
    """Compare the runs of folders (machines, commits), or the strategies of one folder.

    Points are the same where app, ranks, threads and resolved deck are. A verdict is spoken where the interval of the
    ratio leaves 1 out: of paired repeats within one folder (from 6 on), of two groups of runs between folders (from
    4 + 4 on).

    --fail-if-slower PCT ends with 3 where the whole interval of a point lies beyond PCT % slower. A point whose
    interval holds that limit, that has too few runs for one, or that one folder lacks is named and no failure; with
    --strict it is one.

    \b
    Examples:
        partita compare runs/before runs/after --fail-if-slower 5
        partita compare runs/data_parallel --by strategy -o strategies.csv
    """  # noqa: D301
    from partita.analysis.compare import compare_folders, compare_series, table
    from partita.analysis.matching import points
    from partita.analysis.reading import metric_of, read_runs, short_names

    _check(folders, by, base, fail_if_slower, strict)
    read = [read_runs(folder) for folder in folders]
    chosen = metric_of(metric, [r.table for r in read])
    names = short_names(folders)
    sets = [points(r, metric, ignore or ()) for r in read]
    notes = [note for r in read for note in r.notes]
    missing: list[str] = []
    if by is By.STRATEGY:
        series = list(dict.fromkeys(p.series for p in sets[0]))
        if base is not None and base not in series:
            raise UsageError(f"--base {base}", "no such series", ", ".join(series))
        found = compare_series(sets[0], base, chosen)
    else:
        found, missing, left_out = compare_folders(sets, names, chosen)
        notes += [*left_out, *_what_differs(read, names)]
    if not found:
        said = "; ".join(["nothing to compare", *missing])
        raise UsageError(" ".join(names), said, "two series or more" if by is By.STRATEGY else "points of both folders")
    console = make_console()
    console.print(_shown(found, metric, by))
    for note in (*missing, *notes, *_chance(found)):
        console.print(f"note: {note}", soft_wrap=True, markup=False)
    if output is not None:
        try:
            table(found, metric).write_csv(output)
        except OSError as error:
            raise UsageError(output, f"cannot be written ({reason(error)})", "the path of a file") from error
    if fail_if_slower is not None:
        _judge(found, missing, fail_if_slower, strict, console)
    return ExitCode.DONE


def _check(folders: Sequence[Path], by: By, base: str | None, percent: float | None, strict: bool) -> None:
    if by is By.STRATEGY and len(folders) != 1:
        raise UsageError("--by strategy", f"{len(folders)} folders", "one")
    if by is By.FOLDER and len(folders) < 2:
        raise UsageError("partita compare", f"one folder, {folders[0]}", "two or more, or --by strategy")
    if base is not None and by is By.FOLDER:
        raise UsageError(f"--base {base}", "folders are held against the first", "--by strategy with it")
    if strict and percent is None:
        raise UsageError("--strict", "nothing is judged", "--fail-if-slower PCT with it")


def _what_differs(read: Sequence["FolderRuns"], names: Sequence[str]) -> list[str]:
    """Machines and builds, so that nobody takes one for the other."""
    from partita.analysis.provenance import MACHINE, contrast
    from partita.records.record import plural

    notes = []
    for other, name in zip(read[1:], names[1:], strict=True):
        if twice := {r.run_uuid for r in read[0].records} & {r.run_uuid for r in other.records} - {""}:
            known = f"holds {plural(len(twice), 'run')} that {read[0].folder} holds, too"
            raise UsageError(other.folder, known, "other runs")
        apart = contrast(read[0].records, other.records)
        shown = "; ".join(f"{what} {mine} | {theirs}" for what, (mine, theirs) in apart.items())
        both = any(what in MACHINE for what in apart) and any(what not in MACHINE for what in apart)
        careful = " (machine and build: the ratio cannot tell which of them it is)" if both else ""
        notes.append(f"{names[0]} | {name}: {shown or 'the same machine and build'}{careful}")
    return notes


def _chance(found: Sequence["Comparison"]) -> list[str]:
    from partita.analysis.compare import by_chance

    expected = by_chance(found)
    few = f"{len(found)} comparisons: where nothing differs, {expected:.2g} of them are expected to get a verdict"
    return [few] if len(found) > 1 and expected > 0 else []


def _shown(found: Sequence["Comparison"], metric: str, by: By) -> RichTable:
    from partita.reports.numbers import in_unit
    from partita.statistics import level_words

    several = len({(c.a_name, c.b_name) for c in found}) > 1
    title = (
        f"{metric}: ratio to {found[0].a_name}" if several else f"{metric} of {found[0].b_name} to {found[0].a_name}"
    )
    shown = RichTable(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("point", *(("of",) if several else ()), "first", "this", "ratio", "interval", "runs", "verdict"):
        shown.add_column(name, justify="left" if name in ("point", "of", "verdict") else "right")
    for c in found:
        over = " (oversubscribed)" if c.a.oversubscribed or c.b.oversubscribed else ""
        r, unit = c.ratio, c.metric.unit
        of = (c.a_name if by is By.STRATEGY else c.b_name,) if several else ()
        shown.add_row(
            c.b.name if by is By.STRATEGY else c.a.name, *of, in_unit(c.a.median.value, unit),
            in_unit(c.b.median.value, unit), f"{r.value:.3f}",
            f"{r.low:.3f} .. {r.high:.3f} ({level_words(r.level)})" if r.bounded else "-",
            f"{len(c.a.values)} + {len(c.b.values)}", c.said + over,
        )  # fmt: skip
    return shown


def _judge(
    found: Sequence["Comparison"], missing: Sequence[str], percent: float, strict: bool, console: Console
) -> None:
    """Say what was decided on how many runs; CheckFailedError where that is too slow."""
    from partita.analysis.compare import Decision
    from partita.records.record import plural

    decided: dict[Decision, list[str]] = {decision: [] for decision in Decision}
    for c in found:
        w = c.worse
        interval = f"{w.low:.3f} .. {w.high:.3f}" if w.bounded else f"{w.value:.3f}"
        runs = f"{len(c.a.values)} + {len(c.b.values)} runs"
        decided[c.decide(percent)].append(f"{c.b.name} of {c.b_name} ({interval} on {runs})")
    said = ", ".join(f"{len(which)} {decision.value}" for decision, which in decided.items() if which)
    lacking = f", {len(missing)} without counterpart" if missing else ""
    console.print(f"slower by more than {percent:g} %? {plural(len(found), 'point')}: {said}{lacking}", soft_wrap=True)
    open_points = [*decided[Decision.UNDECIDED], *decided[Decision.TOO_FEW], *missing]
    failed = [*decided[Decision.SLOWER], *(open_points if strict else ())]
    for point in open_points:
        console.print(f"not decided: {point}", soft_wrap=True, markup=False)
    if failed:
        raise CheckFailedError("partita compare", "; ".join(failed), f"no point slower by more than {percent:g} %"
                               + (", and every point decided" if strict else ""))  # fmt: skip
