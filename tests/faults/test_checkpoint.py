# SPDX-License-Identifier: BSD-3-Clause
"""A run that goes on from a checkpoint is the run that was never stopped: bit for bit, on other ranks and other strategies."""

import os
import signal
import subprocess
import time

import h5py
import numpy as np
import pytest
from conftest import ROOT, command, pids_by_rank, steps_written

DETERMINISTIC = "train.deterministic=true"
QUICK = "run.calibration=off"


def bits(path, first=0):
    """What a run leaves of its training from a step on."""
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1
        steps = file["step"][:]
        assert steps.tolist() == list(range(steps[0], steps[0] + len(steps))) and steps[0] <= first
        return [file["steps/loss"][first - steps[0]:].tobytes(), file["steps/grad_norm"][first - steps[0]:].tobytes(),
                file.attrs["parameters_fnv1a"]]


MLP = [  # what ran before, and what goes on
    (("mlp_dp", 2, ()), ("mlp_dp", 3, ("parallel.strategy=zero3",))),
    (("mlp_dp", 3, ("parallel.strategy=zero2", "parallel.allreduce=ring")), ("mlp_dp", 1, ())),
    (("mlp_dp", 2, ("parallel.strategy=zero3",)), ("transformer_tp", 2, ("model.kind=mlp",))),
    (("mlp_dp", 2, ("parallel.strategy=gather_broadcast",)), ("mlp_dp", 2, ("parallel.strategy=zero1",))),
    (("param_server", 4, ("server.count=2", "train.clip_norm=0")), ("mlp_dp", 2, ("train.clip_norm=0",))),
    (("mlp_dp", 2, ("parallel.strategy=zero1",)), ("param_server", 3, ("server.placement=shared",))),
]
GPT = [
    (("transformer_tp", 2, ()), ("transformer_tp", 3, ())),
    (("transformer_tp", 4, ("parallel.data=2",)), ("transformer_tp", 1, ())),
]
CNN = [
    (("cnn_pp", 3, ()), ("cnn_pp", 2, ())),
    (("cnn_pp", 4, ("parallel.spatial=2", "parallel.pipeline=2")), ("cnn_pp", 2, ("parallel.pipeline=1", "parallel.data=2"))),
]
DECKS = {"mlp": "mlp_dp/tiny", "gpt": "transformer_tp/tiny", "cnn": "cnn_pp/tiny"}
CASES = [(model, *pair) for model, pairs in (("mlp", MLP), ("gpt", GPT), ("cnn", CNN)) for pair in pairs]


@pytest.mark.parametrize(("model", "before", "after"), CASES,
                         ids=[f"{m}-{a[0]}{a[1]}-{b[0]}{b[1]}" for m, a, b in CASES])
def test_it_goes_on_with_the_same_bits(run, tmp_path, model, before, after):
    deck, common = DECKS[model], [DETERMINISTIC, QUICK, "train.clip_norm=0.5"]
    app, ranks, settings = before
    whole = run(app, ranks, deck, *common, *settings, "train.steps=12", name="whole")
    checkpoint = tmp_path / "c.h5"
    run(app, ranks, deck, *common, *settings, "train.steps=5", f"checkpoint.path={checkpoint}", name="first")
    app, ranks, settings = after
    rest = run(app, ranks, deck, *common, *settings, "train.steps=12", name="rest", flags=("--resume", str(checkpoint)))
    assert bits(rest, 5) == bits(whole, 5)
    with h5py.File(rest) as file:
        assert file["step"][0] == 5 and file.attrs["first_step"] == 5 and file.attrs["resumed_from"] == str(checkpoint)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_master_weights_and_loss_scale_go_on(run, tmp_path, precision):
    common = [QUICK, "train.optimizer=adam", f"train.precision={precision}", "kernels.backend=portable"]
    if precision == "fp16":
        common.append("train.loss_scale=1e9")  # a few steps are skipped first
    whole = run("mlp_dp", 1, "mlp_dp/tiny", *common, "train.steps=12", name="whole")
    checkpoint = tmp_path / "c.h5"
    run("mlp_dp", 1, "mlp_dp/tiny", *common, "train.steps=5", f"checkpoint.path={checkpoint}", name="first")
    rest = run("mlp_dp", 1, "mlp_dp/tiny", *common, "train.steps=12", name="rest", flags=("--resume", str(checkpoint)))
    assert bits(rest, 5) == bits(whole, 5)


def test_it_says_what_it_costs(run, tmp_path):
    record = run("mlp_dp", 2, "mlp_dp/tiny", QUICK, "checkpoint.every=6")
    checkpoint = tmp_path / "x.checkpoint.h5"
    with h5py.File(record) as file:
        table = file["checkpoints"]
        assert table["step"][:].tolist() == [6, 12, 18, 20]
        assert (table["seconds"][:] > 0).all() and table["bytes"][-1] == checkpoint.stat().st_size
        assert file["steps/flushed"][:].tolist()[6] == 1
        summary = dict(zip(file["summary/metric"].asstr()[:], file["summary/value"][:]))
        assert 0 < summary["checkpoint_share"] < 1 and summary["checkpoint_s"] > 0
    with h5py.File(checkpoint) as file:  # other programs read it
        assert file.attrs["step"] == 20 and len(file["losses"]) == 20
        weights = file["weights/linear0.weight"]
        assert weights.dtype == np.float32 and weights.shape == file["m/linear0.weight"].shape
        assert not list(tmp_path.glob("*.part"))


def damaged(checkpoint, tmp_path):
    """Copies of a checkpoint with something wrong, and what is said of them."""
    blob = checkpoint.read_bytes()
    middle = len(blob) // 2
    copies = {
        "empty": (b"", "it does not begin as a checkpoint does"),
        "short": (blob[:middle], "it is damaged: "),
        "longer": (blob + b"x", "it is damaged: "),
        "flipped": (blob[:middle] + bytes([blob[middle] ^ 1]) + blob[middle + 1:], "it is damaged: its checksum"),
        "hdf5": (blob[512:], "it does not begin as a checkpoint does"),
    }
    for name, (content, said) in copies.items():
        path = tmp_path / f"{name}.h5"
        path.write_bytes(content)
        yield path, said
    yield tmp_path / "none.h5", "No such file"
    yield tmp_path, "it is a folder"


def test_a_checkpoint_that_does_not_fit_is_refused(run, tmp_path):
    checkpoint = tmp_path / "c.h5"
    run("mlp_dp", 1, "mlp_dp/tiny", QUICK, "train.steps=5", f"checkpoint.path={checkpoint}", name="first")

    def refused(said, *settings, ranks=1, path=checkpoint, deck="mlp_dp/tiny"):
        run("mlp_dp", ranks, deck, QUICK, *settings, code=2, name="refused", flags=("--resume", str(path)))
        assert run.stderr.count("error: ") == 1 and said in run.stderr, run.stderr

    for path, said in damaged(checkpoint, tmp_path):
        refused(f"--resume: {path}: {said}", path=path)
    refused("it was made after 5 steps, of which the run has 5: expected a run of more steps", "train.steps=5", ranks=2)
    refused("expected float32 of [", "model.hidden=[9,8]", ranks=2)
    refused("the model has no such tensor", "model.hidden=[]")
    refused("it comes from the optimizer ", "train.optimizer=adagrad")
    refused("run.mode = \"infer\"", "run.mode=infer")
    refused("data that are streamed", deck="mlp_dp/stream")
    refused("whose ranks have a state each", "parallel.strategy=local_sgd", ranks=2)
    run("mlp_dp", 1, "mlp_dp/tiny", QUICK, "train.seed=3", name="noted", flags=("--resume", str(checkpoint)))
    assert "was made with train.seed = 1 (now 3)" in run.stderr.replace("train.steps = 5 (now 20), ", "")


def test_where_a_checkpoint_may_not_go(run, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    for path, said in [(other, "which is no checkpoint"), ("/dev/null", "it is a device"), (tmp_path / "x.h5", "is the record, too"),
                       (tmp_path / "nowhere" / "c.h5", "No such file")]:
        run("mlp_dp", 1, "mlp_dp/tiny", QUICK, f"checkpoint.path={path}", code=2)
        assert run.stderr.count("error: ") == 1 and said in run.stderr, run.stderr
    assert other.read_text() == "mine"


@pytest.mark.parametrize(("app", "ranks", "asked", "steps"), [("mlp_dp", 1, 0, 1000), ("param_server", 2, 1, 150)])
def test_a_run_that_a_signal_ends_leaves_one_and_can_go_on(run, tmp_path, app, ranks, asked, steps):
    number = signal.SIGUSR1  # what Slurm sends before the end
    settings = [DETERMINISTIC, QUICK, "evaluate.every=100000", f"train.steps={steps}", "record.flush_every=2"]
    checkpoint, first = tmp_path / "c.h5", tmp_path / "first.h5"
    words = command(app, ranks, "mlp_dp/tiny", *settings, f"checkpoint.path={checkpoint}", output=first)
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        while steps_written(tmp_path / "first.h5.part") < 1:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(pids_by_rank(process.pid, app)[asked], number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 5 and (f"signal {number.name}" in stderr or "rank 1 was told to stop" in stderr), stderr
    with h5py.File(first) as file:
        done = len(file["steps/loss"])
        assert file.attrs["complete"] == 0 and 0 < done < steps and file["checkpoints/step"][:].tolist() == [done]
    rest = run(app, ranks, "mlp_dp/tiny", *settings, name="rest", flags=("--resume", str(checkpoint)))
    whole = run("mlp_dp", 1, "mlp_dp/tiny", *settings, name="whole")
    assert bits(rest, done) == bits(whole, done)


@pytest.mark.parametrize("protocol", [("ssp", 3), ("k-async", 4, "server.k=2"), ("k-batch-sync", 3, "server.k=2")])
def test_servers_whose_workers_do_not_wait_go_on(run, tmp_path, protocol):
    name, ranks, *settings = protocol
    common = [QUICK, f"server.protocol={name}", *settings]
    first = run("param_server", ranks, "mlp_dp/tiny", *common, "train.steps=11", "checkpoint.every=4", name="first")
    with h5py.File(first) as file:
        assert file["checkpoints/step"][:].tolist() == [4, 8, 11]
    checkpoint = tmp_path / "first.checkpoint.h5"
    rest = run("param_server", ranks, "mlp_dp/tiny", *common, "train.steps=20", name="rest", flags=("--resume", str(checkpoint)))
    with h5py.File(rest) as file, h5py.File(first) as before:
        assert file["step"][:].tolist() == list(range(11, 20))
        assert file["evaluation/step"][-1] == 20
        assert file["steps/loss"][:].mean() < before["steps/loss"][:].mean()  # it did not begin anew


def test_servers_of_which_there_is_none(run, tmp_path):
    for settings, said in [(("run.engine=virtual",), "virtual time"), (("server.protocol=elastic",), "elastic")]:
        run("param_server", 2 if "elastic" in said else 1, "mlp_dp/tiny", QUICK, *settings, "checkpoint.every=5", code=2)
        assert run.stderr.count("error: ") == 1 and said in run.stderr, run.stderr


def test_servers_keep_the_checkpoint_before_numbers_that_are_of_no_use(run, tmp_path):
    run("param_server", 2, "mlp_dp/tiny", QUICK, "train.optimizer=sgd", "train.learning_rate=1e38", "checkpoint.every=1", code=3,
        name="first")
    with h5py.File(tmp_path / "first.checkpoint.h5") as file:
        assert 1 <= file.attrs["step"] < 20
        assert all(np.isfinite(tensor[()]).all() for tensor in file["weights"].values())
