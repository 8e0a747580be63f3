# SPDX-License-Identifier: BSD-3-Clause
"""param_server in virtual time: bits of mlp_dp, what records hold, decks that cannot be, workers that die."""

import os
import re
import subprocess

import h5py
import numpy as np
import pytest
import xarray

from conftest import APP, MPIEXEC, ROOT

AS_MLP_DP = "inputs/param_server/as_mlp_dp.toml"
VIRTUAL = "run.engine=virtual"
EXACT = "train.deterministic=true"
PARAMETERS = 17 * 33 + 33 + 33 * 17 + 17 + 17 * 5 + 5
PROTOCOLS = {
    "bsp": [],
    "ssp": ["server.staleness=2"],
    "async": [],
    "k-sync": ["server.k=6"],
    "k-batch-sync": ["server.k=5"],
    "k-async": ["server.k=3"],
    "k-batch-async": ["server.k=4"],
    "elastic": ["train.optimizer=sgd", "train.learning_rate=0.05", "server.accumulate=2"],
}
SLOW_NETWORK = ["virtual.network=links", "virtual.latency_s=0.3", "virtual.byte_per_s=1e4", "virtual.service_s=0.05",
                "virtual.service_s_per_byte=1e-5"]
PARETO = ["virtual.compute=pareto", "virtual.compute_shape=1.5"]


def bits(path):
    """All that a run leaves of its training."""
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 1
        return {"loss": file["steps/loss"][:].tobytes(), "norm": file["steps/grad_norm"][:].tobytes(),
                "weights": file.attrs["parameters_fnv1a"], "held_out": file["evaluation/loss"][:].tobytes(),
                "accuracy": file["evaluation/accuracy"][:].tobytes()}


def summary(path):
    with xarray.open_dataset(path, group="summary") as table:
        return {str(name): float(value) for name, value in zip(table["metric"].values, table["value"].values)}


@pytest.fixture
def run(tmp_path):
    """Runs the app, which is one rank and needs no launcher; returns the record's path."""

    def go(*settings, deck="inputs/param_server/tiny.toml", code=0, name="x"):
        output = tmp_path / f"{name}.h5"
        overrides = [part for setting in settings for part in ("--set", setting)]
        done = subprocess.run([APP, deck, *overrides, "--output", str(output)], cwd=ROOT, capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == code, f"{done.args}\n{done.stdout}\n{done.stderr}"
        go.stderr = done.stderr
        return output

    return go


@pytest.fixture
def mlp_dp(tmp_path):
    """The bits of mlp_dp on one rank."""

    def go(*settings, deck="inputs/mlp_dp/tiny.toml"):
        app = os.environ.get("PARTITA_MLP_DP", "")
        if not app:
            pytest.skip("mlp_dp is not built")
        overrides = [part for setting in settings for part in ("--set", setting)]
        output = tmp_path / "mlp_dp.h5"
        subprocess.run([app, deck, *overrides, "--output", str(output)], cwd=ROOT,
                       check=True, capture_output=True, timeout=120)
        return bits(output)

    return go


def test_bulk_synchronous_runs_have_the_bits_of_mlp_dp(run, mlp_dp):
    # 50 rows in 24 chunks: workers have unlike shares.
    common = [EXACT, "train.batch=50", "train.steps=8", "evaluate.every=3"]
    expected = mlp_dp(*common)
    same = {
        "bsp": ["server.protocol=bsp"],
        "ssp(0)": ["server.protocol=ssp", "server.staleness=0"],
        "no backup worker": ["server.protocol=k-sync", "server.backup=0"],
    }
    times = [[], SLOW_NETWORK, PARETO, [*SLOW_NETWORK, *PARETO]]
    k = 0
    for workers in (1, 2, 3, 4):
        for servers in (1, 2, 3):
            name = list(same)[(workers + servers) % 3]
            settings = [*common, VIRTUAL, f"virtual.workers={workers}", f"server.count={servers}", *same[name], *times[k % 4]]
            assert bits(run(*settings, deck=AS_MLP_DP)) == expected, settings
            k += 1
    for apply, network in (("clock", SLOW_NETWORK), ("push", PARETO)):
        settings = [*common, VIRTUAL, "virtual.workers=1", "server.count=2", "server.protocol=async", f"server.apply={apply}"]
        assert bits(run(*settings, *network, deck=AS_MLP_DP)) == expected, settings
    # A test that could not tell would be no test.
    assert bits(run(*common, VIRTUAL, "server.protocol=ssp", "server.staleness=1", *PARETO, deck=AS_MLP_DP)) != expected


def test_bags_whose_touched_rows_travel_have_the_bits_of_mlp_dp(run, mlp_dp):
    bag = "inputs/mlp_dp/tiny_bag.toml"
    short = ["train.steps=8", "evaluate.every=4"]
    expected = mlp_dp(EXACT, *short, deck=bag)
    for workers, servers, balance in ((1, 1, "load"), (3, 2, "equal"), (4, 3, "load")):
        path = run(VIRTUAL, EXACT, *short, f"virtual.workers={workers}", f"server.count={servers}",
                   f"server.balance={balance}", deck=bag)
        assert bits(path) == expected, f"{workers} workers, {servers} servers"
    with h5py.File(path) as file:  # less than all weights, or rows would not be chosen
        strategy = file["strategy"]
        assert strategy["sent_bytes"][:].sum() < 4 * strategy["keys"][:].sum() * strategy["pushes"][:].sum()
        assert (strategy["keys"][:] > 0).all()


def test_clipped_runs_have_the_bits_of_mlp_dp(run, mlp_dp):
    settings = [EXACT, "train.clip_norm=0.5", "train.steps=6", "train.optimizer=sgd", "train.learning_rate=0.1"]
    assert bits(run(*settings, VIRTUAL, "virtual.workers=3", *SLOW_NETWORK, deck=AS_MLP_DP)) == mlp_dp(*settings)


WORKER_COLUMNS = {"rows", "pushes", "dropped", "cancelled", "compute_virtual_s", "wait_virtual_s", "utilisation"}
SERVER_COLUMNS = {"updates", "first_key", "keys", "load_share", "received_bytes", "sent_bytes", "expected_received_bytes",
                  "expected_sent_bytes", "version_skew_mean", "version_skew_max"}


@pytest.mark.parametrize("network", ["free", "links"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_records_of_every_protocol(run, protocol, network):
    steps, workers, servers = 30, 8, 2
    links = SLOW_NETWORK if network == "links" else []
    path = run(f"server.protocol={protocol}", *PROTOCOLS[protocol], f"train.steps={steps}", *links)
    with xarray.open_dataset(path) as root:
        assert root.attrs["engine"] == "virtual" and root.attrs["protocol"] == protocol
        assert root.attrs["workers"] == workers and root.attrs["servers"] == servers
        assert root.attrs["verified"] == 1
    with xarray.open_dataset(path, group="ranks") as ranks:
        assert [str(role) for role in ranks["role"].values] == ["engine"]

    with xarray.open_dataset(path, group="virtual") as virtual:
        end = virtual["end_virtual_s"]
        assert end.dims == ("step",) and end.shape == (steps,) and end.attrs["units"] == "s"
        assert "virtual" in end.attrs["long_name"]
        end = end.values
        assert end[0] > 0 and (np.diff(end) >= 0).all()
    found = summary(path)
    assert np.isclose(found["virtual_s_per_step"], end[-1] / steps, rtol=1e-12)
    assert {"staleness_mean", "staleness_max", "conflict_rate", "dropped_share", "utilisation", "samples_per_virtual_s"} <= set(found)
    assert not {"virtual_s_to_target", "samples_to_target"} & set(found)
    with h5py.File(path) as file:
        samples = file["steps/samples"][:]
    assert np.isclose(found["samples_per_virtual_s"], samples.sum() / end[-1], rtol=1e-12)

    with xarray.open_dataset(path, group="strategy") as table:
        assert dict(table.sizes) | {"staleness": 0} == {"worker": workers, "server": servers, "quantile": 4, "staleness": 0}
        assert [str(name) for name in table["quantile"].values] == ["p50", "p95", "p99", "max"]
        for name in WORKER_COLUMNS:
            assert table[name].dims == ("worker",), name
        for name in SERVER_COLUMNS:
            assert table[name].dims == ("server",), name
        assert table["staleness_count"].dims == ("worker", "staleness")
        for name, of in {"pull_latency_virtual_s": "worker", "push_latency_virtual_s": "worker", "queue_depth": "server",
                         "service_virtual_s": "server"}.items():
            assert table[name].dims == (of, "quantile"), name
            rising = np.diff(table[name].values, axis=1)
            assert (np.isnan(rising) | (rising >= 0)).all(), name
        assert all("virtual" in table[name].attrs["long_name"] for name in table if table[name].attrs.get("units") == "s")

        keys, pushes, dropped = table["keys"].values, table["pushes"].values, table["dropped"].values
        assert keys.sum() == PARAMETERS and list(table["first_key"].values) == [0, keys[0]]
        assert (table["updates"].values == steps).all()
        received, sent = table["received_bytes"].values, table["sent_bytes"].values
        if network == "free":
            assert (received == table["expected_received_bytes"].values).all()
            assert (sent == table["expected_sent_bytes"].values).all()
            if protocol not in ("k-sync", "k-async", "k-batch-sync", "k-batch-async"):  # where the first server leads, it knows more
                assert (received == pushes.sum() * 4 * keys).all()
        else:  # at the end some are on their way
            assert (received <= table["expected_received_bytes"].values).all()
            assert (sent >= table["expected_sent_bytes"].values).all()
            assert (table["expected_received_bytes"].values[0] == pushes.sum() * 4 * keys[0]).all()
        assert (received % (4 * keys) == 0).all() and (sent % (4 * keys) == 0).all()
        if protocol == "bsp":  # a pull and a push of each worker for each update
            assert (received == steps * workers * 4 * keys).all() and (sent == steps * workers * 4 * keys).all()
            assert (pushes == steps).all() and found["staleness_max"] == 0
        count = table["staleness_count"].values
        kept = count.sum()
        assert (count.sum(axis=1) <= pushes - dropped).all() and kept > 0
        assert np.isclose(found["staleness_mean"], (count * np.arange(count.shape[1])).sum() / kept, rtol=1e-12)
        assert found["staleness_max"] == max(np.nonzero(count.sum(axis=0))[0])
        assert np.isclose(found["dropped_share"], dropped.sum() / pushes.sum(), rtol=1e-12)
        assert 0 <= found["conflict_rate"] <= 1
        busy, wait = table["compute_virtual_s"].values, table["wait_virtual_s"].values
        assert (busy > 0).all() and (wait > -1e-9).all()
        assert np.allclose(table["utilisation"].values, busy / (busy + wait), rtol=1e-9)
        if network == "free":
            assert np.allclose(busy + wait, end[-1], rtol=1e-9)
            assert (table["pull_latency_virtual_s"].sel(quantile="p50") >= 0).all()
        else:  # there and back, and the servers' work
            assert (table["push_latency_virtual_s"].sel(quantile="p50") > 0.3).all()
            assert (table["pull_latency_virtual_s"].sel(quantile="p50") > 0.6).all()
            assert table["queue_depth"].sel(quantile="max").values[0] >= 1


# Name: settings, words of the one message.
BAD = {
    "k above the workers": (["server.protocol=k-sync", "server.k=9"], "server.k=9: 9 of 8 workers: expected at most all workers"),
    "k-async, too": (["server.protocol=k-async", "server.k=9"], "server.k=9: 9 of 8 workers"),
    "all workers as backup": (["server.protocol=k-sync", "server.backup=8"], "server.backup=8: 8 of 8 workers: expected less than all"),
    "both k and backup": (["server.protocol=k-sync", "server.k=3", "server.backup=2"], "server.k=3: 3 beside 2 backup workers of 8"),
    "a Pareto law without a mean": (["virtual.compute=pareto", "virtual.compute_shape=1"], "virtual.compute_shape=1"),
    "a shift above the mean": (["virtual.compute=uniform", "virtual.compute_shift_s=0.2"], "virtual.compute_shift_s=0.2"),
    "latency of a free network": (["virtual.latency_s=0.1"], "virtual.latency_s=0.1: virtual.network = .free. costs nothing"),
    "an odd list of deaths": (["virtual.deaths=[1, 2, 3]"], "virtual.deaths.*3 numbers: expected pairs"),
    "a death of nobody": (["virtual.deaths=[8, 1]"], "virtual.deaths.*worker 8: expected 0 to 7"),
    "half a worker": (["virtual.joins=[0.5, 1]"], "virtual.joins.*worker 0.5"),
    "no trace": (["virtual.compute=trace", "virtual.trace=no_such.txt"], "no_such.txt: it cannot be read"),
    "a trace for nobody": (["virtual.trace=no_such.txt"], "virtual.trace=no_such.txt: a file that nobody reads"),
    "clipping with two servers": (["server.protocol=bsp", "train.clip_norm=1"], "train.clip_norm=1: only bsp with one server"),
    "clipping of ssp": (["server.count=1", "train.clip_norm=1"], "train.clip_norm=1: only bsp with one server"),
    "servers without a weight": (["server.count=9"], "9 servers for 1262 weights"),
    "more slow workers than workers": (["virtual.slow_workers=9"], "virtual.slow_workers=9"),
    "a drift without a period": (["virtual.slow_kind=drifting"], "virtual.slow_period_s"),
    "bursts too short for their share": (["virtual.slow_kind=bursty", "virtual.slow_burst=1", "virtual.slow_probability=0.9"],
                                         "virtual.slow_burst=1: bursts of 1 gradients for a share of 0.9: expected at least 9"),
    "elastic with Adam": (["server.protocol=elastic"], "train.optimizer.*elastic averaging takes plain steps"),
    "inference": (["run.mode=infer"], "run.mode=infer: servers train"),
    "half precision": (["train.precision=bf16"], "train.precision=bf16"),
    "two ranks": ([], "run.engine.*on 2 ranks"),
}


@pytest.mark.parametrize("name", BAD)
def test_decks_that_cannot_be_are_refused(tmp_path, name):
    settings, words = BAD[name]
    overrides = [part for setting in settings for part in ("--set", setting)]
    launcher = [MPIEXEC, "-n", "2"] if name == "two ranks" else []
    done = subprocess.run([*launcher, APP, "inputs/param_server/tiny.toml", *overrides, "--output", str(tmp_path / "x.h5")], cwd=ROOT, capture_output=True, text=True, timeout=60)
    errors = [line for line in done.stderr.splitlines() if "param_server" in line or "error" in line.lower()]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1, done.stderr
    assert re.search(words, errors[0]), errors[0]
    assert not list(tmp_path.iterdir())


def test_a_run_whose_workers_all_die_ends_with_a_record(run):
    deaths = ",".join(f"{worker},{2 + worker % 3}" for worker in range(8))
    path = run(f"virtual.deaths=[{deaths}]", "virtual.compute=constant", "virtual.compute_mean_s=0.5", "train.steps=50", code=5)
    assert "no worker is left" in run.stderr
    with xarray.open_dataset(path, group="virtual") as virtual:
        end = virtual["end_virtual_s"].values
    with h5py.File(path) as file:
        assert file.attrs["complete"] == 0 and file["steps/loss"].shape == end.shape
    # At 4 s, when the last ones die, the gradients of 8 half seconds are there: the last one may count or not.
    assert len(end) in (7, 8) and np.allclose(end, 0.5 * np.arange(1, len(end) + 1))
    with xarray.open_dataset(path, group="strategy") as table:
        assert (table["pushes"].values >= [3, 5, 7] * 2 + [3, 5]).all()
        assert np.allclose(table["compute_virtual_s"].values + table["wait_virtual_s"].values, [2, 3, 4] * 2 + [2, 3])


def test_a_run_without_a_first_update_ends_with_a_record(run):
    path = run("virtual.workers=1", "virtual.deaths=[0, 0]", code=5)
    with xarray.open_dataset(path, group="strategy") as table:
        assert table.sizes["worker"] == 1 and table["pushes"].values[0] == 0
    with h5py.File(path) as file:
        assert file["virtual/end_virtual_s"].shape == (0,)


def test_who_dies_is_not_waited_for_and_who_joins_is(run):
    path = run("virtual.compute=constant", "virtual.compute_mean_s=1", "virtual.slow_factor=4", "virtual.slow_workers=1",
               "server.protocol=bsp", "virtual.deaths=[0, 8.5]", "virtual.joins=[0, 12.5]", "train.steps=8")
    with h5py.File(path) as file:
        end, samples = file["virtual/end_virtual_s"][:], file["steps/samples"][:]
    # Two clocks with the slow worker, four without it, and two with it again, which begins at 12.5 s.
    assert list(end) == [4, 8, 9, 10, 11, 12, 16.5, 20.5]
    assert list(samples) == [48, 48, 42, 42, 42, 42, 48, 48]


def test_time_to_a_target_is_that_of_the_first_evaluation_that_reaches_it(run):
    common = ["train.steps=24", "evaluate.every=3", "train.learning_rate=0.01"]
    plain = run(*common, name="plain")
    with h5py.File(plain) as file:
        step, loss = file["evaluation/step"][:], file["evaluation/loss"][:]
        end, samples = file["virtual/end_virtual_s"][:], file["steps/samples"][:]
    assert len(step) >= 6 and loss[4] < loss[0]
    target = float((loss[2] + loss[3]) / 2)
    first = int(step[np.nonzero(loss <= target)[0][0]])
    assert 1 < first < 24
    path = run(*common, f"evaluate.target_loss={target}", name="target")
    found = summary(path)
    assert found["virtual_s_to_target"] == end[first - 1]
    assert found["samples_to_target"] == samples[:first].sum()
    with h5py.File(path) as file:
        assert (file["evaluation/loss"][:] == loss).all() and (file["virtual/end_virtual_s"][:] == end).all()
    never = summary(run(*common, "evaluate.target_loss=1e-9", name="never"))
    assert np.isnan(never["virtual_s_to_target"]) and np.isnan(never["samples_to_target"])


def everything(path):
    """Bits of all that does not depend on this machine's clock."""
    with h5py.File(path) as file:
        found = {"weights": file.attrs["parameters_fnv1a"], "loss": file["steps/loss"][:].tobytes(),
                 "norm": file["steps/grad_norm"][:].tobytes(), "samples": file["steps/samples"][:].tobytes()}
        for group in ("virtual", "strategy", "evaluation"):
            found |= {f"{group}/{name}": np.asarray(file[group][name]).tobytes() for name in file[group] if name != "quantile"}
        return found


def test_the_same_seed_gives_the_same_record(run):
    settings = ["server.protocol=k-async", "server.k=3", *SLOW_NETWORK, *PARETO, "virtual.slow_kind=bursty", "virtual.slow_factor=3",
                "virtual.slow_probability=0.2", "virtual.deaths=[2, 3]", "virtual.joins=[2, 5]"]
    one = everything(run(*settings, name="one"))
    assert everything(run(*settings, name="two")) == one
    other = everything(run(*settings, "train.seed=2", name="other"))
    assert other["virtual/end_virtual_s"] != one["virtual/end_virtual_s"] and other["loss"] != one["loss"]


def test_workers_that_find_no_room_are_refused_before_anything_is_made(run):
    huge = [VIRTUAL, "virtual.workers=4096", "train.batch=4096", "data.samples=4096", "data.features=1000000", "model.hidden=[256]"]
    run(*huge, code=4)
    needed = re.search(r"weights of workers (\S+) GB", run.stderr)  # of each worker all: 256 (10^6 + 1) and a few
    assert needed and abs(float(needed[1]) / (4096 * 4 * 256e6 / 1e9) - 1) < 0.02, run.stderr
