# SPDX-License-Identifier: BSD-3-Clause
"""What is printed while a run goes on: one line that rewrites itself on a terminal, also behind mpiexec; plain lines in a log."""

import os
import pty
import subprocess

from conftest import ROOT, command

SETTINGS = ["train.steps=40", "record.flush_every=10"]
REWRITE = b"\r\x1b[K"


def on_a_terminal(tmp_path, kind):
    """What a run prints there, and its exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command(2, "inputs/mlp_dp/tiny.toml", *SETTINGS, output=tmp_path / "x.h5"), cwd=ROOT,
                               stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL,
                               env={**os.environ, "TERM": kind})
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 4096):
            seen += block
    except OSError:  # the other end was closed
        pass
    return seen, process.wait(timeout=60)


def test_a_terminal_gets_a_line_that_rewrites_itself(tmp_path):
    seen, code = on_a_terminal(tmp_path, "xterm")
    assert code == 0
    assert seen.count(REWRITE + b"step") >= 2, seen
    assert b"samples/s" in seen and b"s left" in seen
    last = seen.replace(b"\r\n", b"\n").strip().split(b"\n")[-1].replace(REWRITE, b"")
    assert last.startswith(b"mlp_dp: ") and b"verification passed" in last


def test_a_dumb_terminal_gets_no_escapes(tmp_path):
    seen, code = on_a_terminal(tmp_path, "dumb")
    assert code == 0
    assert b"\x1b" not in seen and b"samples/s" in seen


def test_a_log_gets_plain_lines(tmp_path):
    done = subprocess.run(command(2, "inputs/mlp_dp/tiny.toml", *SETTINGS, output=tmp_path / "x.h5"), cwd=ROOT,
                          capture_output=True, timeout=60)
    assert done.returncode == 0
    assert b"\r" not in done.stdout and b"\x1b" not in done.stdout
    assert done.stdout.strip().split(b"\n")[-1].startswith(b"mlp_dp: ")
