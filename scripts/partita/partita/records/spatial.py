# SPDX-License-Identifier: BSD-3-Clause
"""Image rows that ranks share, and their halos: /strategy and /traffic of a record."""

from dataclasses import dataclass

import numpy as np

from partita.records.pipeline import of_ranks
from partita.records.record import Record

COLUMNS = ("first_image_row", "image_rows", "halo_exposed_s", "halo_hidden_s")  # Of /strategy.


@dataclass(frozen=True)
class Halos:
    """What halos are to a step, of each rank."""

    rows: np.ndarray  # Of every image that the rank has.
    halo_rows: np.ndarray  # Of neighbours that a 3 x 3 window reads beside them.
    exposed_s: np.ndarray  # Of a step, mean over the counted ones.
    hidden_s: np.ndarray
    step_s: float  # Mean of the counted steps, over ranks; NaN without any.
    sent_bytes: np.ndarray  # In a step after warm-up.

    @property
    def surface(self) -> np.ndarray:
        """Surface to volume: rows of neighbours for each row that is here."""
        return self.halo_rows / self.rows

    @property
    def share(self) -> np.ndarray:
        """Of the step, in which a rank waits for or serves halos."""
        return self.exposed_s / self.step_s


def halos(record: Record) -> Halos | None:
    """What the record says; None where ranks share no image rows."""
    table = record.groups.get("strategy", {})
    if not set(COLUMNS) <= set(table):
        return None
    first, rows, exposed, hidden = (of_ranks(table[name], record, name) for name in COLUMNS)
    neighbours = (first > 0).astype(int) + (first + rows < (first + rows).max())
    step_s = float(record.mean_step_s.mean()) if record.counted.any() else float("nan")
    return Halos(rows, neighbours, exposed, hidden, step_s, _sent(record))


def _sent(record: Record) -> np.ndarray:
    traffic = record.groups.get("traffic", {})
    chosen = traffic["kind"] == "halo" if "kind" in traffic else np.empty(0, bool)
    if not chosen.any() or not record.steps:
        return np.zeros(record.ranks)
    return traffic["sent_bytes"][chosen].sum(axis=0) / max(1, int((record.steps["warmup"] == 0).sum()))
