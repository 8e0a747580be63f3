# SPDX-License-Identifier: BSD-3-Clause
"""The command line itself: exit codes, one-line errors, output in a log and on a terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Checkout
from synthetic import Synthetic

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "partita: Missing command: expected what `partita --help` lists"),
        (["shoe"], "partita: No such command 'shoe'. Did you mean 'show'?: expected what"),
        (["show"], "Missing argument"),
        (["plot", "x", "--format", "gif"], "'gif' is not one of 'png', 'svg', 'pdf'"),
        (
            ["run", "x.toml", "--jobs", "2"],
            "partita run: No such option: --jobs: expected what `partita run --help` lists",
        ),
        (
            ["run", "none.toml"],
            "none.toml: cannot be read (No such file or directory): expected the path of a study file",
        ),
        (["show", "none.h5"], "none.h5: no such file: expected a record"),
        (["plot", "none"], "none: no such folder: expected the folder"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(partita: Command, arguments: list[str], message: str) -> None:
    code, out, err = partita(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and message in err and ": expected " in err and err.count("\n") == 1


def test_an_output_that_is_a_file_is_one_line_and_exit_2(checkout: Checkout, partita: Command, tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("not a folder")
    Synthetic().write(tmp_path / "a.h5")
    for arguments in (["run", checkout.study()], ["plot", tmp_path]):
        for output in (file, file / "below"):
            code, _, err = partita(*arguments, "--output", output)
            assert code == 2 and err.startswith(f"error: {output}: ") and err.count("\n") == 1
            assert ": expected a folder" in err
    assert file.read_text() == "not a folder" and not checkout.calls()


def test_odd_surroundings_are_no_traceback(tmp_path: Path, partita: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Synthetic().write(tmp_path / "a.h5")
    monkeypatch.setenv("COLUMNS", "wide")
    assert partita("show", path)[0] == 0
    monkeypatch.setattr("partita.pictures.style.save", _full_disk)
    code, _, err = partita("plot", tmp_path)
    assert code == 2 and "pictures cannot be written there (No space left on device)" in err and err.count("\n") == 1


def _full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_help_and_version(partita: Command) -> None:
    from partita.cli import app

    commands = [command.callback.__name__ for command in app.registered_commands]
    assert len(commands) == 13
    for command in ("", *commands):
        code, out, _ = partita(*filter(None, (command, "--help")))
        assert code == 0 and "Usage: partita" in out
        example = [line for line in out.splitlines() if line.startswith("      partita ")]
        assert not command or any(f"partita {command} " in line for line in example)
    assert partita("--version")[1] == "partita 0.1.0\n"


def test_plot_of_an_empty_or_incomplete_folder(tmp_path: Path, partita: Command) -> None:
    code, _, err = partita("plot", tmp_path)
    assert code == 2 and "nothing to plot" in err and err.count("\n") == 1
    (tmp_path / "bad.h5").write_text("no HDF5")
    code, _, err = partita("plot", tmp_path)
    assert code == 2 and "bad.h5: damaged" in err and err.count("\n") == 1


def test_plot_of_a_folder_of_studies(tmp_path: Path, partita: Command) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for ranks in (1, 2):
            Synthetic(ranks=ranks, study=name).write(tmp_path / name / f"np{ranks}.h5")
    assert partita("plot", tmp_path)[0] == 0
    assert all((tmp_path / name / "figures" / "scaling.png").exists() for name in ("one", "two"))


def test_plot_of_two_studies_in_one_folder(tmp_path: Path, partita: Command) -> None:
    for name in ("one", "two"):
        Synthetic(study=name).write(tmp_path / f"{name}.h5")
    assert partita("plot", tmp_path)[0] == 0
    assert all((tmp_path / "figures" / f).exists() for f in ("one_throughput.png", "two_throughput.csv"))


def test_log_has_plain_lines(checkout: Checkout, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "partita", "run", str(checkout.study(("repeats = 2", "repeats = 1")))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "") and "\x1b" not in done.stdout
    assert [line[:12] for line in done.stdout.splitlines()[1:-1]] == [f"[{i}/3] ok    " for i in (1, 2, 3)]


def test_terminal_has_a_live_bar(checkout: Checkout, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "partita", "run", str(checkout.study(("repeats = 2", "repeats = 1")))]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**environment, "TERM": "xterm-256color"})
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # The other end is closed.
        pass
    assert process.wait() == 0
    assert b"\x1b[" in shown and "━".encode() in shown and b"3 points run" in shown and b"left" in shown
