# SPDX-License-Identifier: BSD-3-Clause
"""Ranks that share the rows of every image train what one rank trains, and send what its layers' shapes say."""

import gzip
import os
import struct
from pathlib import Path

import conftest
import h5py
import numpy as np
import pytest

STEPS, WARM_UP, BATCH, HELD_OUT = 3, 1, 8, 6
COLUMNS, CHANNELS, CLASSES = 5, [3, 4], 5
SHORT = [f"train.steps={STEPS}", f"run.warmup={WARM_UP}", f"train.batch={BATCH}", "train.micro_batches=1",
         "model.channels=[3, 4]", "model.depth=1", "data.samples=64", f"data.held_out={HELD_OUT}", "evaluate.every=100"]
EXACT = [*SHORT, "train.deterministic=true", "train.deterministic_chunks=4", "evaluate.every=2"]


def images(rows):
    return f"data.image=[{rows}, {COLUMNS}, 1]"


def bits(path):
    """All that a run leaves of its training."""
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1
        return {"loss": file["steps/loss"][:].tobytes(), "norm": file["steps/grad_norm"][:].tobytes(),
                "weights": file.attrs["parameters_fnv1a"], "held_out": file["evaluation/loss"][:].tobytes(),
                "accuracy": file["evaluation/accuracy"][:].tobytes()}


ONE = {}  # bits of one rank


def whole(run, *settings, **deck):
    key = (*settings, *deck.values())
    if key not in ONE:
        ONE[key] = bits(run(1, *EXACT, *settings, **deck))
    return ONE[key]


@pytest.mark.parametrize("ranks, rows, model, ways", [
    (2, 28, "resnet", ["parallel.spatial=2"]),
    (3, 29, "resnet", ["parallel.spatial=3"]),
    (4, 28, "resnet", ["parallel.spatial=4", "parallel.overlap_halo=false"]),
    (2, 29, "vgg", ["parallel.spatial=2", "train.micro_batches=3"]),
    (3, 28, "vgg", ["parallel.spatial=3", "parallel.overlap_halo=false"]),
    (4, 29, "vgg", ["parallel.spatial=4"]),
    (4, 29, "resnet", ["parallel.spatial=2", "parallel.data=2"]),
    (4, 28, "vgg", ["parallel.spatial=2", "parallel.data=2", "train.micro_batches=2", "parallel.bucket_mib=0.001"]),
    (4, 29, "resnet", ["parallel.spatial=2", "parallel.pipeline=2", "train.micro_batches=3", "train.recompute=block"]),
    (4, 28, "vgg", ["parallel.spatial=2", "parallel.schedule=zb-h1", "train.micro_batches=3"]),
])
def test_rows_leave_the_bits_of_whole_images(run, ranks, rows, model, ways):
    settings = [images(rows), f"model.cnn={model}"]
    assert bits(run(ranks, *EXACT, *settings, *ways)) == whole(run, *settings)


def test_the_whole_image_is_that_of_another_app(run, monkeypatch):
    deck, settings = "inputs/mlp_dp/tiny_cnn.toml", [*EXACT, images(28)]
    here = bits(run(2, *settings, "parallel.spatial=2", deck=deck))
    other = Path(conftest.APP).parents[1] / "mlp_dp" / "mlp_dp"
    if not os.access(other, os.X_OK):
        pytest.skip("mlp_dp is not built")
    monkeypatch.setattr(conftest, "APP", str(other))
    assert bits(run(2, *settings, deck=deck)) == here


def test_rows_of_files_are_shared_too(run, tmp_path):
    folder = tmp_path / "idx"
    folder.mkdir()
    pixels = np.random.default_rng(1).integers(0, 256, (64, 28, COLUMNS), dtype=np.uint8)
    for prefix, first, count in (("train", 0, 56), ("t10k", 56, 8)):
        for kind, magic, extents, payload in (("images-idx3", 0x803, (count, 28, COLUMNS), pixels[first:first + count]),
                                              ("labels-idx1", 0x801, (count,), np.arange(count, dtype=np.uint8) % 5)):
            (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(
                gzip.compress(struct.pack(f">{1 + len(extents)}i", magic, *extents) + payload.tobytes()))
    settings = ["data.source=idx", f"data.path={folder}", "data.classes=5"]
    assert bits(run(3, *EXACT, *settings, "parallel.spatial=3")) == whole(run, *settings)


def training(path):
    with h5py.File(path) as file:
        return file["steps/loss"][:], file["steps/grad_norm"][:], file["evaluation/loss"][-1]


@pytest.mark.parametrize("ranks, model, ways", [(2, "vgg", []), (3, "resnet", ["parallel.overlap_halo=false"]),
                                                (4, "resnet", ["parallel.data=2", "model.sync_batchnorm=true"])])
def test_fast_rows_stay_within_the_bound(run, ranks, model, ways):
    """Statistics of a slice would show at once in the losses, and running ones of a slice in the held-out loss."""
    settings = [*SHORT, images(28), f"model.cnn={model}", "train.steps=20", "train.batch=24"]
    spatial = f"parallel.spatial={2 if ways[:1] == ['parallel.data=2'] else ranks}"
    loss, norm, held_out = training(run(1, *settings))
    shared = training(run(ranks, *settings, spatial, *ways))
    assert np.allclose(shared[0], loss, rtol=1e-4, atol=0)
    assert np.allclose(shared[1][0], norm[0], rtol=1e-5, atol=0)
    assert shared[2] == pytest.approx(held_out, rel=1e-3)


def layers(model, rows):
    """(kernel, stride, padding, rows, reduction, numbers of a row of x and of y, first, maximum) of all that slides."""
    width, reduction, channels = COLUMNS, 1, 1

    def conv(filters, kernel, stride, first=False):
        out = (width - 1) // stride + 1
        return (kernel, stride, kernel // 2, rows, reduction, width * channels, out * filters, first, False)

    if model == "resnet":
        yield conv(CHANNELS[0], 3, 1, True)
        channels = CHANNELS[0]
    for group, filters in enumerate(CHANNELS):
        if model == "vgg":
            if group > 0:
                yield (2, 2, 0, rows, reduction, width * channels, width // 2 * channels, False, True)
                rows, width, reduction = rows // 2, width // 2, 2 * reduction
            yield conv(filters, 3, 1, group == 0)
        else:
            stride = 2 if group > 0 else 1
            yield conv(filters, 3, stride)
            if stride > 1:
                yield conv(filters, 1, stride)
                rows, width, reduction = (rows - 1) // 2 + 1, (width - 1) // 2 + 1, 2 * reduction
            channels = filters
            yield conv(filters, 3, 1)
        channels = filters


def sent_rows(layer, input_rows, ranks):
    """Of each rank: numbers of x, of dy and of winners that it sends for an image, every window by itself."""
    kernel, stride, padding, rows, reduction, row_of_x, row_of_y, first, maximum = layer
    firsts = [r * (input_rows // ranks) + min(r, input_rows % ranks) for r in range(ranks)]  # larger slices first

    def owner(row):
        return max(r for r in range(ranks) if firsts[r] <= row)

    of_x, of_dy = set(), set()
    for out in range((rows + 2 * padding - kernel) // stride + 1):
        for row in range(max(out * stride - padding, 0), min(out * stride - padding + kernel, rows)):
            here, there = owner(row * reduction), owner(out * stride * reduction)
            if here != there:
                of_x.add((here, row, there))
                of_dy.add((there, out, here))
    sent = np.zeros((ranks, 3), int)
    for rank, *_ in of_x:
        sent[rank, 0] += row_of_x
    for rank, *_ in () if first else of_dy:
        sent[rank, 1:] += [row_of_y, row_of_y if maximum else 0]
    return sent


@pytest.mark.parametrize("ranks, rows, model, size", [(2, 28, "resnet", 4), (3, 29, "resnet", 2), (4, 29, "vgg", 4),
                                                      (2, 28, "vgg", 2)])
def test_halo_bytes_are_counted_window_by_window(run, ranks, rows, model, size):
    path = run(ranks, *SHORT, images(rows), f"model.cnn={model}", f"parallel.spatial={ranks}",
               f"train.precision={'fp32' if size == 4 else 'bf16'}")
    forward, backward = np.zeros(ranks), np.zeros(ranks)
    for layer in layers(model, rows):
        x, dy, winners = sent_rows(layer, rows, ranks).T
        forward += x * size
        backward += dy * size + winners * 4
    with h5py.File(path) as file:
        traffic = {name: file[f"traffic/{name}"][:] for name in
                   ("kind", "axis", "sent_bytes", "expected_bytes", "messages", "expected_messages")}
    halo = (traffic["kind"] == b"halo") & (traffic["axis"] == b"spatial")
    assert halo.sum() == 1
    counted = (STEPS - WARM_UP) * BATCH * (forward + backward) + HELD_OUT * forward
    assert traffic["sent_bytes"][halo][0].tolist() == counted.tolist() and counted.min() > 0
    for name in ("bytes", "messages"):
        assert np.array_equal(traffic[f"expected_{name}"], traffic["sent_bytes" if name == "bytes" else name]), name


@pytest.mark.parametrize("overlap", [True, False])
def test_the_record_has_rows_times_and_places(run, overlap):
    path = run(3, *SHORT, images(29), "parallel.spatial=3", f"parallel.overlap_halo={str(overlap).lower()}")
    with h5py.File(path) as file:
        strategy = file["strategy"]
        assert strategy["first_image_row"][:].tolist() == [0, 10, 20]
        assert strategy["image_rows"][:].tolist() == [10, 10, 9]
        assert strategy.attrs["overlap_halo"] == overlap
        for what in ("activation", "message", "weight", "gradient", "optimizer"):
            assert np.array_equal(strategy[f"{what}_bytes"][:], strategy[f"expected_{what}_bytes"][:]), what
        exposed, hidden = strategy["halo_exposed_s"][:], strategy["halo_hidden_s"][:]
        assert (exposed > 0).all() and (hidden >= 0).all()
        phases = dict(zip(file["steps/phase"].asstr()[:], file["steps/phase_class"].asstr()[:]))
        for name in ("forward_halo", "backward_halo", "forward_all-reduce", "backward_all-reduce"):
            assert phases[name] == "communication", name
        assert file["ranks/axis"].asstr()[:].tolist() == ["data", "pipeline", "spatial"]
        assert file["ranks/coordinate"][:].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2]]
