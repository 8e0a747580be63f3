# SPDX-License-Identifier: BSD-3-Clause
"""HDF5 files by h5py's low-level calls, where an object of h5py for each array takes longer than reading it.

A record has a hundred small arrays and a folder ten thousand records. So nothing here is opened twice, and scalars,
texts and plain columns are read straight into memory of the type that they end in.
"""

import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5i, h5o, h5p, h5s, h5t

Columns = dict[str, np.ndarray]
Extents = tuple[int, ...]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
TEXT = h5py.string_dtype()
MANY = 1 << 20  # Values; fewer are read without a look at what they take in the file.
MOST_SHRUNK = 1100  # Bytes of zeros that deflate makes one of.
TEXT_BYTE = 16  # In a file: length, and place in the heap.
NATIVE = {"i": (np.dtype(np.int64), h5t.NATIVE_INT64), "f": (np.dtype(np.float64), h5t.NATIVE_DOUBLE)}
NONE_KNOWN = np.full(8, np.nan)
KINDS = {h5t.INTEGER: "i", h5t.FLOAT: "f"}


class Group:
    """A group of an open file, which opens each of its arrays once and looks at its extents once."""

    def __init__(self, place: h5g.GroupID) -> None:
        self.place = place
        self._arrays: dict[str, h5d.DatasetID] = {}
        self._extents: dict[str, tuple[int, ...] | None] = {}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What lies right below."""
        return tuple(names(self.place))

    def array(self, name: str) -> h5d.DatasetID:
        """KeyError where there is none."""
        if name not in self._arrays:
            self._arrays[name] = _open(self.place, name)
        return self._arrays[name]

    def extent(self, name: str) -> tuple[int, ...] | None:
        """Of an array; None: it holds nothing."""
        if name not in self._extents:
            self._extents[name] = self.array(name).shape
        return self._extents[name]


Place = h5f.FileID | h5g.GroupID
Holder = Place | Group


def open_file(path: Path) -> h5f.FileID:
    """The file, to read, for the caller to close; OSError or ValueError with the reason where it is none."""
    try:
        return h5f.open(os.fsencode(path), h5f.ACC_RDONLY, _access())
    except OSError:  # In HDF5's own words, which are long.
        if path.is_dir():
            raise ValueError("a folder") from None
        if path.is_symlink() and not path.exists():
            raise ValueError("a link to a file that is not there") from None
        with path.open("rb") as stream:
            begin = stream.read(len(SIGNATURE))
        if begin != SIGNATURE:
            raise ValueError("no HDF5 file" if begin else "an empty file") from None
        raise


@contextmanager
def opened(path: Path) -> Iterator[h5f.FileID]:
    """The file, to read."""
    file = open_file(path)
    try:
        yield file
    finally:
        file.close()


@lru_cache(maxsize=1)
def _access() -> h5p.PropFAID:
    plist = h5p.create(h5p.FILE_ACCESS)
    plist.set_sieve_buf_size(0)  # Else 64 KiB are read for each small array.
    plist.set_file_locking(False, True)  # Writers may still be at work on a .part; some file systems have no locks.
    return plist


def names(of: Place) -> list[str]:
    """What lies right below."""
    found: list[bytes] = []
    of.links.iterate(found.append)
    return [_name(key) for key in found]


def attributes(of: Place, numbers: Mapping[str, type] = MappingProxyType({})) -> dict[str, Any]:
    """All attributes, as Python's own values where they are scalars or arrays of one.

    Fast where `numbers` (int, float) are what they are called, and the others are texts.
    """
    found: list[bytes] = []
    h5a.iterate(of, found.append)
    return {(name := _name(key)): _attribute(h5a.open(of, key), numbers.get(name)) for key in found}


def attribute(of: Place, name: str, default: Any = None) -> Any:
    """One attribute of the place itself."""
    try:
        return _attribute(h5a.open(of, name.encode()), None)
    except KeyError:
        return default


def group(of: Place, name: str) -> h5g.GroupID | None:
    """The group of this name right below; None where there is none."""
    key = name.encode()
    return h5g.open(of, key) if of.links.exists(key) else None


def columns(of: Place) -> Columns:
    """The arrays of a group by name; texts as str, scalars without dimensions as NumPy's scalars."""
    found: Columns = {}
    for key in of:
        with suppress(KeyError):  # It is a group.
            found[_name(key)] = _values(h5d.open(of, key))
    return found


def groups_with(of: Place, names: Iterable[str], members: Iterable[str]) -> list[str]:
    """Of these, the groups right below that have all these members."""
    wanted = {name.encode() for name in members}
    found = ((name, h5o.open(of, name.encode())) for name in names)
    return [name for name, at in found if isinstance(at, h5g.GroupID) and wanted <= set(at)]


def array(of: Holder, name: str) -> Any:
    """One array; KeyError where there is none, or it is a group. Numbers are int64 or float64, whatever their width."""
    at, shape = _array(of, name)
    stored = at.get_type()
    of_class = stored.get_class()
    if shape and of_class == h5t.STRING and stored.is_variable_str():
        return _texts(at, shape)
    if of_class not in KINDS or not shape:
        return _values(at)
    dtype, native = NATIVE[KINDS[of_class]]
    values = _empty(at, shape, dtype)
    if values.size:
        at.read(h5s.ALL, h5s.ALL, values, native)
    return values


def numbers(of: Holder, name: str, kind: str, likely: Extents | None = None) -> np.ndarray:
    """One array of whole numbers ("i") or of any ("f"), whatever their width; KeyError, or ValueError for texts.

    Where it has as many values as its `likely` extents, these are not asked for: that takes longer than reading.
    """
    dtype, native = NATIVE[kind]
    if likely is not None:
        at = of.array(name) if isinstance(of, Group) else _open(of, name)
        values = _empty(at, likely, dtype)
        try:
            at.read(_space(likely), h5s.ALL, values, native)
        except (TypeError, OSError):  # It has others, or is a text.
            pass
        else:
            return values
    at, shape = _array(of, name)
    values = _empty(at, (0,) if shape is None else shape, dtype)
    try:
        at.read(h5s.ALL, h5s.ALL, values, native)
    except (TypeError, OSError) as error:  # No way leads from a text to a number.
        raise ValueError(f"{h5i.get_name(at).decode()} holds no numbers") from error
    return values


def texts(of: Group, name: str) -> np.ndarray:
    """One array, most likely of texts: then without asking for their type. KeyError where there is none."""
    if shape := of.extent(name):
        with suppress(TypeError, OSError):  # No way leads from another type to a text.
            return _texts(of.array(name), shape)
    return array(of, name)


def extent(of: Holder, name: str) -> tuple[int, ...]:
    """Of an array; KeyError where there is none."""
    return _array(of, name)[1] or (0,)


def stored(of: Group, name: str) -> int:
    """Bytes that an array takes in the file; KeyError where there is none."""
    return of.array(name).get_storage_size()


def text(of: Place, name: str) -> str:
    """One text; KeyError where there is none, ValueError where it is something else."""
    at = _open(of, name)
    if at.get_storage_size() == TEXT_BYTE:
        value = np.empty((), TEXT)
        try:
            at.read(h5s.ALL, h5s.ALL, value, _text_type())
        except (TypeError, OSError):
            pass
        else:
            return _text(value[()])
    value = plain(_values(at))
    if not isinstance(value, str):
        raise ValueError(f"/{name} holds no text")
    return value


def plain(value: Any) -> Any:
    """NumPy scalars, arrays of one value and bytes -> Python's own."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray) and value.size == 1:
        return plain(value.reshape(-1)[0])
    return value.item() if isinstance(value, np.generic) else value


def _array(of: Holder, name: str) -> tuple[h5d.DatasetID, tuple[int, ...] | None]:
    """An array and its extents."""
    if isinstance(of, Group):
        return of.array(name), of.extent(name)
    at = _open(of, name)
    return at, at.shape


def _open(of: Place, name: str) -> h5d.DatasetID:
    try:
        return h5d.open(of, name.encode())
    except KeyError:
        raise KeyError(f"no array {name}") from None


@lru_cache(maxsize=1024)
def _name(key: bytes) -> str:
    return sys.intern(key.decode())


def _attribute(of: h5a.AttrID, number: type | None) -> Any:
    """Of most it is known whether they are texts: asking for the type takes as long as reading one."""
    value = _one_text(of) if number is None else _one_number(of, number)
    if value is None:
        value = plain(_values(of))
    return sys.intern(value) if isinstance(value, str) else value


def _stored(of: h5a.AttrID) -> int:
    """Bytes; h5py takes none for an error."""
    try:
        return of.get_storage_size()
    except RuntimeError:
        return 0


def _one_text(of: h5a.AttrID) -> str | None:
    """None: it is no single text."""
    if _stored(of) == TEXT_BYTE:
        text = np.empty((), TEXT)
        try:
            of.read(text, _text_type())
        except (TypeError, OSError):  # No way leads from another type to a text.
            return None
        return _text(text[()])
    return None


def _one_number(of: h5a.AttrID, kind: type) -> int | float | None:
    """None: it is no single number of 8 bytes.

    What takes 8 bytes is one number, or up to eight narrow ones, of which the buffer then holds the second, too.
    """
    if _stored(of) != 8:
        return None
    buffer = NONE_KNOWN.copy()
    try:
        of.read(buffer, h5t.NATIVE_DOUBLE)
    except (TypeError, OSError):  # No way leads from a text to a number.
        return None
    value = float(buffer[0])
    if math.isnan(value) or not math.isnan(buffer[1]):
        return None
    return int(value) if kind is int and value.is_integer() else value


def _empty(of: h5d.DatasetID | h5a.AttrID, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """For all values, if they are in the file: an array of which nothing was written may have any extents."""
    count = math.prod(shape)
    if count > MANY and count * dtype.itemsize > MOST_SHRUNK * of.get_storage_size():
        raise ValueError(f"{h5i.get_name(of).decode()} has {count} values in {of.get_storage_size()} bytes")
    return np.empty(shape, dtype)


def _values(of: h5d.DatasetID | h5a.AttrID) -> Any:
    dtype, shape = of.dtype, of.shape
    if shape is None:  # It holds nothing.
        return np.empty(0)
    values = _empty(of, shape, dtype)
    if values.size:
        where = () if isinstance(of, h5a.AttrID) else (h5s.ALL, h5s.ALL)
        of.read(*where, values, None if dtype.hasobject else _memory_type(dtype))
    if h5py.check_string_dtype(dtype) is not None:
        values = np.array([_text(v) for v in values.reshape(-1)], dtype=str).reshape(shape)
    return values if shape else values[()]


def _texts(of: h5d.DatasetID, shape: Extents) -> np.ndarray:
    """The same of texts, without asking for their type again."""
    values = _empty(of, shape, TEXT)
    if values.size:
        of.read(h5s.ALL, h5s.ALL, values, _text_type())
    return np.array([_text(v) for v in values.reshape(-1)], dtype=str).reshape(shape)


@lru_cache(maxsize=64)
def _space(extents: Extents) -> h5s.SpaceID:
    return h5s.create_simple(extents) if extents else h5s.create(h5s.SCALAR)


@lru_cache(maxsize=1)
def _text_type() -> h5t.TypeID:
    return h5t.py_create(TEXT)


@lru_cache(maxsize=64)
def _memory_type(dtype: np.dtype) -> h5t.TypeID:
    return h5t.py_create(dtype)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
