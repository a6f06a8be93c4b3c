"""``score``: the importance of a model's units for one client's samples."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from typing import Any, Optional, Union, overload

import torch
from torch import nn

from .amounts import parse_bytes
from .batches import first_samples
from .capture import evaluating
from .draws import Random, derive_seed
from .eigenvalues import largest_eigenvalue
from .fingerprint import fingerprint
from .importance_metrics import MEASURES, SharedPasses, UnitSums
from .kernels import Kernels
from .outputs import OutputFunction, checked_outputs, chosen_outputs, output_function
from .parts import Samples
from .table import ScoreTable
from .units import Patterns, Units, find_units

LOG = logging.getLogger("strata_fl.scoring")
SPECTRAL = ("lntk", "gradient", "trace")
PLACED = ("random", "first", "last")
METRICS = (*SPECTRAL, *MEASURES, *PLACED)


def _checked_metric(metric: str) -> str:
    if metric in METRICS:
        return metric
    if metric == "synflow":
        raise ValueError(
            'metric: "synflow" needs an input of ones, which strata score knows to make for its own models only'
        )
    near = difflib.get_close_matches(str(metric), METRICS, 1)
    hint = f' (did you mean "{near[0]}"?)' if near else ""
    raise ValueError(f'metric: found "{metric}"{hint}; allowed: {", ".join(METRICS)}')


def _unwrapped(model: nn.Module) -> nn.Module:
    """The module itself of what torch.compile and data parallelism wrap around it: hooks belong there."""
    while True:
        if hasattr(model, "_orig_mod"):
            model = model._orig_mod
        elif isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        else:
            return model


class _Scorer:
    """One client's samples and model."""

    def __init__(self, model, batches, units: Units, options: dict[str, Any]):
        self.model, self.units, self.options = model, units, options
        device = next(model.parameters()).device
        self.batches = first_samples(batches, options["samples"], device)

    def columns(self, function: OutputFunction) -> Optional[list[int]]:
        columns, drawn = self.options["columns"], self.options["random_outputs"]
        if columns is not None or not drawn:
            return columns
        with torch.no_grad():
            count = checked_outputs(function, self.model, self.batches[0], None).shape[1]
        if drawn > count:
            raise ValueError(
                f"random_outputs: found {drawn}, but the model has {count} outputs"
            )
        random = Random(derive_seed(self.options["seed"], "outputs"))
        return sorted(random.sample(count, drawn))

    def samples_of(self, function: OutputFunction, columns: Optional[list[int]]):
        def run(batch: Any) -> torch.Tensor:
            return checked_outputs(function, self.model, batch, columns)

        def traced(batch: Any) -> torch.Tensor:
            return chosen_outputs(function, self.model, batch, columns)

        run.traced = traced
        return run, Samples(self.batches, run, self.options["samples"])

    def kernels(self, loss: bool) -> Kernels:
        function = self.loss_function() if loss else output_function(self.options["outputs"])
        run, samples = self.samples_of(function, None if loss else self.columns(function))
        return Kernels(self.model, run, samples, self.units.weights, self.options["memory"])

    def loss_function(self) -> OutputFunction:
        loss = self.options["loss"]
        if not callable(loss):
            return output_function(loss)

        def run(model: nn.Module, batch: Any) -> torch.Tensor:
            found = loss(model, batch)
            return found.unsqueeze(1) if found.dim() == 1 else found

        return run

    def spectral(self, metrics: list[str]) -> dict[str, tuple[list[float], Optional[list[float]]]]:
        found: dict[str, tuple[list[float], Optional[list[float]]]] = {}
        for loss in (False, True):
            asked = [metric for metric in metrics if (metric == "gradient") == loss]
            if not asked:
                continue
            values: dict[str, list[float]] = {metric: [] for metric in asked}
            residuals = []
            for unit, theta in self.kernels(loss):
                for metric in asked:
                    if metric == "trace":
                        values[metric].append(float(theta.trace()))
                        continue
                    largest = largest_eigenvalue(theta, unit, self.options["seed"])
                    values[metric].append(largest.value)
                    residuals.append(largest.residual)
            for metric in asked:
                found[metric] = values[metric], None if metric == "trace" else residuals
        return found

    def measured(self, metrics: list[str]) -> dict[str, list[float]]:
        needs = set().union(*(MEASURES[metric][0] for metric in metrics))
        run, samples = (
            self.samples_of(self.loss_function(), None)
            if needs - {"weights"}
            else (None, None)
        )
        weights = [name for names in self.units.weights.values() for name in names]
        passes = SharedPasses(self.model, run, samples, weights, self.options["memory"])
        passes.compute(needs)
        found = {}
        for metric in metrics:
            value = MEASURES[metric][1]
            found[metric] = [
                value(UnitSums(unit, [passes.sums[name] for name in names]))
                for unit, names in self.units.weights.items()
            ]
        return found

    def placed(self, metric: str) -> list[float]:
        names = list(self.units.weights)
        if metric == "random":
            seed = self.options["seed"]
            return [1 - Random(derive_seed(seed, "random " + name)).uniform() for name in names]
        count = len(names)
        return [float(count - i if metric == "first" else i + 1) for i in range(count)]


@overload
def score(model: nn.Module, batches: Any, *, metric: str = ..., **options: Any) -> ScoreTable: ...
@overload
def score(
    model: nn.Module, batches: Any, *, metric: Sequence[str], **options: Any
) -> dict[str, ScoreTable]: ...


def score(
    model: nn.Module,
    batches: Any,
    *,
    units: Patterns = "block",
    metric: Union[str, Sequence[str]] = "lntk",
    outputs: Union[str, OutputFunction] = "logits",
    loss: Union[str, OutputFunction] = "loss",
    samples: Optional[int] = 32,
    columns: Optional[Sequence[int]] = None,
    random_outputs: int = 0,
    client: str = "client",
    frozen: Sequence[str] = (),
    memory: Union[int, float, str] = "4GiB",
    seed: int = 1,
) -> Union[ScoreTable, dict[str, ScoreTable]]:
    """Scores every unit of a model for one client.

    ``"lntk"``, F3OCUS's importance, is the largest eigenvalue λ₁ of the unit's neural tangent kernel
    Θ = JJᵀ, where J holds the gradients of all outputs of all samples by the unit's weights. Values equal
    those of ``strata score`` (docs/lntk.md, docs/importance.md). The model is left as it was.

    Args:
        model: Any module, on its own device and in its own type. Which weights require a gradient does
            not matter: units say what is scored. Dropout is off meanwhile.
        batches: What a DataLoader yields: dicts of tensors that the model takes by name, pairs of input
            and labels, or tensors; or one of these.
        units: ``"block"``, ``"peft"``, a dict of names to patterns, or a list of regular expressions; see
            :func:`find_units`.
        metric: One of ``METRICS``, or several, which share their passes.
        outputs: What ``lntk`` and ``trace`` differentiate: ``"logits"``, ``"loss"``, ``"answer"``
            (log-likelihoods of the labels, of which -100 do not count), or a function
            ``(model, batch) -> (n, K) tensor``.
        loss: What the other metrics differentiate: ``"loss"``, the cross-entropy of the batch's labels, or a
            function ``(model, batch) -> (n) losses``.
        samples: n, the first samples of the batches; None: all.
        columns: Of the K outputs these alone.
        random_outputs: So many outputs drawn from the seed, the same as ``strata score`` draws; 0: all.
        client: The name of the table's row.
        frozen: Patterns of weights that are in no unit.
        memory: Bytes beyond the model, its gradient and the samples, such as ``"1GB"``. Less takes longer.
        seed: Of ``random_outputs``, of ``"random"`` and of the solver's starts.

    Returns:
        A table of one row; of several metrics a dict of tables by metric.

    Raises:
        ValueError: Wrong input, by argument; outputs that are not finite; a memory that is too small.

    Cost: about K backward passes through the model and the kernels' products (docs/python_scoring.md).

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> blocks = [torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh()) for _ in range(3)]
    >>> model = torch.nn.Sequential(*blocks, torch.nn.Linear(4, 2))
    >>> table = score(model, torch.randn(8, 4), units={"body": ["[01].*"], "top": ["[23].*"]}, client="ct")
    >>> table.units, table.scores.shape, bool(table.residuals.max() < 1e-8)
    (['body', 'top'], (1, 2), True)
    """
    several = not isinstance(metric, str)
    metrics = [_checked_metric(name) for name in (metric if several else [metric])]
    if samples is not None and samples < 1:
        raise ValueError(f"samples: found {samples}, at least 1 is needed")
    model = _unwrapped(model)
    if not isinstance(model, nn.Module) or next(model.parameters(), None) is None:
        raise ValueError(f"model: a torch.nn.Module with weights was expected, found {type(model).__name__}")
    found_units = find_units(model, units, frozen)
    options = {
        "outputs": outputs,
        "loss": loss,
        "samples": samples,
        "columns": None if columns is None else list(columns),
        "random_outputs": random_outputs,
        "memory": parse_bytes(memory),
        "seed": seed,
    }
    with evaluating(model):
        tables = _tables(model, batches, found_units, metrics, options, client)
    return tables if several else tables[metrics[0]]


def _tables(model, batches, units: Units, metrics, options, client) -> dict[str, ScoreTable]:
    scorer = _Scorer(model, batches, units, options)
    spectral = scorer.spectral([metric for metric in metrics if metric in SPECTRAL])
    asked = [metric for metric in metrics if metric in MEASURES]
    measured = scorer.measured(asked) if asked else {}
    identity = fingerprint(model)
    tables = {}
    for metric in metrics:
        values, residuals = spectral.get(metric, (None, None))
        if values is None:
            values = measured[metric] if metric in measured else scorer.placed(metric)
        tables[metric] = ScoreTable(
            [client],
            list(units.weights),
            [values],
            roles=units.roles,
            parameters=units.weights,
            metric=metric,
            samples=options["samples"] or 0,
            model_fingerprint=identity,
            residuals=None if residuals is None else [residuals],
        )
    return tables
