"""The kernels of units: Θ = J Jᵀ over each unit's weights (docs/lntk.md)."""

from __future__ import annotations

import logging
from typing import Iterator

import torch
from torch import Tensor, nn

from .amounts import bytes_text
from .capture import only_trainable
from .factors import Factor
from .parts import Function, Samples, part_size
from .row_gradients import RowGradients
from .sweep import Sweep, TooLittleMemory

LOG = logging.getLogger("strata_fl.scoring")
# Of the memory: x, δ and what is made of them; a part's activations. A quarter is for kernels.
SWEEP_SHARE, ACTIVATION_SHARE = 0.4, 0.2
LARGEST_CHUNK = 32 << 20  # which a last-level cache holds
LARGEST_CHUNK_CUDA = 256 << 20


def _listed(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


class Kernels:
    """Calculates the kernels of units within the memory.

    Args:
        model, function, samples: What is differentiated.
        units: Name of a unit -> names of its weights; no weight is in two.
        memory: Bytes beyond the model and the samples.

    A share of the memory goes to each of: the kernels of the units at hand, a part's activations, and x
    and δ with what is made of them.
    """

    def __init__(
        self,
        model: nn.Module,
        function: Function,
        samples: Samples,
        units: dict[str, list[str]],
        memory: int,
    ):
        self.model, self.function, self.samples = model, function, samples
        self.units, self.memory = units, memory
        self.rows = samples.count * samples.outputs
        self.kernel_bytes = 8 * self.rows**2
        if 4 * self.kernel_bytes > memory:
            raise ValueError(
                f"memory: {bytes_text(memory)} is too small for kernels of {samples.count} samples x "
                f"{samples.outputs} outputs; {bytes_text(4 * self.kernel_bytes)} is the least; give fewer "
                "samples, or fewer outputs (columns, random_outputs)"
            )
        with_weights = {name for names in units.values() for name in names}
        with only_trainable(model, with_weights):
            self.size = part_size(model, function, samples, ACTIVATION_SHARE * memory)

    def batches_of_units(self) -> Iterator[list[str]]:
        """Units whose kernels are held together."""
        most = max(1, int(self.memory / 4 // self.kernel_bytes))
        names = list(self.units)
        for begin in range(0, len(names), most):
            yield names[begin : begin + most]

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """(unit, Θ): Θ is double, (n·K, n·K), row i·K + k of sample i and output k."""
        for units in self.batches_of_units():
            kernels = self._of(units)
            for unit in units:
                yield unit, kernels.pop(unit)

    def _of(self, units: list[str]) -> dict[str, Tensor]:
        unit_of = {name: unit for unit in units for name in self.units[unit]}
        kernels = self._zeros(units)
        together = self._swept(kernels, unit_of, set(unit_of), apart=False)
        left = self._swept(kernels, unit_of, together, apart=True)
        if together - left:
            self._say(
                together - left,
                "samples meet in their operations: each of %d outputs has a backward pass of its own",
            )
        self._add_rows(kernels, unit_of, left)
        return kernels

    def _swept(self, kernels, unit_of: dict[str, str], names: set[str], apart: bool) -> set[str]:
        """Adds what a sweep accounts for; the names of the others."""
        sizes = {part.size for part in self.samples.pieces(1)}
        if not names or (apart and len(sizes) > 1):
            return names
        before = {unit: theta.clone() for unit, theta in kernels.items()} if apart else {}
        left: set[str] = set()
        while True:
            visited: set[str] = set()

            def add(name: str, factor: Factor) -> None:
                visited.add(name)
                self._add(kernels[unit_of[name]], factor)

            memory = SWEEP_SHARE * self.memory - self.kernel_bytes
            sweep = Sweep(
                self.model, self.function, self.samples, names - left, memory, self.size, apart
            )
            try:
                failed = sweep.run(add)
            except TooLittleMemory as error:
                least = (error.needed + self.kernel_bytes) / SWEEP_SHARE
                raise ValueError(
                    f'memory: found {bytes_text(self.memory)}, and "{error.operation}" alone needs '
                    f"{bytes_text(least)}; give fewer samples, or fewer outputs (columns, random_outputs)"
                ) from None
            left |= failed
            if not failed & visited:
                return left
            for unit, theta in kernels.items():  # a weight taken by columns may fail at a later one
                theta.copy_(before[unit]) if apart else theta.zero_()

    def _say(self, names: set[str], why: str) -> None:
        listed = [name for name, _ in self.model.named_parameters() if name in names]
        LOG.warning(f"score: of %d weights (%s) {why}", len(listed), _listed(listed), self.rows)

    def _zeros(self, units: list[str]) -> dict[str, Tensor]:
        named = dict(self.model.named_parameters())
        found = {}
        for unit in units:
            device = named[self.units[unit][0]].device
            place = device if device.type in ("cpu", "cuda") else torch.device("cpu")
            found[unit] = torch.zeros(self.rows, self.rows, dtype=torch.float64, device=place)
        return found

    def _add(self, theta: Tensor, factor: Factor) -> None:
        largest = LARGEST_CHUNK_CUDA if theta.is_cuda else LARGEST_CHUNK
        with torch.no_grad():
            factor.add_gram(theta, min(largest, self.memory // 16))

    def _add_rows(self, kernels: dict[str, Tensor], unit_of: dict[str, str], apart: set[str]) -> None:
        if not apart:
            return
        names = [name for name, _ in self.model.named_parameters() if name in apart]
        rows = RowGradients(self.model, self.function, self.samples, names, self.memory / 4)
        for name, factor in rows:
            self._add(kernels[unit_of[name]], factor)
        unknown = "the operations are not known: gradients are taken"
        if rows.refused is None:
            self._say(apart, f"{unknown} by torch.func, %d rows")
        else:
            why = rows.refused.replace("%", "%%")
            self._say(apart, f"{unknown} row by row, in %d backward passes (not by torch.func: {why})")
