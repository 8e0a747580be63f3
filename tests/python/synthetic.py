# SPDX-License-Identifier: BSD-3-Clause
"""SYNTHETIC TEST DATA: records with invented numbers in the layout of lib/partita/io. Never shipped, never a result."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

PHASES = (
    ("input", "input"),
    ("forward", "compute"),
    ("loss", "compute"),
    ("backward", "compute"),
    ("allreduce", "communication"),
    ("wait", "wait"),
    ("optimizer", "compute"),
)
SHARES = (0.02, 0.25, 0.01, 0.42, 0.12, 0.03, 0.13)  # 2 % of a step lie in no phase.


@dataclass
class Synthetic:
    """One invented run."""

    ranks: int = 1
    threads: int = 1
    allreduce: str = "mpi"
    step_s: Callable[[int], float] = lambda step: 0.03
    steps: int = 12
    warmup: int = 2
    batch: int = 64
    study: str = "synthetic"
    point: str = "np1-mpi-r1"
    run_uuid: str = ""  # "": of its path.
    complete: int = 1
    exit_reason: str = "done"
    oversubscribed: int = 0
    verified: int = 1
    flop_per_step: float = 0.0
    written: int | None = None
    first_step: int = 0  # Of a run that went on: steps before it, which are in no row.
    checkpoints: Sequence[tuple[int, float, int]] = ()  # Step, seconds, bytes.
    loss: Callable[[int], float] = lambda step: 2.3 / (1 + 0.1 * step)
    grad_norm: Callable[[int], float] | None = lambda step: 1.0 / (1 + step)  # None: a record of schema_version 1.
    events: int | None = None  # Rows of /events.
    accuracy: Sequence[float] = (0.5, 0.8)
    shares: Sequence[float] = SHARES
    phases: Sequence[tuple[str, str]] = PHASES
    model: str = "hidden = [32, 32]"
    app: str = "mlp_dp"
    parallel: str = ""  # More keys of [parallel].
    strategy: str = ""
    memory: Sequence[int] | None = (
        None  # /strategy: bytes of weights, gradients, optimizer; rank r has 1/(r + 1) of it.
    )
    overlap_s: tuple[float, float] = (0.0, 0.0)  # /strategy: exposed, hidden.
    bubble: dict[str, object] | None = None  # /strategy: columns of a pipeline.
    halos: dict[str, object] | None = None  # /strategy: columns of shared image rows.
    halo_bytes: Sequence[int] = ()  # That a rank sends in a step.
    command: str = "synthetic"
    git_sha: str = "0123456789abcdef0123456789abcdef01234567"
    cpu: str = "Synthetic CPU (test data)"
    compiler: str = "g++ 12"

    def toml(self, path: Path) -> str:
        """The resolved deck."""
        return (
            f"[model]\n{self.model}\n[train]\nbatch = {self.batch}\nsteps = {self.first_step + self.steps}\nseed = 1\n"
            f'[parallel]\nallreduce = "{self.allreduce}"\n{self.parallel}\n[output]\npath = "{path}"\n'
            f'[record]\nstudy = "{self.study}"\npoint = "{self.point}"\n'
        )

    def write(self, path: Path) -> Path:
        """Write the record, complete or not as told."""
        with h5py.File(path, "w") as f:
            f.attrs.update(
                {
                    "Conventions": "Partita-1",
                    "schema_version": 4,
                    "app": self.app,
                    "strategy": self.strategy or f"data-parallel {self.allreduce}",
                    "study": self.study,
                    "point": self.point,
                    "created_utc": "2026-01-01T00:00:00Z",
                    "run_uuid": self.run_uuid or str(uuid.uuid5(uuid.NAMESPACE_URL, str(path))),
                    "git_sha": self.git_sha,
                    "git_dirty": 0,
                    "complete": self.complete,
                    "exit_reason": self.exit_reason,
                    "ranks": self.ranks,
                    "threads_per_rank": self.threads,
                    "oversubscribed": self.oversubscribed,
                    "config_hash": "00",
                    "verified": self.verified,
                    "flop_per_step": self.flop_per_step,
                    "command": self.command,
                }
            )
            f["config/toml"] = self.toml(path)
            environment = f.create_group("environment")
            environment.attrs.update(
                {
                    "cpu_model": self.cpu,
                    "cores_online": "2",
                    "OMP_NUM_THREADS": str(self.threads),
                    "compiler": self.compiler,
                    "mpi_library": "MPICH",
                    "math_backend": "oneDNN",
                    "hostname": "nowhere",
                }
            )
            if self.first_step:
                f.attrs.update({"first_step": self.first_step, "samples_per_step": self.batch})
                f.attrs["resumed_from"] = "checkpoint.h5"
            _scale(f, "step", self.first_step + np.arange(self.steps))
            _scale(f, "rank", np.arange(self.ranks))
            _scale(f, "phase", [name for name, _ in self.phases])
            f["steps_written"] = np.int64(self.steps if self.written is None else self.written)
            self._steps(f)
            self._tables(f)
        return path

    def _steps(self, f: h5py.File) -> None:
        elapsed = np.array([self.step_s(step) for step in range(self.steps)])
        rank = np.arange(self.ranks)
        start = (1_000_000_000 * np.arange(self.steps))[:, None] + rank
        group = f.create_group("steps")
        group["start_ns"] = start.astype(np.int64)
        group["end_ns"] = (start + np.round(elapsed * 1e9).astype(np.int64)[:, None]).astype(np.int64)
        share = np.array(self.shares)
        if self.ranks == 1:  # Nothing to send, nobody to wait for.
            share = np.where(np.isin([c for _, c in self.phases], ["communication", "wait"]), 0.0, share)
        group["phase_s"] = np.broadcast_to(elapsed[:, None, None] * share, (self.steps, self.ranks, len(self.phases)))
        group["loss"] = np.array([self.loss(step) for step in range(self.steps)])
        if self.grad_norm is not None:
            group["grad_norm"] = np.array([self.grad_norm(step) for step in range(self.steps)])
        group["samples"] = np.full(self.steps, self.batch, np.int64)
        group["warmup"] = (np.arange(self.steps) < self.warmup).astype(np.int8)
        group["flushed"] = (np.arange(self.steps) == self.warmup).astype(np.int8)
        group["phase_class"] = [cls for _, cls in self.phases]
        for name in ("step", "rank", "phase"):
            group[name] = f[name]  # hard link, as the apps write it
        if self.written is not None and self.written < self.steps:
            group["loss"][self.written :] = np.nan
        if self.events is not None:
            self._events(f, self.events)

    def _events(self, f: h5py.File, written: int) -> None:
        """One event of step 2 to 4 after the other, by the last rank; two more found no room."""
        _columns(
            f,
            "events",
            rank=np.where(np.arange(written + 5) < written, self.ranks - 1, -1),
            step=2 + np.arange(written + 5) % 3,
            events_written=np.int64(written),
            events_dropped=np.int64(2),
        )
        f["events"].attrs.update({"first_step": 2, "last_step": 4})

    def _tables(self, f: h5py.File) -> None:
        counted = np.array([self.step_s(step) for step in range(self.warmup + 1, self.steps)])
        saving = [np.median([c[1] for c in self.checkpoints]), 0.25] if self.checkpoints else []
        _columns(f, "calibration", quantity=["triad_byte_per_s"], value=[1e10], unit=["byte/s"], description=["triad"])
        _columns(
            f,
            "ranks",
            hostname=["nowhere"] * self.ranks,
            cores=["0-1"] * self.ranks,
            role=["trainer"] * self.ranks,
            peak_memory_bytes=np.full(self.ranks, 2**28),
        )
        parameters = 1000
        moved = 2 * (self.ranks - 1) / self.ranks * parameters * 4 * len(counted)
        sent = np.full((1, self.ranks), round(moved))
        calls = np.full((1, self.ranks), len(counted))
        named = [("allreduce", "data", self.allreduce)]
        if len(self.halo_bytes):
            named.append(("halo", "spatial", "direct"))
            sent = np.vstack([sent, (self.steps - self.warmup) * np.asarray(self.halo_bytes)])
            calls = np.repeat(calls, 2, axis=0)
        kinds, axes, algorithms = zip(*named, strict=True)
        _columns(
            f,
            "traffic",
            operation=["/".join(names) for names in named],
            kind=list(kinds),
            algorithm=list(algorithms),
            axis=list(axes),
            calls=calls,
            messages=2 * (self.ranks - 1) * calls,
            sent_bytes=sent,
            seconds=np.full(calls.shape, 0.1),
            expected_messages=2.0 * (self.ranks - 1) * calls,
            expected_bytes=np.vstack([np.full((1, self.ranks), moved), 1.0 * sent[1:]]),
            predicted_s=np.full(len(named), 0.09),
        )
        if self.memory is not None:
            share = 1 / (1 + np.arange(self.ranks))
            names = ("weight_bytes", "gradient_bytes", "optimizer_bytes")
            _columns(
                f,
                "strategy",
                **{
                    name: np.round(size * share).astype(np.int64) for name, size in zip(names, self.memory, strict=True)
                },
                exposed_s=np.full(self.ranks, self.overlap_s[0]),
                hidden_s=np.full(self.ranks, self.overlap_s[1]),
            )
        if self.bubble is not None:
            _columns(f, "strategy", **self.bubble)
        if self.halos is not None:
            _columns(f, "strategy", **self.halos)
        if self.checkpoints:
            step, seconds, size = (np.array(column) for column in zip(*self.checkpoints, strict=True))
            _columns(f, "checkpoints", checkpoint=np.arange(len(step)), step=step, seconds=seconds, bytes=size)
        n = len(self.accuracy)
        _columns(
            f,
            "evaluation",
            evaluation=np.arange(n),
            step=self.first_step + (np.arange(n) + 1) * self.steps // max(n, 1),
            loss=1.0 - 0.5 * np.array(self.accuracy),
            accuracy=np.array(self.accuracy),
            samples=np.full(n, 100),
        )
        _columns(
            f,
            "summary",
            metric=["step_s", "samples_per_s", *(["checkpoint_s", "checkpoint_share"] if saving else [])],
            value=[np.median(counted), self.batch / max(counted.mean(), 1e-300), *saving],
            ci_low=[np.nan] * (2 + len(saving)),
            ci_high=[np.nan] * (2 + len(saving)),
            n=[len(counted)] * 2 + [len(self.checkpoints)] * len(saving),
            kind=["cost", "rate", *(["cost", "ratio"] if saving else [])],
            scope=["within run"] * (2 + len(saving)),
            unit=["s", "1/s", *(["s", "1"] if saving else [])],
        )


PART_NAMES = (
    "forward", "backward_input", "backward_weights", "loss", "send", "receive", "wait", "exchange", "update",
    "backward",
)  # fmt: skip
UNIT_NAMES = ("conv0", "head")
COST_NS = {"forward": 1_000_000, "backward": 2_000_000, "backward_input": 1_100_000, "backward_weights": 900_000}
LINK_NS = 20_000


@dataclass
class Pipeline:
    """Invented events of a pipeline: GPipe, or 1F1B with one stage a rank; of the steps 5 and 6."""

    ranks: int = 4
    micro_batches: int = 6
    chunks: int = 1  # Stages of a rank, interleaved; more than 1: GPipe.
    split: bool = False  # Backward in two halves.
    messages: bool = True
    actions: bool = True  # False: units alone, as of a run without a pipeline.
    wait_inside: bool = False  # An action begins with the wait for its message.
    offset_ns: Sequence[int] = ()  # Of each rank's clock to that of rank 0.
    drift: Sequence[float] = ()
    rows: list[dict[str, int]] = field(default_factory=list)  # What happened, on the clock of rank 0.

    def write(self, path: Path, **record: object) -> Path:
        """A record with these events, each on the clock of its rank."""
        Synthetic(ranks=self.ranks, strategy="pipeline", **record).write(path)
        rank = np.arange(self.ranks)
        offset = np.array(self.offset_ns or [0] * self.ranks)
        drift = np.array(self.drift or [0.0] * self.ranks)
        begin = 1_000 * (1 + rank)

        def local(of: object, root_ns: object) -> np.ndarray:
            return np.rint((root_ns - offset[of] + drift[of] * begin[of]) / (1 + drift[of])).astype(np.int64)

        self.rows = [row for step in (5, 6) for row in self._step(step)]
        with h5py.File(path, "r+") as f:
            group = f["ranks"]
            group["clock_offset_ns"], group["clock_drift"], group["clock_begin_ns"] = offset, drift, begin
            end = begin + 10_000_000_000
            group["clock_end_ns"] = end
            group["clock_offset_end_ns"] = offset + np.rint(drift * (end - begin)).astype(np.int64)
            group["node"] = rank // 2
            for name in ("start_ns", "end_ns"):
                f["steps"][name][...] = local(np.broadcast_to(rank, f["steps"][name].shape), f["steps"][name][...])
            columns = {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}
            for name in ("start_ns", "end_ns"):
                columns[name] = local(columns["rank"], columns[name])
            _columns(f, "events", **columns, part_name=list(PART_NAMES), unit_name=list(UNIT_NAMES),
                     events_written=np.int64(len(self.rows)), events_dropped=np.int64(0))  # fmt: skip
            f["events"].attrs.update({"first_step": 5, "last_step": 6})
        return path

    def _order(self, rank: int) -> list[tuple[str, int, int]]:
        """(kind, stage, micro-batch) of a rank."""
        m = self.micro_batches
        stages = [c * self.ranks + rank for c in range(self.chunks)]
        forward = [("forward", s, j) for s in stages for j in range(m)]
        backward = [("backward", s, j) for s in reversed(stages) for j in range(m)]
        if self.chunks > 1:
            order = forward + backward
        else:
            ahead = min(self.ranks - rank, m)
            order = forward[:ahead]
            for j in range(m):
                order += [backward[j], *forward[ahead + j : ahead + j + 1]]
        if not self.split:
            return order
        halves = {"forward": ("forward",), "backward": ("backward_input", "backward_weights")}
        return [(half, s, j) for kind, s, j in order for half in halves[kind]]

    def _step(self, step: int) -> list[dict[str, int]]:
        """Every action starts as soon as its rank is free and what it needs is there."""
        begin = 1_000_000_000 * step + 50_000
        last = self.ranks * self.chunks - 1
        orders, free = [self._order(r) for r in range(self.ranks)], [begin] * self.ranks
        sent: dict[tuple[str, int, int], int] = {}  # Direction, stage it goes to, micro-batch -> when it was sent.
        rows: list[dict[str, int]] = []

        def add(rank: int, part: str, start: int, end: int, **more: int) -> None:
            row = {"rank": rank, "step": step, "part": PART_NAMES.index(part), "stage": -1, "unit": -1,
                   "micro_batch": -1, "piece": -1, "peer": -1, "bytes": 0, "match": -1, "start_ns": start,
                   "end_ns": end}  # fmt: skip
            rows.append(row | more)

        while any(orders):
            for rank, order in enumerate(orders):
                if not order:
                    continue
                kind, stage, j = order[0]
                way = {"forward": "y", "backward_weights": ""}.get(kind, "dy")
                source = stage - 1 if way == "y" else stage + 1 if way == "dy" else -1
                at = {"stage": stage, "micro_batch": j}
                number = 1000 * (way == "dy") + 100 * stage + j
                waited = start = free[rank]
                if 0 <= source <= last:
                    if (way, stage, j) not in sent:
                        continue
                    waited, start = start, max(start, sent[way, stage, j] + LINK_NS)
                    if self.messages:
                        add(rank, "receive", free[rank], start, **at, peer=source % self.ranks, bytes=640, match=number)
                order.pop(0)
                end = start + COST_NS[kind]
                if self.actions:
                    add(rank, kind, waited if self.wait_inside else start, end, **at)
                middle = (start + end) // 2
                add(rank, kind if kind != "backward" else "backward_input", start, middle, **at, unit=0, piece=0)
                add(rank, kind if kind != "backward" else "backward_weights", middle, end, **at, unit=1, piece=0)
                free[rank] = end
                target = stage + 1 if kind == "forward" else stage - 1 if way == "dy" else -1
                if 0 <= target <= last:
                    sent[way, target, j] = end
                    if self.messages:
                        match = 1000 * (way == "dy") + 100 * target + j
                        free[rank] = end + 5_000
                        add(rank, "send", end, free[rank], **at, peer=target % self.ranks, bytes=640, match=match)
        for rank in range(self.ranks):
            add(rank, "exchange", free[rank], free[rank] + 300_000, bytes=4000)
            add(rank, "update", free[rank] + 300_000, free[rank] + 500_000)
        return sorted(rows, key=lambda row: row["rank"])


def _scale(f: h5py.File, name: str, values: object) -> None:
    f[name] = values
    f[name].make_scale(name)


def _columns(f: h5py.File, name: str, **columns: object) -> None:
    group = f.create_group(name)
    for column, values in columns.items():
        group[column] = values
