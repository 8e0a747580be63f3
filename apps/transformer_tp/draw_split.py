#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Draws split.svg: one block of a GPT on two ranks, what each computes and where they communicate.

    python3 apps/transformer_tp/draw_split.py > apps/transformer_tp/split.svg
"""

RANKS = ["rank 0", "rank 1"]
COLOURS = ["#d7e6f5", "#fbe3cd"]
STEPS = [  # text of each rank, or of a sum over both
    (["norm(x)", "norm(x)"], "all tokens; in sequence mode half of them each"),
    (["qkv, heads 0 1 2", "qkv, heads 3 4"], "columns of the weights: the heads that a rank has"),
    (["attention", "attention"], "head by head"),
    (["proj, rows 0 1 2", "proj, rows 3 4"], "rows of the weights: a part of a sum"),
    ("all-reduce: x + sum", "2 (t-1)/t b s h e byte a rank"),
    (["norm(x)", "norm(x)"], ""),
    (["up, columns 0..22", "up, columns 23..44"], "hidden columns that a rank has"),
    (["gelu", "gelu"], "column by column"),
    (["down, rows 0..22", "down, rows 23..44"], "a part of a sum"),
    ("all-reduce: x + sum", "the same again; backward two more, before each norm"),
]
WIDTH, HEIGHT, GAP, LEFT, TOP = 170, 26, 10, 20, 40


def text(x: float, y: float, words: str, anchor: str = "middle", size: int = 12, colour: str = "#222") -> str:
    return (f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
            f"{words.replace('&', '&amp;').replace('<', '&lt;')}</text>")


def box(x: float, y: float, width: float, fill: str, words: str) -> str:
    shape = f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="4" fill="{fill}" stroke="#777"/>'
    return shape + text(x + width / 2, y + HEIGHT / 2 + 4, words)


def main() -> None:
    whole = 2 * WIDTH + GAP
    height = TOP + len(STEPS) * (HEIGHT + GAP) + 10
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + whole + 380}" height="{height}" '
          f'font-family="sans-serif">')
    print('<rect width="100%" height="100%" fill="white"/>')
    for rank, name in enumerate(RANKS):
        print(text(LEFT + rank * (WIDTH + GAP) + WIDTH / 2, TOP - 14, name, size=13))
    for k, (what, note) in enumerate(STEPS):
        y = TOP + k * (HEIGHT + GAP)
        if isinstance(what, str):
            print(box(LEFT, y, whole, "#cfe8cf", what))
        else:
            for rank, words in enumerate(what):
                print(box(LEFT + rank * (WIDTH + GAP), y, WIDTH, COLOURS[rank], words))
        print(text(LEFT + whole + 16, y + HEIGHT / 2 + 4, note, anchor="start", colour="#555"))
    print("</svg>")


if __name__ == "__main__":
    main()
