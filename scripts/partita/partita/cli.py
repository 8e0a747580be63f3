# SPDX-License-Identifier: BSD-3-Clause
"""The command `partita`: its commands, and how an error ends it."""

import sys
from typing import Annotated

import typer

from partita import __version__
from partita.commands import (
    collect,
    compare,
    export,
    league,
    plan,
    plot,
    predict,
    report,
    run,
    show,
    status,
    submit,
    validate,
)
from partita.errors import IncompleteError, PartitaError, UsageError, reason

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    rich_markup_mode=None,
    help="Run studies of Partita's mini-apps, show their records, plot how they scale.",
)
for command in (
    plan.plan, run.run, submit.submit, status.status, collect.collect, validate.validate, show.show, plot.plot,
    report.report, compare.compare, league.league, predict.predict, export.export,
):  # fmt: skip
    app.command()(command)


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
