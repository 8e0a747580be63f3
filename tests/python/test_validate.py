# SPDX-License-Identifier: BSD-3-Clause
"""`partita validate`: study files, decks, records, folders of records."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import Checkout
from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]


def test_each_file_has_a_line(checkout: Checkout, partita: Command, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    for ranks in (1, 2):
        Synthetic(ranks=ranks).write(folder / f"np{ranks}.h5")
    study, deck = checkout.study(), checkout.root / "inputs" / "mlp_dp" / "deck.toml"
    code, out, err = partita("validate", study, deck, folder)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"ok: {study}: a strong study of mlp_dp, 3 configurations",
        f"ok: {deck}: a deck of 1 key",
        f"ok: {folder / 'np1.h5'}: a record of mlp_dp, 1 rank x 1 thread (training), 12 steps",
        f"ok: {folder / 'np2.h5'}: a record of mlp_dp, 2 ranks x 1 thread (training), 12 steps",
    ]


def test_records_of_a_study_are_found(checkout: Checkout, partita: Command) -> None:
    partita("run", checkout.study(("repeats = 2", "repeats = 1")))
    code, out, _ = partita("validate", checkout.runs)
    assert code == 0 and out.count("ok: ") == 3 == out.count("attempt-1/record.h5")


def test_wrong_text_is_refused(checkout: Checkout, partita: Command, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[train]\nsteps = = 1\n")
    loose = tmp_path / "loose.toml"
    loose.write_text("steps = 1\n")
    study = checkout.study(("repeats = 2", "repeats = 0"))
    code, out, _ = partita("validate", bad, loose, study, tmp_path / "none.toml", tmp_path / "none.h5")
    assert code == 2
    for line, message in zip(
        out.splitlines(),
        ("bad.toml:2: not TOML", "loose.toml: steps: a key outside all tables", "study.toml:8: repeats: 0",
         "none.toml: cannot be read", "none.h5: no such file"),
        strict=True,
    ):  # fmt: skip
        assert line.startswith("refused: ") and message in line and ": expected " in line
    code, _, err = partita("validate", tmp_path / "inputs")
    assert code == 2 and "no records (*.h5) in it" in err


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def changed(name: str, at: tuple[int, ...], value: float) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file[name][at] = value

    return change


def attribute(name: str, value: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value

    return change


def one_byte_more(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["traffic/sent_bytes"][0, 1] += 1


def other_summary(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        row = int(np.flatnonzero(file["summary/metric"].asstr()[()] == "step_s")[0])
        file["summary/value"][row] *= 1.001


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncated, "damaged, or not a record of Partita"),
        (lambda path: path.write_bytes(b""), "damaged, or not a record of Partita"),
        (attribute("schema_version", 99), "schema_version: 99"),
        (attribute("complete", 0), "complete: 0 (done): expected 1"),
        (attribute("verified", 0), "verified: 0 (no reason given): expected 1"),
        (changed("steps/phase_s", (5, 0, 1), float("nan")), "/steps has phases that took"),
        (changed("steps/phase_s", (5, 0, 1), -1.0), "/steps has phases that took less than no seconds"),
        (changed("steps/phase_s", (0, 0, 1), -1.0), "less than no seconds"),  # Of the warm-up.
        (changed("steps/end_ns", (5, slice(None)), 0), "steps that took no time"),
        (one_byte_more, "/traffic/sent_bytes: "),
        (other_summary, "/summary step_s: 0.03003 s: expected 0.03 s, the median of its steps"),
    ],
)
def test_a_wrong_record_is_named_and_the_others_are_looked_at(
    partita: Command, tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    for name in ("a", "b", "c"):
        Synthetic(ranks=2).write(tmp_path / f"{name}.h5")
    spoil(tmp_path / "b.h5")
    code, out, _ = partita("validate", tmp_path)
    assert code == 2 and [line.partition(":")[0] for line in out.splitlines()] == ["ok", "refused", "ok"]
    line = out.splitlines()[1]
    assert str(tmp_path / "b.h5") in line and message in line and ": expected " in line
