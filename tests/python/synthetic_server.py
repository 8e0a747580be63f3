# SPDX-License-Identifier: BSD-3-Clause
"""SYNTHETIC TEST DATA: invented runs of a parameter server. Never shipped, never a result."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from synthetic import Synthetic

MARK_S = 0.0777  # Every invented number of seconds begins with these digits, so that tests find it in any text.
QUANTILES = ("p50", "p95", "p99", "max")


@dataclass
class ServerSynthetic:
    """One invented run; times are MARK_S times powers of ten, or `step_s` times the step."""

    engine: str = "virtual"
    protocol: str = "async"
    workers: int = 4
    servers: int = 2
    server_keys: str = ""  # More keys of [server].
    virtual_keys: str = ""
    seed: int = 1
    steps: int = 40
    step_s: float = MARK_S
    depth: float = 3.0
    study: str = "servers"
    to_target: float | None = 7.77  # None: no target was given; NaN: not reached.
    staleness: Sequence[float] = (0.1, 0.2, 0.3, 0.2, 0.15, 0.05)
    bytes_off: int = 0  # By so much the bytes differ from their closed form.

    def write(self, path: Path) -> Path:
        """The record, in the layout that the app writes."""
        noise = 1 + 0.05 * np.random.default_rng(self.seed).standard_normal()
        model = (f'hidden = [32]\n[run]\nengine = "{self.engine}"\n[server]\nprotocol = "{self.protocol}"\n'
                 f"count = {self.servers}\n{self.server_keys}\n[virtual]\nworkers = {self.workers}\n"
                 f"{self.virtual_keys}")  # fmt: skip
        ranks = 1 if self.engine == "virtual" else self.workers + self.servers
        Synthetic(ranks=ranks, app="param_server", model=model, steps=self.steps, study=self.study,
                  strategy=f"server {self.protocol}", accuracy=(0.5, 0.6, 0.7, 0.8)).write(path)  # fmt: skip
        t = "virtual_s" if self.engine == "virtual" else "s"
        with h5py.File(path, "r+") as f:
            f.attrs.update({"engine": self.engine, "protocol": self.protocol, "workers": self.workers,
                            "servers": self.servers})  # fmt: skip
            role = ["engine"] if self.engine == "virtual" else ["server"] * self.servers + ["worker"] * self.workers
            del f["ranks/role"]  # of trainers
            f["ranks/role"] = role
            if self.engine == "virtual":
                f["virtual/end_virtual_s"] = noise * self.step_s * np.arange(1, self.steps + 1)
            del f["evaluation"]
            at = np.array([10, 20, 30, 40])
            for name, values in {"step": at, "loss": 2.0 / at**0.3 * noise, "accuracy": 0.02 * at,
                                 "samples": np.full(4, 100)}.items():  # fmt: skip
                f[f"evaluation/{name}"] = values
            self._strategy(f.require_group("strategy"), t)
            self._summary(f, t, noise)
        return path

    def _strategy(self, group: h5py.Group, t: str) -> None:
        w, s = self.workers, self.servers
        tilt = 1 + 0.2 * np.linspace(-1, 1, w)[:, None] * np.linspace(1, -1, len(self.staleness))
        counts = np.round(1000 * np.array(self.staleness) * tilt).astype(int)
        latency = MARK_S * np.array([0.01, 0.1, 0.1, 1.0])
        columns = {
            "quantile": list(QUANTILES), "staleness_count": counts, "pushes": counts.sum(axis=1),
            "dropped": np.zeros(w, int), "cancelled": np.zeros(w, int), f"compute_{t}": np.full(w, MARK_S),
            f"wait_{t}": np.full(w, MARK_S), "utilisation": np.full(w, 0.8),
            f"pull_latency_{t}": np.tile(latency, (w, 1)), f"push_latency_{t}": np.tile(latency, (w, 1)),
            "updates": np.full(s, self.steps), "received_bytes": np.full(s, 4000 + self.bytes_off),
            "sent_bytes": np.full(s, 4000), "expected_received_bytes": np.full(s, 4000),
            "expected_sent_bytes": np.full(s, 4000), "queue_depth": np.tile(self.depth * np.arange(1, 5), (s, 1)),
            f"service_{t}": np.tile(latency, (s, 1)),
        }  # fmt: skip
        for name, values in columns.items():
            group[name] = values

    def _summary(self, f: h5py.File, t: str, noise: float) -> None:
        added = {"staleness_mean": 2.5, "staleness_max": 5, "conflict_rate": 0.25, "dropped_share": 0.125,
                 "utilisation": 0.8}  # fmt: skip
        if t == "virtual_s":
            added |= {"virtual_s_per_step": self.step_s, "samples_per_virtual_s": 777.0}
        if self.to_target is not None:
            added |= {f"{t}_to_target": self.to_target * noise, "samples_to_target": 1280.0}
        old = {k: v[()] for k, v in f["summary"].items()}
        n = len(added)
        new = {"metric": list(added), "value": list(added.values()), "ci_low": [np.nan] * n, "ci_high": [np.nan] * n,
               "n": [1] * n, "kind": ["cost"] * n, "scope": ["within run"] * n, "unit": ["1"] * n}  # fmt: skip
        del f["summary"]
        for name, values in new.items():
            before = [v.decode() if isinstance(v, bytes) else v for v in old[name]]
            f[f"summary/{name}"] = before + values
