"""Metrics made of weights and gradients of the loss, as docs/importance.md defines them.

L is the mean of the samples' losses, g = ∇L, gᵢ the gradient of sample i's loss and H = ∇²L. Sums are over
a unit's weights, in double.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, Optional

import torch
from torch import Tensor, nn

from .capture import composed_attention, only_trainable
from .parts import Function, Samples, part_size

VARIANCE_FLOOR = 1e-10
Gradient = dict[str, Optional[Tensor]]


@dataclass
class Sums:
    """Over one weight's numbers, of which the metrics of any unit follow by addition."""

    count: int = 0
    magnitude: float = 0  #: |w|
    square: float = 0  #: w²
    gradient_square: float = 0  #: g²
    saliency: float = 0  #: |g w|
    curvature: float = 0  #: w (Hg)
    absolute_curvature: float = 0  #: |w (Hg)|
    fisher: float = 0  #: the mean of gᵢ²
    mean: Optional[Tensor] = None  #: of gᵢ
    variance: Optional[Tensor] = None


def _total(values: Tensor) -> float:
    return float(values.sum(dtype=torch.float64))


def _dense(gradient: Optional[Tensor]) -> Optional[Tensor]:
    return gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient


class SharedPasses:
    """Passes through the model that several metrics share.

    Args:
        model: It is differentiated by ``weights``, which every metric's units are made of.
        losses: batch -> (n, 1) of the samples' losses.
        samples: The samples' batches.
        memory: Bytes of which activations of samples taken at a time may use the half.
    """

    def __init__(
        self, model: nn.Module, losses: Function, samples: Samples, weights: list[str], memory: int
    ):
        self.model, self.losses, self.samples, self.memory = model, losses, samples, memory
        self.named = {n: w for n, w in model.named_parameters() if n in set(weights)}
        self.sums = {name: Sums(weight.numel()) for name, weight in self.named.items()}

    def compute(self, needs: set[str]) -> None:
        """Fills in what the metrics need: ``weights``, ``gradient``, ``curvature``, ``samples``."""
        with only_trainable(self.model, set(self.named)), torch.enable_grad():
            if "weights" in needs:
                self._add_weights()
            if needs & {"gradient", "curvature"}:
                gradient = self._gradient()
                self._add_gradient(gradient)
                if "curvature" in needs:
                    self._add_curvature(self._curvature(gradient))
            if "samples" in needs:
                self._add_samples("moments" in needs)

    def _add_weights(self) -> None:
        for name, weight in self.named.items():
            wide = weight.detach().double()
            self.sums[name].magnitude = _total(wide.abs())
            self.sums[name].square = _total(wide.square())

    def _grad(self, value: Tensor, **options) -> list[Optional[Tensor]]:
        if not value.requires_grad:
            return [None] * len(self.named)
        found = torch.autograd.grad(value, list(self.named.values()), allow_unused=True, **options)
        return [_dense(gradient) for gradient in found]

    def _parts(self, share: float):
        return self.samples.pieces(part_size(self.model, self.losses, self.samples, share))

    def _gradient(self) -> Gradient:
        total: Gradient = dict.fromkeys(self.named)
        for part in self._parts(self.memory / 2):
            loss = self.losses(part.batch).sum() / self.samples.count
            for name, own in zip(self.named, self._grad(loss)):
                if own is not None:
                    total[name] = own if total[name] is None else total[name] + own
        return total

    def _curvature(self, gradient: Gradient) -> Gradient:
        """Hg, the derivative of ⟨∇L, v⟩ at v = g with v held constant."""
        total: Gradient = dict.fromkeys(self.named)
        with composed_attention():
            for part in self._parts(self.memory / 6):
                loss = self.losses(part.batch).sum() / self.samples.count
                slopes = self._grad(loss, create_graph=True)
                along = sum(
                    (slope * gradient[name]).sum()
                    for name, slope in zip(self.named, slopes)
                    if slope is not None and gradient[name] is not None
                )
                if not isinstance(along, Tensor):
                    continue
                for name, own in zip(self.named, self._grad(along)):
                    if own is not None:
                        total[name] = own if total[name] is None else total[name] + own
        return total

    def _add_gradient(self, gradient: Gradient) -> None:
        for name, slope in gradient.items():
            if slope is not None:
                wide = slope.double()
                self.sums[name].gradient_square = _total(wide.square())
                self.sums[name].saliency = _total((wide * self.named[name].detach().double()).abs())

    def _add_curvature(self, products: Gradient) -> None:
        for name, product in products.items():
            if product is not None:
                change = product.detach().double() * self.named[name].detach().double()
                self.sums[name].curvature = _total(change)
                self.sums[name].absolute_curvature = _total(change.abs())

    def _sample_gradients(self) -> Iterator[list[Optional[Tensor]]]:
        for part in self.samples.pieces(1):
            losses = self.losses(part.batch)[:, 0]
            for i in range(part.size):
                yield self._grad(losses[i], retain_graph=i < part.size - 1)

    def _add_samples(self, moments: bool) -> None:
        """Mean and variance by Welford's recurrence, a sample at a time."""
        n = self.samples.count
        if moments and n < 2:
            raise ValueError("snr: found 1 sample, at least 2 are needed for a variance")
        for i, slopes in enumerate(self._sample_gradients()):
            for name, slope in zip(self.named, slopes):
                if slope is None:
                    continue
                own, wide = self.sums[name], slope.double()
                own.fisher += _total(wide.square()) / n
                if not moments:
                    continue
                if own.mean is None:
                    own.mean = torch.zeros_like(wide)
                    own.variance = torch.zeros_like(wide)
                change = wide - own.mean
                own.mean += change / (i + 1)
                own.variance += change * (wide - own.mean) / (n - 1)


class UnitSums:
    """The sums of one unit's weights."""

    def __init__(self, unit: str, parts: list[Sums]):
        self.unit, self.parts = unit, parts

    def total(self, what: str) -> float:
        return sum(getattr(part, what) for part in self.parts)


def _rgn(unit: UnitSums) -> float:
    square = unit.total("square")
    if square == 0:
        raise ValueError(f'rgn of unit "{unit.unit}" does not exist: its weights are all 0')
    return (unit.total("gradient_square") / square) ** 0.5


def _snr(unit: UnitSums) -> float:
    square, count = unit.total("fisher"), unit.total("count")
    if square == 0:  # gradients that are exactly 0 carry no signal
        return 0.0
    floor = VARIANCE_FLOOR * square / count
    ratios = sum(
        _total(part.mean.square() / (part.variance + floor))
        for part in unit.parts
        if part.mean is not None
    )
    return ratios / count


#: metric -> what it needs, and its value
MEASURES: dict[str, tuple[set[str], Callable[[UnitSums], float]]] = {
    "grad_norm": ({"gradient"}, lambda unit: unit.total("gradient_square")),
    "rgn": ({"weights", "gradient"}, _rgn),
    "snr": ({"samples", "moments"}, _snr),
    "magnitude": ({"weights"}, lambda unit: unit.total("magnitude") / unit.total("count")),
    "snip": ({"gradient"}, lambda unit: unit.total("saliency")),
    "grasp": ({"curvature"}, lambda unit: abs(unit.total("curvature"))),
    "gradflow": ({"curvature"}, lambda unit: unit.total("absolute_curvature")),
    "fisher": ({"samples"}, lambda unit: unit.total("fisher")),
}
