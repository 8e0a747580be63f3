# SPDX-License-Identifier: BSD-3-Clause
"""Which colour, marker and dashes a series has: they follow its name, in every picture and in every study.

Needs no drawing library: whatever draws asks here. Names that Partita's apps give are listed, so that those that are
often compared stand far apart; others take theirs from a hash of the name. Lines are told apart by marker and dashes,
too: printed in grey nothing is lost.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# The colours of Okabe and Ito (2008), then some of Tol's muted ones; those next to each other differ in brightness too.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#332288", "#7A6A2A", "#44AA99",
    "#CC6677", "#6B4C9A",
)  # fmt: skip
BASE = "#5f6368"  # What all series share: the run on one rank.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">", "h", "*")
Dashes = tuple[int, tuple[float, ...]] | str
DASHES: tuple[Dashes, ...] = (
    "-", (0, (5, 1.6)), (0, (1.3, 1.3)), (0, (6, 1.5, 1.3, 1.5)), (0, (9, 2)), (0, (4, 1.3, 1.3, 1.3, 1.3, 1.3)),
)  # fmt: skip

# Name -> number of its colour; its marker and its dashes have the same number. Rows: what is compared with each other.
KNOWN = {
    "mpi": 0, "ring": 1, "recursive": 2, "automatic": 3, "tree": 4,
    "allreduce": 0, "gather broadcast": 1, "zero1": 5, "zero2": 2, "zero3": 6, "local sgd": 4,
    "data": 0, "data parallel": 0, "zero": 2, "tensor": 1, "sequence": 10, "pipeline": 4, "spatial": 9,
    "parameter server": 3, "servers": 3,
    "gpipe": 7, "1f1b": 4, "interleaved": 5, "zb-h1": 1, "zb-v": 2,
    "bsp": 0, "ssp": 4, "async": 1, "k-sync": 2, "k-batch-sync": 9, "k-async": 3, "k-batch-async": 6, "elastic": 5,
}  # fmt: skip
SHARED = ("", "all alike", "measured")


@dataclass(frozen=True)
class Look:
    """How a series is drawn."""

    colour: str
    marker: str
    dashes: Dashes


def colour_of(name: str) -> str:
    """The colour of a series of that name; in one picture with others: `looks`."""
    return BASE if _plain(name) in SHARED else PALETTE[_number(_plain(name)) % len(PALETTE)]


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Name -> look, for the series of one picture, whatever their order.

    No two have one colour, marker or dashes while there are others left. Names that are listed keep theirs, of others
    the later one in the alphabet gives way.
    """
    distinct = list(dict.fromkeys(names))
    taken: tuple[set[int], ...] = (set(), set(), set())
    found = {}
    for name in sorted(distinct, key=lambda n: (_plain(n) not in KNOWN, _head(_plain(n)) not in KNOWN, n)):
        number = _number(_plain(name))
        at = [_free(number, len(kind), used) for kind, used in zip((PALETTE, MARKERS, DASHES), taken, strict=True)]
        if _plain(name) in SHARED:
            found[name] = Look(BASE, "d", "-")
            continue
        for used, place in zip(taken, at, strict=True):
            used.add(place)
        found[name] = Look(PALETTE[at[0]], MARKERS[at[1]], DASHES[at[2]])
    return {name: found[name] for name in distinct}


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """Name -> colour, for the series of one picture: `looks` for those who need no marker."""
    return {name: look.colour for name, look in looks(names).items()}


def _plain(name: str) -> str:
    """`data_parallel/ring`, `data-parallel ring` and `ring` are one name."""
    words = name.strip().lower().replace("_", " ")
    for beginning in ("data parallel/", "data-parallel ", "data parallel "):
        words = words.removeprefix(beginning)
    return words


def _head(plain: str) -> str:
    """`ssp` of `ssp, s = 3` or of `backup 0, ssp`: a variant keeps the colour of its kind, where that is free."""
    return next((piece for piece in plain.split(", ") if piece in KNOWN), plain)


def _number(plain: str) -> int:
    """The same in every process and on every machine, unlike hash()."""
    if (known := KNOWN.get(plain, KNOWN.get(_head(plain)))) is not None:
        return known
    return int.from_bytes(hashlib.sha256(plain.encode()).digest()[:4], "big")


def _free(number: int, count: int, used: set[int]) -> int:
    """number, or the next one that is not used yet; number itself where all are."""
    return next((place for k in range(count) if (place := (number + k) % count) not in used), number % count)
