# SPDX-License-Identifier: BSD-3-Clause
"""What record_writer.cpp writes, from indices alone."""

import numpy as np

STEP_NS = 1_000_000
PHASES = ["forward", "allreduce", "wait"]
EVENTS = 4  # of each rank in each step
CLASSES = ["compute", "communication", "wait"]


def phase_s(steps, ranks):
    """(step, rank, phase) seconds."""
    step, rank, phase = np.ogrid[:steps, :ranks, : len(PHASES)]
    return 1e-6 * (100 * step + 10 * rank + phase).astype(float)


def start_ns(steps, ranks):
    """(step, rank)."""
    step, rank = np.ogrid[:steps, :ranks]
    return STEP_NS * step + rank


def end_ns(steps, ranks):
    """(step, rank)."""
    step, rank = np.ogrid[:steps, :ranks]
    return STEP_NS * (step + 1) + 2 * rank


def loss(steps):
    """(step)."""
    return 1.0 / (1.0 + np.arange(steps))


def grad_norm(steps):
    """(step)."""
    return 0.5 * (1.0 + np.arange(steps))


def events(steps, ranks):
    """Columns over the events of so many steps, by step, then by rank."""
    step, rank, k = (a.ravel() for a in np.mgrid[:steps, :ranks, :EVENTS])
    start = STEP_NS * step + 10 * k
    return {"rank": rank, "step": step, "part": k % 2, "stage": 0 * k, "unit": k % 3, "micro_batch": k,
            "piece": 0 * k - 1, "peer": 0 * k - 1, "bytes": 100 * step + 10 * rank + k,
            "match": np.where(k % 2, 10 * k, -1), "start_ns": start, "end_ns": start + 5}


def check_events(group, written, ranks):
    """Every announced row of /events in an open h5py file is the one that was handed to the writer."""
    assert written % (ranks * EVENTS) == 0
    for name, values in events(written // (ranks * EVENTS), ranks).items():
        np.testing.assert_array_equal(group[name][:written], values)


def check_steps(group, written, ranks):
    """Every announced row of /steps in an open h5py file is the one that was handed to the writer."""
    np.testing.assert_array_equal(group["phase_s"][:written], phase_s(written, ranks))
    np.testing.assert_array_equal(group["start_ns"][:written], start_ns(written, ranks))
    np.testing.assert_array_equal(group["end_ns"][:written], end_ns(written, ranks))
    np.testing.assert_array_equal(group["loss"][:written], loss(written))
    np.testing.assert_array_equal(group["grad_norm"][:written], grad_norm(written))
    np.testing.assert_array_equal(group["samples"][:written], 32)
    np.testing.assert_array_equal(group["warmup"][:written], np.arange(written) < 2)
