# SPDX-License-Identifier: BSD-3-Clause
"""SYNTHETIC DATA: exports read by the packages that they are for, Extra-P and Thicket; run by hand.

    python3 -m venv /tmp/readers && /tmp/readers/bin/pip install extrap llnl-thicket
    /tmp/readers/bin/python tests/perf/read_exports.py --tool build/venv/bin/python

Invented records at five numbers of ranks have a phase that grows with p^0.5, one with log2 p and one that stays.
Extra-P's models must find these terms, and those of a strong study that is written as totals of all ranks. Thicket's
mean and deviation over the profiles of one number of ranks must be those of its repeats.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RANKS = (4, 8, 16, 32, 64)
REPEATS = 5
PARTS = {  # Seconds of a step that a rank spends in a phase.
    "weak": {
        "forward": lambda p: 0.004 * p**0.5,
        "exchange": lambda p: 0.003 * math.log2(p),
        "update": lambda _: 0.002,
    },
    "strong": {"forward": lambda p: 0.8 / p, "exchange": lambda p: 0.002 * p**0.5, "update": lambda p: 0.1 / p},
}
CLASSES = {"forward": "compute", "exchange": "communication", "update": "compute"}
FOUND = {  # Terms of the models: exponents of p and of log2 p.
    ("weak", "forward", "time"): (0.5, 0),
    ("weak", "exchange", "time"): (0, 1),
    ("weak", "update", "time"): None,
    ("strong", "forward", "total_time"): None,
    ("strong", "exchange", "total_time"): (1.5, 0),
}
NOISE = 0.005


def noise(p: int, repeat: int) -> float:
    """A factor near 1 of a run, always the same."""
    return 1 + NOISE * math.sin(12.9898 * p + 78.233 * repeat)


def make(folder: Path) -> None:
    """With the tool's Python: records, and their exports."""
    sys.path[:0] = [str(ROOT / "scripts" / "partita"), str(ROOT / "tests" / "python")]
    from partita.cli import main
    from synthetic import Synthetic

    for kind, parts in PARTS.items():
        place = folder / kind
        place.mkdir()
        per_rank = "[per_rank]\ntrain.batch = 16\n" if kind == "weak" else ""
        (place / "study.toml").write_text(f'name = "{kind}"\nscaling = "{kind}"\n{per_rank}')
        for p in RANKS:
            for repeat in range(1, REPEATS + 1):
                seconds = {name: of(p) for name, of in parts.items()}
                step = sum(seconds.values())
                run_s = step * noise(p, repeat)
                Synthetic(
                    ranks=p, study=kind, point=f"np{p}-r{repeat}", batch=16 * (p if kind == "weak" else 64), steps=6,
                    phases=tuple(CLASSES.items()), shares=[s / step for s in seconds.values()],
                    step_s=lambda _, s=run_s: s, run_uuid=f"{kind}-{p}-{repeat}",
                ).write(place / f"np{p}-r{repeat}.h5")  # fmt: skip
        for to, ending in (("extrap", "jsonl"), ("thicket", "json")):
            if main(["export", str(place), "--to", to, "-o", str(folder / f"{kind}.{ending}")]):
                sys.exit(1)


def models(path: Path) -> dict[tuple[str, str], object]:
    """Extra-P's model of each call path and metric."""
    from extrap.entities.measurement import Measure
    from extrap.fileio.file_reader.json_file_reader import JsonFileReader
    from extrap.fileio.io_helper import check_for_strong_scaling
    from extrap.modelers.model_generator import ModelGenerator

    experiment = JsonFileReader().read_experiment(path)
    print(f"{path.name}: strong scaling by Extra-P's own check: {check_for_strong_scaling(experiment)}")
    generator = ModelGenerator(experiment, use_measure=Measure.MEDIAN)
    generator.model_all()
    return {(c.name, m.name): model.hypothesis.function for (c, m), model in experiment.modelers[0].models.items()}


def terms(function: object) -> tuple[float, float] | None:
    """Exponents of p and log2 p of the one term; None: constant."""
    if not function.compound_terms:
        return None
    (term,) = function.compound_terms
    exponent = {"polynomial": 0.0, "logarithm": 0.0}
    for simple in term.simple_terms:
        exponent[simple.term_type] += float(simple.exponent)
    return exponent["polynomial"], exponent["logarithm"]


def check_extrap(folder: Path) -> int:
    """How many models are not what was planted."""
    wrong = 0
    for kind in PARTS:
        for (callpath, metric), function in models(folder / f"{kind}.jsonl").items():
            expected = FOUND.get((kind, callpath.rpartition("->")[2], metric), "any")
            verdict = "" if expected == "any" else "as planted" if terms(function) == expected else "WRONG"
            wrong += verdict == "WRONG"
            print(f"  {callpath:24} {metric:18} {function!s:40} {verdict}")
    return wrong


def check_thicket(folder: Path) -> int:
    """How many means and deviations are not those of the repeats."""
    import hatchet
    import numpy as np
    import thicket

    profiles = []
    for run in json.loads((folder / "weak.json").read_text()):
        frame = hatchet.GraphFrame.from_literal(run["graph"])
        frame.metadata = run["metadata"]
        profiles.append(thicket.Thicket.thicketize_graphframe(frame, run["profile"]))
    whole = thicket.Thicket.concat_thickets(profiles, disable_tqdm=True)
    print(whole.metadata[["jobsize", "cluster", "launchdate", "executable", "numhosts"]].head(3).to_string())
    wrong = 0
    for jobsize, group in whole.groupby("jobsize").items():
        thicket.stats.mean(group, columns=["time (inc)"])
        thicket.stats.std(group, columns=["time (inc)"])
        table = group.statsframe.dataframe.set_index("name")
        for phase, of in PARTS["weak"].items():
            expected = of(jobsize) * np.array([noise(jobsize, r) for r in range(1, REPEATS + 1)])
            found = table.loc[phase, ["time (inc)_mean", "time (inc)_std"]].to_numpy(float)
            same = np.allclose(found, [expected.mean(), expected.std(ddof=1)], rtol=1e-6)
            wrong += not same
            said = f"mean {found[0]:.6f} s, deviation {found[1]:.2e} s over {len(group.profile)} profiles"
            print(f"  {jobsize:3} ranks, {phase:9} {said}{'' if same else ' WRONG'}")
    print(whole.tree(metric_column="time (inc)", render_header=False) if wrong else "  tree: app -> step -> phases")
    return wrong


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default=str(ROOT / "build" / "venv" / "bin" / "python"), help="Python of `partita`")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make)
        return 0
    warnings.simplefilter("ignore", FutureWarning)
    with tempfile.TemporaryDirectory() as folder:
        plain = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        subprocess.run([arguments.tool, __file__, "--make", folder], check=True, env=plain)
        wrong = check_extrap(Path(folder)) + check_thicket(Path(folder))
    print(f"{wrong} wrong" if wrong else "all as planted")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
