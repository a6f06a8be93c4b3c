"""What a user has of scores, as the table that the planner reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from . import _core

if TYPE_CHECKING:  # pandas is never required
    import numpy.typing as npt
    import pandas

    #: clients × units: an array, a dict of dicts or of lists, a DataFrame, a file, a ScoreTable.
    Scores = Union[
        npt.ArrayLike, Mapping[str, Any], pandas.DataFrame, str, os.PathLike[str], _core.ScoreTable
    ]

Parameters = dict[str, list[str]]


def _names(given: Optional[Iterable[object]], count: int, what: str, prefix: str) -> list[str]:
    if given is None:
        return [f"{prefix}.{i}" for i in range(count)]
    if isinstance(given, str):
        raise ValueError(f"scores: {what}s: names were expected, found one text, {given!r}")
    names = [str(name) for name in given]
    if len(names) != count:
        raise ValueError(f"scores: found {len(names)} names of {what}s, and {count} {what}s")
    return names


def _matrix(values: object) -> np.ndarray:
    try:
        matrix = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"scores: numbers of clients × units were expected: {error}") from None
    if matrix.ndim != 2:
        shape = " × ".join(str(size) for size in matrix.shape) or "a single number"
        raise ValueError(f"scores: an array of clients × units was expected, found {shape}")
    return np.ascontiguousarray(matrix)


def _rows(mapping: Mapping[Any, Any], units: Optional[Iterable[object]]) -> tuple[list[Any], Any]:
    """The units and the rows of a dict of dicts, or of lists."""
    if not mapping:
        raise ValueError("scores: no clients")
    if not all(isinstance(row, Mapping) for row in mapping.values()):
        lengths = {client: len(row) for client, row in mapping.items() if hasattr(row, "__len__")}
        first = next(iter(lengths.values()), None)
        for client in mapping:
            if client not in lengths:
                raise ValueError(f'scores: client "{client}": a list of numbers was expected')
            if lengths[client] != first:
                raise ValueError(
                    f'scores: client "{client}" has {lengths[client]} scores, the first one {first}'
                )
        return _names(units, first or 0, "unit", "block"), [list(row) for row in mapping.values()]
    wanted = list(next(iter(mapping.values()))) if units is None else list(units)
    for client, row in mapping.items():
        for unit in wanted:
            if unit not in row:
                raise ValueError(f'scores: client "{client}" has no unit "{unit}"')
        for unit in row:
            if unit not in wanted:
                raise ValueError(f'scores: client "{client}" has a unit "{unit}", others have not')
    return wanted, [[row[unit] for unit in wanted] for row in mapping.values()]


def _of_attributes(scores: Any) -> tuple[_core.ScoreTable, Parameters]:
    """A table by what it has: `strata_fl.score` gives one."""
    raw = getattr(scores, "raw", None)
    table = _core.ScoreTable(
        _names(scores.clients, len(scores.clients), "client", ""),
        _names(scores.units, len(scores.units), "unit", ""),
        _matrix(scores.scores),
        metric=getattr(scores, "metric", "") or "",
        model_fingerprint=getattr(scores, "model_fingerprint", "") or "",
        samples=int(getattr(scores, "samples", 0) or 0),
        roles=[str(role) for role in getattr(scores, "roles", None) or ()],
        raw=None if raw is None else _matrix(raw),
    )
    parameters = getattr(scores, "parameters", None)
    if not parameters and isinstance(scores.units, Mapping):
        parameters = scores.units
    return table, {str(unit): list(names) for unit, names in (parameters or {}).items()}


def score_table(
    scores: Scores,
    *,
    clients: Optional[Sequence[object]] = None,
    units: Optional[Sequence[object]] = None,
    metric: str = "",
) -> tuple[_core.ScoreTable, Parameters]:
    """The table of what a user gives, and the parameters of its units where that says them."""
    if isinstance(scores, _core.ScoreTable):
        return scores, {}
    if isinstance(scores, (str, os.PathLike)):
        return _core.read_scores(os.fspath(scores), metric), {}
    if all(hasattr(scores, name) for name in ("clients", "units", "scores")):
        return _of_attributes(scores)
    if isinstance(scores, Mapping):
        found, rows = _rows(scores, units)
        clients = list(scores) if clients is None else clients
        units = found
    elif hasattr(scores, "columns") and hasattr(scores, "index") and hasattr(scores, "to_numpy"):
        frame: Any = scores
        if "client" in frame.columns:  # as pandas.read_csv reads a table of scores
            frame = frame.set_index("client")
        rows = frame.to_numpy()
        clients = list(frame.index) if clients is None else clients
        units = list(frame.columns) if units is None else units
    elif isinstance(scores, (bool, int, float, complex)) or scores is None or callable(scores):
        raise ValueError(
            "scores: an array of clients × units, a dict, a DataFrame or a file was expected, found "
            + type(scores).__name__
        )
    else:
        rows = scores
    matrix = _matrix(rows)
    names = _names(clients, matrix.shape[0], "client", "client")
    return _core.ScoreTable(names, _names(units, matrix.shape[1], "unit", "block"), matrix), {}
