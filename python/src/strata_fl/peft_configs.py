"""Plans as PEFT's configurations: LoRA in the planned layers, at the planned ranks."""

from __future__ import annotations

import copy
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from .applying import adapted_module, unit_parameters
from .unit_names import USUAL_HEADS, is_head, layer_of, tower_of

if TYPE_CHECKING:
    import torch

    from .plans import Plan


def peft_config(plan: Plan, client: str, base: Any, model: Optional[torch.nn.Module] = None) -> Any:
    """`Plan.peft_config`."""
    chosen = plan[client]
    if not hasattr(base, "target_modules"):
        raise ValueError(f"peft_config: base: a LoraConfig was expected, found {type(base).__name__}")
    if base.target_modules is None:
        raise ValueError("peft_config: target_modules of the LoraConfig say where pairs go; found None")
    ranks = dict(chosen) if isinstance(chosen, Mapping) else {unit: 1 for unit in chosen}
    ranks.update({unit: max(ranks.values(), default=1) for unit in plan.always if unit not in ranks})
    config = copy.deepcopy(base)
    config.inference_mode = False
    if plan.parameters and not _is_one_tower(plan.units):
        _set_targets(config, plan, client, ranks, model)
    else:
        _set_layers(config, plan, client, ranks)
    heads = [unit for unit in ranks if layer_of(unit) is None]
    _set_heads(config, plan, heads, model)
    return config


def _is_one_tower(units: Sequence[str]) -> bool:
    """Whether a layer's number says all: no two towers of blocks, no two units of one layer."""
    numbered = [unit for unit in units if layer_of(unit) is not None]
    same_tower = len({tower_of(unit) for unit in numbered}) < 2
    return same_tower and len({layer_of(unit) for unit in numbered}) == len(numbered)


def _set_layers(config: Any, plan: Plan, client: str, ranks: Mapping[str, int]) -> None:
    layers: dict[int, int] = {}
    for unit, rank in ranks.items():
        layer = layer_of(unit)
        if layer is None:
            continue
        if layers.setdefault(layer, rank) != rank:
            raise ValueError(
                f'client "{client}": two units of layer {layer} have the ranks {layers[layer]} and '
                f"{rank}, but PEFT is told one a layer; Plan.with_parameters says which is which"
            )
    if len({tower_of(unit) for unit in plan.units if layer_of(unit) is not None}) > 1:
        raise ValueError(
            "peft_config: the units are of several towers, whose layers have the same numbers; "
            "Plan.with_parameters says which parameters they are"
        )
    if not layers:
        raise ValueError(
            f'client "{client}" trains no numbered layer; PEFT would train all of them'
        )
    numbers = sorted(layers)
    if isinstance(config.target_modules, str) and config.target_modules != "all-linear":
        # PEFT looks at layers_to_transform with names alone.
        config.target_modules = f"(?={_layer_expression(numbers)})(?:{config.target_modules})"
    else:
        config.layers_to_transform = numbers
    if plan.ranks > 1:
        patterns = {_layer_expression([layer]) + ".*": rank for layer, rank in layers.items()}
        _set_ranks(config, plan.ranks, patterns)


def _layer_expression(layers: Sequence[int]) -> str:
    """Matches names whose first number between dots is one of these."""
    numbers = "|".join(str(layer) for layer in layers)
    return rf"^(?:(?!\d+\.)[^.]*\.)*(?:{numbers})\."


def _parameters(plan: Plan, unit: str, model: Optional[torch.nn.Module]) -> list[str]:
    """Names of the unit's parameters: the model's, or those that the plan says, of PEFT's model as they are."""
    listed = plan.parameters.get(unit, [])
    if model is not None and not any(adapted_module(name) for name in listed):
        return unit_parameters(plan, [unit], model)[unit]
    for name in listed:
        if re.search(r"[\\^$*+?{}\[\]()|]", name):
            raise ValueError(
                f'peft_config: "{name}", of the unit "{unit}", is an expression; model=… says which parameters it matches'
            )
    return listed


def _set_targets(
    config: Any, plan: Plan, client: str, ranks: Mapping[str, int], model: Optional[torch.nn.Module]
) -> None:
    """Each module by its whole name: units are what their parameters say."""
    targets: dict[str, int] = {}
    for unit, rank in ranks.items():
        if layer_of(unit) is None:
            continue
        modules = {adapted_module(n) or n.rpartition(".")[0] for n in _parameters(plan, unit, model)}
        targets.update({module: rank for module in modules if _is_target(module, config)})
    if not targets:
        raise ValueError(
            f'client "{client}": none of its units\' modules is among target_modules '
            f"{config.target_modules!r}"
        )
    config.target_modules = set(targets)
    config.layers_to_transform = config.layers_pattern = None
    if plan.ranks > 1:
        patterns = {f"^{re.escape(module)}": rank for module, rank in targets.items()}
        _set_ranks(config, plan.ranks, patterns)


def _is_target(module: str, config: Any) -> bool:
    wanted = config.target_modules
    if wanted == "all-linear":
        raise ValueError('peft_config: "all-linear" says no names; target_modules=[…] was expected')
    if isinstance(wanted, str):
        return re.fullmatch(wanted, module) is not None
    return any(module == name or module.endswith("." + name) for name in wanted)


def _set_ranks(config: Any, largest: int, patterns: Mapping[str, int]) -> None:
    """All pairs keep the weight that `config` gives them, alpha / r or, of rsLoRA, alpha / √r."""
    try:
        from peft.utils.other import get_pattern_key  # noqa: F401
    except ImportError:
        raise ValueError("peft_config: this PEFT has no patterns that begin with ^, in which ranks are given "
                         "(0.12 has none, 0.17 has)") from None
    alpha, rank = config.lora_alpha, config.r

    def alpha_of(other: int) -> Any:
        share = other / rank
        value = alpha * (math.sqrt(share) if config.use_rslora else share)
        return int(value) if value == int(value) else value

    config.r, config.lora_alpha = largest, alpha_of(largest)
    others = {key: other for key, other in patterns.items() if other != largest}
    config.rank_pattern = {**config.rank_pattern, **others}
    config.alpha_pattern = {**config.alpha_pattern, **{k: alpha_of(o) for k, o in others.items()}}


def _set_heads(config: Any, plan: Plan, units: Sequence[str], model: Optional[torch.nn.Module]) -> None:
    """Heads are trained whole; what the user's configuration says of them wins."""
    if config.modules_to_save or not units:
        return
    saved: list[str] = []
    for unit in units:
        if model is not None or plan.parameters:
            modules = _whole_modules(_parameters(plan, unit, model), model)
            saved += [module for module in modules if module not in saved]
        elif is_head(unit):
            # PEFT passes over names that the model does not have.
            names = USUAL_HEADS[:3] if unit == "head" else [unit.rpartition(".")[2]]
            saved += [name for name in names if name not in saved]
        else:
            warnings.warn(
                f'peft_config: the unit "{unit}" is no layer and no head; modules_to_save of the LoraConfig say '
                "which modules are trained whole",
                stacklevel=4,
            )
    config.modules_to_save = saved or None


def _whole_modules(names: Sequence[str], model: Optional[torch.nn.Module]) -> list[str]:
    """The largest modules all of whose parameters are among these; without the model, those that hold them."""
    others = {name for name, _ in model.named_parameters()} - set(names) if model is not None else set()
    modules: list[str] = []
    for name in names:
        if model is None or adapted_module(name):
            module = adapted_module(name) or name.rpartition(".")[0]
            modules += [module] if module not in modules else []
            continue
        parts = name.split(".")
        prefixes = (".".join(parts[:size]) for size in range(1, len(parts)))
        whole = (p for p in prefixes if not any(other.startswith(p + ".") for other in others))
        module = next(whole, name.rpartition(".")[0])
        modules += [module] if module not in modules else []
    return modules
