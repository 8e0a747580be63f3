# SPDX-License-Identifier: BSD-3-Clause
"""SYNTHETIC TEST DATA: folders of invented runs whose times follow a law. Never shipped, never a result."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py

from synthetic import Synthetic


def noise(repeat: int, seed: int = 0) -> float:
    """A factor within 0.6 % of 1: of six repeats six of seven equal steps, in an order that the seed decides."""
    return 1 + 0.002 * ((5 * repeat + 3 * seed) % 7 - 3)


def write_runs(folder: Path, step_s: float | Callable[[int], float] = 0.03, ranks: Sequence[int] = (2,),
               repeats: int = 6, seed: int = 0, edit: Callable[[h5py.File], None] | None = None, name: str = "",
               **record: Any) -> Path:  # fmt: skip
    """Runs of one series: a median step of step_s(ranks), repeats that differ by `noise`."""
    folder.mkdir(parents=True, exist_ok=True)
    of = step_s if callable(step_s) else lambda _: step_s
    for p in ranks:
        for repeat in range(1, repeats + 1):
            point = f"np{p}-{name or 'a'}-r{repeat}"
            seconds = of(p) * noise(repeat, seed)
            path = folder / f"{point}.h5"
            given = {"steps": 6, "run_uuid": f"{folder.name}-{point}-{seed}"} | record
            Synthetic(ranks=p, point=point, step_s=lambda _, s=seconds: s, **given).write(path)
            if edit is not None:
                with h5py.File(path, "r+") as file:
                    edit(file)
    return folder


def environment(**values: str) -> Callable[[h5py.File], None]:
    """An edit: these attributes of /environment."""
    return lambda file: file["environment"].attrs.update(values)


def deck(old: str, new: str) -> Callable[[h5py.File], None]:
    """An edit: a piece of the resolved deck replaced by another."""

    def edit(file: h5py.File) -> None:
        text = file["config/toml"][()].decode()
        assert old in text
        del file["config/toml"]
        file["config/toml"] = text.replace(old, new)

    return edit
