"""K backward passes that serve all weights, and the factors of each weight's Jacobian from them.

Operations are taken in as many groups as the memory asks for, each with forward and K backward passes of
its own; a single one that is too large goes by columns of its output. For every weight the factors are
held against autograd's gradient of a random combination of all outputs, one backward pass more: what does
not account for it, because the weight is also used by something that is not known, because samples meet
in the operation, or because a module is not what it looks like, is handed back as ``failed``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Optional

import torch
from torch import Tensor, nn

from .capture import (
    Call,
    Recorder,
    Site,
    find_sites,
    may_repeat,
    only_trainable,
    parameter_sites,
)
from .factors import Factor, RowsFactor, joined
from .parts import Function, Part, Samples

Key = tuple[str, int]
Visit = Callable[[str, Factor], None]

TOLERANCE = {torch.float64: 1e-8, torch.float32: 2e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}


def computing_type(dtype: torch.dtype) -> torch.dtype:
    """That of x, δ and products: double for double, float32 for all shorter types."""
    return torch.float64 if dtype == torch.float64 else torch.float32


@dataclass
class Layout:
    """What one call keeps of all samples."""

    site: Site
    columns: int  #: of its output
    tokens: int = 0  #: the most of any part
    kept: tuple[int, ...] = ()  #: x of one sample: (T, …)
    integers: bool = False  #: x is an index
    even: bool = True  #: all parts have sizes that can be laid beside each other

    def bytes(self, n: int, outputs: int, columns: int, element: int) -> float:
        numbers = n * outputs * self.tokens * columns * element
        if self.kept:
            x = torch.Size((n, *self.kept)).numel()
            extra = self.site.operation.extra_bytes(torch.Size((n, *self.kept)))
            numbers += x * (8 if self.integers else element) + extra * element
        return numbers


@dataclass
class Slice:
    """Columns of the calls of one cluster."""

    keys: list[Key]
    columns: slice = field(default_factory=lambda: slice(None))


class TooLittleMemory(Exception):
    """An operation alone needs more than the sweep's memory."""

    def __init__(self, operation: str, needed: float):
        self.operation, self.needed = operation, needed


class Sweep:
    """The passes for a set of weights.

    Args:
        model, function, samples: What is differentiated: ``function(batch)`` is (n, K).
        weights: Names of the weights.
        memory: Bytes for x, δ, gradients of the weights and what ``visit`` makes of them.
        size: Samples whose activations are held at a time.
        apart: One backward pass for each output of each sample, where samples meet in an operation: all
            of a part then belongs to the output. n·K passes in place of K.
    """

    def __init__(
        self,
        model: nn.Module,
        function: Function,
        samples: Samples,
        weights: set[str],
        memory: float,
        size: int,
        apart: bool = False,
    ):
        self.model, self.function, self.samples = model, function, samples
        self.named = {name: weight for name, weight in model.named_parameters() if name in weights}
        self.memory = memory
        self.apart = apart
        self.parts = samples.pieces(1 if apart else size)
        # Whose x and δ stand beside each other, and how many outputs each has.
        self.count = len(self.parts) if apart else samples.count
        self.outputs = samples.outputs * (self.parts[0].size if apart else 1)
        self.sites = find_sites(model, set(self.named))
        self.repeated: set[str] = set()
        self._lay_out()

    def _groups(self, part: Part) -> int:
        return 1 if self.apart else part.size

    def _begin(self, part: Part) -> int:
        return part.begin // part.size if self.apart else part.begin

    def _rows(self, part: Part) -> slice:
        return slice(self._begin(part), self._begin(part) + self._groups(part))

    # What there is to capture.

    def _probe(self, part: Part, sites: list[Site], repeated: set[str]) -> tuple[list[Call], Tensor]:
        with torch.no_grad(), Recorder(sites, self._groups(part), repeated).recording() as recorder:
            values = self.function(part.batch)
        return recorder.calls, values

    def _tried(
        self, part: Part, sites: list[Site], repeated: set[str], values: Tensor
    ) -> Optional[list[Call]]:
        """The calls, where the outputs stay the same."""
        try:
            calls, found = self._probe(part, sites, repeated)
        except Exception:  # copies for every sample may break a model's own arithmetic in any way
            return None
        same = found.shape == values.shape and torch.allclose(
            found.double(), values.double(), rtol=1e-4, atol=1e-6
        )
        return calls if same else None

    def _repeat(self, part: Part) -> list[Call]:
        """Gives every sample its own copy of what is there once; the calls of the part."""
        calls, values = self._probe(part, self.sites, set())
        captured = {name for call in calls for name in call.site.weights.values()}
        candidates = parameter_sites(self.model, set(self.named) - captured)
        several = self._groups(part) > 1
        tables = {call.site.name for call in calls if may_repeat(call)} if several else set()
        if not candidates and not tables:
            return calls
        found = self._tried(part, self.sites + candidates, tables, values)
        if found is not None:
            self.sites, self.repeated = self.sites + candidates, tables
            return found
        trials = [([site], set()) for site in candidates] + [([], {table}) for table in tables]
        for sites, names in trials:
            found = self._tried(part, self.sites + sites, self.repeated | names, values)
            if found is not None:
                self.sites, self.repeated, calls = self.sites + sites, self.repeated | names, found
        return calls

    def _lay_out(self) -> None:
        """The calls of all parts; those whose first axis is not the samples' are left out."""
        widest = max(self.parts, key=lambda part: part.size)
        known = self._repeat(widest)
        self.layouts: dict[Key, Layout] = {}
        seen: dict[Key, int] = {}
        for part in self.parts:
            calls = known if part is widest else self._probe(part, self.sites, self.repeated)[0]
            for call in calls:
                seen[call.key] = seen.get(call.key, 0) + 1
                self._add(call, self._groups(part))
        self.layouts = {
            key: layout
            for key, layout in self.layouts.items()
            if layout.even and seen[key] == len(self.parts)
        }

    def _add(self, call: Call, groups: int) -> None:
        operation = call.site.operation
        if operation is None:
            numbers = call.shape[1:].numel()
            self.layouts.setdefault(call.key, Layout(call.site, numbers, 1))
            return
        layout = self.layouts.setdefault(call.key, Layout(call.site, call.shape[operation.channel]))
        if call.shape[0] % groups or call.x.shape[0] % groups:
            layout.even = False
            return
        rows = call.shape.numel() // call.shape[operation.channel]
        kept = operation.kept_shape(call.x, groups)
        layout.tokens = max(layout.tokens, rows // groups)
        layout.integers = not call.x.is_floating_point()
        if layout.kept and layout.kept[1:] != kept[1:]:
            layout.even = False
        layout.kept = (max(kept[0], layout.kept[0] if layout.kept else 0), *kept[1:])

    # What is taken together.

    def _clusters(self) -> list[list[Key]]:
        """Calls that share a weight, whose δ's are needed together."""
        clusters: list[tuple[set[str], list[Key]]] = []
        for key, layout in self.layouts.items():
            names, keys = set(layout.site.weights.values()), [key]
            apart = []
            for other_names, other_keys in clusters:
                if other_names & names:
                    names, keys = other_names | names, other_keys + keys
                else:
                    apart.append((other_names, other_keys))
            clusters = apart + [(names, keys)]
        return [keys for _, keys in clusters]

    def _weight_bytes(self, keys: list[Key]) -> float:
        names = {name for key in keys for name in self.layouts[key].site.weights.values()}
        return sum(self.named[name].numel() * self.named[name].element_size() for name in names)

    def _bytes(self, keys: list[Key], columns: int | None = None) -> float:
        n, outputs, element = self.count, self.outputs, self._element()
        return sum(
            self.layouts[key].bytes(n, outputs, columns or self.layouts[key].columns, element)
            for key in keys
        )

    def _element(self) -> int:
        return 8 if any(weight.dtype == torch.float64 for weight in self.named.values()) else 4

    def groups(self) -> list[list[Slice]]:
        """All columns of all clusters once.

        Raises:
            TooLittleMemory: It is below what one column of one operation takes.
        """
        found: list[list[Slice]] = []
        taken = 0.0
        for keys in self._clusters():
            fixed = self._weight_bytes(keys)
            whole = self._bytes(keys) + fixed
            if whole <= self.memory:
                if not found or taken + whole > self.memory:
                    found.append([])
                    taken = 0.0
                found[-1].append(Slice(keys))
                taken += whole
                continue
            for columns in self._columns(keys, fixed):
                found.append([Slice(keys, columns)])
            taken = self.memory
        return found

    def _columns(self, keys: list[Key], fixed: float) -> list[slice]:
        layout = self.layouts[keys[0]]
        kinds = {type(self.layouts[key].site.operation) for key in keys}
        grain = getattr(layout.site.operation, "column_grain", 1)
        if len(kinds) > 1 or layout.site.operation is None:
            grain = layout.columns
        per_column = self._bytes(keys, grain + 1) - self._bytes(keys, grain)
        base = self._bytes(keys, grain) - per_column * grain + fixed
        size = int((self.memory - base) // per_column) // grain * grain
        if size < grain:
            raise TooLittleMemory(layout.site.name, base + per_column * grain)
        return [
            slice(begin, min(layout.columns, begin + size))
            for begin in range(0, layout.columns, size)
        ]

    # The passes.

    def run(self, visit: Visit) -> set[str]:
        """Calls ``visit(name, factor)`` for every weight that the known operations account for.

        Returns:
            The weights that have a gradient and are not accounted for.
        """
        weights = torch.randn(
            self.count,
            self.outputs,
            dtype=torch.float64,
            generator=torch.Generator().manual_seed(0),
        )
        captured = {
            name for layout in self.layouts.values() for name in layout.site.weights.values()
        }
        failed: set[str] = set()
        left = set(self.named) - captured
        groups = self.groups()
        if not groups and left:
            groups = [[]]
        for group in groups:
            names = {
                name
                for piece in group
                for key in piece.keys
                for name in self.layouts[key].site.weights.values()
            }
            buffers, gradients = self._passes(group, names | left, weights)
            failed |= {name for name in left if name in gradients and bool(gradients[name].any())}
            left = set()
            self._visit(group, buffers, gradients, weights, visit, failed)
        return failed

    def _passes(self, group: list[Slice], names: set[str], weights: Tensor):
        wanted = {key: piece.columns for piece in group for key in piece.keys}
        sites = list({id(s): s for s in (self.layouts[key].site for key in wanted)}.values())
        buffers = _Buffers(self, wanted)
        gradients: dict[str, Tensor] = {}
        named = {name: self.named[name] for name in names}
        for part in self.parts:
            with only_trainable(self.model, names), torch.enable_grad():
                with Recorder(sites, self._groups(part), self.repeated).recording() as recorder:
                    values = self.function(part.batch)
                self._backward(part, recorder.calls, values, named, weights, buffers, gradients)
        return buffers, gradients

    def _backward(self, part, calls, values, named, weights, buffers, gradients) -> None:
        if not values.requires_grad:
            return
        calls = [call for call in calls if call.key in buffers.wanted and call.edge is not None]
        for call in calls:
            buffers.keep(call, part)
        own = weights[self._rows(part)].view(values.shape).to(values)
        found = torch.autograd.grad(
            values, list(named.values()), own, retain_graph=True, allow_unused=True
        )
        for name, gradient in zip(named, found):
            if gradient is not None:
                gradient = gradient.to_dense() if gradient.is_sparse else gradient
                wide = gradient.to(computing_type(gradient.dtype))
                gradients[name] = gradients[name] + wide if name in gradients else wide
        del found
        if not calls:
            return
        flat = torch.zeros_like(values).flatten()
        for k in range(self.outputs):
            # Output k of every sample at once, or, apart, the k-th of all samples' outputs.
            chosen = slice(k, k + 1) if self.apart else slice(k, None, values.shape[1])
            flat.zero_()
            flat[chosen] = 1
            slopes = torch.autograd.grad(
                values,
                [call.edge for call in calls],
                flat.view(values.shape),
                retain_graph=k < self.outputs - 1,
                allow_unused=True,
            )
            for call, slope in zip(calls, slopes):
                if slope is not None:
                    buffers.add(call, part, k, slope)

    def _visit(self, group, buffers, gradients, weights, visit, failed) -> None:
        for piece in group:
            factors: dict[str, list[Factor]] = {}
            for key in piece.keys:
                for name, factor in buffers.factors(key):
                    factors.setdefault(name, []).append(factor)
            names = {
                name for key in piece.keys for name in self.layouts[key].site.weights.values()
            }
            for name in names - failed:
                gradient = gradients.get(name)
                if gradient is None:
                    continue  # no output depends on it
                factor = joined(factors[name]) if name in factors else None
                if factor is None:
                    if bool(gradient.any()):
                        failed.add(name)
                elif self._accounts(name, factor, gradient, weights):
                    visit(name, factor)
                else:
                    failed.add(name)

    def _accounts(self, name: str, factor: Factor, gradient: Tensor, weights: Tensor) -> bool:
        whole = gradient[factor.slices] if factor.slices else gradient
        found = factor.weighted(weights.to(whole.device))
        if found.shape != whole.shape:
            return False
        difference = float((found - whole).norm())
        dtype = self.named[name].dtype
        rounding = 16 * torch.finfo(dtype).eps * factor.magnitude()
        return difference <= TOLERANCE[dtype] * float(whole.norm()) + rounding


class _Buffers:
    """x and δ of some columns of some calls, for all samples; short ones are filled up with zeros."""

    def __init__(self, sweep: Sweep, wanted: dict[Key, slice]):
        self.sweep, self.wanted = sweep, wanted
        self.x: dict[Key, Tensor] = {}
        self.delta: dict[Key, Tensor] = {}

    def keep(self, call: Call, part: Part) -> None:
        operation = call.site.operation
        if operation is None:
            return
        layout = self.sweep.layouts[call.key]
        kept = operation.kept(call.x, self.sweep._groups(part))
        if kept.is_floating_point():
            kept = kept.to(computing_type(kept.dtype))
        if len(self.sweep.parts) == 1:
            self.x[call.key] = kept
            return
        if call.key not in self.x:
            fill = -1 if layout.integers else 0
            self.x[call.key] = kept.new_full((self.sweep.count, *layout.kept), fill)
        self.x[call.key][self.sweep._rows(part), : kept.shape[1]] = kept

    def add(self, call: Call, part: Part, k: int, slope: Tensor) -> None:
        operation, layout = call.site.operation, self.sweep.layouts[call.key]
        if operation is None:
            delta = slope.reshape(self.sweep._groups(part), 1, -1)
        else:
            delta = operation.delta(slope, self.sweep._groups(part))
        columns = self.wanted[call.key]
        delta = delta[..., columns]
        if call.key not in self.delta:
            shape = (
                self.sweep.count,
                self.sweep.outputs,
                layout.tokens,
                delta.shape[-1],
            )
            self.delta[call.key] = delta.new_zeros(shape, dtype=computing_type(delta.dtype))
        self.delta[call.key][self.sweep._rows(part), k, : delta.shape[1]] = delta

    def factors(self, key: Key):
        """(name of a weight, its factor) for each of the call's weights; its x and δ are let go."""
        layout = self.sweep.layouts[key]
        site = layout.site
        delta = self.delta.pop(key, None)
        x = self.x.pop(key, None)
        if delta is None:
            return
        if site.operation is None:
            (name,) = site.weights.values()
            shape = self.sweep.named[name].shape
            yield name, RowsFactor(delta[:, :, 0], shape, float(delta.norm()))
            return
        begin, end, _ = self.wanted[key].indices(layout.columns)
        if x.dim() == 3 and delta.shape[2] != x.shape[1]:
            return  # it is not what it looks like
        whole = begin == 0 and end == layout.columns
        for attribute, factor in site.operation.factors(x, delta, slice(begin, end)).items():
            if attribute in site.weights:
                if whole:
                    factor.slices = tuple(slice(None) for _ in factor.slices)
                yield site.weights[attribute], factor
