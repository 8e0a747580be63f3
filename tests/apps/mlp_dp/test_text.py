# SPDX-License-Identifier: BSD-3-Clause
"""A GPT on the bytes of a small file: what is read, scored and compared with compressors, at any number of ranks."""

import shutil
import subprocess

import h5py
import numpy as np
import pytest

TEXT = b"".join(b"%d bottles of beer on the wall, %d bottles of beer.\n" % (n, n) for n in range(300, 0, -1))
DECK = "inputs/mlp_dp/tiny_gpt.toml"


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "text").write_bytes(TEXT)
    return ["data.source=text", f"data.path={tmp_path / 'text'}", "model.vocabulary=256", "model.tokens=24", "train.batch=13",
            "train.steps=40", "evaluate.every=20", "model.dropout=0"]


def read(path):
    with h5py.File(path) as file:
        summary = dict(zip(file["summary/metric"].asstr()[:], file["summary/value"][:], strict=True))
        return {"loss": file["steps/loss"][:], "held_out": file["evaluation/loss"][:], "summary": summary,
                "n": dict(zip(file["summary/metric"].asstr()[:], file["summary/n"][:], strict=True)),
                "windows": file["evaluation/samples"][0], "verdict": file.attrs["verification"],
                "weights": file.attrs["parameters_fnv1a"]}


def test_bits_per_byte_stand_beside_those_of_the_programs(run, settings):
    record = read(run(1, *settings, deck=DECK))
    held_out = TEXT[-(len(TEXT) // 10):]
    assert record["windows"] == -(-(len(held_out) - 1) // 24)
    assert record["summary"]["heldout_bits_per_byte"] == pytest.approx(record["held_out"][-1] / np.log(2))
    assert record["n"]["heldout_bits_per_byte"] == len(held_out) - 1
    for program, exactness in (("gzip", 1e-3), ("xz", 0)):
        if shutil.which(program) is None:
            continue
        size = len(subprocess.run([program, "-9"], input=held_out, capture_output=True, check=True).stdout)
        bits = record["summary"][f"{program}_bits_per_byte"]
        assert bits == pytest.approx(8 * size / len(held_out), rel=max(exactness, 1e-12))
        assert f"{program} -9 {bits:.3f}" in record["verdict"]
    # Better than one number for all bytes: than the entropy of their frequencies, were it known.
    counts = np.bincount(np.frombuffer(TEXT, np.uint8))
    share = counts[counts > 0] / len(TEXT)
    assert record["summary"]["heldout_bits_per_byte"] < -np.sum(share * np.log2(share))


def test_ranks_train_on_the_same_windows(run, settings):
    one = read(run(1, *settings, name="one", deck=DECK))
    for ranks in (2, 3, 4):
        many = read(run(ranks, *settings, name=f"np{ranks}", deck=DECK))
        assert many["loss"] == pytest.approx(one["loss"], rel=1e-4)
        assert many["held_out"] == pytest.approx(one["held_out"], rel=1e-4)
        for metric in ("gzip_bits_per_byte", "xz_bits_per_byte"):
            assert many["summary"][metric] == one["summary"][metric]


def test_deterministic_runs_are_the_same_bits(run, settings):
    few = [*settings, "train.steps=5", "train.deterministic=true"]
    one = read(run(1, *few, name="one", deck=DECK))
    three = read(run(3, *few, "train.micro_batches=2", name="three", deck=DECK))
    assert three["loss"].tobytes() == one["loss"].tobytes()
    assert three["held_out"].tobytes() == one["held_out"].tobytes()
    assert three["weights"] == one["weights"]


def test_a_vocabulary_may_be_larger_than_a_byte(run, settings):
    assert read(run(2, *settings, "model.vocabulary=259", deck=DECK))["summary"]["heldout_bits_per_byte"] > 0


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_run_that_does_not_beat_the_compressor_fails(run, settings, ranks):
    whole = [s for s in settings if not s.startswith("train.steps")]
    record = read(run(ranks, *whole, "train.steps=0", "train.epochs=1", "verify.beats=xz", code=3, deck=DECK))
    assert "verify.beats" in record["verdict"]


@pytest.mark.parametrize("ranks", [1, 4])
def test_files_that_are_none_end_the_run_with_one_line(run, settings, tmp_path, ranks):
    (tmp_path / "text").write_bytes(b"")
    run(ranks, *settings, deck=DECK, code=2)
    lines = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, run.stderr
    assert f"data.path: {tmp_path / 'text'}: is empty: expected a file of text" in lines[0]
