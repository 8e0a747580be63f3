# SPDX-License-Identifier: BSD-3-Clause
"""Study files with changes that nobody would make: build/venv/bin/python tests/fuzz/studies.py [--runs N] [--seed S].

Each is read and expanded within seconds and a limit of memory, or refused by a PartitaError of one line. A finding is
printed with the text that made it, and the exit code is 1.
"""

import random
import sys
import tempfile
from pathlib import Path

from fuzzing import fuzz, wrong_with

from partita.studies.points import expand_study, points
from partita.studies.study import read_study

ROOT = Path(__file__).resolve().parents[2]
SECONDS, MEMORY = 10, 2 << 30
DECK = "inputs/mlp_dp/tiny.toml"
FULL = f"""name = "all"
kind = "weak"
build = "build/release"
launcher = "mpiexec -n {{ranks}}"
work_tolerance = 1e-6
seed = 3
retries = 2
repeats = {{min = 2, max = 4, ratio_width = 0.05}}
[[run]]
name = "a"
app = "mlp_dp"
deck = "{DECK}"
ranks = "pow2 up to 8"
threads = [1, 2]
ranks_per_node = 2
gpus_per_rank = 1
timeout_s = 60.5
equal_at_one_rank = ["parallel.allreduce"]
set = {{"run.calibration" = "off"}}
per_rank = {{"train.batch" = 32}}
at_ranks = {{"train.learning_rate" = [0.1, 0.2, 0.3, 0.4]}}
grid = {{"parallel.allreduce" = ["ring", "mpi"]}}
zip = [{{"model.hidden" = [[8], [16]], "train.seed" = [1, 2]}}]
together = [{{"train.steps" = 20}}, {{"train.steps" = 30, "run.warmup" = 2}}]
[[run]]
app = "cnn_pp"
deck = "inputs/cnn_pp/tiny.toml"
nodes = [1, 2]
ranks_per_node = 2
"""
VALUES = [
    "0", "-1", "1", "3", "true", '""', '"x"', "[]", "{}", "[[]]", "[{}]", "inf", "nan", "-inf", "1e308", "1e-320",
    "9223372036854775807", "9" * 400, "9" * 5000, "-" + "9" * 400, "1_000_000_000", "100_000_000", "[1, 1]", "[true]",
    "[1.5]", "[1e400]", '"pow2 up to 8"', '"pow2 up to ' + "9" * 300 + '"', '"pow2 up to ' + "9" * 5000 + '"',
    '"pow2 up to 0"', "[1, 2, 4]", "[" + "9" * 400 + "]", '"a\\nb"', '"\\u0000"', '"\\u001b[31m"', '"{"', '"{ranks}{x}"',
    '"{ranks.__class__}"', '"{ranks!r:>999999999}"', "2024-01-31", "12:30:00", "{a = 1}", '{"a.b" = [1, 2]}', "'''\n'''",
    "[[1, 2], [3]]", '["a", 1, {b = 2}]', "[" * 60 + "]" * 60, "[" * 3000 + "]" * 3000, "0x7fffffff", '"/dev/zero"',
    '"/"', '"../../.."', '"' + "x" * 5000 + '"', '"mpiexec \'"', '"$(x)"', '"train.steps"', '["train.steps", "x"]',
]  # fmt: skip
KEYS = [
    "name", "kind", "scaling", "build", "launcher", "work_tolerance", "seed", "retries", "repeats", "run", "app", "deck",
    "ranks", "threads", "nodes", "ranks_per_node", "gpus_per_rank", "timeout_s", "equal_at_one_rank", "set", "per_rank",
    "at_ranks", "grid", "zip", "together", "repeats.min", "repeats.max", '"repeats.min"', "set.train.steps",
    "grid.train.steps", "per_rank.train.batch", '""', '"a\\nb"', "a." * 40 + "b", "output.path", "set.output.path",
]  # fmt: skip


def mutated(text: str, draw: random.Random) -> bytes:
    """One to five changes."""
    lines = text.splitlines()
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(lines) + 1)
        line = lines[at] if at < len(lines) else ""
        key, equals, _value = line.partition("=")
        how = draw.randrange(9)
        if how <= 3 and equals:
            lines[at] = f"{key}= {draw.choice(VALUES)}"
        elif how == 4:
            lines.insert(at, f"{draw.choice(KEYS)} = {draw.choice(VALUES)}")
        elif how == 5 and line:
            del lines[at]
        elif how == 6 and line:
            lines.insert(draw.randrange(len(lines)), line)
        elif how == 7 and line:
            cut = draw.randrange(len(line) + 1)
            lines[at] = line[:cut] + draw.choice(["", '"', "[", "]", "{", "}", "=", "\\", "\x00", "#", "é"]) + line[cut:]
        else:
            lines.insert(at, draw.choice(["[set]", "[grid]", "[[run]]", "[[zip]]", "[per_rank]", "[run]", "[[set]]", "[a]"]))
    data = "\n".join(lines).encode()
    if draw.randrange(30) == 0 and data:
        at = draw.randrange(len(data))
        data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
    return data


def read(path: Path) -> None:
    """As `partita plan` does."""
    study = read_study(path)
    expand_study(study)
    points(study)


def main() -> int:
    """Reads one after the other."""
    bases = [FULL, *(path.read_text() for path in sorted((ROOT / "inputs" / "studies").glob("*.toml")))]
    bases = [text.replace("inputs/", f"{ROOT}/inputs/") for text in bases]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.toml"

        def trial(_run: int, draw: random.Random) -> str:
            data = mutated(draw.choice(bases), draw)
            path.write_bytes(data)
            wrong = wrong_with(lambda: read(path), lambda message: message.startswith(str(path)), SECONDS)
            return f"{data.decode(errors='replace')[:3000]}\n{wrong}" if wrong else ""

        return fuzz(__doc__, "study files", 2000, MEMORY, trial)


if __name__ == "__main__":
    sys.exit(main())
