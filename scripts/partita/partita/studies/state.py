# SPDX-License-Identifier: BSD-3-Clause
"""What a study leaves in its folder, and nothing else tells of it.

    study.toml                            copy of the study file
    plan.json                             every planned point: so that what never ran is missed
    points/HASH/checkpoint.h5             the newest of the point, where the study has `resume`
    points/HASH/attempt-N/                one run of a point; every attempt is kept
        job.json                          command, host, process, job of the scheduler: written before the start;
                                          the step from which it goes on, and the checkpoint
        alive                             touched while it runs
        exit.json                         how it ended: state, status, reason, seconds, first step; whether it may
                                          go on
        log.txt  record.h5
        times.txt                         of drills: the log again, with seconds since the start before each line

An attempt without exit.json still runs, or its runner is gone. JSON files are written whole: a reader sees the old one
or the new one.
"""

import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from partita.errors import UsageError, reason

PLAN, JOB, EXIT, ALIVE, LOG, RECORD = "plan.json", "job.json", "exit.json", "alive", "log.txt", "record.h5"
TIMES = "times.txt"
CHECKPOINT = "checkpoint.h5"
ALIVE_EVERY_S = 10.0
SILENT_S = 60.0  # An attempt whose runner touched nothing for so long is lost; file systems of clusters show it late.


class State(StrEnum):
    """Of a point."""

    PLANNED = "planned"
    SUBMITTED = "submitted"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out of memory"
    PREEMPTED = "preempted"
    LOST = "lost"


INFRASTRUCTURE = (State.PREEMPTED, State.LOST)  # Ends that say nothing about the run: it may be tried again.


def now_utc() -> str:
    """`2026-11-30T14:30:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """The whole file or none."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=1, ensure_ascii=False)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """{} where there is no such file; UsageError where it is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(path, f"cannot be read ({reason(error)})", "a file that `partita` wrote") from error
    if not isinstance(content, dict):
        raise UsageError(path, "no table", "a file that `partita` wrote")
    return content


def this_process() -> dict[str, Any]:
    """Host, process and boot, so that somebody else can tell whether it is still there."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return {"host": socket.gethostname(), "pid": os.getpid(), "boot": boot, "since": _started(os.getpid())}
    return {"host": socket.gethostname(), "pid": os.getpid()}


def _started(pid: int) -> str:
    """When the process started, in clock ticks since boot: a pid alone is used again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_running(theirs: dict[str, Any]) -> bool | None:
    """Whether what `this_process` once said is still true; None: of another machine, which nobody can tell."""
    mine = this_process()
    if not theirs.get("boot") or any(theirs.get(name) != mine.get(name) for name in ("host", "boot")):
        return None
    return _started(int(theirs["pid"])) == theirs.get("since")


@dataclass(frozen=True)
class Attempt:
    """One run of a point."""

    folder: Path

    @property
    def number(self) -> int:
        """From 1 on."""
        return int(self.folder.name.rpartition("-")[2])

    @property
    def digest(self) -> str:
        """Hash of its point."""
        return self.folder.parent.name

    @cached_property
    def job(self) -> dict[str, Any]:
        """What was started; {}: nothing yet."""
        return read_json(self.folder / JOB)

    @cached_property
    def exit(self) -> dict[str, Any]:
        """How it ended; {}: not, or nobody saw it."""
        return read_json(self.folder / EXIT)

    @property
    def log(self) -> Path:
        """What launcher and app said."""
        return self.folder / LOG

    @property
    def times(self) -> Path:
        """The same with times, of drills."""
        return self.folder / TIMES

    @property
    def record(self) -> Path:
        """Where the record is, or was to be."""
        return self.folder / RECORD

    @property
    def first_step(self) -> int:
        """Steps that earlier attempts have done; above 0 where it went on from their checkpoint."""
        step = self.job.get("first_step", 0)
        return step if isinstance(step, int) else 0

    @property
    def may_go_on(self) -> bool:
        """Whether another attempt may go on from its checkpoint; nobody saw how it ended: yes."""
        return self.exit.get("may_go_on") is True if self.exit else True

    def touch(self) -> None:
        """Say that the runner is there."""
        with suppress(OSError):
            (self.folder / ALIVE).touch()

    def close(self, state: State, status: int, wall_s: float, why: str = "", may_go_on: bool = False,
              **more: Any) -> None:  # fmt: skip
        """Write how it ended."""
        content = {"state": state.value, "status": status, "wall_s": wall_s, "reason": why, "ended_utc": now_utc(),
                   "first_step": self.first_step, "may_go_on": may_go_on, **more}  # fmt: skip
        write_json(self.folder / EXIT, content)

    def is_alive(self) -> bool:
        """Whether its runner is at work: by its process on this machine, by the age of its last sign elsewhere."""
        if self.exit:
            return False
        known = is_running(self.job)
        return self.silent_s() < SILENT_S if known is None else known

    def silent_s(self) -> float:
        """Seconds since its runner, or what it runs, gave a sign."""
        files = (self.folder / name for name in (ALIVE, JOB, LOG, EXIT))
        return time.time() - max((p.stat().st_mtime for p in files if p.exists()), default=0.0)


def attempts(folder: Path, digest: str) -> list[Attempt]:
    """All attempts at a point, oldest first."""
    place = folder / "points" / digest
    try:
        with os.scandir(place) as entries:  # A study has thousands of these folders: no glob.
            names = [e.name for e in entries if e.name.startswith("attempt-") and e.is_dir()]
    except OSError:
        return []
    found = [Attempt(place / name) for name in names if name.removeprefix("attempt-").isdecimal()]
    return sorted(found, key=lambda a: a.number)


def new_attempt(folder: Path, digest: str, job: dict[str, Any]) -> Attempt:
    """The next one, with its job.json."""
    number = max((a.number for a in attempts(folder, digest)), default=0) + 1
    place = folder / "points" / digest / f"attempt-{number}"
    try:
        place.mkdir(parents=True)
    except OSError as error:
        raise UsageError(place, f"cannot be made ({reason(error)})", "a folder for records") from error
    write_json(place / JOB, {**job, **this_process(), "started_utc": now_utc()})
    return Attempt(place)


def planned(folder: Path) -> list[dict[str, Any]]:
    """The points of plan.json; none where there is no plan."""
    points = read_json(folder / PLAN).get("points", [])
    if not isinstance(points, list) or not all(isinstance(p, dict) and "hash" in p and "name" in p for p in points):
        raise UsageError(folder / PLAN, "holds no points", "a file that `partita` wrote")
    return points


def record_files(folder: Path) -> list[Path]:
    """The records below: of a study's points (the newest attempt with one), or lying side by side."""
    newest: dict[str, Path] = {}
    for path in folder.glob(f"points/*/attempt-*/{RECORD}"):
        number, known = Attempt(path.parent).number, newest.get(path.parent.parent.name)
        if known is None or number > Attempt(known.parent).number:
            newest[path.parent.parent.name] = path
    current = {p["hash"] for p in planned(folder)}
    of_points = [path for digest, path in newest.items() if not current or digest in current]
    beside = (path for path in folder.glob("*.h5") if not path.name.endswith(f".{CHECKPOINT}"))
    return sorted([*beside, *of_points])


def study_folders(folder: Path) -> list[Path]:
    """The folder itself where it holds records or a plan, else those right below that do."""
    if _holds_records(folder):
        return [folder]
    return sorted(below for below in folder.glob("*") if below.is_dir() and _holds_records(below))


def _holds_records(folder: Path) -> bool:
    return (folder / PLAN).is_file() or any(folder.glob("*.h5")) or any(folder.glob(f"points/*/attempt-*/{RECORD}"))
