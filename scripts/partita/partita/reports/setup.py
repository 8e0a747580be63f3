# SPDX-License-Identifier: BSD-3-Clause
"""The set-up in tables: machine, libraries, code, dates; of each study its factors, their levels, what was constant."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from partita.pictures.picture import model_words
from partita.records.folder import RecordedStudy
from partita.records.record import Record, plural
from partita.reports.blocks import Block, Grid, Paragraph, plain_grid
from partita.reports.material import Material, Place, runs_of
from partita.reports.numbers import in_bytes

MOST = 6  # Different values of a row that are listed.
LEVELS = 24
CONSTANT = ("data.source", "train.batch", "train.steps", "train.micro_batches")  # Named where all runs agree.
Read = Callable[[Record], str]


def _of(*names: str, form: str = "{}") -> Read:
    """Attributes of /environment, first lines, in one text; nothing where none is known."""

    def read(record: Record) -> str:
        given = [record.environment[n].splitlines()[0].strip() for n in names if record.environment.get(n, "").strip()]
        return form.format(", ".join(given)) if given else ""

    return read


def _memory(record: Record) -> str:
    text = record.environment.get("memory_bytes", "")
    return in_bytes(float(text)) if text.isdigit() else ""


def _cores(record: Record) -> str:
    return _of("cores_online", form="{} hardware threads")(record)


def _code(record: Record) -> str:
    sha = str(record.attributes.get("git_sha", ""))
    changed = int(record.attributes.get("git_dirty", 0) or 0)
    return f"{sha[:12] or 'not known'}{' and changes that no commit holds' if changed else ''}"


MACHINE: tuple[tuple[str, Read], ...] = (
    ("Host", _of("hostname")), ("CPU", _of("cpu_model")), ("Cores", _cores), ("Memory", _memory),
    ("GPU", _of("gpu_model", "gpu_driver")), ("Instruction set", _of("instruction_set")),
    ("System", _of("operating_system")), ("Compiler", _of("compiler")), ("Compiler flags", _of("compiler_flags")),
    ("Build type", _of("build_type")), ("MPI", _of("mpi_library")), ("HDF5", _of("hdf5_version")),
    ("Kokkos", _of("kokkos_version", "kokkos_execution_space")), ("Math backend", _of("math_backend")),
    ("Scheduler", _of("scheduler", "scheduler_job")), ("Partita", _of("partita_version")), ("Code (git)", _code),
)  # fmt: skip


def machine_grid(material: Material) -> Grid:
    """One row a property, with all values that it had."""
    records = material.records
    alike: dict[tuple[str, ...], list[Record]] = {}  # The environment of one of each kind is read.
    for record in records:
        alike.setdefault(_kind(record), []).append(record)
    rows = []
    with ExitStack() as stack:
        for group in alike.values():
            stack.enter_context(group[0].opened())
        for label, read in MACHINE:
            texts = [(read(group[0]), len(group)) for group in alike.values()]
            rows.append((label, values(texts)))
    days = sorted(str(r.attributes.get("created_utc", ""))[:10] for r in records if r.attributes.get("created_utc"))
    if days:
        rows.append(("Date (UTC)", days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"))
    return plain_grid("setup", "Machine, libraries, code", ("property", "value"), [r for r in rows if r[1]])


def _kind(record: Record) -> tuple[str, ...]:
    """What runs of one machine and build have in common."""
    h = record.header
    return (h.hostname, h.cpu_model, h.cores, h.compiler, h.execution_space, h.code)


def values(texts: Iterable[tuple[str, int]]) -> str:
    """`GNU 12.2.0`, or `GNU 12.2.0 (3 runs); GNU 13.1.0 (2 runs)`, most frequent first."""
    found: Counter[str] = Counter()
    for text, runs in texts:
        found[text] += runs
    total = found.total()
    found.pop("", None)
    order = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    text = "; ".join(f"{value}{runs_of(count, total)}" for value, count in order[:MOST])
    return f"{text}; and {len(order) - MOST} more" if len(order) > MOST else text


def factors(study: RecordedStudy, place: Place) -> Block:
    """What differs between the points of a study, with its levels: as it was planned, else as the records have it."""
    levels = _varied(_planned(study, place)) or _varied(_recorded(study))
    said = constant(study)
    note = f"Constant: {said}." if said else ""
    if not levels:
        return Paragraph(f"All runs are of one point. {note}".rstrip(), "note")
    rows = [(key, str(len(set(map(str, v)))), _listed(v)) for key, v in levels.items()]
    return plain_grid(f"{study.name}_factors", "Factors and levels", ("factor", "levels", "values"), rows, note)


def _planned(study: RecordedStudy, place: Place) -> dict[str, list[Any]]:
    points = [p for p in place.planned if p.get("app") in (None, study.app) and isinstance(p.get("settings"), dict)]
    settings = dict.fromkeys(key for p in points for key in p["settings"])
    levels = {key: [p["settings"].get(key, "") for p in points] for key in settings}
    return levels | {key: [p.get(key, "") for p in points] for key in ("ranks", "threads", "nodes", "repeat")}


def _recorded(study: RecordedStudy) -> dict[str, list[Any]]:
    of_series = [dict(series.value) for series in study.series]
    levels: dict[str, list[Any]] = {key: [value.get(key, "") for value in of_series] for key in study.series_keys}
    levels |= {key: [_level(r, key) for r in study.records] for key in study.rank_keys}
    levels |= {"ranks": [r.ranks for r in study.records], "threads per rank": [r.threads for r in study.records]}
    return levels | {"repeat": [r.repeat for r in study.records]}


def _varied(levels: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {key: values for key, values in levels.items() if len(set(map(str, values))) > 1}


def _level(record: Record, key: str) -> str:
    from partita.studies.study import toml_value

    if key == "threads per rank":
        return str(record.threads)
    return toml_value(record.config[key]) if key in record.config else "not set"


def _listed(given: Sequence[Any]) -> str:
    distinct = list(dict.fromkeys(given))
    numbers = all(str(v).lstrip("-").isdigit() for v in distinct)
    distinct = sorted(distinct, key=lambda v: int(v)) if numbers else distinct
    more = f", and {len(distinct) - LEVELS} more" if len(distinct) > LEVELS else ""
    return ", ".join(str(v).strip('"') for v in distinct[:LEVELS]) + more


def constant(study: RecordedStudy) -> str:
    """Model, batch, steps and threads where all runs agree on them."""
    decks = {id(r.deck): r for r in study.records}.values()  # Repeats share one.
    models = {model_words(r) for r in decks} - {""}
    agreed = [f"model {models.pop()}"] if len(models) == 1 else []
    for key in CONSTANT:
        found = {str(r.config[key]) for r in decks if key in r.config}
        if len(found) == 1:
            agreed.append(f"{key} {found.pop()}")
    threads = {r.threads for r in study.records}
    if len(threads) == 1:
        agreed.append(f"{plural(threads.pop(), 'thread')} per rank")
    return ", ".join(agreed)
