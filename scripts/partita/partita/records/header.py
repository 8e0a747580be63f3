# SPDX-License-Identifier: BSD-3-Clause
"""What a record says of itself in its root's attributes: all that an index of a folder needs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from h5py import h5f

from partita.errors import UsageError, held_to_the_layout
from partita.records import hdf5, layout

CONVENTIONS = "Partita-1"
SCHEMA = 4  # The newest schema_version that this package knows; lib/partita/io writes it.
INTEGERS = ("schema_version", "ranks", "threads_per_rank", "complete", "verified", "oversubscribed", "git_dirty",
            "nodes", "workers", "servers", "first_step")  # fmt: skip
NUMBERS = {**dict.fromkeys((*INTEGERS, "samples_per_step", "warmup_steps"), int), "flop_per_step": float}
TEXTS = ("app", "faults", "strategy", "study", "point", "git_sha", "exit_reason", "verification", "engine", "protocol",
         "run_uuid", "created_utc", "config_hash")  # fmt: skip
MACHINE = {
    "cpu_model": "?",
    "cores_online": "?",
    "hostname": "?",
    "compiler": "?",
    "kokkos_execution_space": "?",
}  # Of /environment.


@dataclass(frozen=True)
class Header:
    """One row a file; of a file that cannot be read, or is left out, with the reason."""

    path: Path
    refused: str = ""
    app: str = ""
    study: str = ""
    point: str = ""
    repeat: int = 0  # From 1 on; 0: the point's name ends with none.
    ranks: int = 0
    threads: int = 1  # Per rank.
    nodes: int = 1
    strategy: str = ""
    run_uuid: str = ""
    created_utc: str = ""
    git_sha: str = ""
    git_dirty: bool = False
    complete: bool = False
    verified: bool = False  # A record without a verdict has none against it.
    oversubscribed: bool = False  # More threads than cores: never called scaling.
    config_hash: str = ""
    faults: str = ""  # Drills of its deck: what went wrong on purpose, so that its times say nothing.
    first_step: int = 0  # Above 0: it went on from a checkpoint, and holds its own steps alone.
    schema: int = 0
    kind: str = ""  # training, kernels, collectives
    cpu_model: str = "?"
    cores: str = "?"
    hostname: str = "?"
    compiler: str = "?"
    execution_space: str = "?"  # Of Kokkos: OpenMP, Cuda ...

    @property
    def usable(self) -> bool:
        """Whether it may be counted."""
        return not self.refused

    @property
    def note(self) -> str:
        """What is special about a run that counts; mostly nothing."""
        return f"went on from step {self.first_step}" if self.first_step else ""

    @property
    def code(self) -> str:
        """What was built, as far as a record can tell: commit, and whether the tree had changes."""
        return f"{self.git_sha[:7] or '?'}{' + changes' if self.git_dirty else ''}"


class Headed:
    """What has a header, and says the same."""

    header: Header

    @property
    def path(self) -> Path:
        """Its file."""
        return self.header.path

    @property
    def ranks(self) -> int:
        """Number of ranks."""
        return self.header.ranks

    @property
    def threads(self) -> int:
        """Threads per rank."""
        return self.header.threads

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.header.nodes

    @property
    def first_step(self) -> int:
        """Steps that runs before it have done, which it does not hold; 0: it began anew."""
        return self.header.first_step

    @property
    def repeat(self) -> int:
        """Which of the runs of its point, from 1 on; 0: the point's name does not say."""
        return self.header.repeat

    @property
    def run_uuid(self) -> str:
        """What no other run has."""
        return self.header.run_uuid

    @property
    def complete(self) -> bool:
        """Whether the run closed its record itself."""
        return self.header.complete

    @property
    def verified(self) -> bool:
        """Whether the run's results passed its own check (a record without a verdict has none against it)."""
        return self.header.verified

    @property
    def oversubscribed(self) -> bool:
        """More threads than cores: never called scaling."""
        return self.header.oversubscribed


def read_attributes(path: Path, file: h5f.FileID) -> dict[str, Any]:
    """The root's attributes; UsageError where they are not those of a record that this package can read."""
    attributes = hdf5.attributes(file, NUMBERS)
    _check(path, attributes)
    return attributes


def read_header(path: Path) -> Header:
    """The row of a file, whatever is wrong with it."""
    try:
        with held_to_the_layout(path), hdf5.opened(path) as file:
            attributes = read_attributes(path, file)
            return header_of(path, attributes, read_machine(file), layout.kind_of(file, hdf5.names(file)))
    except UsageError as error:
        return Header(path, refused=reason_in(error, path))


def reason_in(error: UsageError, path: Path) -> str:
    """What an error says of a file, without its name."""
    return str(error).removeprefix(str(path)).lstrip(": ")


def read_machine(file: h5f.FileID) -> dict[str, str]:
    """Of /environment what a header holds."""
    group = hdf5.group(file, "environment")
    if group is None:
        return dict(MACHINE)
    return {name: str(hdf5.attribute(group, name, default)) for name, default in MACHINE.items()}


def header_of(path: Path, attributes: Mapping[str, Any], machine: Mapping[str, str], kind: str) -> Header:
    """The row of a record that could be read; refused where its run did not end as it should."""
    point = str(attributes.get("point", ""))
    return Header(
        path,
        refused=_refusal(attributes),
        point=point,
        repeat=repeat_of(point),
        ranks=int(attributes.get("ranks", 0)),
        threads=int(attributes.get("threads_per_rank", 1)),
        nodes=int(attributes.get("nodes", 1)),
        git_dirty=attributes.get("git_dirty", 0) == 1,
        complete=attributes.get("complete", 0) == 1,
        verified=attributes.get("verified", 1) == 1,
        oversubscribed=attributes.get("oversubscribed", 0) == 1,
        first_step=int(attributes.get("first_step", 0)),
        schema=int(attributes.get("schema_version", 0)),
        kind=kind,
        cpu_model=machine["cpu_model"],
        cores=machine["cores_online"],
        hostname=machine["hostname"],
        compiler=machine["compiler"],
        execution_space=machine["kokkos_execution_space"],
        **{name: str(attributes.get(name, "")) for name in ("app", "study", "strategy", "run_uuid", "created_utc",
                                                            "git_sha", "config_hash", "faults")},
    )  # fmt: skip


def repeat_of(point: str) -> int:
    """Of a point's name, which ends with `-rN`; 0: with none."""
    found = re.search(r"(?:^|-)r(\d+)$", point)
    return int(found[1]) if found else 0


def _refusal(attributes: Mapping[str, Any]) -> str:
    if attributes.get("complete", 0) != 1:
        return f"incomplete ({attributes.get('exit_reason') or 'no reason given'})"
    if attributes.get("verified", 1) != 1:
        return f"its results failed the run's own check ({attributes.get('verification') or 'no reason given'})"
    return ""


def _check(path: Path, attributes: Mapping[str, Any]) -> None:
    if attributes.get("Conventions") != CONVENTIONS:
        given = repr(attributes["Conventions"]) if "Conventions" in attributes else "no such attribute"
        raise UsageError(f"{path}: Conventions", f"{given}, so not a record of Partita", repr(CONVENTIONS))
    for name in INTEGERS:
        if name in attributes and not isinstance(attributes[name], int):
            raise UsageError(f"{path}: {name}", f"{attributes[name]!r} is no integer", "one integer")
    for name, least in (("ranks", 1), ("threads_per_rank", 1), ("first_step", 0)):
        if attributes.get(name, least) < least:
            raise UsageError(f"{path}: {name}", str(attributes[name]), f"{least} or more")
    for name in TEXTS:
        if not isinstance(attributes.get(name, ""), str):
            raise UsageError(f"{path}: {name}", f"{attributes[name]!r} is no text", "one text")
    if not isinstance(flop := attributes.get("flop_per_step", 0), int | float):
        raise UsageError(f"{path}: flop_per_step", f"{flop!r} is no number", "one number")
    if not 1 <= (schema := attributes.get("schema_version", 0)) <= SCHEMA:
        newer = ", which a later Partita wrote" if schema > SCHEMA else ""
        raise UsageError(f"{path}: schema_version", f"{schema}{newer}", f"1 to {SCHEMA}")
