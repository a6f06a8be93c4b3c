"""The largest eigenvalue of a kernel with its certificate, from Strata's core."""

from __future__ import annotations

from dataclasses import dataclass

from .draws import derive_seed


@dataclass
class Eigenvalue:
    """λ₁ and what speaks for it: ‖Θv − λv‖ / λ₁, and |λ₁ − λ₁'| / λ₁ of a second random start."""

    value: float
    residual: float
    second_start: float


def largest_eigenvalue(kernel, unit: str, seed: int) -> Eigenvalue:
    """Of a symmetric positive semidefinite matrix (rows, rows) of doubles.

    Kernels of up to 96 rows are decomposed in full, larger ones by Lanczos from two random starts whose
    results must agree (docs/lntk.md).

    Raises:
        ValueError: An entry is not finite.
    """
    import numpy as np

    from .. import _core

    matrix = np.ascontiguousarray(kernel.detach().cpu().numpy(), dtype=np.float64)
    own_seed = derive_seed(derive_seed(seed, "starts"), unit)
    value, residual, second_start = _core.principal_eigenvalue(matrix, own_seed, f'unit "{unit}"')
    return Eigenvalue(value, residual, second_start)
