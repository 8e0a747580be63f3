# SPDX-License-Identifier: BSD-3-Clause
"""Whose time a value is, for programs that model how it grows with ranks."""

from enum import StrEnum


class Work(StrEnum):
    """Of a rank, or of all of them."""

    RANK = "rank"
    TOTAL = "total"


def work_of(scaling: str | None) -> Work:
    """In strong scaling a rank's time falls with p, which such models do not hold; the total does not."""
    return Work.TOTAL if scaling == "strong" else Work.RANK
