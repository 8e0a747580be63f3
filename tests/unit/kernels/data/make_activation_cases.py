# SPDX-License-Identifier: BSD-3-Clause
"""Writes activation_cases.json: what PyTorch's activations and their gradients are at some points, in float32.

Run by hand (`python make_activation_cases.py`) in an environment with PyTorch; the tests read the stored file.
"""

import json
import pathlib
import re

import torch

KINDS = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "gelu": torch.nn.functional.gelu,
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "silu": torch.nn.functional.silu,
}


def main():
    x = torch.cat([torch.linspace(-6, 6, 49), torch.tensor([1e-6, -1e-6, 0.0, 20.0, -20.0, 1e-30])])
    dy = torch.randn(len(x), generator=torch.Generator().manual_seed(5))
    cases = []
    for kind, function in KINDS.items():
        point = x.clone().requires_grad_()
        y = function(point)
        y.backward(dy)
        cases.append({"kind": kind, "y": y.tolist(), "dx": point.grad.tolist()})
    document = {"made_by": "make_activation_cases.py", "torch": torch.__version__, "x": x.tolist(), "dy": dy.tolist(),
                "cases": cases}
    path = pathlib.Path(__file__).with_name("activation_cases.json")
    one_row_a_line = re.sub(r"\[([^\[\]{}]*)\]", lambda row: "[" + " ".join(row[1].split()) + "]",
                            json.dumps(document, indent=1))
    path.write_text(one_row_a_line + "\n")


if __name__ == "__main__":
    main()
