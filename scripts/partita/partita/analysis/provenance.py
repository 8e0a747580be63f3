# SPDX-License-Identifier: BSD-3-Clause
"""On what machine and by what code runs were made, and in what two sets of them differ."""

from collections.abc import Iterable

from partita.records.record import Record

MACHINE = ("CPU", "cores", "device")
LIBRARIES = {"MPI": "mpi_library", "kernels": "math_backend"}


def machine(record: Record) -> dict[str, str]:
    """What makes two machines different; hosts of one kind are the same machine."""
    header = record.header
    return dict(zip(MACHINE, (header.cpu_model, header.cores, header.execution_space), strict=True))


def build(record: Record) -> dict[str, str]:
    """What makes two builds different."""
    libraries = {name: record.environment.get(key, "?").split("\n")[0] for name, key in LIBRARIES.items()}
    return {"code": record.header.code, "compiler": record.header.compiler, **libraries}


def values(records: Iterable[Record]) -> dict[str, list[str]]:
    """Name -> the values that the records have, sorted."""
    found: dict[str, set[str]] = {}
    for record in records:
        for name, value in (machine(record) | build(record)).items():
            found.setdefault(name, set()).add(value)
    return {name: sorted(of) for name, of in found.items()}


def contrast(a: Iterable[Record], b: Iterable[Record]) -> dict[str, tuple[str, str]]:
    """What differs between the two, and how: `{"CPU": ("EPYC 7763", "Xeon 8480")}`."""
    mine, theirs = values(a), values(b)
    return {name: (" and ".join(mine[name]), " and ".join(theirs[name])) for name in mine
            if name in theirs and mine[name] != theirs[name]}  # fmt: skip
