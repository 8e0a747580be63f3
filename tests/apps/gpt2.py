# SPDX-License-Identifier: BSD-3-Clause
"""Files of safetensors by the format's own description, and a GPT-2 in numpy: what tests hold saved weights against."""

import json
import struct

import numpy as np

TYPES = {"F32": np.float32, "F64": np.float64, "F16": np.float16, "I64": np.int64}


def read(path):
    """Tensors and metadata of a file of safetensors."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    data = raw[8 + length :]
    tensors = {name: np.frombuffer(data[slice(*entry["data_offsets"])], TYPES[entry["dtype"]]).reshape(entry["shape"])
               for name, entry in header.items()}
    return tensors, metadata


def write(path, tensors, metadata=None, bf16=()):
    """The reverse; those named in bf16 are cut to that type."""
    header, data = ({"__metadata__": metadata} if metadata else {}), b""
    for name, tensor in tensors.items():
        kind = next(kind for kind, dtype in TYPES.items() if tensor.dtype == dtype)
        raw = np.ascontiguousarray(tensor).tobytes()
        if name in bf16:
            kind, raw = "BF16", (np.ascontiguousarray(tensor).view(np.uint32) >> 16).astype(np.uint16).tobytes()
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def gpt2(weights, tokens, blocks, heads):
    """Scores of a GPT-2 in double: pre-norm blocks, gelu by tanh, masked attention scaled by 1/sqrt(C / heads)."""
    w = {name: tensor.astype(np.float64) for name, tensor in weights.items()}

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w[name + ".weight"] + w[name + ".bias"]

    def conv1d(x, name):
        return x @ w[name + ".weight"] + w[name + ".bias"]

    length, width = tokens.shape[1], w["wte.weight"].shape[1]
    x = w["wte.weight"][tokens] + w["wpe.weight"][:length]
    for n in range(blocks):
        h = f"h.{n}."
        q, k, v = (t.reshape(*t.shape[:2], heads, width // heads).transpose(0, 2, 1, 3)
                   for t in np.split(conv1d(norm(x, h + "ln_1"), h + "attn.c_attn"), 3, axis=-1))
        s = q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // heads)
        s = np.where(np.tri(length, dtype=bool), s, -np.inf)
        p = np.exp(s - s.max(-1, keepdims=True))
        y = (p / p.sum(-1, keepdims=True)) @ v
        x = x + conv1d(y.transpose(0, 2, 1, 3).reshape(x.shape), h + "attn.c_proj")
        u = conv1d(norm(x, h + "ln_2"), h + "mlp.c_fc")
        u = 0.5 * u * (1 + np.tanh(np.sqrt(2 / np.pi) * (u + 0.044715 * u**3)))
        x = x + conv1d(u, h + "mlp.c_proj")
    return norm(x, "ln_f") @ w.get("lm_head.weight", w["wte.weight"]).T


def mean_loss(scores, labels):
    top = scores.max(-1, keepdims=True)
    log_sum = np.log(np.exp(scores - top).sum(-1)) + top[..., 0]
    return (log_sum - np.take_along_axis(scores, labels[..., None], -1)[..., 0]).mean()
