# SPDX-License-Identifier: BSD-3-Clause
"""Numbers as people read them: few digits, and the unit that fits."""

import math
from collections.abc import Callable

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def significant(value: float, digits: int = 4) -> str:
    """`12.35`: so many digits that count, with separators of thousands."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"


def prefixed(value: float, unit: str) -> str:
    """`12.35 Gflop/s`."""
    factor, prefix = next(((f, p) for f, p in PREFIXES if abs(value) >= f), PREFIXES[-1])
    return f"{significant(value / factor)} {prefix}{unit}"


def in_bytes(value: float) -> str:
    """`12.35 MiB`."""
    factor, prefix = next(((f, p) for f, p in ((2**30, "Gi"), (2**20, "Mi"), (2**10, "Ki")) if value >= f), (1, ""))
    return f"{value:.0f} B" if not prefix else f"{value / factor:.2f} {prefix}B"


def in_seconds(value: float) -> str:
    """`12.35 ms`; `-` where it is not known."""
    if math.isnan(value):
        return "-"
    factor, unit = next(((f, u) for f, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")) if abs(value) >= f), (1e-9, "ns"))
    return f"{significant(value / factor)} {unit}"


def in_unit(value: float, unit: str) -> str:
    """A value of a record in its unit, as people write it."""
    scaled: dict[str, Callable[[float], str]] = {
        "s": in_seconds, "byte/s": lambda v: prefixed(v, "B/s"), "flop/s": lambda v: prefixed(v, "flop/s"),
        "1/s": lambda v: prefixed(v, "/s"),
    }  # fmt: skip
    return scaled[unit](value) if unit in scaled else f"{significant(value)} {'' if unit == '1' else unit}".rstrip()
