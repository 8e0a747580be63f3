# SPDX-License-Identifier: BSD-3-Clause
"""Whole groups of an HDF5 file at once, by h5py's low-level calls.

A record has a hundred small arrays; an object of h5py for each of them takes longer than reading it.
"""

from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5o, h5s, h5t

Columns = dict[str, np.ndarray]


def attributes(of: h5py.File | h5py.Group) -> dict[str, Any]:
    """All attributes, as Python's own values where they are scalars or arrays of one."""
    found = {}
    for index in range(h5a.get_num_attrs(of.id)):
        attribute = h5a.open(of.id, index=index)
        found[attribute.name.decode()] = plain(_values(attribute))
    return found


def columns(of: h5py.Group) -> Columns:
    """The arrays of a group, by name; texts as str, scalars without dimensions as NumPy's scalars."""
    members = ((name, h5o.open(of.id, name)) for name in of.id)
    return {name.decode(): _values(member) for name, member in members if isinstance(member, h5d.DatasetID)}


def groups_with(of: h5py.File, names: set[str]) -> list[str]:
    """The groups right below that have all these members."""
    wanted = {name.encode() for name in names}
    members = ((name, h5o.open(of.id, name)) for name in of.id)
    return [name.decode() for name, member in members if isinstance(member, h5g.GroupID) and wanted <= set(member)]


def array(of: h5py.Group, name: str) -> Any:
    """One array; KeyError where there is none, ValueError where it is a group."""
    try:
        at = h5o.open(of.id, name.encode())
    except KeyError:
        raise KeyError(f"no {name}") from None
    if not isinstance(at, h5d.DatasetID):
        raise ValueError(f"/{name} is no array")
    return _values(at)


def plain(value: Any) -> Any:
    """NumPy scalars, arrays of one value and bytes -> Python's own."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ndarray) and value.size == 1:
        return plain(value.reshape(-1)[0])
    return value.item() if isinstance(value, np.generic) else value


def _values(of: h5d.DatasetID | h5a.AttrID) -> Any:
    space, kind = of.get_space(), of.get_type()
    values = np.empty(of.shape, dtype=kind.dtype) if space.get_simple_extent_type() != h5s.NULL else np.empty(0)
    if values.size:
        if isinstance(of, h5a.AttrID):
            of.read(values)
        else:
            of.read(h5s.ALL, h5s.ALL, values)
    if isinstance(kind, h5t.TypeStringID):
        values = np.array([_text(v) for v in values.reshape(-1)], dtype=object).reshape(values.shape)
        values = values.astype(str) if values.size else values.astype("<U1")
    return values if values.ndim else values[()]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
