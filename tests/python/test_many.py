# SPDX-License-Identifier: BSD-3-Clause
"""Many records: how often files are opened, decks parsed, and how the work grows. Calls are counted, no time."""

import fcntl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

from partita.errors import UsageError
from partita.records import deck, hdf5
from partita.records.folder import read_folder
from partita.records.record import read_record
from partita.records.series import group
from partita.records.source import ENTRY_BYTE, Recent
from partita.reports.material import gather
from synthetic import Synthetic

RANKS, SERIES, REPEATS = (1, 2, 3, 4, 6), 6, 10
MOST_ARRAYS = 28  # Of 55 in a file; each of them once.
UUID = "00000000-aaaa-bbbb-cccc-000000000000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 records; repeats are copies with another name and identity."""
    folder = tmp_path_factory.mktemp("many")
    for ranks in RANKS:
        for series in range(SERIES):
            point = f"np{ranks}-s{series}-r00"
            path = folder / "one"
            Synthetic(ranks=ranks, steps=6, parallel=f"bucket_mib = {series}.0", point=point, run_uuid=UUID,
                      step_s=lambda s, t=0.03 * (1 + series) / ranks: t, memory=(8, 8, 8)).write(path)  # fmt: skip
            image = path.read_bytes()
            path.unlink()
            for repeat in range(1, REPEATS + 1):
                named = image.replace(point.encode(), f"{point[:-2]}{repeat:02d}".encode())
                uuid = f"{ranks:04d}{series:04d}-aaaa-bbbb-cccc-{repeat:012d}"
                (folder / f"{point[:-2]}{repeat:02d}.h5").write_bytes(named.replace(UUID.encode(), uuid.encode()))
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are opened."""
    found: list[Path] = []
    real = hdf5.open_file
    monkeypatch.setattr(hdf5, "open_file", lambda path: found.append(path) or real(path))
    return found


def test_records_are_grouped_and_each_is_opened_twice_at_most(folder: Path, opened: list[Path]) -> None:
    (study,), _, notes = read_folder(folder)
    assert notes == [] and [s.label for s in study.series] == [f"bucket_mib {n}.0" for n in range(SERIES)]
    assert all([(c.ranks, len(c.records)) for c in s.cells] == [(p, REPEATS) for p in RANKS] for s in study.series)
    for n, series in enumerate(study.series):
        for cell in series.cells:
            medians = {float(np.median(r.step_s)) for r in cell.records}
            assert len(medians) == 1 and medians.pop() == pytest.approx(0.03 * (1 + n) / cell.ranks, rel=1e-7)
    assert len(opened) == len(set(opened)) == len(RANKS) * SERIES * REPEATS
    for record in study.records:  # All that is asked for of a record takes one opening more.
        with record.opened():
            assert record.groups["strategy"]["weight_bytes"][0] == 8 and "loss" in record.groups["evaluation"]
            assert record.groups["traffic"]["sent_bytes"].shape == (1, record.ranks)
            assert record.phase_s.shape == (3, 7) and record.samples_per_step == 64 and record.classes[0] == "input"
            assert record.environment["compiler"] == "g++ 12"
    assert len(opened) == 2 * len(study.records)


def test_a_report_takes_all_numbers_in_one_opening(
    folder: Path, opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand records in a minute of a core: each opening and each array is a good part of a millisecond."""
    arrays: list[str] = []
    real = hdf5._open
    monkeypatch.setattr(hdf5, "_open", lambda of, name: arrays.append(name) or real(of, name))
    material = gather(folder)
    runs = material.table[material.table["scope"] == "within run"]
    assert runs["point"].nunique() == len(material.records) == len(RANKS) * SERIES * REPEATS
    assert len(opened) == len(set(opened)) == len(material.records)
    assert len(arrays) <= MOST_ARRAYS * len(opened)


def test_a_deck_is_parsed_once_for_all_repeats(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deck._common.cache_clear()
    read_folder(folder)
    assert deck._common.cache_info().misses == SERIES  # Ranks are not in the deck.


def calls_in(work: Callable[[], object]) -> int:
    """Calls of functions, of Python and of C."""
    count = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_work_grows_as_the_number_of_records_and_series_does(folder: Path) -> None:
    (study,), *_ = read_folder(folder)
    half = [r for r in study.records if r.config["parallel.bucket_mib"] < SERIES / 2]
    assert 2 * len(half) == len(study.records)
    counts = [calls_in(lambda of=of: group(of, None)) for of in (half, half, study.records)]  # Once to warm up.
    assert 1.5 * counts[1] < counts[2] < 2.3 * counts[1]


def test_decks_differ_in_their_own_keys_alone(tmp_path: Path) -> None:
    same = '[train]\nseed = {}\n[output]\npath = "{}"\n[data]\npath = "x"\nnote = """\n{}"""\n'
    one, two = (deck.read_deck(same.format(*of)) for of in ((1, "a", ""), (2, "b", "")))
    assert one.common is two.common
    assert one.config == {"train.seed": 1, "output.path": "a", "data.path": "x", "data.note": ""}
    assert two.config == {**one.config, "train.seed": 2, "output.path": "b"}
    assert list(two.config) == ["train.seed", "output.path", "data.path", "data.note"]
    inside = deck.read_deck(same.format(1, "a", 'path = "y"\n'))  # A line of a text, not a key.
    assert inside.config == {**one.config, "data.note": 'path = "y"\n'}


def test_a_record_that_changed_since_is_one_error(tmp_path: Path) -> None:
    path = Synthetic(ranks=2).write(tmp_path / "a.h5")
    record = read_record(path)
    Synthetic(ranks=3, steps=20).write(path)
    with pytest.raises(UsageError, match="changed while it was read"):
        _ = record.groups["traffic"]["sent_bytes"]
    path.unlink()
    with pytest.raises(UsageError, match="No such file"):
        _ = record.steps


def test_only_the_columns_of_late_stay_in_memory() -> None:
    kept = Recent(3 * (ENTRY_BYTE + 800))
    reads: list[int] = []

    def get(key: int) -> None:
        kept.get(key, lambda: reads.append(key) or np.zeros(100))

    for key in (0, 1, 2, 0, 3, 0, 1):  # 3 pushes 1 out, which nobody had asked for since.
        get(key)
    assert reads == [0, 1, 2, 3, 1] and kept.size == kept.limit


def test_files_are_not_locked(tmp_path: Path) -> None:
    """Writers may still be at work, and some file systems have no locks; in a process in which h5py comes first."""
    path = Synthetic(ranks=3).write(tmp_path / "a.h5")
    read = "import h5py; from partita.records.record import *; print(read_record(Path(sys.argv[1])).ranks)"
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = subprocess.run([sys.executable, "-c", f"import sys; from pathlib import Path; {read}", str(path)],
                              capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
