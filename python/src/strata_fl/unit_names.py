"""What units' names say: a layer's number, or that it is the head. As `strata plan --adapters` reads them."""

from __future__ import annotations

import re
from typing import Optional

#: Modules and units that are heads by their names.
HEADS = ("head", "classifier", "score", "lm_head")

#: Modules that are heads in most models.
USUAL_HEADS = ("classifier", "lm_head", "score", "head", "fc")
#: What a list of layers is called in most models.
LAYER_WORDS = ("layer", "layers", "block", "blocks", "h")

_WORD = re.compile(r"(?:layers?|blocks?|l|h)[_-]?(\d{1,5})", re.IGNORECASE)


def layer_of(unit: str) -> Optional[int]:
    """The first whole number between dots or, without one, behind the word layer or block.

    >>> [layer_of(unit) for unit in ("block.3", "model.layers.12.mlp", "layer7", "fc1", "head")]
    [3, 12, 7, None, None]
    """
    parts = unit.split(".")
    for part in parts:
        if re.fullmatch(r"[0-9]{1,5}", part):
            return int(part)
    for part in parts:
        word = _WORD.fullmatch(part)
        if word:
            return int(word[1])
    return None


def is_plain_layer(unit: str) -> bool:
    """Whether it calls a layer by its number alone, so that it is all of the layer.

    >>> [is_plain_layer(unit) for unit in ("block.3", "layer3", "vision.block.3", "layers.3.mlp")]
    [True, True, True, False]
    """
    parts = unit.split(".")
    if not re.fullmatch(r"[0-9]{1,5}", parts[-1]):
        return len(parts) == 1 and layer_of(unit) is not None
    return 2 <= len(parts) <= 3 and parts[-2].lower() in LAYER_WORDS


def tower_of(unit: str) -> str:
    """What stands before the layer's number: units of one tower share it.

    >>> tower_of("vision.block.3"), tower_of("block.3")
    ('vision.block', 'block')
    """
    parts = unit.split(".")
    place = next((i for i, part in enumerate(parts) if part.isdigit()), 0)
    return ".".join(parts[:place])


def is_head(unit: str) -> bool:
    """Whether the name's last part says so."""
    return unit.rpartition(".")[2] in HEADS
