# SPDX-License-Identifier: BSD-3-Clause
"""`partita league`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table as RichTable

from partita.console import Format, make_console, save_picture
from partita.errors import ExitCode

if TYPE_CHECKING:
    from partita.analysis.league import League


def league(
    folders: Annotated[list[Path], typer.Argument(help="Folders of records of one model on one machine.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the picture and its numbers [FIRST FOLDER/figures]."),
    ] = None,
    picture_format: Annotated[Format, typer.Option("--format", help="Kind of the picture file.")] = Format.PNG,
) -> int:
    """Rank the strategies of one model on one machine by samples a second, memory and bytes sent.

    A place is one more than the number of strategies that are better for sure: those that cannot be told apart share
    one (1, 1, 3). It needs 6 paired repeats of two strategies in one folder, or 4 + 4 runs. Models or machines that
    are mixed are refused, with what differs.

    \b
    Example:
        partita run inputs/studies/league_mlp.toml && partita league runs/league_mlp
    """  # noqa: D301
    from partita.analysis.league import leagues, mixed_builds
    from partita.analysis.reading import read_runs
    from partita.pictures.league import league_picture

    read = [read_runs(folder) for folder in folders]
    found = leagues(read)
    console = make_console()
    for each in found:
        console.print(_shown(each))
    for note in [*(note for r in read for note in r.notes), *mixed_builds(read), *_chance(found)]:
        console.print(f"note: {note}", soft_wrap=True, markup=False)
    target = (output or folders[0] / "figures") / f"league.{picture_format.value}"
    save_picture(league_picture(found, [r for each in read for r in each.records]), target)
    console.print(f"{target} (numbers in {target.with_suffix('.csv').name})", soft_wrap=True)
    return ExitCode.DONE


def _chance(found: Sequence["League"]) -> list[str]:
    pairs = sum(len(each.standings) * (len(each.standings) - 1) // 2 for each in found)
    if pairs < 2:
        return []
    return [f"{pairs} pairs are compared, each at 95 % or more: where nothing differs, up to {0.05 * pairs:.2g} of "
            "them are expected to be told apart"]  # fmt: skip


def _shown(each: "League") -> RichTable:
    from partita.analysis.league import MEMORY, PEAK, RATE, SENT
    from partita.records.record import plural
    from partita.reports.numbers import in_bytes, significant

    threads = f" x {each.threads} threads" if each.threads > 1 else ""
    shown = RichTable(title=f"{plural(each.ranks, 'rank')}{threads}", title_justify="left", box=None, pad_edge=False)
    for name in ("place", "strategy", "samples/s", "interval", "runs", "memory of a rank", "peak", "sent a step"):
        shown.add_column(name, justify="left" if name == "strategy" else "right")
    places = {metric: each.places(metric) for metric in (RATE, MEMORY, PEAK, SENT)}

    def counted(at: int, metric: str) -> str:
        value, place = each.standings[at].value(metric), places[metric][at]
        return "-" if not value.n else in_bytes(value.value) + (f" ({place}.)" if place else "")

    for at, s in enumerate(each.standings):
        rate, place = s.value(RATE), places[RATE][at]
        interval = f"{significant(rate.low)} .. {significant(rate.high)}" if rate.bounded else "-"
        over = " (oversubscribed)" if s.point.oversubscribed else ""
        shown.add_row(
            f"{place}." if place else "-", s.name + over, significant(rate.value), interval, str(rate.n),
            *(counted(at, metric) for metric in (MEMORY, PEAK, SENT)),
        )  # fmt: skip
    return shown
