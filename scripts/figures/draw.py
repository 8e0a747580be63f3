# SPDX-License-Identifier: BSD-3-Clause
"""Draws the pictures of pages: python draw.py [--check] [--png FOLDER], with the Python of build/venv.

    floors.svg   the modules of the library and who includes whom, from INCLUDES of tests/style/check_tree.py
    step.svg     one training step with its phases, on two ranks
    run.svg      deck -> run -> record -> report
    split.svg    one block of a GPT split over two ranks (apps/transformer_tp)
    spatial.svg  image rows shared by three ranks, and surface to volume (apps/cnn_pp)

--check: the stored pictures are those that this would draw. --png: also as PNG, to look at.
"""

import itertools
import re
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REQUIREMENTS = ROOT / "scripts" / "partita" / "requirements.txt"
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "tests" / "style"), str(ROOT / "scripts" / "partita")]

from check_tree import INCLUDES, SKIPPED  # noqa: E402
from partita.pictures.colours import PALETTE as SERIES  # noqa: E402
from partita.pictures.style import CLASS, GREY, INK, RULE, SETTINGS, shades  # noqa: E402

# Shapes and not text, so that a picture looks the same whatever fonts its reader has.
LOOK = SETTINGS | {"svg.fonttype": "path", "axes.grid": False}
PALE = "#eef3f8"


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A white page measured in tenths of an inch."""
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 10 * width), ylim=(0, 10 * height))
    axes.axis("off")
    return figure, axes


def box(axes: Axes, x: float, y: float, width: float, height: float, fill: str = PALE, edge: str = GREY) -> None:
    """A rectangle with round corners; (x, y) is its lower left corner."""
    style = "round,pad=0,rounding_size=0.6"
    axes.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, facecolor=fill, edgecolor=edge, linewidth=1))


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = GREY) -> None:
    """From start to end."""
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=colour, linewidth=1.2,
                                   shrinkA=0, shrinkB=0))  # fmt: skip


def label(axes: Axes, x: float, y: float, text: str, size: float = 10, **options) -> None:
    """Text about its middle unless said otherwise."""
    axes.text(x, y, text, fontsize=size, **({"ha": "center", "va": "center", "color": INK} | options))


# What a module is, and where on its floor it stands: the floor itself follows from what it includes.
MODULES = {
    "core": ("errors, random numbers, partition, tree, clock", 40),
    "kernels": ("gemm, conv, norms", 9),
    "comm": ("MPI, mesh, collectives", 24.5),
    "metrics": ("phases, statistics", 40),
    "config": ("decks", 55.5),
    "data": ("images, tokens", 71),
    "nn": ("units, models, the step", 9),
    "io": ("HDF5", 63.5),
    "parallel": ("exchanges", 20),
    "driver": ("the loop of a run", 51),
    "training": ("what apps that train share", 40),
}


def floor(module: str) -> int:
    """0 for what includes nothing, else one above the highest that is included."""
    return 1 + max((floor(other) for other in INCLUDES[module]), default=-1)


def direct(module: str) -> list[str]:
    """What it includes and no other of its includes brings along."""
    below = INCLUDES[module]
    return [other for other in below if not any(other in INCLUDES[via] for via in below)]


def floors() -> Figure:
    """The library, lowest floor first."""
    figure, axes = canvas(8, 5.4)
    high, step, wide = 4.6, 8.6, 14.6
    places = {}
    for module, (about, x) in MODULES.items():
        y, width = 2.5 + step * floor(module), 76 if module in ("core", "training") else wide
        places[module] = (x, y, width)
        box(axes, x - width / 2, y, width, high)
        label(axes, x, y + 3.1, module, 11, weight="bold")
        label(axes, x, y + 1.3, about, 8.2, color=GREY)
    for module in INCLUDES:
        x, y, width = places[module]
        targets = sorted(direct(module), key=lambda other: places[other][0])
        for index, other in enumerate(targets):
            at, top, across = places[other]
            if width > wide:  # straight down, beside what stands between
                leave = arrive = at + (4 if at > 65 else 0)
            elif across > wide:
                leave = arrive = x
            else:
                leave = x + (index - (len(targets) - 1) / 2) * 3.2
                arrive = at + max(-4, min(4, 0.2 * (x - at)))
            arrow(axes, (leave, y), (arrive, top + high))
    top = 2.5 + step * (1 + max(map(floor, INCLUDES)))
    box(axes, 2, top, 76, high, fill="white")
    label(axes, 40, top + 2.3, "apps: mlp_dp, transformer_tp, cnn_pp, comm_bench, kernel_bench", 11)
    arrow(axes, (40, top), (40, places["training"][1] + high))
    return figure


def step() -> Figure:
    """The parts of nn::TrainStep above, what two ranks do in them below."""
    figure, axes = canvas(8, 3.7)
    forward, loss, backward, other = 6.5, 3.6, 9.5, 5.4
    title = "one training step (nn::TrainStep), two micro-batches, two ranks"
    label(axes, 1.5, 34.6, title, 11, ha="left", weight="bold")
    for rank, y in ((0, 20.0), (1, 12.5)):
        slow = 1.0 if rank == 0 else 1.1
        label(axes, 5.2, y + 2.3, f"rank {rank}", 10)
        x = 10.0

        def phase(name, width, kind, y=y):
            nonlocal x
            axes.add_patch(FancyBboxPatch((x, y), width, 4.6, boxstyle="square,pad=0", facecolor=CLASS[kind],
                                          edgecolor="white", linewidth=1.2))  # fmt: skip
            label(axes, x + width / 2, y + 2.3, name, 8.4, color="white" if kind != "wait" else INK)
            x += width

        phase("input", other, "input")
        for _ in range(2):
            phase("forward", forward * slow, "compute")
            phase("loss", loss * slow, "compute")
            phase("backward", backward * slow, "compute")
        ready = 10.0 + other + 2 * 1.1 * (forward + loss + backward)
        if x < ready - 0.1:
            phase("wait", ready - x, "wait")
        phase("exchange", 9.0, "communication")
        phase("update", 7.2, "compute")
    end = x
    # The parts above: where each begins and ends on the slower rank.
    parts = [("Dataset", 10.0, 10.0 + other), ("GradientPass", 10.0 + other, ready), ("finish", ready, ready + 9),
             ("Update", ready + 9, end)]  # fmt: skip
    for name, left, right in parts:
        axes.plot([left + 0.3, right - 0.3], [26.6, 26.6], color=GREY, linewidth=1)
        label(axes, (left + right) / 2, 28.2, name, 8 if name == "Dataset" else 8.6)
    label(axes, (10 + other + ready) / 2, 30.6, "Actions, LossHead, Links, GradientSum", 8, color=GREY)
    for name, at in (("weights", 10 + other), ("publish", end)):  # of the exchange, and no time at all today
        axes.plot([at, at], [25.6, 29.4], color=GREY, linewidth=1)
        label(axes, at, 30.6, name, 8.6)
    for down in (True, False):
        at = ready + (3.2 if down else 5.8)
        arrow(axes, (at, 19.9 if down else 17.2), (at, 17.2 if down else 19.9), CLASS["communication"])
    label(axes, ready + 1.6, 18.5, "gradients are summed", 8, ha="right", color=GREY)
    for index, kind in enumerate(("input", "compute", "wait", "communication")):
        left = 10 + 15.5 * index
        square = {"boxstyle": "square,pad=0", "facecolor": CLASS[kind], "linewidth": 0}
        axes.add_patch(FancyBboxPatch((left, 5.4), 2.2, 2.2, **square))
        label(axes, left + 3.2, 6.5, kind, 9, ha="left")
    note = "weights, finish and publish are the Exchange's: the strategy. An nn::Observer hears of every moment."
    label(axes, 10, 2.4, note, 8.2, ha="left", color=GREY)
    return figure


def run() -> Figure:
    """From what a user writes to what a user reads."""
    figure, axes = canvas(8, 3.2)
    columns = [(1.5, 20), (28.5, 24), (59.5, 19)]
    heads = ["deck (TOML)", "record (HDF5)", "report"]
    for (x, width), head in zip(columns, heads, strict=True):
        box(axes, x, 3.5, width, 22.5)
        label(axes, x + width / 2, 28, head, 11.5, weight="bold")
    deck = ["[model]", "hidden = [512, 256]", "", "[train]", "epochs = 8", "batch = 256", "", "[parallel]"]
    deck += ['allreduce = "ring"']
    record = {
        "/config": "the resolved deck",
        "/environment": "host, build, MPI",
        "/calibration": "this machine",
        "/ranks": "who is where",
        "/steps": "times, losses",
        "/traffic": "bytes, counted",
        "/evaluation": "held-out data",
        "/events": "the timeline",
        "/summary": "what to read first",
    }
    for lines, x in ((deck, 3), (record, 30)):
        for index, line in enumerate(lines):
            label(axes, x, 24 - 2.35 * index, line, 9, ha="left", family="DejaVu Sans Mono")
    for index, line in enumerate(record.values()):
        label(axes, 41, 24 - 2.35 * index, line, 7.4, ha="left", color=GREY)
    for left, right, name in ((21.9, 28.1, "mpiexec\nmlp_dp"), (52.9, 59.1, "partita\nplot")):
        arrow(axes, (left, 14.5), (right, 14.5))
        label(axes, (left + right) / 2, 17.4, name, 8.6)
    # A sketch of a speed-up, not a measurement.
    axes.plot([62, 62, 77], [22.5, 9, 9], color=GREY, linewidth=1)
    ideal, real = [(63, 10), (76, 22)], [(63, 10), (67, 13.4), (71, 16.2), (76, 18.6)]
    axes.plot(*zip(*ideal, strict=True), color=RULE, linewidth=1.5, linestyle="--")
    look = {"color": SERIES[0], "marker": "o", "markersize": 5, "capsize": 3}
    axes.errorbar(*zip(*real, strict=True), yerr=[0.3, 0.7, 0.9, 1.2], **look)
    label(axes, 69.5, 7.4, "ranks", 8.6, color=GREY)
    label(axes, 61, 24.2, "speed-up, with 95 % intervals", 8, ha="left", color=GREY)
    label(axes, 69, 5, "pictures, and numbers as CSV", 8, color=GREY)
    return figure


def split() -> Figure:
    """One block of a GPT on two ranks: what each computes, and where they add up."""
    figure, axes = canvas(8, 4.1)
    total = "all-reduce: x + sum"
    rows = [
        ("norm(x)", "norm(x)", "all tokens; in sequence mode half of them each"),
        ("qkv, heads 0 1 2", "qkv, heads 3 4", "columns of the weights: the heads that a rank has"),
        ("attention", "attention", "head by head"),
        ("proj, rows 0 1 2", "proj, rows 3 4", "rows of the weights: a part of a sum"),
        (total, None, "2 (t-1)/t b s h e byte a rank"),
        ("norm(x)", "norm(x)", ""),
        ("up, columns 0..22", "up, columns 23..44", "hidden columns that a rank has"),
        ("gelu", "gelu", "column by column"),
        ("down, rows 0..22", "down, rows 23..44", "a part of a sum"),
        (total, None, "the same again; backward two more, before each norm"),
    ]
    width, high, pitch, top = 18, 2.7, 3.6, 35.0
    for rank, x in enumerate((2, 21)):
        label(axes, x + width / 2, 39.4, f"rank {rank}", 10.5, weight="bold")
    for index, (first, second, note) in enumerate(rows):
        y = top - pitch * index
        for x, words in ((2, first), (21, second)):
            if words is None:
                continue
            across = width if second is not None else 37
            box(axes, x, y, across, high, **({} if second is not None else {"fill": CLASS["communication"]}))
            label(axes, x + across / 2, y + high / 2, words, 9, color=INK if second is not None else "white")
        label(axes, 41, y + high / 2, note, 8.6, ha="left", color=GREY)
    return figure


def row_slices(rows: int, ranks: int, reduction: int) -> list[range]:
    """Rows of each rank of an image that has one row for `reduction` of the network's input (RowSlices)."""
    small, more = divmod(rows, ranks)
    cuts = [rank * small + min(rank, more) for rank in range(ranks + 1)]
    return [range(-(-a // reduction), -(-b // reduction)) for a, b in itertools.pairwise(cuts)]


def spatial() -> Figure:
    """Where rows are and which of them travel; beside it rows of neighbours for each own row."""
    figure, axes = canvas(8, 3.9)
    pitch, top, ranks = 0.8, 32.0, 3
    tints = [shades(colour, 4) for colour in (SERIES[0], SERIES[2], SERIES[4])]
    for reduction, x in ((1, 7.5), (2, 35.0), (4, 50.5)):
        rows = 28 // reduction
        label(axes, x + rows * pitch / 2, top + 1.6, f"{rows} rows", 9)
        shared = row_slices(28, ranks, reduction)
        for rank, mine in enumerate(shared):
            for row in mine:
                sent = (row == mine[0] and rank > 0) or (row == mine[-1] and rank + 1 < ranks)
                at = (x, top - pitch * (row + 1))
                axes.add_patch(Rectangle(at, rows * pitch, pitch, facecolor=tints[rank][1 if sent else 3],
                                         edgecolor="white", linewidth=0.5))  # fmt: skip
            if reduction == 1:
                middle = top - pitch * (mine[0] + mine[-1] + 1) / 2
                label(axes, x - 0.8, middle, f"rank {rank}", 9, ha="right")
            if rank:
                cut, wide = top - pitch * mine[0], rows * pitch
                for share, way in ((0.5 * rank - 0.35, 1), (0.5 * rank - 0.15, -1)):
                    arrow(axes, (x + share * wide, cut - 1.3 * way), (x + share * wide, cut + 1.3 * way), INK)
    for left, right in ((30.6, 34.3), (46.9, 49.8)):
        arrow(axes, (left, top - 2.2), (right, top - 2.2))
        label(axes, (left + right) / 2, top + 0.2, "stride\n2", 7.6, color=GREY)
    words = ["each 3 x 3 convolution of stride 1: a row each way over a cut, of x forward, of dy backward",
             "stride 2: a row of x one way, a row of dy the other"]  # fmt: skip
    for index, line in enumerate(words):
        label(axes, 1.5, 5.6 - 2.2 * index, line, 8.2, ha="left", color=GREY)
    _surface(figure)
    return figure


def _surface(figure: Figure) -> None:
    """Rows of neighbours for each own row, of the rank with the most: a line for each size of an image."""
    axes = figure.add_axes((0.79, 0.25, 0.17, 0.57))
    for rows, colour in zip((28, 56, 112, 224), SERIES, strict=False):
        counts = [p for p in (2, 4, 8, 16, 32) if all(row_slices(rows, p, 4))]
        ratios = []
        for count in counts:
            parts = row_slices(rows, count, 1)
            beside = [(rank > 0) + (rank + 1 < count) for rank in range(count)]
            ratios.append(100 * max(n / len(mine) for n, mine in zip(beside, parts, strict=True)))
        axes.plot(counts, ratios, color=colour, marker="o", markersize=4, linewidth=1.5)
        axes.annotate(str(rows), (counts[0], ratios[0]), (-6, 0), textcoords="offset points", fontsize=8.2, ha="right",
                      color=colour, va="center")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(0.65, 45), ylim=(0.7, 60), xticks=[2, 4, 8, 16, 32],
             yticks=[1, 2, 5, 10, 20, 50])  # fmt: skip
    axes.set_xticklabels(["2", "4", "8", "16", "32"])
    axes.set_yticklabels([f"{y} %" for y in (1, 2, 5, 10, 20, 50)])
    axes.minorticks_off()
    axes.tick_params(labelsize=8)
    axes.set_xlabel("ranks", fontsize=8.6)
    axes.set_title("rows of neighbours per\nown row, by image rows", fontsize=8.6, fontweight="normal", loc="center")


def main() -> int:
    """Draw, or compare."""
    check, png = "--check" in sys.argv, sys.argv[sys.argv.index("--png") + 1] if "--png" in sys.argv else None
    pinned = re.search(r"^matplotlib==(.*)$", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)[1]
    if check and mpl.__version__ != pinned:
        print(f"skipped: needs matplotlib {pinned}, whose lines the stored pictures are, found: {mpl.__version__}")
        return SKIPPED
    wrong = [] if set(MODULES) == set(INCLUDES) else ["MODULES and INCLUDES do not name the same modules"]
    with mpl.rc_context(LOOK), tempfile.TemporaryDirectory() as scratch:
        for draw in (floors, step, run, split, spatial):
            figure, stored = draw(), HERE / f"{draw.__name__}.svg"
            made = Path(scratch) / stored.name if check else stored
            figure.savefig(made, metadata={"Date": None, "Creator": "scripts/figures/draw.py"})
            if png:
                figure.savefig(Path(png) / f"{draw.__name__}.png", dpi=100)
            if check and not (stored.exists() and made.read_bytes() == stored.read_bytes()):
                wrong.append(f"{stored.name} is not what this draws: run build/venv/bin/python scripts/figures/draw.py")
    print("\n".join(wrong) or "the pictures are drawn")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
