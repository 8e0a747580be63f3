# SPDX-License-Identifier: BSD-3-Clause
"""Columns by name: what a figure shows, in a form that is written as CSV."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Table:
    """Rows with the same named columns, in the order in which they were added."""

    def __init__(self, *columns: str) -> None:
        self.columns = columns
        self._rows: list[tuple[Any, ...]] = []

    def add(self, **values: Any) -> None:
        """Append one row; every column must be given, and no other."""
        if set(values) != set(self.columns):
            raise KeyError(f"row has {sorted(values)}, table has {sorted(self.columns)}")
        self._rows.append(tuple(values[name] for name in self.columns))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self._rows)

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        index = self.columns.index(name)
        return [row[index] for row in self._rows]

    def write_csv(self, path: Path) -> None:
        """RFC 4180 text; NaN and None become empty cells, floats keep nine digits."""
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(self.columns)
            writer.writerows([_cell(value) for value in row] for row in self._rows)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, bool):
        return str(int(value))
    return str(value)
