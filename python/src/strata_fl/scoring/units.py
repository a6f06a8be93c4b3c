"""Units: which weights are scored, and later trained, together.

Rules by name (``"block"``, ``"peft"``) find them in the model; patterns of weights' names make any others.
Names and roles are ``strata``'s: ``block.0``, ``head``, ``embeddings``; of several towers ``vision.block.0``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Union

from torch import nn

Patterns = Union[str, Mapping[str, Union[str, Sequence[str]]], Sequence[str]]
#: OPT registers it before its layers.
_LAST_NORM = re.compile(r"(^|\.)final_(layer_?)?norm\.")
ROLES = ("body", "embeddings", "head", "prompt", "vision", "connector", "output")


@dataclass
class Units:
    """Units in the model's order.

    Attributes:
        weights: Name -> names of its weights, as ``model.named_parameters()`` has them.
        roles: What each is to the model, in the same order.

    >>> found = find_units(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)), {"low": "0.*", "top": "1.*"})
    >>> found.weights["top"], found.roles
    (['1.weight', '1.bias'], ['body', 'body'])
    """

    weights: dict[str, list[str]] = field(default_factory=dict)
    roles: list[str] = field(default_factory=list)


@dataclass
class Tower:
    """Repeated modules of one class: the blocks of an encoder or a decoder."""

    path: str  #: of the module that holds the blocks, or all lists of them
    blocks: list[str]  #: their names
    prefix: str = ""


def _under(name: str, module: str) -> bool:
    return not module or name == module or name.startswith(module + ".")


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _inner_blocks(name: str, module: nn.Module) -> list[str]:
    """The blocks of a stage that is nothing but a list of them (and a step between); itself otherwise."""
    total = sum(weight.numel() for weight in module.parameters())
    for child_name, child in module.named_children():
        if not isinstance(child, (nn.ModuleList, nn.Sequential)) or not len(child):
            continue
        inside = sum(weight.numel() for weight in child.parameters())
        if len({type(block) for block in child}) == 1 and 2 * inside > total:
            block = next(iter(child))
            if len(list(block.children())) > 1:
                return [f"{name}.{child_name}.{key}" for key in child._modules]
    return [name]


def _towers(model: nn.Module) -> list[Tower]:
    """Lists of modules of one class that are not inside a block; lists of one parent are one tower."""
    found: dict[tuple[str, type], list[str]] = {}
    inside: list[str] = []
    for name, module in model.named_modules():
        if not isinstance(module, (nn.ModuleList, nn.Sequential)):
            continue
        if any(_under(name, block) for block in inside):
            continue
        kinds = {type(child) for child in module}
        if len(kinds) != 1 or not all(_has_weights(child) for child in module):
            continue
        parent = name.rpartition(".")[0]
        key = parent, next(iter(kinds))
        for child_name, child in module.named_children():
            inside.append(f"{name}.{child_name}" if name else child_name)
            found.setdefault(key, []).extend(_inner_blocks(inside[-1], child))
    return [Tower(path, blocks) for (path, _), blocks in found.items() if len(blocks) > 1]


def _prefixes(towers: list[Tower]) -> None:
    """Names of several towers: what distinguishes their paths; a language model's has none."""
    if len(towers) < 2:
        return
    parts = [tower.path.split(".") for tower in towers]
    common = 0
    while all(len(p) > common for p in parts) and len({p[common] for p in parts}) == 1:
        common += 1
    for tower, part in zip(towers, parts):
        own = part[common] if len(part) > common else ""
        prefix = re.sub(r"_(model|tower|encoder|decoder)$", "", own) or own
        tower.prefix = "" if prefix in ("language", "model", "") else prefix + "."
    taken: set[str] = set()
    for tower, part in zip(towers, parts):
        if tower.prefix in taken:
            tower.prefix = ".".join(part[common:]) + "."
        taken.add(tower.prefix)


def _block_towers(model: nn.Module) -> list[Tower]:
    total = sum(weight.numel() for weight in model.parameters())
    sizes = {name: module for name, module in model.named_modules()}

    def share(tower: Tower) -> float:
        inside = sum(w.numel() for block in tower.blocks for w in sizes[block].parameters())
        return inside / max(1, total)

    towers = [tower for tower in _towers(model) if share(tower) >= 0.01]
    if not towers:
        raise ValueError(
            f'units: "block" finds no repeated modules in {type(model).__name__} (a ModuleList or Sequential '
            "of modules of one class); give names and patterns, such as "
            '{"body": ["encoder.*"], "head": ["classifier.*"]}'
        )
    _prefixes(towers)
    return towers


def _outside(name: str, order: int, towers: list[Tower], spans: list[tuple[int, int]]) -> str:
    """The unit of a weight that is in no block: before a tower its embeddings, behind it the head."""
    if len(towers) > 1:
        for tower, (first, _) in zip(towers, spans):
            owner = _owner(tower, towers)
            if owner and _under(name, owner):
                before = order < first and not _LAST_NORM.search(name)
                return tower.prefix + ("embeddings" if before else "head")
    before = all(order < first for first, _ in spans) and "." in name
    return "embeddings" if before and not _LAST_NORM.search(name) else "head"


def _owner(tower: Tower, towers: list[Tower]) -> str:
    """The longest path above the tower's blocks that holds no other tower."""
    parts = tower.path.split(".")
    for size in range(1, len(parts) + 1):
        path = ".".join(parts[:size])
        if not any(other is not tower and _under(other.path, path) for other in towers):
            return path
    return ""


def _role(unit: str, towers: list[Tower]) -> str:
    prefix, _, last = unit.rpartition("block.")
    if "block." in unit and last.isdigit():
        several = any(not tower.prefix for tower in towers)
        return "vision" if prefix == "vision." and several else "body"
    if unit.endswith("head"):
        return "head"
    return "embeddings" if unit.endswith("embeddings") else "body"


def _in_order(units: dict[str, list[str]]) -> dict[str, list[str]]:
    """Embeddings, blocks and head of each tower, in the order of the model's towers."""

    def place(item: tuple[int, str]) -> tuple:
        number, name = item
        prefix, _, index = name.rpartition("block.")
        if "block." in name and index.isdigit():
            return prefixes.index(prefix), 1, int(index)
        stem = "embeddings" if name.endswith("embeddings") else "head"
        prefix = name[: -len(stem)]
        if prefix not in prefixes:
            return -1 if stem == "embeddings" else len(prefixes), 0, number
        return prefixes.index(prefix), 0 if stem == "embeddings" else 2, number

    prefixes: list[str] = []
    for name in units:
        prefix, found, index = name.rpartition("block.")
        if found and index.isdigit() and prefix not in prefixes:
            prefixes.append(prefix)
    names = [name for _, name in sorted(enumerate(units), key=place)]
    return {name: units[name] for name in names}


def block_units(model: nn.Module, names: list[str]) -> Units:
    """``names`` (of weights) by the model's blocks."""
    towers = _block_towers(model)
    block_of = {
        block: f"{tower.prefix}block.{i}"
        for tower in towers
        for i, block in enumerate(tower.blocks)
    }
    everything = [name for name, _ in model.named_parameters()]
    order = {name: i for i, name in enumerate(everything)}

    def unit_inside(name: str) -> str | None:
        parts = name.split(".")
        paths = (".".join(parts[:size]) for size in range(1, len(parts)))
        return next((block_of[path] for path in paths if path in block_of), None)

    spans = []
    for tower in towers:
        own = [order[n] for n in everything if any(_under(n, block) for block in tower.blocks)]
        spans.append((min(own), max(own)))
    units: dict[str, list[str]] = {}
    for name in names:
        unit = unit_inside(name) or _outside(name, order[name], towers, spans)
        units.setdefault(unit, []).append(name)
    # A step between stages belongs to the stage before: it is in no block and not at an end.
    units = _in_order(units)
    return Units(units, [_role(unit, towers) for unit in units])


def adapter_weights(model: nn.Module) -> list[str]:
    """The weights that PEFT has injected: its tuner's, of the active adapters, and modules_to_save.

    Raises:
        ValueError: The model is none of PEFT's, or nothing is injected.
    """
    base = getattr(model, "base_model", None)
    prefix = getattr(base, "prefix", None)
    if not hasattr(model, "peft_config") or not prefix:
        raise ValueError(
            f'units: "peft" needs a model of peft.get_peft_model, found {type(model).__name__}'
        )
    active = model.active_adapters
    active = active() if callable(active) else active

    def chosen(name: str) -> bool:
        parts = name.split(".")
        if "modules_to_save" in parts:
            return any(adapter in parts for adapter in active)
        if not any(part.startswith(prefix) for part in parts):
            return False
        place = max(i for i, part in enumerate(parts) if part.startswith(prefix))
        rest = parts[place + 1 :]
        return not rest or any(adapter in rest for adapter in active)

    names = [name for name, weight in model.named_parameters() if chosen(name)]
    if not names:
        raise ValueError(f'units: "peft" finds no weights of the adapters {list(active)}')
    return names


def _matched(patterns: Sequence[str], names: list[str], unit: str) -> list[str]:
    found: list[str] = []
    for pattern in patterns:
        if pattern in names:
            found.append(pattern)
            continue
        try:
            expression = re.compile(pattern)
        except re.error as error:
            raise ValueError(f'units: "{pattern}" of "{unit}" is no regular expression: {error}') from None
        matches = [name for name in names if expression.fullmatch(name)]
        if not matches:
            near = difflib.get_close_matches(pattern, names, 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise ValueError(
                f'units: no weight is called "{pattern}", of unit "{unit}" (a regular expression that '
                f"matches a whole name){hint}"
            )
        found.extend(name for name in matches if name not in found)
    return found


def _by_name(patterns: Mapping[str, Union[str, Sequence[str]]], names: list[str]) -> dict[str, list[str]]:
    units: dict[str, list[str]] = {}
    taken: dict[str, str] = {}
    for unit, listed in patterns.items():
        if not isinstance(unit, str) or not unit:
            raise ValueError(f"units: found the name {unit!r}; a text was expected")
        listed = [listed] if isinstance(listed, str) else list(listed)
        if not listed:
            raise ValueError(f'units: unit "{unit}" has no weights: its list is empty')
        units[unit] = _matched(listed, names, unit)
        for name in units[unit]:
            if name in taken:
                raise ValueError(
                    f'units: the weight "{name}" is in "{taken[name]}" and in "{unit}"; a weight may be in '
                    "one unit only"
                )
            taken[name] = unit
    return units


def _by_match(expressions: Sequence[str], names: list[str]) -> dict[str, list[str]]:
    """Weights whose names begin with the same match are a unit, which is called as the match."""
    units: dict[str, list[str]] = {}
    used: set[str] = set()
    for name in names:
        for expression in expressions:
            try:
                match = re.match(expression, name)
            except re.error as error:
                raise ValueError(f'units: "{expression}" is no regular expression: {error}') from None
            if match:
                units.setdefault(match[0].rstrip("."), []).append(name)
                used.add(expression)
                break
    for expression in expressions:
        if expression not in used:
            near = difflib.get_close_matches(expression, names, 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise ValueError(f'units: no weight\'s name begins as "{expression}" says{hint}')
    return units


def _role_by_name(unit: str) -> str:
    last = unit.rpartition(".")[2]
    return last if last in ("embeddings", "head", "prompt", "connector") else "body"


def find_units(model: nn.Module, units: Patterns = "block", frozen: Sequence[str] = ()) -> Units:
    """The units of a model.

    Args:
        model: Any module.
        units: How weights belong together.

            - ``"block"``: ``block.N`` for each of the model's repeated modules, ``embeddings`` for what
              stands before them and ``head`` for what stands behind. Of a model of PEFT the same as
              ``"peft"``.
            - ``"peft"``: the adapters' weights alone, by the same blocks.
            - a dict of names to patterns: regular expressions that match whole names of weights.
            - a list of regular expressions: weights whose names begin with the same match are a unit of
              that name, as with ``[r"encoder\\.layer\\.\\d+", "classifier"]``.
        frozen: Regular expressions that match whole names of weights which are in no unit.

    Raises:
        ValueError: A unit without weights, a weight in two, a pattern that matches nothing.

    >>> blocks = nn.Sequential(*(nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(2)))
    >>> model = nn.Sequential(nn.Embedding(5, 3), blocks, nn.Linear(3, 2))
    >>> found = find_units(model)
    >>> list(found.weights), found.weights["block.1"]
    (['embeddings', 'block.0', 'block.1', 'head'], ['1.1.0.weight', '1.1.0.bias'])
    """
    weights = {name: weight for name, weight in model.named_parameters()}
    names = [name for name, weight in weights.items() if weight.is_floating_point()]
    kept_out = set(_matched(frozen, names, "frozen")) if frozen else set()
    if isinstance(units, str):
        if units not in ("block", "peft"):
            raise ValueError(
                f'units: found "{units}"; "block", "peft", a dict of names to patterns, or a list of regular '
                "expressions was expected"
            )
        adapted = units == "peft" or hasattr(model, "peft_config")
        chosen = adapter_weights(model) if adapted else names
        found = block_units(model, [name for name in chosen if name not in kept_out])
        return found
    if isinstance(units, Mapping):
        by_name = _by_name(units, names)
    elif isinstance(units, Sequence) and units and all(isinstance(unit, str) for unit in units):
        by_name = _by_match(units, names)
    else:
        raise ValueError(
            f'units: found {units!r}; "block", "peft", a dict of names to patterns, or a list of regular '
            "expressions was expected"
        )
    left = {
        unit: [name for name in own if name not in kept_out] for unit, own in by_name.items()
    }
    for unit, own in left.items():
        if not own:
            raise ValueError(f'units: unit "{unit}" has no weights: frozen leaves none')
    if not left:
        raise ValueError("units: there are none")
    return Units(left, [_role_by_name(unit) for unit in left])
