# SPDX-License-Identifier: BSD-3-Clause
"""Writes image_cases.json: what PyTorch's convolutions, normalisations and poolings make of a few small images.

Run by hand (`python make_image_cases.py`) in an environment with PyTorch; the tests read the stored file. Inputs are
float32 values, results are computed from them in float64 and stored rounded to 8 digits, channels last. Gradients are those
of sum(y * dy).
"""

import json
import pathlib
import re

import torch
import torch.nn.functional as F

GENERATOR = torch.Generator().manual_seed(11)


def values(*shape):
    """Multiples of 1/8: exact in every type and short in the file."""
    return (torch.randn(*shape, generator=GENERATOR) * 8).round().double() / 8


def last(images):
    """(B, C, rows, columns) -> (B, rows, columns, C), flat."""
    return flat(images.permute(0, 2, 3, 1))


def flat(tensor):
    return [float(f"{v:.8g}") for v in tensor.detach().reshape(-1).tolist()]


def leaf(tensor):
    return tensor.clone().requires_grad_()


def conv2d(rows, columns, channels, filters, kernel, stride, padding, batch=2):
    x, b = leaf(values(batch, channels, rows, columns)), leaf(values(filters))
    w = leaf(values(filters, channels, *kernel))
    y = F.conv2d(x, w, b, stride=stride, padding=padding)
    dy = values(*y.shape)
    y.backward(dy)
    return {"B": batch, "rows": rows, "columns": columns, "channels": channels, "filters": filters,
            "kernel_rows": kernel[0], "kernel_columns": kernel[1], "stride": stride, "padding": padding,
            "x": last(x), "W": last(w), "b": flat(b), "dy": last(dy), "y": last(y), "dx": last(x.grad),
            "dW": last(w.grad), "db": flat(b.grad)}


def batchnorm(batch, channels, rows, columns, relu, training):
    x, gamma, beta = leaf(values(batch, channels, rows, columns)), leaf(values(channels)), leaf(values(channels))
    mean, variance = values(channels), values(channels).abs() + 0.5
    case = {"R": batch * rows * columns, "C": channels, "relu": relu, "training": training, "momentum": 0.25,
            "epsilon": 1e-3, "x": last(x), "gamma": flat(gamma), "beta": flat(beta), "running_mean": flat(mean),
            "running_variance": flat(variance)}
    y = F.batch_norm(x, mean, variance, gamma, beta, training=training, momentum=0.25, eps=1e-3)
    y = F.relu(y) if relu else y
    dy = values(*y.shape)
    y.backward(dy)
    case |= {"y": last(y), "running_mean_after": flat(mean), "running_variance_after": flat(variance)}
    if training:
        case |= {"dy": last(dy), "dx": last(x.grad), "dgamma": flat(gamma.grad), "dbeta": flat(beta.grad)}
    return case


def groupnorm(batch, channels, groups, rows, columns):
    x, gamma, beta = leaf(values(batch, channels, rows, columns)), leaf(values(channels)), leaf(values(channels))
    y = F.group_norm(x, groups, gamma, beta, eps=1e-4)
    dy = values(*y.shape)
    y.backward(dy)
    return {"B": batch, "P": rows * columns, "C": channels, "groups": groups, "epsilon": 1e-4, "x": last(x),
            "gamma": flat(gamma), "beta": flat(beta), "dy": last(dy), "y": last(y), "dx": last(x.grad),
            "dgamma": flat(gamma.grad), "dbeta": flat(beta.grad)}


def pool2d(rows, columns, channels, kernel, stride, padding, batch=2):
    x = leaf((values(batch, channels, rows, columns) * 2).round() / 2)  # with equals
    y, index = F.max_pool2d(x, kernel, stride, padding, return_indices=True)
    dy = values(*y.shape)
    y.backward(dy)
    at = leaf(x.detach())
    average = F.avg_pool2d(at, kernel, stride, padding)
    average.backward(dy)
    out_rows, out_columns = y.shape[2:]
    top = (torch.arange(out_rows) * stride - padding).view(1, 1, -1, 1)
    left = (torch.arange(out_columns) * stride - padding).view(1, 1, 1, -1)
    winner = (index // columns - top) * kernel[1] + index % columns - left
    return {"B": batch, "rows": rows, "columns": columns, "channels": channels, "kernel_rows": kernel[0],
            "kernel_columns": kernel[1], "stride": stride, "padding": padding, "x": last(x), "dy": last(dy),
            "y": last(y), "winner": [int(v) for v in last(winner)], "dx": last(x.grad), "average": last(average),
            "average_dx": last(at.grad)}


def main():
    document = {
        "made_by": "make_image_cases.py", "torch": torch.__version__,
        "conv2d": [conv2d(5, 4, 3, 4, (3, 3), 1, 1), conv2d(6, 5, 2, 3, (3, 3), 2, 1), conv2d(5, 4, 3, 4, (1, 1), 2, 0),
                   conv2d(5, 6, 1, 5, (3, 2), 1, 0), conv2d(7, 4, 2, 2, (5, 3), 3, 2), conv2d(3, 2, 17, 1, (3, 3), 1, 1, 1)],
        "batchnorm": [batchnorm(3, 4, 2, 3, False, True), batchnorm(2, 3, 3, 3, True, True),
                      batchnorm(2, 17, 1, 2, True, True), batchnorm(2, 3, 2, 3, True, False),
                      batchnorm(2, 5, 1, 2, False, False)],
        "groupnorm": [groupnorm(2, 6, 2, 2, 3), groupnorm(3, 4, 4, 2, 2), groupnorm(2, 17, 1, 1, 2)],
        "pool2d": [pool2d(6, 5, 3, (2, 2), 2, 0), pool2d(5, 6, 2, (3, 3), 2, 1), pool2d(5, 5, 2, (3, 2), 1, 1)],
    }
    path = pathlib.Path(__file__).with_name("image_cases.json")
    one_row_a_line = re.sub(r"\[([^\[\]{}]*)\]", lambda row: "[" + " ".join(row[1].split()) + "]",
                            json.dumps(document, indent=1))
    path.write_text(one_row_a_line + "\n")


if __name__ == "__main__":
    main()
