# SPDX-License-Identifier: BSD-3-Clause
"""Steps that the virtual engine of param_server predicts from a calibrating record, against measured ones."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table as RichTable

from partita.errors import EnvironmentUnfitError, UsageError
from partita.records.record import Record, plural, read_record
from partita.records.server import ServerRun, server_run
from partita.studies import family, launch
from partita.studies.plan import find_app
from partita.studies.progress import tail
from partita.studies.state import record_files

NEAR = 0.25  # What a prediction is held to.
TIMEOUT_S = 1800.0


@dataclass(frozen=True)
class Prediction:
    """One measured record, and what its deck takes in virtual time."""

    record: Record
    run: ServerRun
    measured_s: float
    predicted_s: float  # Virtual.

    @property
    def error(self) -> float:
        """Predicted over measured, minus 1."""
        return self.predicted_s / self.measured_s - 1

    @property
    def name(self) -> str:
        """What tells it from others: its kind, model and batch."""
        config = self.record.config
        return f"{self.kind}, hidden {config.get('model.hidden')}, batch {config.get('train.batch')}"

    @property
    def kind(self) -> str:
        """What a picture tells apart: protocol, workers, servers."""
        placed = " beside workers" if self.record.config.get("server.placement") == "shared" else ""
        workers, servers = plural(self.run.workers, "worker"), plural(self.run.servers, "server")
        return f"{self.run.protocol}, {workers}, {servers}{placed}"


def records_of(paths: Sequence[Path]) -> list[Path]:
    """The files, and those of folders."""
    files = [f for path in paths for f in (record_files(path) if path.is_dir() else [path])]
    if not files:
        raise UsageError("partita predict", "no records", "records of param_server on ranks, or a folder of them")
    return files


def predict(build: Path, calibration: Path, measured: Sequence[Path]) -> list[Prediction]:
    """Run each record's deck once more in virtual time, calibrated; the records must be of ranks."""
    binary = find_app("param_server", build)
    if binary is None:
        raise UsageError("partita predict", f"no param_server in {build}", "a build that has it (--build)")
    made = []
    with tempfile.TemporaryDirectory(prefix="partita-") as folder, family.guarded() as token:
        for path in measured:
            record = read_record(path)
            run = server_run(record)
            if run is None or run.virtual or not record.counted.any():
                raise UsageError(str(path), "no steps of a parameter server on ranks", 'run.engine = "mpi"')
            deck, output, log = (Path(folder) / f"{len(made)}.{kind}" for kind in ("toml", "h5", "log"))
            deck.write_text(record.toml)
            command = [str(binary), str(deck), "--output", str(output)]
            for setting in settings(run, calibration):
                command += ["--set", setting]
            ended = launch.run(command, log, Path.cwd(), _environment(record), TIMEOUT_S, token)
            if ended.status != 0:
                said = (tail(log) or [f"exit code {ended.status}"])[-1].removeprefix("error: ")
                raise EnvironmentUnfitError(str(path), f"its deck in virtual time: {said}", "a run that ends well")
            predicted = server_run(read_record(output))
            assert predicted is not None
            virtual_s = np.diff(predicted.seconds)
            made.append(Prediction(record, run, record.median_step_s, float(np.median(virtual_s))))
    return made


def settings(run: ServerRun, calibration: Path) -> list[str]:
    """What makes a deck of ranks one of the virtual engine."""
    return ["run.engine=virtual", f"virtual.workers={run.workers}", "virtual.compute=calibrated",
            "virtual.network=calibrated", f"virtual.calibration={calibration.resolve()}", "server.profile=false",
            "run.calibration=off"]  # fmt: skip


def _environment(record: Record) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(record.threads), "OMP_PROC_BIND": "false"}


def prediction_table(made: Sequence[Prediction]) -> RichTable:
    """A row for each record, as a terminal has it."""
    table = RichTable(box=None, pad_edge=False)
    for name in ("run", "measured step", "predicted step", "error"):
        table.add_column(name, justify="left" if name == "run" else "right")
    for p in made:
        table.add_row(p.name, f"{1e3 * p.measured_s:.2f} ms", f"{1e3 * p.predicted_s:.2f} virtual ms",
                      f"{p.error:+.0%}")  # fmt: skip
    return table
