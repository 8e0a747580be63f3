# SPDX-License-Identifier: BSD-3-Clause
"""Sentences on bytes, memory and classes: on invented tables, and that pictures and charts carry them."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from synthetic_table import row, table

from partita.analysis.shares import finding_of_classes, finding_of_memory, finding_of_volume
from partita.pictures.views import Sight, study_pictures
from partita.records.folder import read_folder
from partita.reports import breakdown
from synthetic import Synthetic

STUDY = SimpleNamespace(name="s", app="mlp_dp")


def two(metric: str, mpi: float, ring: float, at: int = 2) -> list[dict[str, object]]:
    return [row(metric, mpi, "mpi", at), row(metric, ring, "ring", at)]


def test_bytes_and_what_they_cost() -> None:
    alone = [row("sent_bytes", 2e6, "ring", 2), row("sent_bytes", 7.45e6, "ring", 4), row("exposed_s", 2e-3, "ring", 4)]
    text = "at 4 ranks ring sends 7.45 MB a rank in a step; exposed communication: 2 ms"
    assert finding_of_volume(STUDY, table(alone)) == text
    alike = table([*two("sent_bytes", 7.4e6, 7.45e6), *two("class_s:communication", 4e-3, 5e-4)])
    text = ("at 2 ranks both series send 7.45 MB a rank in a step; in phases of communication: 500 us (ring) to 4 ms "
            "(mpi)")  # fmt: skip
    assert finding_of_volume(STUDY, alike) == text
    apart = table([*two("sent_bytes", 3e6, 9e6), *two("exposed_s", 1e-3, 4e-3)])
    text = "at 2 ranks ring sends 3 times as much as mpi: 9 MB and 3 MB a rank in a step; exposed communication: "
    assert finding_of_volume(STUDY, apart) == text + "4 ms and 1 ms"


def test_memory_of_the_state_where_it_differs_else_of_the_peak() -> None:
    state = table([*two("state_bytes", 4e7, 2e7), *two("peak_memory_bytes", 3e8, 3e8)])
    text = "at 2 ranks the fullest rank of ring needs least for weights, gradients and optimizer, 20 MB, that of mpi "
    assert finding_of_memory(STUDY, state) == text + "most, 40 MB"
    peak = table([*two("state_bytes", 4e7, 4e7), *two("peak_memory_bytes", 2e8, 3e8)])
    assert "mpi needs least at its peak, 200 MB, that of ring most, 300 MB" in finding_of_memory(STUDY, peak)
    alike = table([*two("state_bytes", 4e7, 4e7), *two("peak_memory_bytes", 2e8, 2e8)])
    text = "the fullest rank of each of 2 series has 200 MB at its peak, 40 MB of it weights, gradients and optimizer"
    assert finding_of_memory(STUDY, alike) == f"at 2 ranks {text}"


def test_classes_of_the_series_that_computes_least() -> None:
    rows = [*two("step_s", 0.1, 0.1), *two("class_s:compute", 0.08, 0.05), *two("class_s:wait", 0.01, 0.02),
            *two("class_s:communication", 0.01, 0.03)]  # fmt: skip
    text = "at 2 ranks ring spends 50 % of a step in compute, least of 2 series, 30 % in communication, 20 % in wait"
    assert finding_of_classes(STUDY, table(rows)) == text
    longer = table(
        [row("step_s", 0.1, "a", 2), row("class_s:compute", 0.09, "a", 2), row("class_s:wait", 0.03, "a", 2)]
    )
    assert finding_of_classes(STUDY, longer) == "at 2 ranks a spends 75 % of a step in compute, 25 % in wait"


@pytest.mark.parametrize("finding", [finding_of_volume, finding_of_memory, finding_of_classes])
def test_nothing_is_said_of_nothing(finding: object) -> None:
    assert callable(finding)
    assert finding(STUDY, table([])) == ""
    other = table([r | {"app": "cnn_pp"} for m in ("sent_bytes", "peak_memory_bytes", "step_s", "class_s:compute")
                   for r in two(m, 1.0, 2.0)])  # fmt: skip
    assert finding(STUDY, other) == ""


def test_pictures_and_charts_carry_them(tmp_path: Path) -> None:
    Synthetic(ranks=2, memory=(4_000_000, 4_000_000, 8_000_000)).write(tmp_path / "a.h5")
    (study,), _, _ = read_folder(tmp_path)
    sight = Sight(study)
    made = {m.name: m.picture for m in study_pictures(sight)}
    said = " ".join(t.get_text() for t in made["memory"].figure.texts) if made["memory"] else ""
    assert finding_of_memory(study, sight.table) in said and "16 MB" in said
    over = pd.DataFrame(sight.table[sight.table["scope"] == "over runs"])
    charts = breakdown.breakdown_charts(over, "synthetic", {"classes": "So it is.", "volume": "As it was."})
    found = {c.title: c.finding for c in charts}
    assert found["Where a step spends its time"] == "So it is." and found["Communication and memory"] == "As it was."
