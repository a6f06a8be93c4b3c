"""The identity of a model's weights: the same for all clients that score the same model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import nn


def fingerprint(model: nn.Module, names: Iterable[str]) -> str:
    """SHA-256 over names, shapes and float32 numbers of the model's weights and buffers in ``names``."""
    state = dict(model.named_parameters())
    total = hashlib.sha256()
    for name in sorted(names):
        values = state[name].detach().to("cpu", torch.float32).contiguous()
        shape = " x ".join(str(size) for size in values.shape)
        own = hashlib.sha256(values.view(-1).numpy().tobytes()).hexdigest()
        total.update(f"{name}\n{shape}\n{own}\n".encode())
    return total.hexdigest()
