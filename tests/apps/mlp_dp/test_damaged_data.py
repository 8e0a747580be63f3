# SPDX-License-Identifier: BSD-3-Clause
"""Data files that are damaged end the run with exit code 2 and one line, at 1 and at 4 ranks."""

import gzip
import struct

import pytest

IMAGES, LABELS = 64, 64


def idx(magic: int, *extents: int, payload: bytes) -> bytes:
    return struct.pack(f">{1 + len(extents)}i", magic, *extents) + payload


@pytest.fixture
def folder(tmp_path):
    """A good little set: 64 training and 64 held-out images of 3 x 4 pixels in 10 classes."""
    data = tmp_path / "idx"
    data.mkdir()
    for prefix in ("train", "t10k"):
        pixels = bytes((7 * i) % 256 for i in range(IMAGES * 12))
        (data / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(0x803, IMAGES, 3, 4, payload=pixels)))
        (data / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(idx(0x801, LABELS, payload=bytes(i % 10 for i in range(LABELS)))))
    return data


def settings(folder):
    return ["data.source=idx", f"data.path={folder}", "data.classes=10", "train.steps=3", "train.batch=8"]


@pytest.mark.parametrize("ranks", [1, 4])
def test_a_folder_of_idx_files_trains(run, folder, ranks):
    run(ranks, *settings(folder))


def refused(run, folder, ranks, *words):
    run(ranks, *settings(folder), code=2)
    lines = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, run.stderr
    for word in words:
        assert word in lines[0], lines[0]


@pytest.mark.parametrize("ranks", [1, 4])
def test_truncated_gzip(run, folder, ranks):
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-20])
    refused(run, folder, ranks, file.name)


@pytest.mark.parametrize("ranks", [1, 4])
def test_header_that_promises_more_than_the_file_holds(run, folder, ranks):
    file = folder / "train-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(idx(0x803, 1_000_000_000, 3, 4, payload=b"\0" * 12)))
    refused(run, folder, ranks, file.name, "12000000000")


@pytest.mark.parametrize("ranks", [1, 4])
def test_missing_file(run, folder, ranks):
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    refused(run, folder, ranks, "t10k-labels-idx1-ubyte")


@pytest.mark.parametrize("ranks", [1])
def test_counts_that_disagree(run, folder, ranks):
    file = folder / "train-labels-idx1-ubyte.gz"
    file.write_bytes(gzip.compress(idx(0x801, 63, payload=b"\0" * 63)))
    refused(run, folder, ranks, "63", "64")
