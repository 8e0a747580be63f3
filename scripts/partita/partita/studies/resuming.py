# SPDX-License-Identifier: BSD-3-Clause
"""From where an attempt goes on: the checkpoint that those before it left, how often it may, and after which ends.

    resume = 3      in the study: of all attempts at a point at most three go on from a checkpoint

A run that was ended from outside (a signal, the time limit of a job, a lost node, a killed rank, a hang) goes on. One
that ended for a reason of its own (exit 1 to 4, memory, `timeout_s`) would end so again: its next attempt begins anew.
"""

import re
import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path

from partita.errors import PartitaError, held_to_the_layout
from partita.studies.state import CHECKPOINT, State, attempts

HEAD_BYTE = 512  # Before the HDF5 part: the size of the file, and the CRC-32 of what follows.
CONVENTIONS = "Partita-checkpoint-1"
_HEAD = re.compile(rb"Partita checkpoint 1\nbytes (\d+)\ncrc32 ([0-9a-f]{8})\n")
_OWN_FAULT = re.compile(r"exit code [1-4]\b")  # Run failed, usage, check of results, machine unfit.


@dataclass(frozen=True)
class Start:
    """Of the next attempt at a point."""

    checkpoint: Path  # Where the point has its checkpoint, or will have it.
    step: int = 0  # Steps that are done; 0: it begins anew.
    time: int = 0  # Which of the attempts that go on it is, from 1 on.
    refused: str = ""  # Why there is none.
    note: str = ""  # Why a checkpoint that is there is not used.

    @property
    def goes_on(self) -> bool:
        """Whether it begins with a checkpoint."""
        return self.step > 0


def may_go_on(state: State, why: str, timed_out: bool) -> bool:
    """Whether a run that ended so may go on from its checkpoint; `timed_out`: by timeout_s of the study."""
    if timed_out or state in (State.DONE, State.OUT_OF_MEMORY):
        return False
    return state is not State.FAILED or not _OWN_FAULT.match(why)


def next_start(folder: Path, digest: str, allowed: int) -> Start:
    """Of the next attempt at the point; `allowed`: how many of all its attempts may go on, 0: none."""
    start = Start(folder / "points" / digest / CHECKPOINT)
    tried = attempts(folder, digest) if allowed else []
    if not tried or not tried[-1].may_go_on or not start.checkpoint.is_file():
        return start
    try:
        done, planned = read_progress(start.checkpoint)
    except PartitaError as error:
        return Start(start.checkpoint, note=f"its checkpoint is not used: {error}")
    if done < 1 or 0 < planned <= done:
        return Start(start.checkpoint, note=f"its checkpoint after {done} steps leaves nothing to do")
    before = sum(a.first_step > 0 for a in tried)
    if before >= allowed:
        often = "once" if allowed == 1 else f"{allowed} times"
        why = f"went on {often}, as often as the study's `resume` allows; its checkpoint has {done} steps"
        return Start(start.checkpoint, refused=why)
    return Start(start.checkpoint, step=done, time=before + 1)


def read_progress(path: Path) -> tuple[int, int]:
    """Steps that a checkpoint has, and those of the run that left it (0: not known); UsageError for a damaged one.

    Its checksum is tested before HDF5 sees the file, as the apps do.
    """
    from partita.records import hdf5
    from partita.studies.toml_text import flatten

    with held_to_the_layout(path):
        _check_seal(path)
        with hdf5.opened(path) as file:
            attributes = hdf5.attributes(file)
            if attributes.get("Conventions") != CONVENTIONS:
                raise ValueError("no checkpoint of Partita")
            deck = flatten(tomllib.loads(hdf5.text(file, "config")))
        step, planned = attributes.get("step"), deck.get("train.steps", 0)
        if not isinstance(step, int) or not isinstance(planned, int):
            raise ValueError("it does not say how many steps it has")
        return step, planned


def _check_seal(path: Path) -> None:
    with path.open("rb") as stream:
        head = _HEAD.match(stream.read(HEAD_BYTE))
        if not head:
            raise ValueError("it does not begin as a checkpoint does")
        if path.stat().st_size != int(head[1]):
            raise ValueError(f"it has {path.stat().st_size} bytes, not {int(head[1])}")
        crc = 0
        while piece := stream.read(1 << 22):
            crc = zlib.crc32(piece, crc)
    if crc != int(head[2], 16):
        raise ValueError("its checksum is not that of its content")
