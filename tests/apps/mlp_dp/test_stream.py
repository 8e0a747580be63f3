# SPDX-License-Identifier: BSD-3-Clause
"""Samples that arrive while a model trains: the same on any number of ranks, from a generator and from a file that grows."""

import random
import subprocess
import threading
import time

import h5py
import numpy as np
import pytest
from conftest import ROOT, command
from test_losses import bits, losses
from test_stopped import launch, stop, wait_for

DECK = "inputs/mlp_dp/stream.toml"
FEATURES, CLASSES, HELD_OUT, BATCH = 17, 5, 100, 48
STEPS = 20


def records(count):
    """Records of a label and as many bytes as a sample has numbers, which depend on it."""
    chance = random.Random(5)
    return [bytes([c] + [min(255, max(0, int(128 + 25 * ((3 * c + f * f) % 7 - 3) + chance.gauss(0, 20)))) for f in range(FEATURES)])
            for c in (chance.randrange(CLASSES) for _ in range(count))]


@pytest.fixture
def file(tmp_path):
    """Exactly the records of STEPS batches behind the held-out ones."""
    path = tmp_path / "stream.bin"
    path.write_bytes(b"".join(records(HELD_OUT + STEPS * BATCH)))
    return path


def settings(path, *more, timeout_s=20):
    return ["data.stream_from=file", f"data.path={path}", "data.mean=0.5", "data.deviation=0.25", "data.stream_rate=0",
            f"data.stream_timeout_s={timeout_s}", f"train.steps={STEPS}", *more]


def stream_of(path):
    with h5py.File(path) as record:
        return {name: column[:] for name, column in record["stream"].items()}


def the_error(run):
    lines = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, run.stderr
    return lines[0]


# Every pair of ranks and micro-batches with some deck; every deck with more ranks and with more micro-batches.
PAIRS = {"stream": [(1, 2), (4, 1)], "tiny_gpt": [(2, 1), (3, 2)], "tiny_cnn": [(3, 2), (4, 1)]}


@pytest.mark.parametrize("deck", PAIRS)
def test_deterministic_runs_are_the_same_bits_at_any_ranks_and_micro_batches(run, deck):
    def go(ranks, micro_batches):
        return bits(run(ranks, "data.source=stream", "data.stream_rate=0", "train.deterministic=true", "train.steps=5", "data.held_out=40",
                        "run.warmup=1", f"train.micro_batches={micro_batches}", deck=f"inputs/mlp_dp/{deck}.toml"))

    one = go(1, 1)
    for ranks, micro_batches in PAIRS[deck]:
        assert go(ranks, micro_batches) == one, f"{ranks} ranks, {micro_batches} micro-batches"


def test_neither_rate_nor_depth_change_what_is_learned(run):
    one = losses(run(1, "train.deterministic=true", deck=DECK))
    for change in ("data.stream_rate=0", "data.stream_rate=2500", "data.stream_depth=1"):
        assert losses(run(2, "train.deterministic=true", change, deck=DECK)).tobytes() == one.tobytes(), change


def test_every_sample_is_a_new_one(run):
    """With the learning rate as good as 0, only the samples make losses differ."""
    frozen = losses(run(2, "train.learning_rate=1e-30", "data.stream_rate=0", "train.steps=10", deck=DECK))
    assert len(set(frozen)) == 10


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_file_is_the_same_samples_at_any_ranks(run, file, ranks):
    one = bits(run(1, *settings(file, "train.deterministic=true"), deck=DECK))
    assert bits(run(ranks, *settings(file, "train.deterministic=true", "train.micro_batches=2"), deck=DECK)) == one
    assert np.array_equal(stream_of(run(ranks, *settings(file), deck=DECK))["dropped"], [0] * ranks)


def test_a_file_that_grows_gives_what_the_whole_file_gives(run, file, tmp_path):
    one = losses(run(1, *settings(file, "train.deterministic=true"), deck=DECK))
    content = file.read_bytes()
    growing = tmp_path / "growing.bin"
    begin = HELD_OUT * (1 + FEATURES) + 11
    growing.write_bytes(content[:begin])

    def write():
        with growing.open("ab", buffering=0) as to:
            for at in range(begin, len(content), 1001):
                to.write(content[at : at + 1001])
                time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        path = run(3, *settings(growing, "train.deterministic=true", "run.warmup=0"), deck=DECK)
    finally:
        writer.join()
    assert losses(path).tobytes() == one.tobytes()
    waited = stream_of(path)
    assert (waited["starved_s"] > 0).all() and waited["delivered"].tolist() == [STEPS * BATCH // 3] * 3


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_stream_that_ends_early_leaves_an_incomplete_record(run, file, ranks):
    path = run(ranks, *settings(file, f"train.steps={STEPS + 1}", timeout_s=0.3), deck=DECK, code=5)
    reason = f"data.path: {file}: the stream ended: it did not grow for 0.3 s, after {HELD_OUT + STEPS * BATCH} records"
    assert the_error(run) == f"error: the run ended early: {reason}"
    with h5py.File(path) as record:
        assert record.attrs["complete"] == 0 and record.attrs["exit_reason"] == reason
        assert record["steps/loss"].shape == (STEPS,) and np.isfinite(record["steps/loss"][:]).all()
    assert stream_of(path)["delivered"].sum() == (STEPS - 2) * BATCH  # warm-up does not count


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_torn_record_at_the_end_is_one_error(run, file, ranks):
    file.write_bytes(file.read_bytes() + b"\1ab")
    run(ranks, *settings(file, f"train.steps={STEPS + 1}", timeout_s=0.3), deck=DECK, code=2)
    whole = HELD_OUT + STEPS * BATCH
    assert f"{file}: truncated: it did not grow for 0.3 s, and record {whole} at byte {whole * 18} has 3 bytes" in the_error(run)


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_label_that_one_rank_reads_fails_all_of_them_alike(run, file, ranks):
    content = bytearray(file.read_bytes())
    bad = HELD_OUT + 7 * BATCH + BATCH - 1  # the last rank's
    content[bad * 18] = CLASSES
    file.write_bytes(content)
    run(ranks, *settings(file), deck=DECK, code=2)
    assert the_error(run).startswith(f"error: data.path: {file}: label 5 of record {bad} at byte {bad * 18} is not below 5")


@pytest.mark.parametrize("ranks", [1, 2])
def test_files_that_cannot_be_a_stream_are_refused(run, tmp_path, ranks):
    short = tmp_path / "short.bin"
    short.write_bytes(b"".join(records(HELD_OUT - 1)))
    run(ranks, *settings(short), deck=DECK, code=2)
    assert f"error: data.path: {short}: holds 99 whole records of 18 bytes: expected at least the 100 of data.held_out" == the_error(run)
    run(ranks, *settings(tmp_path / "none.bin"), deck=DECK, code=2)
    assert "none.bin: cannot be opened: No such file or directory: expected records of 18 bytes" in the_error(run)
    run(ranks, *settings(tmp_path), deck=DECK, code=2)
    assert f"{tmp_path}: is no ordinary file" in the_error(run)


def test_what_is_dropped_is_counted(run):
    path = run(2, "data.stream_rate=3e5", "data.stream_when_full=drop", "data.stream_depth=1", "train.steps=200", deck=DECK)
    waited = stream_of(path)
    assert waited["delivered"].tolist() == [198 * 24] * 2 and waited["capacity"].tolist() == [24] * 2
    assert (waited["dropped"] > 0).all()
    assert (waited["fill_min"] == 24).all() and (waited["fill_mean"] == 24).all()


def test_a_starved_run_waits_in_phase_input(run):
    path = run(2, "data.stream_rate=500", "train.steps=6", "run.warmup=1", "record.flush_every=100", deck=DECK)
    waited = stream_of(path)
    with h5py.File(path) as record:
        phases = [str(name) for name in record["phase"].asstr()[:]]
        waiting = record["steps/phase_s"][1:, :, phases.index("input")].sum(axis=0)
    # 5 batches of 48 at 500 samples/s, less what came before the first of them was asked for.
    assert (waited["starved_s"] > 0).all() and (waiting >= waited["starved_s"]).all()


@pytest.mark.parametrize("ranks, warmup", [(1, 0), (3, 2)])
def test_a_signal_in_starvation_ends_in_good_order(tmp_path, ranks, warmup):
    output = tmp_path / "x.h5"
    process = launch(command(ranks, DECK, "data.stream_rate=1", f"run.warmup={warmup}", output=output))
    wait_for(output.with_name("x.h5.part"), process)
    time.sleep(0.5)
    assert stop(process) < 10
    with h5py.File(output) as record:
        assert record.attrs["complete"] == 0 and record["steps/loss"].shape == (0,)


def test_starvation_is_no_hang_but_the_time_limit_holds(run):
    run(2, "data.stream_rate=1", "run.hang_timeout_s=1", "run.time_limit_s=3", deck=DECK, code=5)
    assert the_error(run) == "error: the run ended early: run.time_limit_s = 3 s are over"


def test_what_print_config_says_is_the_same_run(run, tmp_path):
    settings = ["data.stream_rate=0", "kernels.backend=portable"]  # no choice that a run measures
    app = command(1, DECK, *settings, output=tmp_path / "y.h5")
    printed = subprocess.run([*app, "--print-config"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    deck = tmp_path / "resolved.toml"
    deck.write_text(printed)
    assert losses(run(1, deck=str(deck))).tobytes() == losses(run(1, *settings, deck=DECK)).tobytes()
