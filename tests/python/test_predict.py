# SPDX-License-Identifier: BSD-3-Clause
"""`partita predict`: what is asked of the app, and what is made of its records. The app is a pretended one."""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from synthetic_server import ServerSynthetic

Command = Callable[..., tuple[int, str, str]]

# Its virtual steps are 0.1 s long, times the servers of the deck; what it was called with lies beside it.
APP = """#!{python}
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from synthetic_server import ServerSynthetic
with open(__file__ + ".calls", "a") as calls:
    print(*sys.argv[1:], file=calls)
if "fail" in Path(sys.argv[1]).read_text():
    sys.exit("error: it does not want to")
output = Path(sys.argv[sys.argv.index("--output") + 1])
servers = 2 if "count = 2" in Path(sys.argv[1]).read_text() else 1
ServerSynthetic(engine="virtual", step_s=0.1 * servers).write(output)
"""


@pytest.fixture
def build(tmp_path: Path) -> Path:
    app = tmp_path / "build" / "bin" / "param_server"
    app.parent.mkdir(parents=True)
    app.write_text(APP.format(python=sys.executable, here=str(Path(__file__).parent)))
    app.chmod(0o755)
    return tmp_path / "build"


def test_decks_run_again_and_errors_are_told(tmp_path: Path, build: Path, partita: Command) -> None:
    folder = tmp_path / "measured"
    folder.mkdir()
    for servers in (1, 2):
        ServerSynthetic(engine="mpi", protocol="bsp", workers=3, servers=servers).write(folder / f"{servers}.h5")
    ServerSynthetic(engine="mpi", workers=1, servers=1).write(tmp_path / "calibration.h5")
    picture = tmp_path / "out" / "p.png"
    code, out, err = partita("predict", tmp_path / "calibration.h5", folder, "--build", build, "-o", picture)
    assert code == 0, err
    calls = (build / "bin" / "param_server.calls").read_text().splitlines()
    assert len(calls) == 2
    for call in calls:
        for setting in ("run.engine=virtual", "virtual.workers=3", "virtual.compute=calibrated",
                        f"virtual.calibration={tmp_path / 'calibration.h5'}"):  # fmt: skip
            assert f"--set {setting}" in call
    with picture.with_suffix(".csv").open() as stream:
        rows = list(csv.DictReader(stream))
    predicted = [float(row["predicted_virtual_s"]) for row in rows]
    assert np.allclose(predicted, [0.1, 0.2], rtol=0.2) and predicted[1] > 1.5 * predicted[0]
    for row in rows:
        error = float(row["predicted_virtual_s"]) / float(row["measured_s"]) - 1
        assert np.isclose(float(row["error"]), error)
        assert f"{error:+.0%}" in out
    near = sum(abs(float(row["error"])) <= 0.25 for row in rows)
    assert f"{near} of 2 within 25%" in out and picture.stat().st_size > 10000


def test_what_cannot_be_predicted(tmp_path: Path, build: Path, partita: Command) -> None:
    calibration, virtual, refused = (tmp_path / f"{name}.h5" for name in ("calibration", "virtual", "refused"))
    ServerSynthetic(engine="mpi", workers=1, servers=1).write(calibration)
    ServerSynthetic(engine="virtual").write(virtual)
    ServerSynthetic(engine="mpi", server_keys='note = "fail"').write(refused)
    (tmp_path / "empty").mkdir()
    for measured, place, code, word in (
        (virtual, build, 2, 'run.engine = "mpi"'),
        (tmp_path / "empty", build, 2, "no records"),
        (refused, tmp_path, 2, "no param_server"),
        (refused, build, 4, "it does not want to"),
    ):
        given, _, err = partita("predict", calibration, measured, "--build", place, "-o", tmp_path / "p.png")
        assert given == code and word in err and len(err.strip().splitlines()) == 1, err
