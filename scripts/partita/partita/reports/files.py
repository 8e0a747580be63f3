# SPDX-License-Identifier: BSD-3-Clause
"""A report's tables as CSV files, the long table of metrics among them."""

import re
from pathlib import Path

from partita.errors import UsageError, reason
from partita.reports.blocks import Report


def write_text(path: Path, text: str) -> None:
    """The file, and the folder that it lies in."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(path, f"cannot be written ({reason(error)})", "a file in a folder, there or not") from error


def write_csv(report: Report, folder: Path) -> list[Path]:
    """Every table of the report, and metrics.csv: one row a number."""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for grid in report.grids():
            path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', grid.name)}.csv"
            grid.numbers.write_csv(path)
            written.append(path)
        if report.metrics is not None:
            path = folder / "metrics.csv"
            report.metrics.to_csv(path, index=False, float_format="%.9g", lineterminator="\n")
            written.append(path)
    except OSError as error:
        raise UsageError(folder, f"tables cannot be written there ({reason(error)})", "a folder") from error
    return written
