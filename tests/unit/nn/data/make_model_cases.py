#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes model_cases.json: one training step of a small GPT and a small CNN as PyTorch computes them, in fp32.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch
    /tmp/torch/bin/python tests/unit/nn/data/make_model_cases.py

Weights and inputs follow from a formula that the test knows too (see wave); stored are the loss, the scores, every
gradient, every parameter after one AdamW step (all by our names) and the running statistics.
"""

import json
import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)


def wave(n: int, tensor: int, scale: float, centre: float) -> torch.Tensor:
    """centre + scale sin(1.7 i + 0.3 tensor), in double, then rounded."""
    return torch.tensor([centre + scale * math.sin(1.7 * i + 0.3 * tensor) for i in range(n)], dtype=torch.float32)


class Gpt(nn.Module):
    V, T, C, H, BLOCKS = 11, 6, 8, 2, 2

    def __init__(self):
        super().__init__()
        C = self.C
        self.token, self.position = nn.Embedding(self.V, C), nn.Embedding(self.T, C)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(dict(norm1=nn.LayerNorm(C), qkv=nn.Linear(C, 3 * C), proj=nn.Linear(C, C), norm2=nn.LayerNorm(C),
                               up=nn.Linear(C, 4 * C), down=nn.Linear(4 * C, C)))
            for _ in range(self.BLOCKS))
        self.norm, self.head = nn.LayerNorm(C), nn.Linear(C, self.V, bias=False)

    def forward(self, tokens):
        B, T = tokens.shape
        x = self.token(tokens) + self.position(torch.arange(T))
        for block in self.blocks:
            q, k, v = block.qkv(block.norm1(x)).split(self.C, dim=2)
            heads = [t.view(B, T, self.H, -1).transpose(1, 2) for t in (q, k, v)]
            y = F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).reshape(B, T, self.C)
            x = x + block.proj(y)
            x = x + block.down(F.gelu(block.up(block.norm2(x)), approximate="tanh"))
        return self.head(self.norm(x))

    def named(self):
        """Our name -> tensor, in our order."""
        yield "embedding.token", self.token.weight
        yield "embedding.position", self.position.weight
        for b, block in enumerate(self.blocks):
            for part in ("norm1", "qkv", "proj", "norm2", "up", "down"):
                yield f"block{b}.{part}.weight", block[part].weight
                yield f"block{b}.{part}.bias", block[part].bias
        yield "norm.weight", self.norm.weight
        yield "norm.bias", self.norm.bias
        yield "head.weight", self.head.weight


class ConvNorm(nn.Module):
    def __init__(self, name, inputs, outputs, kernel, stride):
        super().__init__()
        self.name = name
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.norm(self.conv(x))


class Block(nn.Module):
    def __init__(self, name, inputs, outputs, stride):
        super().__init__()
        self.first = ConvNorm(name + ".1", inputs, outputs, 3, stride)
        self.second = ConvNorm(name + ".2", outputs, outputs, 3, 1)
        shape_changes = stride != 1 or inputs != outputs
        self.shortcut = ConvNorm(name + ".shortcut", inputs, outputs, 1, stride) if shape_changes else nn.Identity()

    def forward(self, x):
        return F.relu(self.shortcut(x) + self.second(F.relu(self.first(x))))


class Cnn(nn.Module):
    ROWS, WIDTH, DEPTH, CLASSES = 6, (3, 5), 1, 4

    def __init__(self):
        super().__init__()
        self.stem = ConvNorm("stem", 1, self.WIDTH[0], 3, 1)
        blocks, inputs = [], self.WIDTH[0]
        for g, outputs in enumerate(self.WIDTH):
            for d in range(self.DEPTH):
                blocks.append(Block(f"group{g}.{d}", inputs, outputs, 2 if g > 0 and d == 0 else 1))
                inputs = outputs
        self.blocks, self.linear = nn.Sequential(*blocks), nn.Linear(inputs, self.CLASSES)

    def forward(self, x):
        return self.linear(self.blocks(F.relu(self.stem(x))).mean(dim=(2, 3)))

    def norms(self):
        return [m for m in self.modules() if isinstance(m, ConvNorm)]

    def named(self):
        for part in self.norms():
            yield part.name + ".conv.weight", part.conv.weight
            yield part.name + ".norm.weight", part.norm.weight
            yield part.name + ".norm.bias", part.norm.bias
        yield "linear.weight", self.linear.weight
        yield "linear.bias", self.linear.bias


def ours(tensor: torch.Tensor) -> list[float]:
    """Flat, in our order: filters are (F, rows, columns, C)."""
    tensor = tensor.detach()
    return [float(f"{v:.9g}") for v in (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).flatten().tolist()]


def fill(model) -> None:
    with torch.no_grad():
        for t, (name, parameter) in enumerate(model.named()):
            is_norm = ".norm" in "." + name and name.endswith("weight")
            values = wave(parameter.numel(), t, 0.1 if is_norm else 0.4, 1.0 if is_norm else 0.0)
            if parameter.dim() == 4:
                F_, C_, R_, K_ = parameter.shape
                parameter.copy_(values.view(F_, R_, K_, C_).permute(0, 3, 1, 2))
            else:
                parameter.copy_(values.view(parameter.shape))


def step(model, x, label) -> dict:
    fill(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    scores = model(x)
    loss = F.cross_entropy(scores.reshape(len(label), -1), label)
    loss.backward()
    gradients = {name: ours(p.grad) for name, p in model.named()}
    optimizer.step()
    return {"loss": loss.item(), "scores": ours(scores.reshape(len(label), -1)), "gradients": gradients,
            "stepped": {name: ours(p) for name, p in model.named()}}


def main() -> None:
    B = 2
    tokens = torch.tensor([[(7 * b + 3 * t * t) % Gpt.V for t in range(Gpt.T)] for b in range(B)])
    label = torch.tensor([(5 * i + 2) % Gpt.V for i in range(B * Gpt.T)])
    gpt = step(Gpt(), tokens, label)

    B = 3
    cnn_model = Cnn()
    images = wave(B * Cnn.ROWS * Cnn.ROWS, 99, 1.0, 0.0).view(B, 1, Cnn.ROWS, Cnn.ROWS)
    cnn = step(cnn_model, images, torch.tensor([(3 * b + 1) % Cnn.CLASSES for b in range(B)]))
    cnn["state"] = {f"{part.name}.norm.{ours_name}": ours(getattr(part.norm, theirs)) for part in cnn_model.norms()
                    for ours_name, theirs in (("running_mean", "running_mean"), ("running_variance", "running_var"))}

    text = json.dumps({"torch": torch.__version__, "gpt": gpt, "cnn": cnn}, separators=(",", ":"))
    (Path(__file__).parent / "model_cases.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
