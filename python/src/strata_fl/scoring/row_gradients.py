"""Gradients of weights whose operations are not known, by torch.func or one backward pass at a time."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any, Callable, Iterator

import torch
from torch import Tensor, nn

from .batches import map_tensors, rows_of, tensors_of
from .capture import composed_attention, only_trainable
from .factors import RowsFactor
from .parts import Function, Part, Samples, activation_bytes
from .sweep import computing_type


Numbers = tuple[str, int, int]  #: numbers [begin, end) of a flattened weight
Tables = dict[Numbers, Tensor]  #: (n, K, end - begin)


class Refused(Exception):
    """torch.func does not give the gradients; the message says why."""


class RowGradients:
    """The gradients of all outputs of all samples by weights, as explicit rows.

    With torch.func every sample has weights of its own (``vmap`` over ``functional_call``), of which one
    ``vjp`` serves several samples and outputs, as many as the memory allows. What ``vmap`` refuses, such
    as control flow that depends on numbers, goes row by row: n·K backward passes of one sample each.

    Args:
        model, function, samples: What is differentiated; ``function.traced``, where it has one, is the
            function without looks at numbers, which ``vmap`` refuses.
        names: Of the weights.
        memory: Bytes for the rows, and as many again for passes of torch.func.

    Attributes:
        refused: Why rows were taken one by one; None where torch.func gave all of them.
    """

    def __init__(
        self, model: nn.Module, function: Function, samples: Samples, names: list[str], memory: float
    ):
        self.model, self.function, self.samples, self.memory = model, function, samples, memory
        self.named = {name: weight for name, weight in model.named_parameters() if name in set(names)}
        self.refused: str | None = None

    def __iter__(self) -> Iterator[tuple[str, RowsFactor]]:
        """(name, factor) for each weight, or part of a weight whose rows are more than the memory."""
        for group in _groups(self.named, self.samples.count * self.samples.outputs, self.memory):
            tables: Tables = {}
            for name, begin, end in group:
                shape = self.samples.count, self.samples.outputs, end - begin
                dtype = computing_type(self.named[name].dtype)
                tables[name, begin, end] = self.named[name].new_zeros(shape, dtype=dtype)
            self._fill(tables)
            while tables:
                (name, begin, end), table = tables.popitem()
                yield name, RowsFactor(table, torch.Size([end - begin]), 0.0)

    def _fill(self, tables: Tables) -> None:
        own = {name: self.named[name] for name, _, _ in tables}
        if self.refused is None:
            try:
                _Vectorised(self.model, self.function, self.samples, own, self.memory).fill(tables)
                return
            except Exception as error:  # what vmap refuses fails in any way; row by row fails as the model does
                self.refused = (str(error).strip() or type(error).__name__).splitlines()[0]
        with only_trainable(self.model, set(own)), torch.enable_grad():
            for part in self.samples.pieces(1):
                _fill_by_rows(part, self.function(part.batch), own, tables)


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


class _Traced(nn.Module):
    """What is differentiated, as the module that ``functional_call`` asks for."""

    def __init__(self, model: nn.Module, function: Function):
        super().__init__()
        self.model = model
        self.function = lambda batch: function(batch)  # a module would be a second owner of the weights

    def forward(self, batch: Any) -> Tensor:
        return self.function(batch)


@contextlib.contextmanager
def _restored(model: nn.Module) -> Iterator[None]:
    """Afterwards the model has the tensors of before: of a module with two names torch 2.2's ``functional_call``
    keeps the ones that it was called with, and some modules keep tensors of a pass as attributes."""
    before = [(m, dict(m._parameters), dict(m._buffers), dict(vars(m))) for m in model.modules()]
    try:
        yield
    finally:
        for module, parameters, buffers, attributes in before:
            module._parameters.update(parameters)
            module._buffers.update(buffers)
            for name, value in list(vars(module).items()):
                if isinstance(value, Tensor) and attributes.get(name) is not value:
                    if name in attributes:
                        vars(module)[name] = attributes[name]
                    else:
                        del vars(module)[name]


class _Vectorised:
    """The rows of some weights by torch.func."""

    def __init__(self, model, function: Function, samples: Samples, own: dict[str, Tensor], memory: float):
        self.samples, self.function, self.own = samples, function, own
        self.module = _Traced(model, getattr(function, "traced", function))
        part = max(samples.parts, key=lambda each: each.size)
        first = rows_of(part.batch, 0, 1) if samples.divisible else part.batch
        with composed_attention(), only_trainable(model, set(own)):
            activations = activation_bytes(model, function, first)
        gradient = sum(weight.nbytes for weight in own.values())
        outputs = samples.outputs * (1 if samples.divisible else part.size)
        # What is kept of a sample, and what a backward pass makes of it beside a weight's gradient.
        kept, each = 2 * activations, 2 * gradient + activations
        if kept + each > memory:
            raise Refused("too little memory")
        self.at_once = min(outputs, int((memory - kept) // each))
        self.size = min(part.size, int(memory // (kept + self.at_once * each)))

    def fill(self, tables: Tables) -> None:
        with torch.no_grad(), composed_attention(), warnings.catch_warnings():
            # An operation that vmap takes apart into a loop is slower, and no less right.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            for part in self.samples.pieces(self.size):
                fill = self._each_sample if self.samples.divisible else self._whole
                fill(part, tables)

    def _values(self, weights: dict[str, Tensor], batch: Any) -> Tensor:
        named = {f"model.{name}": weight for name, weight in weights.items()}
        with _restored(self.module.model):
            return torch.func.functional_call(self.module, named, (batch,))

    def _each_sample(self, part: Part, tables: Tables) -> None:
        def of_one(weights: dict[str, Tensor], tensors: list[Tensor]) -> Tensor:
            left = iter(tensors)
            return self._values(weights, map_tensors(part.batch, lambda _: next(left).unsqueeze(0)))[0]

        def of_all(weights: dict[str, Tensor]) -> Tensor:
            return torch.func.vmap(of_one)(weights, tensors_of(part.batch))

        copies = {
            name: weight.detach().expand(part.size, *weight.shape) for name, weight in self.own.items()
        }
        outputs = self.samples.outputs
        for begin, slopes in self._slopes(of_all, copies, part, outputs):
            for (name, first, last), table in tables.items():
                found = slopes[name].transpose(0, 1).flatten(2)[..., first:last]
                table[part.begin : part.begin + part.size, begin : begin + found.shape[1]] = found

    def _whole(self, part: Part, tables: Tables) -> None:
        def of_all(weights: dict[str, Tensor]) -> Tensor:
            return self._values(weights, part.batch)

        own = {name: weight.detach() for name, weight in self.own.items()}
        for begin, slopes in self._slopes(of_all, own, part, part.size * self.samples.outputs):
            for (name, first, last), table in tables.items():
                found = slopes[name].flatten(1)[:, first:last]
                row = part.begin * self.samples.outputs + begin
                table.view(-1, last - first)[row : row + found.shape[0]] = found

    def _slopes(self, of_all: Callable, weights: dict[str, Tensor], part: Part, outputs: int):
        """(begin, gradients) of ``at_once`` outputs, of every sample or of the part, at a time."""
        values, pull = torch.func.vjp(of_all, weights)
        self._check(values, part)
        for begin in range(0, outputs, self.at_once):
            count = min(self.at_once, outputs - begin)
            basis = values.new_zeros(count, values.numel() // outputs, outputs)
            basis[range(count), :, range(begin, begin + count)] = 1
            (slopes,) = torch.func.vmap(pull)(basis.view(count, *values.shape))
            yield begin, slopes

    def _check(self, values: Tensor, part: Part) -> None:
        """A module that keeps tensors, or reads its batch's size, may do other things within vmap."""
        expected = self.function(part.batch).double()
        tolerance = 0.05 if values.dtype in (torch.bfloat16, torch.float16) else 1e-3
        same = values.shape == expected.shape
        if not same or (values.double() - expected).abs().max() > tolerance * expected.abs().max():
            raise Refused("the outputs are others within it")


def _fill_by_rows(part: Part, values: Tensor, named: dict[str, Tensor], tables: Tables) -> None:
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
