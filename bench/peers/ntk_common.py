"""What ntk_torch_func.py and ntk_neural_tangents.py share: the model's folder, the model, measuring.

The folder is written by `bench_ntk --write`: config.json and model.safetensors with the weight names of
Hugging Face's ViTForImageClassification, and inputs.safetensors with `pixels` (n, 3, side, side).

The model is written once over an `Operations` of either library. It works on one sample or on a batch
(any leading dimensions), and computes in the last block only the token that the classifier reads, beyond
keys and values, as Strata does.
"""

import argparse
import ctypes
import dataclasses
import gc
import json
import os
import resource
import sys
import time
import typing

import numpy as np
from safetensors.numpy import load_file


@dataclasses.dataclass
class Config:
    layers: int
    heads: int
    hidden: int
    labels: int
    eps: float
    samples: int

    def units(self):
        return ["embeddings", *(f"block.{i}" for i in range(self.layers)), "head"]


class Operations(typing.NamedTuple):
    linear: typing.Callable  # (x, weight, bias)
    norm: typing.Callable  # (x, weight, bias, eps) over the last axis
    gelu: typing.Callable  # exact
    softmax: typing.Callable  # over the last axis
    concatenate: typing.Callable  # (tensors) along the tokens
    broadcast_to: typing.Callable  # (tensor, shape)


def load(folder):
    """Config, {unit: {short weight name: array}} and the images as rows of patches (n, patches, 3·p·p)."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        fields = json.load(file)
    weights = {unit: {} for unit in ("embeddings", "head")}
    for name, array in load_file(os.path.join(folder, "model.safetensors")).items():
        if name.startswith("vit.encoder.layer."):
            index, short = name.removeprefix("vit.encoder.layer.").split(".", 1)
            weights.setdefault(f"block.{index}", {})[short] = array
        elif name.startswith("vit.embeddings."):
            weights["embeddings"][name.removeprefix("vit.embeddings.")] = array
        else:
            weights["head"][name] = array
    hidden = fields["hidden_size"]
    embeddings = weights["embeddings"]
    embeddings["patch_embeddings.projection.weight"] = embeddings[
        "patch_embeddings.projection.weight"].reshape(hidden, -1)
    pixels = load_file(os.path.join(folder, "inputs.safetensors"))["pixels"]
    n, channels, side, _ = pixels.shape
    p = fields["patch_size"]
    rows = pixels.reshape(n, channels, side // p, p, side // p, p).transpose(0, 2, 4, 1, 3, 5)
    rows = np.ascontiguousarray(rows).reshape(n, (side // p) ** 2, channels * p * p)
    config = Config(fields["num_hidden_layers"], fields["num_attention_heads"], hidden,
                    weights["head"]["classifier.bias"].shape[0], fields["layer_norm_eps"], n)
    return config, weights, rows


def run_unit(ops, config, unit, p, x):
    """Of the embeddings, a block or the head: from the unit's input to its output, the head's being logits."""
    if unit == "embeddings":
        patches = ops.linear(x, p["patch_embeddings.projection.weight"], p["patch_embeddings.projection.bias"])
        cls = ops.broadcast_to(p["cls_token"][0], (*patches.shape[:-2], 1, config.hidden))
        return ops.concatenate([cls, patches]) + p["position_embeddings"][0]
    if unit == "head":
        token = ops.norm(x[..., 0, :], p["vit.layernorm.weight"], p["vit.layernorm.bias"], config.eps)
        return ops.linear(token, p["classifier.weight"], p["classifier.bias"])

    def heads(tensor):
        return tensor.reshape(*tensor.shape[:-1], config.heads, -1).swapaxes(-3, -2)

    def linear(name, tensor):
        return ops.linear(tensor, p[name + ".weight"], p[name + ".bias"])

    def queried(tensor):
        return tensor[..., :1, :] if unit == f"block.{config.layers - 1}" else tensor

    normed = ops.norm(x, p["layernorm_before.weight"], p["layernorm_before.bias"], config.eps)
    query = heads(linear("attention.attention.query", queried(normed)))
    key = heads(linear("attention.attention.key", normed))
    value = heads(linear("attention.attention.value", normed))
    scale = (config.hidden // config.heads) ** -0.5
    context = (ops.softmax(query @ key.swapaxes(-2, -1) * scale) @ value).swapaxes(-3, -2)
    x = queried(x)
    x = x + linear("attention.output.dense", context.reshape(x.shape))
    normed = ops.norm(x, p["layernorm_after.weight"], p["layernorm_after.bias"], config.eps)
    return x + linear("output.dense", ops.gelu(linear("intermediate.dense", normed)))


def run_from(ops, config, first, weights, x):
    """The logits, from the input of the unit with index `first`."""
    for unit in config.units()[first:]:
        x = run_unit(ops, config, unit, weights[unit], x)
    return x


def unit_inputs(ops, config, weights, rows):
    """The input of every unit, for the whole batch."""
    inputs = [rows]
    for unit in config.units()[:-1]:
        inputs.append(run_unit(ops, config, unit, weights[unit], inputs[-1]))
    return inputs


def memory_status(field):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(field + ":")) / 1024


def measured(work):
    """(result, seconds, MiB that the process grew by at its peak, from what it held when it was idle)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    before = memory_status("VmHWM")
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    return result, seconds, memory_status("VmHWM") - before


def arguments_of(description):
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("folder", help="written by bench_ntk --write")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--passes", type=int, default=3, help="repetitions of the K passes, whose best counts")
    parser.add_argument("--memory", type=float, default=16, metavar="GiB",
                        help="of the process; a way that needs more is printed without seconds")
    return parser


def limit_memory(gib):
    """Allocations beyond it fail, before they take the machine's last memory."""
    limit = int(gib * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def print_row(**row):
    json.dump(row, sys.stdout)
    print(flush=True)
