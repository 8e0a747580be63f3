# SPDX-License-Identifier: BSD-3-Clause
"""Writes optimizer_cases.json: what PyTorch's optimizers do to a few parameters over a few steps.

Run by hand (`python make_optimizer_cases.py`) in an environment with PyTorch; the tests read the stored file.
Each case holds the options, the initial parameters, the gradients of every step and the parameters after every step,
computed in float64 from float32 inputs, and once more in float32.
"""

import json
import pathlib
import re

import torch

STEPS, SIZE = 6, 11


def gradients():
    generator = torch.Generator().manual_seed(7)
    g = torch.randn(STEPS, SIZE, generator=generator)
    g[:, 0] = 0.0  # never moves
    g[0, 1] = 0.0  # starts late
    g[:, 2] *= 1e-6  # epsilon matters
    g[:, 3] *= 1e4
    g[:, 4] = 1.0  # steady
    return g


def run(make, dtype):
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(SIZE, generator=generator)
    p = start.to(dtype).clone().requires_grad_()
    optimizer = make([p])
    history = []
    for g in gradients():
        p.grad = g.to(dtype).clone()
        optimizer.step()
        history.append([float(v) for v in p.detach()])
    return [float(v) for v in start], history


def case(kind, learning_rate, **options):
    makers = {
        "sgd": lambda p: torch.optim.SGD(p, lr=learning_rate, momentum=options.get("momentum", 0),
                                         weight_decay=options.get("weight_decay", 0), foreach=False),
        "adagrad": lambda p: torch.optim.Adagrad(p, lr=learning_rate, eps=options["epsilon"],
                                                 weight_decay=options.get("weight_decay", 0), foreach=False),
        "adam": lambda p: torch.optim.Adam(p, lr=learning_rate, betas=(options["beta1"], options["beta2"]),
                                           eps=options["epsilon"], weight_decay=options.get("weight_decay", 0),
                                           foreach=False),
        "adamw": lambda p: torch.optim.AdamW(p, lr=learning_rate, betas=(options["beta1"], options["beta2"]),
                                             eps=options["epsilon"], weight_decay=options.get("weight_decay", 0),
                                             foreach=False),
    }
    start, in_double = run(makers[kind], torch.float64)
    _, in_float = run(makers[kind], torch.float32)
    return {"kind": kind, "learning_rate": learning_rate, **options, "start": start,
            "after_float64": in_double, "after_float32": in_float}


def main():
    cases = [
        case("sgd", 0.1),
        case("sgd", 0.1, weight_decay=0.01),
        case("sgd", 0.05, momentum=0.9),
        case("sgd", 0.05, momentum=0.5, weight_decay=0.1),
        case("adagrad", 0.1, epsilon=1e-10),
        case("adagrad", 0.1, epsilon=1e-3, weight_decay=0.05),
        case("adam", 0.01, beta1=0.9, beta2=0.999, epsilon=1e-8),
        case("adam", 0.1, beta1=0.8, beta2=0.95, epsilon=1e-3, weight_decay=0.1),
        case("adamw", 0.01, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=0.01),
        case("adamw", 0.1, beta1=0.8, beta2=0.95, epsilon=1e-3, weight_decay=0.5),
    ]
    document = {"made_by": "make_optimizer_cases.py", "torch": torch.__version__,
                "gradients": [[float(v) for v in g] for g in gradients()], "cases": cases}
    path = pathlib.Path(__file__).with_name("optimizer_cases.json")
    one_row_a_line = re.sub(r"\[([^\[\]{}]*)\]", lambda row: "[" + " ".join(row[1].split()) + "]",
                            json.dumps(document, indent=1))
    path.write_text(one_row_a_line + "\n")


if __name__ == "__main__":
    main()
