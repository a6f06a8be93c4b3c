"""The Jacobian of one weight in factored form, and what it adds to a kernel: never held whole.

Row (i, k) of a weight's Jacobian is the gradient of sample i's output k. A factor holds it for n samples
and K outputs as products over T tokens, and gives any rows of the weight's own first axis explicitly
(``block``), the gradient of a weighted sum of all outputs (``weighted``), and J Jᵀ (``add_gram``).
docs/lntk.md has the equations and costs.
"""

from __future__ import annotations

import torch
from torch import Tensor

PANELS = 4


def add_rows(jacobian: Tensor, theta: Tensor) -> None:
    """theta += J Jᵀ for explicit rows; blocks on and above the diagonal alone are computed."""
    rows = jacobian.shape[0]
    step = rows if rows < 32 else -(-rows // PANELS)
    for begin in range(0, rows, step):
        end = min(rows, begin + step)
        product = (jacobian[begin:end] @ jacobian[begin:].T).to(theta)
        theta[begin:end, begin:] += product
        if end < rows:
            theta[end:, begin:end] += product[:, end - begin :].T


def combined(delta: Tensor, weights: Tensor) -> Tensor:
    """Σₖ weights[i,k] δ[i,k]: (n, …)."""
    n, outputs = delta.shape[:2]
    products = torch.bmm(weights.to(delta).unsqueeze(1), delta.reshape(n, outputs, -1))
    return products.view(n, *delta.shape[2:])


class Factor:
    """One weight's Jacobian.

    Attributes:
        samples, outputs: n and K.
        length: The size of the weight's first axis, of which ``block`` gives rows; ``grain`` divides
            what it is asked for.
        slices: Which part of the weight it is of, where the operation was taken by columns.
    """

    samples: int
    outputs: int
    length: int
    grain = 1
    slices: tuple[slice, ...] = ()

    @property
    def rows(self) -> int:
        return self.samples * self.outputs

    def block(self, begin: int, end: int) -> Tensor:
        """Rows [begin, end) of the weight's gradients: (n·K, whatever these hold)."""
        raise NotImplementedError

    def weighted(self, weights: Tensor) -> Tensor:
        """The gradient of Σ weights[i, k] f[i, k], in the weight's shape (or of its slice)."""
        raise NotImplementedError

    def magnitude(self) -> float:
        """A bound on what ``weighted`` sums, against which its rounding is to be seen."""
        raise NotImplementedError

    def row_bytes(self) -> float:
        """Bytes of ``block`` a row of the weight."""
        raise NotImplementedError

    def add_gram(self, theta: Tensor, chunk_bytes: int) -> None:
        """theta += J Jᵀ, some rows of the weight at a time."""
        step = max(1, int(chunk_bytes / (self.row_bytes() * self.grain))) * self.grain
        for begin in range(0, self.length, step):
            add_rows(self.block(begin, min(self.length, begin + step)), theta)


class RowsFactor(Factor):
    """Explicit rows: (n, K, numbers of the weight or its slice)."""

    def __init__(self, rows: Tensor, shape: torch.Size, magnitude: float, slices=()):
        self.values = rows
        self.shape = shape
        self.samples, self.outputs = rows.shape[:2]
        self.length = shape[0] if len(shape) else 1
        self._magnitude = magnitude
        self.slices = slices

    def block(self, begin: int, end: int) -> Tensor:
        per_row = self.values.shape[2] // self.length
        return self.values[:, :, begin * per_row : end * per_row].reshape(self.rows, -1)

    def weighted(self, weights: Tensor) -> Tensor:
        return torch.einsum("nk,nkp->p", weights.to(self.values), self.values).view(self.shape)

    def magnitude(self) -> float:
        return self._magnitude

    def row_bytes(self) -> float:
        return self.rows * self.values.shape[2] / self.length * self.values.element_size()

    def add_gram(self, theta: Tensor, chunk_bytes: int) -> None:
        add_rows(self.values.reshape(self.rows, -1), theta)


class MatrixFactor(Factor):
    """A linear operation: row (i, k) is Σₜ δ[i,k,t] x[i,t]ᵀ (out × in), or its transpose."""

    def __init__(self, x: Tensor, delta: Tensor, shape=None, transposed=False, slices=()):
        self.x, self.delta, self.transposed, self.slices = x, delta, transposed, slices
        self.samples, self.outputs, self.tokens, self.out = delta.shape
        self.inputs = x.shape[2]
        own = (self.inputs, self.out) if transposed else (self.out, self.inputs)
        self.shape = shape or own
        self.length = own[0]

    def block(self, begin: int, end: int) -> Tensor:
        n, outputs = self.samples, self.outputs
        if self.transposed:
            left = self.x[:, :, begin:end].transpose(1, 2).unsqueeze(1)
            return torch.matmul(left, self.delta).reshape(self.rows, -1)
        size = end - begin
        left = self.delta[..., begin:end].transpose(2, 3).reshape(n, outputs * size, self.tokens)
        return torch.bmm(left, self.x).view(self.rows, size * self.inputs)

    def weighted(self, weights: Tensor) -> Tensor:
        delta = combined(self.delta, weights)
        gradient = delta.flatten(0, 1).T @ self.x.flatten(0, 1)
        return (gradient.T if self.transposed else gradient).reshape(self.shape)

    def magnitude(self) -> float:
        return float(self.delta.norm()) * float(self.x.norm())

    def row_bytes(self) -> float:
        return self.rows * (self.out if self.transposed else self.inputs) * self.x.element_size()

    def costs(self) -> dict[str, float]:
        """Multiply-adds of each way to add J Jᵀ."""
        n, tokens, rows = self.samples, self.tokens, self.rows
        size = self.inputs * self.out
        ways = {
            "streamed": rows * tokens * size + 0.625 * rows * rows * size,
            "mixed": 0.5 * n * n * tokens**2 * (self.inputs + self.outputs * self.out)
            + 0.5 * rows * rows * tokens * self.out,
        }
        if tokens == 1:
            ways["outer"] = rows * rows * self.out + n * n * self.inputs
        return ways

    def add_gram(self, theta: Tensor, chunk_bytes: int, way: str | None = None) -> None:
        costs = self.costs()
        way = way or min(costs, key=costs.__getitem__)
        if way == "outer":
            self._add_outer(theta)
        elif way == "mixed":
            self._add_mixed(theta, chunk_bytes)
        else:
            super().add_gram(theta, chunk_bytes)

    def _add_outer(self, theta: Tensor) -> None:
        """⟨δxᵀ, δ'x'ᵀ⟩ = (δ·δ')(x·x')."""
        n, outputs = self.samples, self.outputs
        delta = self.delta.reshape(self.rows, -1)
        overlap = (self.x[:, 0] @ self.x[:, 0].T).to(theta)
        step = max(1, -(-n // 8))
        for begin in range(0, n, step):
            end = min(n, begin + step)
            product = (delta[begin * outputs : end * outputs] @ delta.T).to(theta)
            product.view(-1, outputs, n, outputs).mul_(overlap[begin:end, None, :, None])
            theta[begin * outputs : end * outputs] += product

    def _add_mixed(self, theta: Tensor, chunk_bytes: int) -> None:
        """P[k] = (X Xᵢᵀ) δ[i,k] over the tokens of samples j ≥ i, and theta[(i,k),(j,l)] = ⟨P[k] of j, δ[j,l]⟩."""
        n, outputs, tokens, out = self.delta.shape
        sample_bytes = outputs * tokens * out * self.delta.element_size()
        chunk = max(1, min(n, int(chunk_bytes // sample_bytes)))
        deltas = self.delta.view(n, outputs, tokens * out)
        for i in range(n):
            for j in range(i, n, chunk):
                size = min(chunk, n - j)
                overlap = self.x[j : j + size].reshape(size * tokens, -1) @ self.x[i].T
                part = torch.matmul(overlap, self.delta[i])  # (K, size·T, out)
                part = part.view(outputs, size, tokens * out).transpose(0, 1)
                found = torch.bmm(part, deltas[j : j + size].transpose(1, 2))
                block = found.transpose(0, 1).reshape(outputs, size * outputs).to(theta)
                theta[i * outputs : (i + 1) * outputs, j * outputs : (j + size) * outputs] += block
                own = outputs if j == i else 0  # the block of a sample with itself is there once
                theta[
                    j * outputs + own : (j + size) * outputs, i * outputs : (i + 1) * outputs
                ] += block[:, own:].T


class GroupedFactor(Factor):
    """A convolution in g groups: x is (n, T, g, in), δ is (n, K, T, g, out)."""

    def __init__(self, x: Tensor, delta: Tensor, shape, slices=()):
        self.x, self.delta, self.shape, self.slices = x, delta, shape, slices
        self.samples, self.outputs, self.tokens, self.groups, self.out = delta.shape
        self.inputs = x.shape[3]
        self.grain = self.out
        self.length = self.groups * self.out

    def block(self, begin: int, end: int) -> Tensor:
        first, last = begin // self.out, end // self.out
        n, outputs, size = self.samples, self.outputs, last - first
        left = self.delta[:, :, :, first:last].permute(0, 3, 1, 4, 2)  # n, g, K, out, T
        left = left.reshape(n * size, outputs * self.out, self.tokens)
        right = self.x[:, :, first:last].transpose(1, 2).reshape(n * size, self.tokens, -1)
        found = torch.bmm(left, right).view(n, size, outputs, self.out * self.inputs)
        return found.transpose(1, 2).reshape(self.rows, -1)

    def weighted(self, weights: Tensor) -> Tensor:
        delta = combined(self.delta, weights)
        return torch.einsum("ntgo,ntgi->goi", delta, self.x).reshape(self.shape)

    def magnitude(self) -> float:
        return float(self.delta.norm()) * float(self.x.norm())

    def row_bytes(self) -> float:
        return self.rows * self.inputs * self.x.element_size()


class IndexFactor(Factor):
    """A table of vectors: row r of the gradient is Σ over the t with index[i,t] = r of δ[i,k,t].

    Rows that no sample uses have no gradient; ``index`` is -1 where δ does not count.
    """

    def __init__(self, index: Tensor, delta: Tensor, length: int, slices=(), transposed=False):
        self.index, self.slices, self.length = index, slices, length
        self.transposed = transposed  # the weight has a column for each index
        self.delta = delta
        self.samples, self.outputs, self.tokens, self.out = delta.shape

    def _scattered(self, places: Tensor, count: int) -> Tensor:
        """(n·K, count · out): δ added up by place; places of -1 are left out."""
        n, outputs, tokens, out = self.delta.shape
        table = self.delta.new_zeros(n, outputs, count + 1, out)
        where = places.where(places >= 0, places.new_full((), count))
        where = where.view(n, 1, tokens, 1).expand(n, outputs, tokens, out)
        table.scatter_add_(2, where, self.delta)
        return table[:, :, :count].reshape(self.rows, count * out)

    def block(self, begin: int, end: int) -> Tensor:
        inside = (self.index >= begin) & (self.index < end)
        return self._scattered(torch.where(inside, self.index - begin, -1), end - begin)

    def weighted(self, weights: Tensor) -> Tensor:
        delta = combined(self.delta, weights)
        used = self.index >= 0
        table = delta.new_zeros(self.length, self.out)
        table.index_add_(0, self.index[used], delta[used])
        return table.T if self.transposed else table

    def magnitude(self) -> float:
        return float(self.delta.norm()) * self.index.numel() ** 0.5

    def row_bytes(self) -> float:
        return self.rows * self.out * self.delta.element_size()

    def add_gram(self, theta: Tensor, chunk_bytes: int) -> None:
        """Only rows in use are formed, and those of one sample alone touch its own block alone."""
        used, places = torch.unique(self.index, return_inverse=True)
        users = torch.zeros(self.samples, len(used), dtype=torch.bool, device=used.device)
        users.scatter_(1, places, True)
        counts = users.sum(0)
        shared = (counts > 1) & (used >= 0)
        order = torch.cumsum(shared, 0) - 1
        shared_places = torch.where(shared[places], order[places], -1)
        total = int(shared.sum())
        step = max(1, int(chunk_bytes / self.row_bytes()))
        for begin in range(0, total, step):
            end = min(total, begin + step)
            inside = (shared_places >= begin) & (shared_places < end)
            add_rows(self._scattered(torch.where(inside, shared_places - begin, -1), end - begin), theta)
        alone = (counts == 1) & (used >= 0)
        for i in range(self.samples):
            self._add_own(theta, i, torch.where(alone[places[i]], self.index[i], -1))

    def _add_own(self, theta: Tensor, i: int, index: Tensor) -> None:
        kept = index >= 0
        if not bool(kept.any()):
            return
        rows, places = torch.unique(index[kept], return_inverse=True)
        table = self.delta.new_zeros(self.outputs, len(rows), self.out)
        table.index_add_(1, places, self.delta[i][:, kept])
        own = slice(i * self.outputs, (i + 1) * self.outputs)
        flat = table.flatten(1)
        theta[own, own] += (flat @ flat.T).to(theta)


class SummedFactor(Factor):
    """A weight that several kinds of operation use, as a table of words that is the head's, too."""

    def __init__(self, factors: list[Factor]):
        self.factors = factors
        first = factors[0]
        self.samples, self.outputs, self.length = first.samples, first.outputs, first.length
        self.grain = max(factor.grain for factor in factors)
        self.slices = first.slices

    def block(self, begin: int, end: int) -> Tensor:
        return sum(factor.block(begin, end) for factor in self.factors)

    def weighted(self, weights: Tensor) -> Tensor:
        first = self.factors[0].weighted(weights)
        return first + sum(factor.weighted(weights).view_as(first) for factor in self.factors[1:])

    def magnitude(self) -> float:
        return sum(factor.magnitude() for factor in self.factors)

    def row_bytes(self) -> float:
        return sum(factor.row_bytes() for factor in self.factors)


def _key(factor: Factor) -> tuple:
    return type(factor), getattr(factor, "transposed", False), factor.slices


def joined(factors: list[Factor]) -> Factor:
    """One factor of all uses of a weight, whose gradients add up.

    Uses of one kind continue each other's tokens; of different kinds they are added where rows are formed.
    """
    if len(factors) == 1:
        return factors[0]
    first = factors[0]
    if any(_key(factor) != _key(first) for factor in factors[1:]):
        return SummedFactor(factors)
    if isinstance(first, RowsFactor):
        values = sum(factor.values for factor in factors)
        magnitude = sum(factor.magnitude() for factor in factors)
        return RowsFactor(values, first.shape, magnitude, first.slices)
    if isinstance(first, IndexFactor):
        index = torch.cat([factor.index for factor in factors], 1)
        delta = torch.cat([factor.delta for factor in factors], 2)
        return IndexFactor(index, delta, first.length, first.slices, first.transposed)
    delta = torch.cat([factor.delta for factor in factors], 2)
    x = torch.cat([factor.x for factor in factors], 1)
    if isinstance(first, GroupedFactor):
        return GroupedFactor(x, delta, first.shape, first.slices)
    return MatrixFactor(x, delta, first.shape, first.transposed, first.slices)
