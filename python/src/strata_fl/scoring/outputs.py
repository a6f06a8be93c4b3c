"""What is differentiated: functions ``(model, batch) -> (n, K) tensor``, and the loss of each sample.

``"logits"``, ``"loss"`` and ``"answer"`` name the ones here; any function of that form does as well:
row i is sample i's, and column k its k-th output.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Callable, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batches import LABELS, labels_of, map_tensors, run_model

OutputFunction = Callable[[nn.Module, Any], Tensor]
IGNORED = -100
_LOGITS = ("logits", "logits_per_image", "prediction_logits")


def _fields(output: Any) -> list[str]:
    if isinstance(output, Mapping):
        return [str(key) for key in output]
    return [name for name in getattr(output, "__dict__", {}) if not name.startswith("_")]


def _raw_logits(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output
    for name in _LOGITS:
        value = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(value, Tensor):
            return value
    if isinstance(output, (list, tuple)) and output and isinstance(output[0], Tensor):
        return output[0]
    raise ValueError(
        f"outputs: the model returns {type(output).__name__} with {_fields(output)}, and no logits; give "
        "a function (model, batch) -> (n, K) tensor"
    )


def logits(model: nn.Module, batch: Any) -> Tensor:
    """The logits of a model that chooses among K labels: (n, K).

    They are the tensor that the model returns, or its ``logits`` or ``logits_per_image``, or the first
    of a tuple.

    >>> logits(nn.Linear(3, 2), torch.ones(4, 3)).shape
    torch.Size([4, 2])
    """
    found = _raw_logits(run_model(model, batch))
    if found.dim() == 1:
        found = found.unsqueeze(1)
    if found.dim() != 2:
        raise ValueError(
            f"outputs: the model's logits have the shape {tuple(found.shape)}, and (n, K) is needed; of a "
            'model that writes text take outputs="answer" or outputs="loss", of another give a function '
            "(model, batch) -> (n, K) tensor"
        )
    return found


def _needed_labels(batch: Any, what: str) -> Tensor:
    labels = labels_of(batch)
    if labels is None:
        raise ValueError(
            f"{what}: the batch has no labels; they are the key \"labels\" of a dict or the second of a pair"
        )
    return labels


def _reads_ahead(model: nn.Module) -> bool:
    """Whether the logits of a place are those of the next token, as of a decoder alone."""
    config = getattr(model, "config", None)
    if getattr(config, "is_encoder_decoder", False):
        return False
    base = getattr(model, "get_base_model", lambda: model)()
    return not any(part in type(base).__name__ for part in ("MaskedLM", "TokenClassification"))


def _token_losses(model: nn.Module, values: Tensor, labels: Tensor) -> Tensor:
    """The sum of every row's cross-entropies where its label is not -100: (rows)."""
    if values.shape[1] < labels.shape[1]:
        raise ValueError(
            f"labels: found {labels.shape[1]} places, but the model's logits have {values.shape[1]}"
        )
    values = values[:, -labels.shape[1] :]  # what stands before, as an image's rows, has no labels
    if _reads_ahead(model):
        values, labels = values[:, :-1], labels[:, 1:]
    wide = values if values.dtype == torch.float64 else values.float()
    losses = F.cross_entropy(
        wide.flatten(0, 1), labels.flatten().long(), ignore_index=IGNORED, reduction="none"
    )
    return losses.view(labels.shape).sum(1)


def sample_losses(model: nn.Module, batch: Any) -> Tensor:
    """The loss of each sample in nats: (n).

    Labels of (n) are classes, for cross-entropy. Labels of the logits' shape and of a floating type are
    several truths, for the mean of binary cross-entropies. Labels of (n, T) are tokens, whose
    cross-entropies are summed where the label is not -100: minus the log-likelihood of the answer.

    >>> sample_losses(nn.Identity(), (torch.zeros(3, 2), torch.tensor([0, 1, 1])))
    tensor([0.6931, 0.6931, 0.6931])
    """
    labels = _needed_labels(batch, "loss")
    values = _raw_logits(run_model(model, batch))
    if labels.is_floating_point() and labels.shape == values.shape and values.dim() == 2:
        each = F.binary_cross_entropy_with_logits(values, labels.to(values.dtype), reduction="none")
        return each.mean(1)
    if values.dim() == 3 and labels.dim() == 2:
        return _token_losses(model, values, labels)
    if values.dim() == 2 and labels.dim() == 1 and not labels.is_floating_point():
        wide = values if values.dtype == torch.float64 else values.float()
        return F.cross_entropy(wide, labels, reduction="none")
    raise ValueError(
        f"loss: labels of {labels.dtype} and shape {tuple(labels.shape)} do not belong to logits of shape "
        f"{tuple(values.shape)}; give a function (model, batch) -> (n) losses"
    )


def loss(model: nn.Module, batch: Any) -> Tensor:
    """The loss of each sample as its one output: (n, 1).

    >>> loss(nn.Identity(), (torch.zeros(3, 2), torch.tensor([0, 1, 1]))).shape
    torch.Size([3, 1])
    """
    return sample_losses(model, batch).unsqueeze(1)


def answer(model: nn.Module, batch: Any) -> Tensor:
    """The log-likelihoods of answers: (n, K).

    Labels of (n, T) are one answer a sample, K = 1. Labels of (n, K, T) are K answers a sample;
    ``input_ids`` and whatever else begins with (n, K) have each answer's text, and everything else, such
    as an image, is repeated for every answer. Places with the label -100 do not count.

    >>> class Uniform(nn.Module):  # over four tokens
    ...     def forward(self, input_ids):
    ...         return torch.zeros(*input_ids.shape, 4)
    >>> text = torch.tensor([[0, 1, 2], [0, 3, 3]])
    >>> answer(Uniform(), {"input_ids": text, "labels": torch.tensor([[-100, 1, 2], [-100, -100, 3]])})
    tensor([[-2.7726],
            [-1.3863]])
    """
    labels = _needed_labels(batch, "answer")
    if labels.dim() == 2:
        return -_token_losses(model, _raw_logits(run_model(model, batch)), labels).unsqueeze(1)
    if labels.dim() != 3:
        raise ValueError(
            f"answer: labels have the shape {tuple(labels.shape)}; (n, T), or (n, K, T) of K answers, was "
            "expected"
        )
    n, answers = labels.shape[:2]

    def flat(tensor: Tensor) -> Tensor:
        if tensor.dim() >= 2 and tuple(tensor.shape[:2]) == (n, answers):
            return tensor.flatten(0, 1)
        return tensor.repeat_interleave(answers, 0)

    each = map_tensors(batch, flat)
    if not isinstance(each, Mapping):
        raise ValueError("answer: several answers a sample need a dict with input_ids and labels")
    key = next(key for key in LABELS if each.get(key) is not None)
    values = _raw_logits(run_model(model, each))
    return -_token_losses(model, values, each[key]).view(n, answers)


_NAMED: dict[str, OutputFunction] = {"logits": logits, "loss": loss, "answer": answer}


def output_function(outputs: Union[str, OutputFunction]) -> OutputFunction:
    """The function that a name stands for; a function is taken as it is."""
    if callable(outputs):
        return outputs
    if outputs in _NAMED:
        return _NAMED[outputs]
    near = difflib.get_close_matches(str(outputs), _NAMED, 1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    raise ValueError(
        f'outputs: "{outputs}" is none of {", ".join(_NAMED)}, and no function (model, batch) -> (n, K) '
        f"tensor{hint}"
    )


def chosen_outputs(function: OutputFunction, model: nn.Module, batch: Any, columns: Any) -> Tensor:
    """What the function gives, (n, K), of the columns asked for; their numbers are not looked at.

    Raises:
        ValueError: It is not a tensor of two dimensions, or has no such column.
    """
    found = function(model, batch)
    if not isinstance(found, Tensor) or found.dim() != 2:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"outputs: an (n, K) tensor was expected of the function, found {shape}")
    if columns is not None:
        if not columns or min(columns) < 0 or max(columns) >= found.shape[1]:
            raise ValueError(
                f"columns: found {list(columns)}; numbers from 0 to {found.shape[1] - 1} were expected"
            )
        found = found[:, list(columns)]
    return found


def checked_outputs(function: OutputFunction, model: nn.Module, batch: Any, columns: Any) -> Tensor:
    """What the function gives, (n, K), of the columns asked for.

    Raises:
        ValueError: It is not a finite tensor of two dimensions, or has no such column.
    """
    found = chosen_outputs(function, model, batch, columns)
    finite = torch.isfinite(found)
    if not bool(finite.all()):
        row = int((~finite).any(1).nonzero()[0])
        raise ValueError(f"outputs: that of sample {row} of its batch is not finite")
    return found
