# SPDX-License-Identifier: BSD-3-Clause
"""What a picture is: a figure, its name, the table of the numbers that it shows, and what it says of its set-up."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from partita.records.folder import RecordedStudy
from partita.records.record import Record, plural
from partita.table import Table

HOST_SPACES = ("OpenMP", "Serial", "Threads")


@dataclass(frozen=True)
class Picture:
    """A figure, its file name without extension, and what it shows."""

    name: str
    figure: Figure
    table: Table

    @property
    def title(self) -> str:
        """The first line of its header."""
        return self.figure.texts[0].get_text() if self.figure.texts else self.name


def subtitle(study: RecordedStudy) -> str:
    """Which study, of which model and batch, on which machine, from which code."""
    first = study.records[0]
    models = list(dict.fromkeys(model_words(r) for r in study.records))
    sizes = sorted({int(r.samples_per_step) for r in study.records if r.samples_per_step > 0})
    parts = [models[0] if len(models) == 1 else f"{len(models)} models"]
    if sizes:
        parts.append(f"batch {sizes[0]}" if len(sizes) == 1 else f"batch {sizes[0]} to {sizes[-1]}")
    return _joined([study.name, *parts, *_machine(first)])


def is_virtual(study: RecordedStudy) -> bool:
    """Whether steps were simulated: what the host took for them says nothing of a run on ranks."""
    return any(r.attributes.get("engine") == "virtual" for r in study.records)


def record_line(name: str, record: Record) -> str:
    """The same of one record, under a name of its own."""
    batch = f"batch {int(record.samples_per_step)}" if record.samples_per_step > 0 else ""
    return _joined([name, model_words(record), batch, *_machine(record)])


def model_words(record: Record) -> str:
    """`mlp 784-1024-1024-10`, `gpt 4 x 64, 4 heads`, `resnet 16-32-64`: from the resolved deck; empty without one."""
    config = record.config
    kind = str(config.get("model.kind", "mlp" if "model.hidden" in config else ""))
    if kind == "gpt":
        blocks, width, heads = (config.get(f"model.{key}", "?") for key in ("blocks", "width", "heads"))
        return f"gpt {blocks} x {width}, {heads} heads"
    if kind == "cnn":
        channels = "-".join(map(str, config.get("model.channels", ())))
        image = "x".join(map(str, config.get("data.image") or ()))
        return f"{config.get('model.cnn', 'cnn')} {channels}" + (f" on {image}" if image else "")
    if kind in ("mlp", "bag"):
        begin = config.get("model.embedding" if kind == "bag" else "data.features")
        widths = [begin, *config.get("model.hidden", ()), config.get("data.classes")]
        return f"{kind} " + "-".join(str(w) for w in widths if w)
    return kind


def _machine(record: Record) -> list[str]:
    return [machine_words(record), code_words(record)]


def machine_words(record: Record) -> str:
    """Processor, its hardware threads, and the device where there is one."""
    device = record.environment.get("cpu_model", "")
    cores = record.environment.get("cores_online", "")
    if cores.isdigit():
        device += f", {plural(int(cores), 'hardware thread')}"
    if (space := record.environment.get("kokkos_execution_space", "OpenMP")) not in HOST_SPACES:
        device += f", {space}"
    return device


def code_words(record: Record) -> str:
    """The commit, with + where files differed from it."""
    sha = str(record.attributes.get("git_sha", ""))[:8]
    dirty = "+" if int(record.attributes.get("git_dirty", 0) or 0) else ""
    return f"code {sha}{dirty}" if sha else ""


def _joined(parts: list[str]) -> str:
    return "  ·  ".join(p for p in parts if p)
