# SPDX-License-Identifier: BSD-3-Clause
"""Records with changes that nobody would make: build/venv/bin/python tests/fuzz/records.py [--runs N] [--seed S].

Names, types, extents, values and attributes of a valid record change; it stays valid HDF5, since libhdf5 itself crashes
on damaged bytes. `partita validate`, `show` and now and then `report` read it within seconds and a limit of memory, or
refuse it by a PartitaError of one line. A finding is printed, and the exit code is 1.
"""

import io
import random
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "python"))

from fuzzing import fuzz, wrong_with  # noqa: E402
from synthetic import Synthetic  # noqa: E402

from partita.records.check import check_record  # noqa: E402
from partita.records.record import read_record  # noqa: E402
from partita.reports.html import to_html  # noqa: E402
from partita.reports.material import gather  # noqa: E402
from partita.reports.report import make_report  # noqa: E402
from partita.reports.summary import show  # noqa: E402

SECONDS, MEMORY, REPORT_EVERY = 20, 4 << 30, 50
NUMBERS = [0, 1, -1, 2, 0.5, np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300, 2**31, 2**63 - 1, -(2**63)]
TEXTS = ["", "x", "Partita-1", "Partita-9", "a\nb", "\x1b[31m", "x" * 5000, "ü", "{", "<b>&", "= =", "2026-13-45"]
TYPES = ["f8", "i8", "i1", ">f4", ">u8", "u2", "?", "f2", "c16", "S5", "V3", h5py.string_dtype(), "i8,f8", "(2,)i8",
         h5py.vlen_dtype(np.int64), h5py.enum_dtype({"A": 1}), h5py.ref_dtype]  # fmt: skip


def objects(file: h5py.File) -> list[str]:
    """All but the root."""
    found: list[str] = []
    file.visit(found.append)
    return found


def replace(file: h5py.File, name: str, draw: random.Random) -> None:
    """Another type and other extents."""
    shape = draw.choice([(), (0,), (1,), (2,), (3, 2), (1, 1, 1), (12,), (12, 2), (2**40,), (2**33, 2**33), None])
    dtype = draw.choice(TYPES)
    kept = dict(file[name].attrs) if draw.randrange(2) else {}
    del file[name]
    if shape is None:
        file[name] = h5py.Empty("f8")
    elif np.prod(shape, dtype=float) > 1e6:
        file.create_dataset(name, shape, dtype=draw.choice(["f8", "i8", h5py.string_dtype()]), chunks=(8,) * len(shape))
    else:
        file.create_dataset(name, shape, dtype=dtype)
    for key, value in kept.items():
        if not key.isupper():  # Not those of scales, which are references.
            file[name].attrs[key] = value


def set_values(file: h5py.File, name: str, draw: random.Random) -> None:
    """One, or all."""
    if not isinstance(file[name], h5py.Dataset) or file[name].shape is None:
        return
    texts = h5py.check_string_dtype(file[name].dtype) is not None
    value = draw.choice(TEXTS if texts else NUMBERS)
    at = tuple(draw.randrange(n) for n in file[name].shape) if 0 not in file[name].shape else ...
    file[name][... if draw.randrange(3) == 0 else at] = value


def set_attribute(file: h5py.File, name: str, draw: random.Random) -> None:
    """Gone, or something else."""
    attributes = file[name if draw.randrange(2) else "/"].attrs
    if not (keys := sorted(key for key in attributes if not key.isupper())):
        return
    key = draw.choice(keys)
    values = [*NUMBERS, *TEXTS, [1, 2, 3], [], ["a", "b"], [[1.5]], b"\xff\xfe", h5py.Empty("f8"), np.bool_(True)]
    if draw.randrange(4) == 0:
        del attributes[key]
    else:
        attributes[key] = draw.choice(values)


def change(file: h5py.File, draw: random.Random) -> None:
    """One change; h5py refuses some."""
    names = objects(file)
    name, other = draw.choice(names), draw.choice(names)
    match draw.randrange(9):
        case 0:
            del file[name]
        case 1:
            file.move(name, "moved")
        case 2:
            del file[name]
            file[name] = h5py.SoftLink(f"/{draw.choice([name, other, 'gone', ''])}")
        case 3:
            del file[name]
            file[name] = file[draw.choice([other, "/"])]
        case 4:
            replace(file, name, draw)
        case 5 | 6:
            set_values(file, name, draw)
        case _:
            set_attribute(file, name, draw)


def tried(path: Path, with_report: bool) -> str:
    """What is wrong with how it is read; empty: nothing."""

    def report() -> None:
        to_html(make_report(gather(path.parent)))

    calls = [lambda: check_record(path), lambda: show(read_record(path), Console(file=io.StringIO()))]
    said = (wrong_with(call, lambda message: str(path.parent) in message, SECONDS)
            for call in [*calls, *([report] if with_report else [])])  # fmt: skip
    return next(filter(None, said), "")


def main() -> int:
    """Reads one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        base, path = Path(folder) / "base", Path(folder) / "records" / "x.h5"
        path.parent.mkdir()
        Synthetic(ranks=2).write(base)

        def trial(run: int, draw: random.Random) -> str:
            shutil.copyfile(base, path)
            with h5py.File(path, "r+") as file:
                for _ in range(draw.randint(1, 4)):
                    # h5py's word on a change that cannot be.
                    with suppress(KeyError, TypeError, ValueError, OSError, RuntimeError, OverflowError, AttributeError):
                        change(file, draw)
            return tried(path, run % REPORT_EVERY == 0)

        return fuzz(__doc__, "records", 1000, MEMORY, trial)


if __name__ == "__main__":
    sys.exit(main())
