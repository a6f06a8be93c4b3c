"""Plans on models: which parameters a client trains."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Optional

from .unit_names import LAYER_WORDS, USUAL_HEADS, is_head, is_plain_layer, layer_of, tower_of

if TYPE_CHECKING:
    import torch

    from .plans import Plan

_PEFT = "base_model.model."


def apply(plan: Plan, model: torch.nn.Module, client: str) -> list[str]:
    """`Plan.apply`."""
    chosen = set(trained_parameters(plan, model, client))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def trained_parameters(plan: Plan, model: torch.nn.Module, client: str) -> list[str]:
    """Names of the model's parameters that the client trains, in the model's order.

    Raises:
        ValueError: A unit that the model does not have, or of which it can train nothing.
    """
    names = [name for name, value in model.named_parameters() if value.is_floating_point()]
    found = unit_parameters(plan, plan.trained_units(client), model)
    chosen = {name for own in found.values() for name in own}
    return [name for name in names if name in chosen]


def unit_parameters(plan: Plan, units: Sequence[str], model: torch.nn.Module) -> dict[str, list[str]]:
    """Unit → names of its parameters in the model: as the plan knows them, or by the model's blocks."""
    names = [name for name, value in model.named_parameters() if value.is_floating_point()]
    if plan.parameters:
        return {unit: _by_parameters(plan.parameters[unit], names, unit) for unit in units}
    return _by_blocks(units, model, names)


def _by_parameters(listed: Sequence[str], names: Sequence[str], unit: str) -> list[str]:
    """Those names, or expressions of whole names; in PEFT's models what stands beside them."""
    expression = re.compile("|".join(f"(?:{re.escape(one)}|{_safe(one)})" for one in listed))
    exact = [name for name in names if expression.fullmatch(name)]
    if exact:
        return exact
    modules = {one.rpartition(".")[0] for one in listed}
    beside = [name for name in names if name.startswith(_PEFT) and adapted_module(name) in modules]
    if not beside:
        shown = ", ".join(f'"{one}"' for one in list(listed)[:3])
        raise ValueError(f'unit "{unit}": the model has no parameters {shown}')
    return beside


def _safe(expression: str) -> str:
    """The expression, or one that matches nothing where a name is no expression."""
    try:
        re.compile(expression)
    except re.error:
        return r"(?!)"
    return expression


def adapted_module(name: str) -> str:
    """The module of the model itself beside which PEFT has put a parameter; "" of the model's own.

    >>> adapted_module("base_model.model.encoder.layer.0.query.lora_A.default.weight")
    'encoder.layer.0.query'
    >>> adapted_module("base_model.model.encoder.layer.0.query.base_layer.weight")
    ''
    """
    parts = name.removeprefix(_PEFT).split(".")
    for place, part in enumerate(parts):
        if part.startswith(("lora_", "ia3_", "hada_", "lokr_", "oft_", "vera_")):
            return ".".join(parts[:place])
        if part == "modules_to_save":
            return ".".join(parts[:place])
    return ""


def _by_blocks(
    units: Sequence[str], model: torch.nn.Module, names: Sequence[str]
) -> dict[str, list[str]]:
    """Units of the model's blocks by name or number, modules by their paths."""
    from .scoring.units import find_units

    blocks: Optional[Mapping[str, Sequence[str]]] = None
    found = {}
    for unit in units:
        own = [name for name in names if name.startswith(unit + ".") or name == unit]
        if not own:
            if blocks is None:
                blocks = find_units(model, "block").weights
            own = list(blocks.get(unit) or blocks.get(_block_name(unit)) or ())
        if not own:
            known = ", ".join(f'"{name}"' for name in list(blocks or ())[:12])
            raise ValueError(
                f'unit "{unit}": {type(model).__name__} has no such unit or module; it has {known}. '
                "Plan.with_parameters says which parameters units are"
            )
        found[unit] = own
    return found


def _block_name(unit: str) -> str:
    layer = layer_of(unit)
    if layer is None:
        return "head" if is_head(unit) else unit
    return f"block.{layer}"


def unfrozen_parameters(
    plan: Plan, client: str, model: Optional[torch.nn.Module] = None
) -> list[str]:
    """`Plan.unfrozen_parameters`."""
    if plan.ranks > 1:
        raise ValueError("unfrozen_parameters: ranks are of LoRA's pairs; peft_config has them")
    units = plan.trained_units(client)
    if model is not None:
        everything = [name for name, _ in model.named_parameters()]
        if plan.parameters:
            own = {u: _by_parameters(plan.parameters[u], everything, u) for u in units}
        else:
            own = _by_blocks(units, model, everything)
        return _patterns(own, everything)
    if plan.parameters:
        # What else the model has is not known, so each is named.
        return [_whole(name) for unit in units for name in plan.parameters[unit]]
    if len({tower_of(unit) for unit in plan.units if is_plain_layer(unit)}) > 1:
        raise ValueError(
            "unfrozen_parameters: the units are of several towers, whose layers have the same numbers; "
            "model=… says which layers they are"
        )
    guessed = [unit for unit in units if unit != "head" and not (is_plain_layer(unit) and unit.count(".") < 2)]
    if guessed:
        shown = ", ".join(f'"{unit}"' for unit in guessed[:3])
        warnings.warn(
            f"unfrozen_parameters: {shown}: taken for parts of parameters' names; model=… would check it",
            stacklevel=3,
        )
    return [pattern for unit in units for pattern in _usual_patterns(unit)]


def _usual_patterns(unit: str) -> list[str]:
    """Those of most models, as `strata plan --export unfrozen:DIR` writes them without a model."""
    if unit == "head":
        return [f"^(.+[.])?{module}[.]" for module in USUAL_HEADS]
    if is_plain_layer(unit):
        return [rf"^(.+[.])?({'|'.join(LAYER_WORDS)})[.]{layer_of(unit)}[.]"]
    return [f"^(.+[.])?{_escaped(unit)}[.]"]


def _escaped(name: str) -> str:
    """axolotl reads a dot as a dot and a backslash before it as itself; both read this."""
    return re.sub(r"[\\^$*+?{}()|]", lambda match: f"[{match[0]}]", name).replace(".", "[.]")


def _patterns(own: Mapping[str, Sequence[str]], everything: Iterable[str]) -> list[str]:
    """One expression for a unit whose parameters are all there are under a module, else one each."""
    names = list(everything)
    patterns = []
    for listed in own.values():
        parts = [name.split(".") for name in listed]
        common = parts[0][:-1]
        for each in parts:
            while each[: len(common)] != common:
                common = common[:-1]
        prefix = ".".join(common) + "."
        under = {name for name in names if name.startswith(prefix)} if common else set()
        if under and under == set(listed):
            patterns.append("^" + _escaped(prefix))
        else:
            patterns.extend(_whole(name) for name in listed)
    return patterns


def _whole(name: str) -> str:
    """An expression of a whole name, or of what an expression of names matches."""
    return f"^{_escaped(name)}$" if re.fullmatch(r"[\w.]+", name) else f"^(?:{name})$"
