# SPDX-License-Identifier: BSD-3-Clause
"""HDF5 files by h5py's low-level calls, where an object of h5py for each array takes longer than reading it.

A record has a hundred small arrays and a folder ten thousand records. So nothing here is opened twice, and scalars,
texts and plain columns are read straight into memory of the type that they end in.
"""

import os
import sys
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

# Writers may still be at work on a .part, and some file systems have no locks. Read by the library at the first open.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5g, h5i, h5o, h5p, h5s, h5t

Columns = dict[str, np.ndarray]
Place = h5f.FileID | h5g.GroupID

SIGNATURE = b"\x89HDF\r\n\x1a\n"
TEXT = h5py.string_dtype()
TEXT_BYTE = 16  # In a file: length, and place in the heap.
NATIVE = {"i": (np.dtype(np.int64), h5t.NATIVE_INT64), "f": (np.dtype(np.float64), h5t.NATIVE_DOUBLE)}


def open_file(path: Path) -> h5f.FileID:
    """The file, to read, for the caller to close; OSError or ValueError with the reason where it is none."""
    if path.is_dir():
        raise ValueError("a folder")
    if path.is_symlink() and not path.exists():
        raise ValueError("a link to a file that is not there")
    with path.open("rb") as stream:  # HDF5's own words on these are long.
        begin = stream.read(len(SIGNATURE))
    if begin != SIGNATURE:
        raise ValueError("no HDF5 file" if begin else "an empty file")
    return h5f.open(os.fsencode(path), h5f.ACC_RDONLY, _access())


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
    return plist


def names(of: Place) -> list[str]:
    """What lies right below."""
    return [name.decode() for name in of]


def attributes(of: Place, numbers: Container[str] = ()) -> dict[str, Any]:
    """All attributes, as Python's own values where they are scalars or arrays of one; fast where `numbers` are not."""
    found: list[bytes] = []
    h5a.iterate(of, found.append)
    return {name: _attribute(h5a.open(of, key), name in numbers) for key, name in ((k, _name(k)) for k in found)}


def attribute(of: Place, name: str, default: Any = None) -> Any:
    """One attribute of the place itself."""
    key = name.encode()
    return _attribute(h5a.open(of, key), False) if h5a.exists(of, key) else default


def group(of: Place, name: str) -> h5g.GroupID | None:
    """The group of this name right below; None where there is none."""
    key = name.encode()
    return h5g.open(of, key) if key in of else None


def columns(of: Place, only: Sequence[str] = ()) -> Columns:
    """The arrays of a group (or some of them) by name; texts as str, scalars without dimensions as NumPy's scalars."""
    found: Columns = {}
    for key in [name.encode() for name in only] or of:
        with suppress(KeyError):  # There is none, or it is a group.
            found[_name(key)] = _values(h5d.open(of, key))
    return found


def groups_with(of: Place, names: Iterable[str], members: Iterable[str]) -> list[str]:
    """Of these, the groups right below that have all these members."""
    wanted = {name.encode() for name in members}
    found = ((name, h5o.open(of, name.encode())) for name in names)
    return [name for name, at in found if isinstance(at, h5g.GroupID) and wanted <= set(at)]


def array(of: Place, name: str) -> Any:
    """One array; KeyError where there is none, or it is a group."""
    try:
        return _values(h5d.open(of, name.encode()))
    except KeyError:
        raise KeyError(f"no array {name}") from None


def numbers(of: Place, name: str, kind: str) -> np.ndarray:
    """One array of whole numbers ("i") or of any ("f"), whatever their width; KeyError, or ValueError for texts."""
    try:
        at = h5d.open(of, name.encode())
    except KeyError:
        raise KeyError(f"no array {name}") from None
    dtype, native = NATIVE[kind]
    values = np.empty(at.shape or (), dtype)
    try:
        at.read(h5s.ALL, h5s.ALL, values, native)
    except (TypeError, OSError) as error:  # No way leads from a text to a number.
        where = h5i.get_name(of).decode().rstrip("/")
        raise ValueError(f"{where}/{name} holds no numbers") from error
    return values


def extent(of: Place, name: str) -> tuple[int, ...]:
    """Of an array; KeyError where there is none."""
    return h5d.open(of, name.encode()).shape or (0,)


def plain(value: Any) -> Any:
    """NumPy scalars, arrays of one value and bytes -> Python's own."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray) and value.size == 1:
        return plain(value.reshape(-1)[0])
    return value.item() if isinstance(value, np.generic) else value


@lru_cache(maxsize=1024)
def _name(key: bytes) -> str:
    return sys.intern(key.decode())


def _attribute(of: h5a.AttrID, number: bool) -> Any:
    """Of most it is known whether they are texts: asking for the type takes as long as reading one."""
    value = _one_number(of) if number else _one_text(of)
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
        with suppress(TypeError, OSError):  # No way leads from another type to a text.
            text = np.empty((), TEXT)
            of.read(text, _text_type())
            return _text(text[()])
    return None


def _one_number(of: h5a.AttrID) -> int | float | None:
    """None: it is no single number of a common type."""
    kind = of.get_type()
    if _stored(of) != kind.get_size():
        return None
    if isinstance(kind, h5t.TypeIntegerID) and kind.get_sign() == h5t.SGN_2:
        return _number(of, "i")
    return _number(of, "f") if isinstance(kind, h5t.TypeFloatID) else None


def _number(of: h5a.AttrID, kind: str) -> int | float:
    dtype, native = NATIVE[kind]
    value = np.empty((), dtype)
    of.read(value, native)
    return value.item()


def _values(of: h5d.DatasetID | h5a.AttrID) -> Any:
    dtype, shape = of.dtype, of.shape
    if shape is None:  # It holds nothing.
        return np.empty(0)
    values = np.empty(shape, dtype)
    if values.size:
        where = () if isinstance(of, h5a.AttrID) else (h5s.ALL, h5s.ALL)
        of.read(*where, values, None if dtype.hasobject else _memory_type(dtype))
    if h5py.check_string_dtype(dtype) is not None:
        values = np.array([_text(v) for v in values.reshape(-1)], dtype=str).reshape(shape)
    return values if shape else values[()]


@lru_cache(maxsize=1)
def _text_type() -> h5t.TypeID:
    return h5t.py_create(TEXT)


@lru_cache(maxsize=64)
def _memory_type(dtype: np.dtype) -> h5t.TypeID:
    return h5t.py_create(dtype)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
