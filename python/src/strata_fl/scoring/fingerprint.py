"""The identity of a model's weights: the same for all clients that score the same model."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over names, shapes and float32 numbers of all weights and floating buffers.

    ``strata score`` has a digest of its own, of the weights as they stand in a model's folder.
    """
    total = hashlib.sha256()
    for name, values in sorted(model.state_dict().items()):
        if not isinstance(values, torch.Tensor) or not values.is_floating_point():
            continue
        own = hashlib.sha256()
        for part in values.detach().flatten().split(1 << 24):
            own.update(part.to("cpu", torch.float32).contiguous().numpy().tobytes())
        total.update(f"{name}\n{tuple(values.shape)}\n{own.hexdigest()}\n".encode())
    return total.hexdigest()
