# SPDX-License-Identifier: BSD-3-Clause
"""`partita predict`."""

from pathlib import Path
from typing import Annotated

import typer

from partita.console import make_console, save_picture
from partita.errors import ExitCode


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
    from partita.analysis.predict import NEAR, prediction_table, records_of
    from partita.analysis.predict import predict as run_again
    from partita.pictures.prediction import prediction_picture

    made = run_again(build, calibration, records_of(measured))
    console = make_console()
    console.print(prediction_table(made))
    save_picture(prediction_picture(calibration, made), output)
    near = sum(abs(p.error) <= NEAR for p in made)
    console.print(f"{near} of {len(made)} within {NEAR:.0%}: {output}", soft_wrap=True)
    return ExitCode.DONE
