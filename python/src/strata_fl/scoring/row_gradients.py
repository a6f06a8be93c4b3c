"""Gradients of weights whose operations are not known: one backward pass for each sample and output."""

from __future__ import annotations

from typing import Iterator

import torch
from torch import Tensor, nn

from .capture import only_trainable
from .factors import RowsFactor
from .parts import Function, Samples
from .sweep import computing_type


Numbers = tuple[str, int, int]  #: numbers [begin, end) of a flattened weight


def _groups(named: dict[str, Tensor], rows: int, memory: float) -> Iterator[list[Numbers]]:
    """Weights, or parts of their numbers, whose rows fit into the memory together."""
    group: list[Numbers] = []
    taken = 0.0
    for name, weight in named.items():
        element = 8 if weight.dtype == torch.float64 else 4
        most = max(1, int(memory // (rows * element)))
        for begin in range(0, weight.numel(), most):
            end = min(weight.numel(), begin + most)
            size = rows * element * (end - begin)
            if group and taken + size > memory:
                yield group
                group, taken = [], 0.0
            group.append((name, begin, end))
            taken += size
    if group:
        yield group


def row_gradients(
    model: nn.Module, function: Function, samples: Samples, names: list[str], memory: float
) -> Iterator[tuple[str, RowsFactor]]:
    """Yields (name, factor) for each weight, or part of a weight, with its gradients as explicit rows.

    Samples that do not depend on each other are taken one at a time. Passes: n·K, as often as the rows
    ask for within ``memory`` bytes.
    """
    named = {name: weight for name, weight in model.named_parameters() if name in set(names)}
    for group in _groups(named, samples.count * samples.outputs, memory):
        own = {name: named[name] for name, _, _ in group}
        tables = {}
        for name, begin, end in group:
            shape = samples.count, samples.outputs, end - begin
            dtype = computing_type(named[name].dtype)
            tables[name, begin, end] = named[name].new_zeros(shape, dtype=dtype)
        with only_trainable(model, set(own)), torch.enable_grad():
            for part in samples.pieces(1):
                _fill(part, function(part.batch), own, tables)
        while tables:
            (name, begin, end), table = tables.popitem()
            yield name, RowsFactor(table, torch.Size([end - begin]), 0.0)


def _fill(part, values: Tensor, named: dict[str, Tensor], tables: dict[Numbers, Tensor]) -> None:
    if not values.requires_grad:
        return
    size, outputs = values.shape
    for i in range(size):
        for k in range(outputs):
            last = i == size - 1 and k == outputs - 1
            found = torch.autograd.grad(
                values[i, k], list(named.values()), retain_graph=not last, allow_unused=True
            )
            slopes = dict(zip(named, found))
            for (name, begin, end), table in tables.items():
                slope = slopes[name]
                if slope is not None:
                    slope = slope.to_dense() if slope.is_sparse else slope
                    table[part.begin + i, k] = slope.flatten()[begin:end]
