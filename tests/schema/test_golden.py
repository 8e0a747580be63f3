# SPDX-License-Identifier: BSD-3-Clause
"""The structure of a record is the stored one. After a wanted change: --update-golden, and mind schema_version."""

from pathlib import Path

import h5py
import pytest

GOLDEN = Path(__file__).parent / "golden"
NEUTRAL = {"created_utc": "<time>"}
INNER = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"}  # How HDF5 keeps scales; seen as dimensions instead.


def describe_attribute(name, value):
    """Text in quotes, a number after its type."""
    if name in NEUTRAL:
        return NEUTRAL[name]
    return repr(value) if isinstance(value, str) else f"{value.dtype} {value}"


def describe_attributes(item, indent):
    """One line for each."""
    return [f"{indent}@{name} = {describe_attribute(name, item.attrs[name])}" for name in sorted(item.attrs)
            if name not in INNER]


def describe_dataset(path, item):
    """Type, dimensions, and the values of what is text."""
    text = h5py.check_string_dtype(item.dtype)
    kind = f"string({text.encoding})" if text else str(item.dtype)
    scales = [dimension[0].name if len(dimension) else "?" for dimension in item.dims]
    if item.is_scale:
        assert item.attrs["NAME"].decode() == path.split("/")[-1]
        scales = [path]
    shape = ", ".join(f"{scale}={n}" for scale, n in zip(scales, item.shape))
    line = f"{path}: {kind} ({shape})"
    if text:
        line += f" = {list(item.asstr()[...].flat) if item.shape else item.asstr()[()]!r}"
    return line


def describe(file):
    """The whole file, an object a line, under its attributes."""
    lines = ["/", *describe_attributes(file, "  ")]

    def walk(group):
        for name in sorted(group):
            item = group[name]
            path = f"{group.name.rstrip('/')}/{name}"
            if isinstance(item, h5py.Group):
                lines.append(path)
                lines.extend(describe_attributes(item, "  "))
                walk(item)
            elif item.is_scale and group.name != "/" and name in file and item == file[name]:
                lines.append(f"{path} -> /{name}")
            else:
                lines.append(describe_dataset(path, item))
                lines.extend(describe_attributes(item, "  "))

    walk(file)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("detail, options", [("full", []), ("stats", ["--every", 4])])
def test_structure(write, tmp_path, request, detail, options):
    write(tmp_path / "x.h5", *options)
    with h5py.File(tmp_path / "x.h5") as file:
        found = describe(file)
    golden = GOLDEN / f"{detail}.txt"
    if request.config.getoption("--update-golden"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")
