# SPDX-License-Identifier: BSD-3-Clause
"""Where the columns of a record come from when they are asked for: its file, opened again, or what was read last.

No file stays open, and of ten thousand records only some megabytes stay in memory.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from h5py import h5f, h5g

from partita.errors import UsageError, held_to_the_layout
from partita.records import hdf5

KEPT_BYTE = 64 << 20
ENTRY_BYTE = 500  # What keeping the smallest column takes.

T = TypeVar("T")


class Recent:
    """The columns that were asked for last."""

    def __init__(self, limit: int) -> None:
        self.limit, self.size = limit, 0
        self._kept: OrderedDict[Hashable, np.ndarray] = OrderedDict()

    def get(self, key: Hashable, read: Callable[[], np.ndarray]) -> np.ndarray:
        """From memory, or read."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        values = self._kept[key] = read()
        self.size += ENTRY_BYTE + values.nbytes
        while self.size > self.limit and len(self._kept) > 1:
            self.size -= ENTRY_BYTE + self._kept.popitem(last=False)[1].nbytes
        return values


RECENT = Recent(KEPT_BYTE)


class Source:
    """One file. A record that is closed must stay what it was; a .part may grow."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._file: h5f.FileID | None = None
        self._places: dict[str, hdf5.Group] = {}  # Of the open file: finding one takes as long as reading an array.
        self._tables: dict[str, Lazy[np.ndarray]] = {}

    def must_stay(self) -> None:
        """From now on the file is what it is now, or it is an error to read it."""
        self._stamp = self._look()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open once for all that is asked for inside."""
        if self._file is not None:
            yield
            return
        with held_to_the_layout(self.path):
            if self._stamp and self._stamp != self._look():
                raise UsageError(self.path, "changed while it was read", "records that nobody writes to")
            self._file = hdf5.open_file(self.path)
        try:
            yield
        finally:
            self._places.clear()
            self._file = None  # Which closes it. Its close() looks through all that h5py has open.

    def table(
        self,
        group: str,
        names: Callable[[hdf5.Group, str], tuple[str, ...]],
        column: Callable[[hdf5.Group, str, str], np.ndarray],
    ) -> "Lazy[np.ndarray]":
        """The columns of a group: their names are read now, each of them when it is first asked for."""
        if group not in self._tables:
            known = self.read(lambda _: names(self.place(group), group))
            self._tables[group] = Lazy(known, lambda name: RECENT.get(
                (self, group, name), lambda: self.read(lambda _: column(self.place(group), group, name))
            ))  # fmt: skip
        return self._tables[group]

    def keep(self, group: str, columns: Mapping[str, np.ndarray]) -> None:
        """Columns that were read for a check: whoever asks for one of them soon need not read it again."""
        for name, values in columns.items():
            RECENT.get((self, group, name), lambda values=values: values)

    def read(self, what: Callable[[h5f.FileID], T]) -> T:
        """Anything, without keeping it."""
        if self._file is None:
            with self.opened():
                return self.read(what)
        with held_to_the_layout(self.path):
            return what(self._file)

    def place(self, group: str) -> hdf5.Group:
        """A group of the open file."""
        if group not in self._places:
            self._places[group] = hdf5.Group(h5g.open(self._file, group.encode()))
        return self._places[group]

    def _look(self) -> tuple[int, int]:
        status = self.path.stat()
        return status.st_mtime_ns, status.st_size


class Lazy(Mapping[str, T]):
    """Names that are known, of what is made when it is first asked for."""

    def __init__(self, names: tuple[str, ...], make: Callable[[str], T]) -> None:
        self._names, self._make = names, make

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            raise KeyError(name)
        return self._make(name)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
