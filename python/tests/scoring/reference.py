"""What scoring is held against: float64 Jacobians made row by row with autograd, and nothing else."""

import contextlib
import copy

import torch


@contextlib.contextmanager
def doubles():
    """Doubles where a model makes tensors of its own: transformers 4 makes masks that are none in float32."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def jacobian(model, function, batches, names):
    """(n·K, numbers of the weights) in float64, of a copy of the model in float64."""
    model = copy.deepcopy(model).double().eval()
    weights = dict(model.named_parameters())
    chosen = [weights[name].requires_grad_(True) for name in names]
    rows = []
    for batch in batches:
        outputs = function(model, as_double(batch))
        for output in outputs.flatten():
            found = torch.autograd.grad(output, chosen, retain_graph=True, allow_unused=True)
            pieces = [torch.zeros_like(w) if g is None else g.to_dense() for w, g in zip(chosen, found)]
            rows.append(torch.cat([piece.flatten() for piece in pieces]))
    return torch.stack(rows)


def as_double(batch):
    if isinstance(batch, torch.Tensor):
        return batch.double() if batch.is_floating_point() else batch
    if isinstance(batch, dict):
        return {key: as_double(value) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch)(as_double(value) for value in batch)
    return batch


def largest_eigenvalue(rows):
    return float(torch.linalg.eigvalsh(rows @ rows.T)[-1])


def expected(model, function, batches, units):
    """λ₁ of every unit."""
    with doubles():
        return {
            unit: largest_eigenvalue(jacobian(model, function, batches, names)) for unit, names in units.items()
        }
