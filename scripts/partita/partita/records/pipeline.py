# SPDX-License-Identifier: BSD-3-Clause
"""The idle time of pipeline stages, in its parts and beside its closed form: /strategy of a pipeline's record."""

from dataclasses import dataclass

import numpy as np

from partita.errors import UsageError
from partita.records.record import Record, plural

PARTS = {  # Column of /strategy -> what it is.
    "busy_s": "busy", "fill_s": "fill", "steady_idle_s": "steady idle", "wait_s": "wait",
    "drain_s": "drain",
}  # fmt: skip
FORMS = {"closed_form_idle_s": "closed form", "replayed_idle_s": "schedule replayed"}


@dataclass(frozen=True)
class Bubble:
    """Seconds of a step, of each rank; NaN: not known."""

    parts: dict[str, np.ndarray]
    forms: dict[str, np.ndarray]  # Idle seconds as they should be.

    @property
    def idle_s(self) -> np.ndarray:
        """All that is not busy."""
        return sum(values for name, values in self.parts.items() if name != "busy_s")

    @property
    def share(self) -> np.ndarray:
        """Idle time of the whole."""
        whole = self.idle_s + self.parts["busy_s"]
        return np.divide(self.idle_s, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def bubble(record: Record) -> Bubble | None:
    """What the record says; None where its strategy is no pipeline."""
    table = record.groups.get("strategy", {})
    if not set(PARTS) <= set(table):
        return None
    parts = {name: of_ranks(table[name], record, name) for name in PARTS}
    forms = {}
    for name in FORMS:
        given = table[name] if name in table else record.attributes.get(name, np.nan)
        forms[name] = of_ranks(given, record, name)
    return Bubble(parts, forms)


def of_ranks(values: object, record: Record, name: str) -> np.ndarray:
    """A column of /strategy as a number for each rank; UsageError if it has others."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or array.shape not in ((), (1,), (record.ranks,)):
        raise UsageError(
            f"{record.path}: /strategy/{name}", "not a number for each rank", plural(record.ranks, "number")
        )
    return np.broadcast_to(array.astype(float), (record.ranks,))
