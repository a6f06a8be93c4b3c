"""Batches in whatever form a DataLoader yields them: their samples, their device, parts of them.

A batch is a dict (or a ``BatchEncoding``) that the model takes as keyword arguments, a pair (input,
labels), or a tensor. ``labels`` of a dict are kept from the model, which would reduce its loss to one
number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Iterable

import torch
from torch import Tensor, nn

LABELS = ("labels", "label")


def map_tensors(batch: Any, change: Callable[[Tensor], Any]) -> Any:
    """The batch with every tensor changed; dicts, lists, tuples and named tuples keep their form."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {key: map_tensors(value, change) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(value, change) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(map_tensors(value, change) for value in batch)
    return batch


def tensors_of(batch: Any) -> list[Tensor]:
    """All tensors of a batch, in order."""
    found: list[Tensor] = []
    map_tensors(batch, found.append)
    return found


def common_rows(batch: Any) -> int | None:
    """The first size that all tensors of the batch share: its samples; None where there is none."""
    sizes = {tensor.shape[0] if tensor.dim() else None for tensor in tensors_of(batch)}
    return sizes.pop() if len(sizes) == 1 else None


def rows_of(batch: Any, begin: int, end: int) -> Any:
    """The samples [begin, end) of a batch whose tensors share their first size."""
    return map_tensors(batch, lambda tensor: tensor[begin:end])


def listed(batches: Any) -> list[Any]:
    """The batches as a list: of an iterable its items, of a single dict, tensor or pair itself."""
    if isinstance(batches, (Mapping, Tensor)):
        return [batches]
    if isinstance(batches, tuple) and all(isinstance(item, Tensor) for item in batches):
        return [batches]
    if not isinstance(batches, Iterable):
        raise ValueError(
            f"batches: found {type(batches).__name__}; a DataLoader, a list of batches, or one batch "
            "(a dict, a tensor, or a pair of input and labels) was expected"
        )
    return batches


def first_samples(batches: Any, samples: int | None, device: torch.device) -> list[Any]:
    """As many batches as hold the first ``samples`` samples (all: None), on the device.

    The last one is cut where its tensors share their first size.
    """
    taken: list[Any] = []
    left = samples
    for batch in listed(batches):
        if not tensors_of(batch):
            raise ValueError(
                f"batches: a batch of type {type(batch).__name__} holds no tensor; a dict, a tensor, "
                "or a pair of input and labels was expected"
            )
        size = common_rows(batch)
        if size == 0:
            continue
        if left is not None and size is not None:
            if size > left:
                batch = rows_of(batch, 0, left)
            left -= min(size, left)
        taken.append(map_tensors(batch, lambda tensor: tensor.to(device)))
        if left == 0:
            break
    if not taken:
        raise ValueError("batches: there are no samples to score on")
    return taken


def labels_of(batch: Any) -> Tensor | None:
    """``labels`` (or ``label``) of a dict, the second of a pair; None where there are none."""
    if isinstance(batch, Mapping):
        return next((batch[key] for key in LABELS if batch.get(key) is not None), None)
    if isinstance(batch, (list, tuple)) and len(batch) == 2:
        return batch[1]
    return None


def run_model(model: nn.Module, batch: Any) -> Any:
    """What the model returns for the batch.

    An encoder-decoder of transformers makes what its decoder reads of ``labels``, so that it gets them.
    """
    if isinstance(batch, Mapping):
        config = getattr(model, "config", None)
        reads_labels = (
            getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" not in batch
        )
        inputs = {key: value for key, value in batch.items() if reads_labels or key not in LABELS}
        return model(**inputs)
    if isinstance(batch, (list, tuple)):
        return model(batch[0]) if len(batch) == 2 else model(*batch)
    return model(batch)
