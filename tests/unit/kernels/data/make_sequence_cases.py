# SPDX-License-Identifier: BSD-3-Clause
"""Writes sequence_cases.json: what PyTorch makes of attention, norms, softmax and cross-entropy, and their gradients.

Run by hand (`python make_sequence_cases.py`) in an environment with PyTorch; the tests read the stored file.
Operands are float32; results were computed in float64 from them. Each gradient is that of sum(y * dy).
"""

import json
import pathlib
import re

import torch
import torch.nn.functional as F

generator = torch.Generator().manual_seed(11)


def random(*shape):
    return torch.randn(*shape, generator=generator)


def numbers(tensor):
    """A flat list: float32 exactly, float64 to ten digits."""
    exact = tensor.dtype == torch.float32
    return [float(v) if exact else float(f"{v:.10g}") for v in tensor.detach().flatten().tolist()]


def run(function, operands, dy):
    """Values and gradients in float64."""
    leaves = {name: value.double().requires_grad_() for name, value in operands.items()}
    y = function(**leaves)
    y.backward(dy.double())
    results = {"y": numbers(y)}
    results.update({"d" + name: numbers(leaf.grad) for name, leaf in leaves.items()})
    inputs = {name: numbers(value) for name, value in operands.items()}
    return {**inputs, "dy": numbers(dy), **results}


def attention(B, T, H, D, causal):
    def function(q, k, v):
        q, k, v = (x.view(B, T, H, D).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).reshape(B * T, H * D)

    operands = {name: random(B * T, H * D) for name in ("q", "k", "v")}
    return {"B": B, "T": T, "H": H, "D": D, "causal": causal, **run(function, operands, random(B * T, H * D))}


def norm(kind, B, C, epsilon):
    def layer(x, gamma, beta):
        return F.layer_norm(x, [C], gamma, beta, epsilon)

    def rms(x, gamma):
        return F.rms_norm(x, [C], gamma, epsilon)

    operands = {"x": 3 * random(B, C) + 1, "gamma": random(C)}
    if kind == "layer":
        operands["beta"] = random(C)
    case = run(layer if kind == "layer" else rms, operands, random(B, C))
    return {"kind": kind, "B": B, "C": C, "epsilon": epsilon, **case}


def softmax(B, C):
    return {"B": B, "C": C, **run(lambda x: torch.softmax(x, -1), {"x": 4 * random(B, C)}, random(B, C))}


def cross_entropy(B, V):
    label = torch.randint(V, (B,), generator=generator)
    case = run(lambda x: F.cross_entropy(x, label, reduction="sum"), {"x": 4 * random(B, V)}, torch.tensor(1.0))
    return {"B": B, "V": V, "label": label.tolist(), **case}


def main():
    document = {
        "made_by": "make_sequence_cases.py", "torch": torch.__version__,
        "attention": [attention(2, 5, 2, 3, True), attention(1, 7, 1, 4, False), attention(1, 1, 2, 2, True)],
        "norm": [norm("layer", 3, 7, 1e-5), norm("layer", 2, 33, 1e-3), norm("rms", 3, 7, 1e-5),
                 norm("rms", 2, 33, 1e-3)],
        "softmax": [softmax(3, 7), softmax(2, 33)],
        "cross_entropy": [cross_entropy(5, 7), cross_entropy(2, 33)],
    }
    path = pathlib.Path(__file__).with_name("sequence_cases.json")
    one_row_a_line = re.sub(r"\[([^\[\]{}]*)\]", lambda row: "[" + " ".join(row[1].split()) + "]",
                            json.dumps(document, indent=1))
    path.write_text(one_row_a_line + "\n")


if __name__ == "__main__":
    main()
