# SPDX-License-Identifier: BSD-3-Clause
"""SYNTHETIC TEST DATA: checkpoints without tensors, sealed as lib/partita/io/checkpoint_file does it."""

import zlib
from pathlib import Path

import h5py

HEAD_BYTE = 512


def write_checkpoint(path: Path, step: int, planned: int = 12, conventions: str = "Partita-checkpoint-1") -> Path:
    """After so many steps of a run of so many."""
    with h5py.File(path, "w", userblock_size=HEAD_BYTE) as file:
        file.attrs.update({"Conventions": conventions, "step": step})
        file["config"] = f"[train]\nsteps = {planned}\n"
    return seal(path)


def seal(path: Path) -> Path:
    """Write the size and the checksum of what is there."""
    body = path.read_bytes()[HEAD_BYTE:]
    head = f"Partita checkpoint 1\nbytes {HEAD_BYTE + len(body)}\ncrc32 {zlib.crc32(body):08x}\n".encode()
    path.write_bytes(head.ljust(HEAD_BYTE, b" ") + body)
    return path
