"""What goes into a model's operations and what comes back: forward hooks, and edges of the autograd graph."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any, Iterator, Optional

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from .operations import Embedding, Operation, input_of, operation_of


@dataclass
class Site:
    """A module whose operation is known, or a parameter that is given to each sample as its own copy."""

    name: str  #: of the module or the parameter
    module: nn.Module
    operation: Optional[Operation]  #: None for a parameter
    weights: dict[str, str]  #: attribute of the module -> name of the model's weight


@dataclass
class Call:
    """One call of a site in one forward pass."""

    site: Site
    number: int
    x: Optional[Tensor]
    shape: torch.Size  #: of the output
    edge: Optional[GradientEdge]  #: None without autograd

    @property
    def key(self) -> tuple[str, int]:
        return self.site.name, self.number


def owners_of(model: nn.Module) -> dict[int, str]:
    """id of each weight -> its first name, as ``named_parameters`` has it."""
    return {id(weight): name for name, weight in model.named_parameters()}


def find_sites(model: nn.Module, weights: set[str]) -> list[Site]:
    """The modules of known operations that have one of ``weights``, in the model's order."""
    owners = owners_of(model)
    sites = []
    for name, module in model.named_modules():
        operation = operation_of(module)
        if operation is None:
            continue
        own = {
            attribute: owners[id(weight)] for attribute, weight in operation.own_weights().items()
        }
        own = {attribute: weight for attribute, weight in own.items() if weight in weights}
        if own:
            sites.append(Site(name, module, operation, own))
    return sites


def parameter_sites(model: nn.Module, names: set[str]) -> list[Site]:
    """Parameters whose first axis, of size 1, or whose only axis may be repeated for every sample."""
    sites = []
    for prefix, module in model.named_modules():
        for attribute, weight in module._parameters.items():
            name = f"{prefix}.{attribute}" if prefix else attribute
            if name in names and (weight.dim() == 1 or (weight.dim() > 1 and weight.shape[0] == 1)):
                sites.append(Site(name, module, None, {attribute: name}))
    return sites


@dataclass
class Recorder:
    """A context in which a model's forward passes are recorded.

    Args:
        sites: What to record.
        groups: The samples of the batch: outputs whose first axis is 1 are repeated for each of them
            where ``repeated`` says so, so that each sample has a gradient of its own.
    """

    sites: list[Site]
    groups: int
    repeated: set[str] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    _count: dict[str, int] = field(default_factory=dict)

    def _record(self, site: Site, x: Optional[Tensor], output: Tensor) -> None:
        number = self._count.get(site.name, 0)
        self._count[site.name] = number + 1
        differentiable = torch.is_grad_enabled() and output.requires_grad
        edge = get_gradient_edge(output) if differentiable else None
        self.calls.append(Call(site, number, x, output.shape, edge))

    def _hook(self, site: Site):
        def hook(module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> Any:
            x = input_of(args, kwargs)
            if x is None or not isinstance(output, Tensor):
                return None
            changed = None
            if site.name in self.repeated and output.shape[0] == 1:
                changed = output = output.expand(self.groups, *output.shape[1:])
                x = x.expand(self.groups, *x.shape[1:])
            self._record(site, x.detach(), output)
            return changed

        return hook

    @contextlib.contextmanager
    def recording(self) -> Iterator["Recorder"]:
        with contextlib.ExitStack() as stack:
            for site in self.sites:
                if site.operation is not None:
                    handle = site.module.register_forward_hook(self._hook(site), with_kwargs=True)
                    stack.callback(handle.remove)
                    continue
                (attribute,) = site.weights
                weight = site.module._parameters[attribute]
                copies = _copies(weight, self.groups)
                site.module._parameters[attribute] = copies
                stack.callback(site.module._parameters.__setitem__, attribute, weight)
                self._record(site, None, copies)
            yield self


def _copies(weight: Tensor, groups: int) -> Tensor:
    """(groups, …) or, of a vector, (groups, 1, numbers): broadcast as the weight itself is."""
    if weight.dim() == 1:
        return weight.expand(groups, 1, -1)
    return weight.expand(groups, *weight.shape[1:])


def may_repeat(call: Call) -> bool:
    """Whether a table was read once for all samples, as that of positions is."""
    return isinstance(call.site.operation, Embedding) and call.shape[0] == 1


@contextlib.contextmanager
def only_trainable(model: nn.Module, names: set[str]) -> Iterator[None]:
    """Within it these weights, and no others, require a gradient."""
    before = [(weight, weight.requires_grad) for weight in model.parameters()]
    try:
        for name, weight in model.named_parameters():
            if weight.is_floating_point():
                weight.requires_grad_(name in names)
        yield
    finally:
        for weight, required in before:
            if weight.requires_grad != required:
                weight.requires_grad_(required)


@contextlib.contextmanager
def composed_attention() -> Iterator[None]:
    """Attention by single operations: autograd and vmap cannot see into the fused passes."""
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        context = sdpa_kernel(SDPBackend.MATH)
    except ImportError:  # torch 2.2
        context = torch.backends.cuda.sdp_kernel(
            enable_flash=False, enable_math=True, enable_mem_efficient=False
        )
    with context:
        yield


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within it the model is in evaluation mode, without fused paths that hide its operations.

    Raises:
        ValueError: A BatchNorm is in training mode: its statistics would be those of the batch.
    """
    training = [module for module in model.modules() if module.training]
    norms = [
        name
        for name, module in model.named_modules()
        if module.training
        and isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.track_running_stats
    ]
    if norms:
        more = f" and {len(norms) - 3} more" if len(norms) > 3 else ""
        raise ValueError(
            f"model: BatchNorm is in training mode ({', '.join(norms[:3])}{more}), where a sample's "
            "outputs depend on the others of its batch; call model.eval()"
        )
    mha = getattr(torch.backends, "mha", None)
    fast = mha.get_fastpath_enabled() if mha else None
    precision = torch.get_float32_matmul_precision()
    try:
        model.eval()
        if mha:
            mha.set_fastpath_enabled(False)
        torch.set_float32_matmul_precision("highest")
        with contextlib.ExitStack() as stack:
            for device in {weight.device.type for weight in model.parameters()}:
                stack.enter_context(torch.autocast(device, enabled=False))
            yield
    finally:
        for module in training:
            module.training = True
        if mha:
            mha.set_fastpath_enabled(fast)
        torch.set_float32_matmul_precision(precision)
