"""The operations whose gradients are made of what enters them, x, and what comes back, δ.

One small class a kind of module, and one line each in ``OPERATIONS``. A class says which weights of the
module it accounts for, what to keep of the forward pass, how x and δ are laid out by samples and tokens,
and the factors of its weights. That it accounts for them is checked for every weight and every call
(``sweep.py``): a module that only looks like one of these costs time, never a wrong number.
"""

from __future__ import annotations

from typing import Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .factors import Factor, GroupedFactor, IndexFactor, MatrixFactor, RowsFactor


def _channels_last(tensor: Tensor, groups: int) -> Tensor:
    """(rows, C, places…) as (groups, T, C)."""
    if tensor.dim() > 2:
        tensor = tensor.flatten(2).transpose(1, 2)
        return tensor.reshape(groups, -1, tensor.shape[2])
    return tensor.reshape(groups, -1, tensor.shape[1])


class Operation:
    """A call of a module.

    Class attributes:
        weights: Names of the module's own weights that it accounts for.
        channel: The axis of the output that holds the columns of δ.
        column_grain: Of how many columns at least ``factors`` can make something.
    """

    weights: tuple[str, ...] = ("weight", "bias")
    channel = -1
    column_grain: int = 1

    def __init__(self, module: nn.Module):
        self.module = module

    @classmethod
    def matches(cls, module: nn.Module) -> bool:
        raise NotImplementedError

    def own_weights(self) -> dict[str, nn.Parameter]:
        """The weights that it accounts for, by the keys of ``factors``."""
        own = ((name, self.module._parameters.get(name)) for name in self.weights)
        return {name: weight for name, weight in own if weight is not None}

    def kept(self, x: Tensor, groups: int) -> Tensor:
        """What of the input is kept: (groups, T, …)."""
        return x.reshape(groups, -1, x.shape[-1])

    def kept_shape(self, x: Tensor, groups: int) -> tuple[int, ...]:
        """(T, …) of one sample, without forming it."""
        return tuple(self.kept(x.new_empty(x.shape, device="meta"), groups).shape[1:])

    def delta(self, gradient: Tensor, groups: int) -> Tensor:
        """The gradient of the output as (groups, T, out)."""
        if self.channel == 1:
            return _channels_last(gradient, groups)
        return gradient.reshape(groups, -1, gradient.shape[-1])

    def factors(self, x: Tensor, delta: Tensor, columns: slice) -> dict[str, Factor]:
        """Of x (n, T, …) and δ (n, K, T, columns) the Jacobians of the module's weights."""
        raise NotImplementedError

    def extra_bytes(self, kept: torch.Size) -> int:
        """Numbers beyond x, δ and rows of J that ``factors`` makes of n samples."""
        return 0

    def _summed(self, delta: Tensor, columns: slice) -> RowsFactor:
        magnitude = float(delta.norm()) * (delta.shape[0] * delta.shape[2]) ** 0.5
        rows = delta.sum(2)
        return RowsFactor(rows, rows.shape[2:], magnitude, (columns,))


class Linear(Operation):
    """y = x Wᵀ + b."""

    @classmethod
    def matches(cls, module):
        return type(module) in (nn.Linear, nn.modules.linear.NonDynamicallyQuantizableLinear) or (
            isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward
        )

    def factors(self, x, delta, columns):
        found = {"weight": MatrixFactor(x, delta, slices=(columns,))}
        if self.module.bias is not None:
            found["bias"] = self._summed(delta, columns)
        return found


class TransposedLinear(Operation):
    """y = x W + b, the ``Conv1D`` of GPT-2."""

    @classmethod
    def matches(cls, module):
        return type(module).__name__ == "Conv1D" and hasattr(module, "nf")

    def factors(self, x, delta, columns):
        everything = slice(None)
        return {
            "weight": MatrixFactor(x, delta, transposed=True, slices=(everything, columns)),
            "bias": self._summed(delta, columns),
        }


class Convolution(Operation):
    """A linear operation over patches, of which each place of the output is a row."""

    channel = 1

    def __init__(self, module):
        super().__init__(module)
        self.column_grain = module.out_channels // module.groups if module.groups > 1 else 1

    @classmethod
    def matches(cls, module):
        return type(module) in (nn.Conv1d, nn.Conv2d, nn.Conv3d)

    def kept(self, x, groups):
        return x.reshape(groups, -1, *x.shape[1:])  # images; their patches are made when needed

    def _padded(self, images: Tensor) -> Tensor:
        module = self.module
        padding = list(module._reversed_padding_repeated_twice)
        if module.padding_mode != "zeros":
            return F.pad(images, padding, mode=module.padding_mode)
        if not isinstance(module.padding, str):
            padding = [size for size in reversed(module.padding) for _ in range(2)]
        return F.pad(images, padding)

    def patches(self, images: Tensor) -> Tensor:
        """(rows, C, places…) as (rows, T, groups, C / groups · window)."""
        module = self.module
        found = self._padded(images)
        spatial = len(module.kernel_size)
        for axis, (size, step, gap) in enumerate(
            zip(module.kernel_size, module.stride, module.dilation)
        ):
            found = found.unfold(2 + axis, (size - 1) * gap + 1, step)[..., ::gap]
        rows, channels = found.shape[:2]
        places = list(range(2, 2 + spatial))
        windows = list(range(2 + spatial, 2 + 2 * spatial))
        found = found.permute(0, *places, 1, *windows)
        tokens = found.shape[1 : 1 + spatial].numel()
        return found.reshape(rows, tokens, module.groups, -1)

    def factors(self, x, delta, columns):
        module = self.module
        n = x.shape[0]
        patches = self.patches(x.flatten(0, 1))
        patches = patches.reshape(n, -1, *patches.shape[2:])
        per_group = module.out_channels // module.groups
        begin, end, _ = columns.indices(module.out_channels)
        shape = (end - begin, *module.weight.shape[1:])
        if module.groups == 1:
            weight: Factor = MatrixFactor(patches[:, :, 0], delta, shape, slices=(columns,))
        else:
            used = patches[:, :, begin // per_group : end // per_group]
            weight = GroupedFactor(used, delta.unflatten(-1, (-1, per_group)), shape, (columns,))
        found = {"weight": weight}
        if module.bias is not None:
            found["bias"] = self._summed(delta, columns)
        return found

    def extra_bytes(self, kept):
        places = torch.Size(kept[3:]).numel()
        strides = torch.Size(self.module.stride).numel()
        window = torch.Size(self.module.kernel_size).numel()
        return kept[0] * kept[1] * kept[2] * places * window // strides


class Embedding(Operation):
    """y = W[index]."""

    weights = ("weight",)

    @classmethod
    def matches(cls, module):
        return (
            isinstance(module, nn.Embedding)
            and module.max_norm is None
            and not module.scale_grad_by_freq
        )

    def kept(self, x, groups):
        return x.reshape(groups, -1)

    def factors(self, x, delta, columns):
        module = self.module
        if module.padding_idx is not None:
            x = torch.where(x == module.padding_idx, -1, x)
        return {"weight": IndexFactor(x, delta, module.num_embeddings, (slice(None), columns))}


class LoraEmbedding(Operation):
    """y = W[index] + s (B A)[:, index], PEFT's LoRA of a table; W is its own module's.

    What comes back to A is s Bᵀδ, so that all columns of δ are needed together.
    """

    def __init__(self, module):
        super().__init__(module)
        self.column_grain = module.base_layer.embedding_dim

    @classmethod
    def matches(cls, module):
        return (
            len(getattr(module, "lora_embedding_A", ())) > 0
            and isinstance(getattr(module, "base_layer", None), nn.Embedding)
            and not any(getattr(module, "use_dora", {}).values())
        )

    def own_weights(self):
        module = self.module
        found = {}
        for adapter in module.active_adapters:
            if adapter in module.lora_embedding_A:
                found[f"A {adapter}"] = module.lora_embedding_A[adapter]
                found[f"B {adapter}"] = module.lora_embedding_B[adapter]
        return found

    def kept(self, x, groups):
        return x.reshape(groups, -1)

    def factors(self, x, delta, columns):
        module = self.module
        found: dict[str, Factor] = {}
        for key, weight in self.own_weights().items():
            adapter = key[2:]
            scale = module.scaling[adapter]
            if key.startswith("A"):
                back = scale * delta @ module.lora_embedding_B[adapter].detach().to(delta)
                found[key] = IndexFactor(x, back, weight.shape[1], transposed=True)
            else:
                table = module.lora_embedding_A[adapter].detach().to(delta)
                rows = scale * F.embedding(x.clamp(min=0), table.T) * (x >= 0).unsqueeze(-1)
                found[key] = MatrixFactor(rows, delta)
        return found


class Norm(Operation):
    """y = x̂ ⊙ γ + β; a subclass says what x̂ is."""

    def normalised(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def kept(self, x, groups):
        return self.delta(self.normalised(x), groups)

    def kept_shape(self, x, groups):
        return tuple(self.delta(x.new_empty(x.shape, device="meta"), groups).shape[1:])

    def factors(self, x, delta, columns):
        rows = torch.einsum("nkto,nto->nko", delta, x[..., columns])
        magnitude = float(delta.norm()) * float(x.norm()) / x.shape[-1] ** 0.5
        found = {"weight": RowsFactor(rows, rows.shape[2:], magnitude, (columns,))}
        if getattr(self.module, "bias", None) is not None:
            found["bias"] = self._summed(delta, columns)
        return found


class LayerNorm(Norm):
    @classmethod
    def matches(cls, module):
        return isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1

    def normalised(self, x):
        return F.layer_norm(x, self.module.normalized_shape, None, None, self.module.eps)


class RMSNorm(Norm):
    """That of torch, and those of transformers, which T5 calls LayerNorm."""

    weights = ("weight",)

    @classmethod
    def matches(cls, module):
        name = type(module).__name__
        named = "RMSNorm" in name or ("LayerNorm" in name and hasattr(module, "variance_epsilon"))
        weight = getattr(module, "weight", None)
        own = isinstance(weight, Tensor) and weight.dim() == 1
        return named and own and not hasattr(module, "bias")

    def normalised(self, x):
        module = self.module
        epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
        wide = x if x.dtype == torch.float64 else x.float()
        if epsilon is None:  # as torch.nn.RMSNorm has it
            epsilon = torch.finfo(x.dtype).eps
        return wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)


class BatchNorm(Norm):
    """By its running mean and variance."""

    channel = 1

    @classmethod
    def matches(cls, module):
        return isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats

    def normalised(self, x):
        module = self.module
        return F.batch_norm(x, module.running_mean, module.running_var, None, None, False, 0.0, module.eps)


class GroupNorm(Norm):
    channel = 1

    @classmethod
    def matches(cls, module):
        return isinstance(module, nn.GroupNorm)

    def normalised(self, x):
        return F.group_norm(x, self.module.num_groups, None, None, self.module.eps)


OPERATIONS: tuple[type[Operation], ...] = (
    Linear,
    TransposedLinear,
    Convolution,
    Embedding,
    LoraEmbedding,
    LayerNorm,
    RMSNorm,
    BatchNorm,
    GroupNorm,
)


def operation_of(module: nn.Module) -> Optional[Operation]:
    """The operation that a module computes; None where it is not known."""
    return next((kind(module) for kind in OPERATIONS if kind.matches(module)), None)


def input_of(args: tuple, kwargs: dict[str, Any]) -> Optional[Tensor]:
    """The tensor that a module was called with, by place or by name."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            return value
    return None
