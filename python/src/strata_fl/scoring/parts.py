"""Samples taken a part at a time, as the memory for their activations allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import torch
from torch import Tensor, nn

from .batches import common_rows, rows_of

Function = Callable[[Any], Tensor]  #: batch -> (n, K), checked


@dataclass
class Part:
    """Samples [begin, begin + size) of all."""

    batch: Any
    begin: int
    size: int


class Samples:
    """The batches, and whether their samples may be taken apart.

    Attributes:
        parts: The batches as they came, each a part.
        count, outputs: n and K.
        divisible: Whether the first sample alone has the outputs that it has in its batch.
    """

    def __init__(self, batches: list[Any], function: Function, wanted: int | None = None):
        self.parts: list[Part] = []
        self.outputs = 0
        self._function = function
        begin = 0
        first = None
        for batch in batches:
            if wanted is not None and begin >= wanted:
                break
            with torch.no_grad():
                values = function(batch)
            first = values if first is None else first
            if self.outputs and values.shape[1] != self.outputs:
                raise ValueError(
                    f"outputs: {values.shape[1]} of sample {begin}, but {self.outputs} of those before"
                )
            self.outputs = values.shape[1]
            self.parts.append(Part(batch, begin, values.shape[0]))
            begin += values.shape[0]
        self.count = begin
        if not self.outputs:
            raise ValueError("outputs: there are none (K = 0)")
        self.divisible = self._first_stands_alone(first)

    def _first_stands_alone(self, values: Tensor) -> bool:
        part = self.parts[0]
        if any(common_rows(each.batch) != each.size for each in self.parts):
            return False
        if part.size == 1:
            return True
        try:
            with torch.no_grad():
                alone = self._function(rows_of(part.batch, 0, 1))
        except Exception:  # a model that reads a batch as a whole may fail in any way on a part of it
            return False
        if alone.shape != values[:1].shape:
            return False
        wide = values.detach().double()
        tolerance = 0.05 if values.dtype in (torch.bfloat16, torch.float16) else 1e-3
        scale = float(wide.abs().max())
        return bool((alone.double() - wide[:1]).abs().max() <= tolerance * scale)

    def pieces(self, size: int) -> list[Part]:
        """Parts of at most ``size`` samples; the batches as they are where they are not divisible."""
        if not self.divisible:
            return self.parts
        found = []
        for part in self.parts:
            for begin in range(0, part.size, size):
                end = min(part.size, begin + size)
                batch = part.batch if end - begin == part.size else rows_of(part.batch, begin, end)
                found.append(Part(batch, part.begin + begin, end - begin))
        return found


def activation_bytes(model: nn.Module, function: Function, batch: Any) -> int:
    """Bytes that autograd keeps of a forward pass, beyond the weights."""
    known = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    total = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal total
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            known.add(storage.data_ptr())
            total += storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        values = function(batch)
    del values
    return total


def part_size(model: nn.Module, function: Function, samples: Samples, limit: float) -> int:
    """How many samples' activations fit into ``limit`` bytes: at least 1."""
    part = max(samples.parts, key=lambda each: each.size)
    if not samples.divisible:
        return part.size
    one = activation_bytes(model, function, rows_of(part.batch, 0, 1))
    return max(1, min(part.size, int(limit // max(1, one))))
