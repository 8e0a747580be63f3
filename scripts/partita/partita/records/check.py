# SPDX-License-Identifier: BSD-3-Clause
"""Is a file what it claims to be? Study files, decks, records."""

from pathlib import Path

import numpy as np

from partita.errors import UsageError, held_to_the_layout
from partita.records import hdf5, layout
from partita.records.record import Record, is_roofline, plural, read_record
from partita.studies.points import expand_study
from partita.studies.state import record_files
from partita.studies.study import flatten, read_study
from partita.studies.toml_text import read_toml

SAME = 1e-9  # Relative: the summary's median is that of the same numbers.


def files_of(path: Path) -> list[Path]:
    """The file, or the records of a folder; UsageError where there are none."""
    if not path.is_dir():
        return [path]
    found = record_files(path)
    if not found:
        raise UsageError(path, "no records (*.h5) in it", "a folder of records")
    return found


def check_path(path: Path) -> str:
    """What the file is, in a few words; UsageError says what is wrong."""
    return _toml(path) if path.suffix == ".toml" else check_record(path)


def _toml(path: Path) -> str:
    """A study has a name and ranks, or nodes, and no deck has a key without a table."""
    _, tree = read_toml(path, "a study file or a deck")
    if "name" in tree and {"ranks", "nodes", "run"} & set(tree):
        study = read_study(path)
        count = len(expand_study(study).configurations)
        return f"a {study.kind} study of {', '.join(study.apps)}, {plural(count, 'configuration')}"
    for key, value in tree.items():
        if not isinstance(value, dict):
            raise UsageError(f"{path}: {key}", "a key outside all tables", "a deck's keys in tables, such as [train]")
    return f"a deck of {plural(len(flatten(tree)), 'key')}"


def check_record(path: Path) -> str:
    """Read all of a record; UsageError for the first thing that is wrong."""
    record = read_record(path)
    _ = record.config
    with held_to_the_layout(path), hdf5.opened(path) as file:
        for name in hdf5.groups_with(file, hdf5.names(file), ()):
            layout.check_unread(name, hdf5.columns(hdf5.group(file, name)))
    if not record.complete:
        why = record.attributes.get("exit_reason", "no reason given")
        raise UsageError(f"{path}: complete", f"0 ({why})", "1: a run that closed its record")
    if not record.verified:
        why = record.attributes.get("verification") or "no reason given"
        raise UsageError(f"{path}: verified", f"0 ({why})", "1: results that passed the run's own check")
    _check_bytes(record)
    _check_summary(record)
    _check_checkpoints(record)
    kind = "kernels" if is_roofline(record) else "collectives" if record.collectives else "training"
    return f"a record of {record.title} ({kind}), {plural(record.written_steps, 'step')}"


def _check_bytes(record: Record) -> None:
    """Counted against closed form, an operation and rank at a time; what no closed form is known of is not expected."""
    traffic = record.groups.get("traffic", {})
    for counted, expected in (("sent_bytes", "expected_bytes"), ("messages", "expected_messages")):
        if counted not in traffic or expected not in traffic:
            continue
        with held_to_the_layout(record.path, "/traffic: "):
            known = traffic[expected] >= 0
            wrong = np.argwhere(known & (traffic[counted] != traffic[expected]))
            if len(wrong):
                at = tuple(wrong[0])
                name = traffic["operation"][at[0]] if "operation" in traffic else f"row {at[0]}"
                raise UsageError(
                    f"{record.path}: /traffic/{counted}",
                    f"{traffic[counted][at]:g} of {name} on rank {at[-1]}",
                    f"{traffic[expected][at]:g}, the closed form",
                )


def _check_checkpoints(record: Record) -> None:
    """They took time, left bytes, came in order, after steps that the record holds; /step begins where it says."""
    if record.steps and "step" in record.steps and record.written_steps:
        first = int(record.steps["step"][0])
        if first != record.first_step:
            raise UsageError(
                f"{record.path}: /step", f"begins with {first}", f"{record.first_step}, as first_step says"
            )
    table = record.groups.get("checkpoints", {})
    with held_to_the_layout(record.path, "/checkpoints: "):
        for name in ("seconds", "bytes"):
            if name in table and not (table[name] > 0).all():
                raise UsageError(f"{record.path}: /checkpoints/{name}", f"{table[name].min():g}", "numbers above 0")
        if "step" in table:
            step, last = table["step"], record.first_step + record.written_steps
            if (np.diff(step) <= 0).any() or (step <= record.first_step).any() or (step > last).any():
                held = f"growing numbers of steps, {record.first_step + 1} to {last}"
                raise UsageError(f"{record.path}: /checkpoints/step", ", ".join(map(str, step[:8])), held)


def _check_summary(record: Record) -> None:
    """It can be computed again. That steps took time, and no phase less than none, is seen at reading."""
    if not len(record.step_s):
        return
    with held_to_the_layout(record.path, "/summary: "):
        again, kept = float(np.median(record.step_s)), record.summary("step_s")
    if not np.isnan(kept) and abs(kept - again) > SAME * again:
        raise UsageError(f"{record.path}: /summary step_s", f"{kept:.9g} s", f"{again:.9g} s, the median of its steps")
