"""The planning problem: scores, budgets and rules."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, TypedDict, Union

import numpy as np

from . import _core
from .tables import Parameters, score_table

if TYPE_CHECKING:
    from types import FrameType

    import numpy.typing as npt

    from .tables import Scores

    Budgets = Union[int, str, os.PathLike[str], Mapping[str, Union[int, str]], npt.ArrayLike]
    Names = Mapping[str, Sequence[str]]


class ProblemOptions(TypedDict, total=False):
    """What `Problem` takes beside scores and budgets, and with it every function that plans.

    >>> import strata_fl as st
    >>> rules: ProblemOptions = {"pinned": {"ct": ["block.1"]}, "coverage": 1}
    >>> dict(st.plan({"ct": [6, 4], "mri": [6, 5]}, 1, units=["block.0", "block.1"], **rules))
    {'ct': ['block.1'], 'mri': ['block.0']}
    """

    of: str
    costs: Union[str, os.PathLike[str], Mapping[str, Mapping[str, Union[int, str]]]]
    ranks: int
    pinned: Names
    forbidden: Names
    coverage: Union[int, Mapping[str, int]]
    least_cohort: int
    target_usage: Union[Mapping[str, int], npt.ArrayLike]
    client_weights: Mapping[str, float]
    normalise: bool
    competing: Sequence[str]
    always: Sequence[str]
    objectives: Sequence[str]
    speeds: Mapping[str, Mapping[str, float]]
    clients: Sequence[object]
    units: Sequence[object]
    metric: str


def _plain(value: Any, key: str) -> Any:
    """The value as JSON has it; what is no number, text, list or mapping is the user's mistake."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(each, f"{key}.{name}") for name, each in value.items()}
    if isinstance(value, np.ndarray) or isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each, key) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"problem: {key}: a finite number was expected, found {value}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError(
        f"problem: {key}: a number, a text, a list or a mapping was expected, "
        f"found {type(value).__name__}"
    )


def _budget(budgets: Any, of: Optional[str], clients: Sequence[str]) -> Any:
    """The key `budget` of a problem file."""
    if isinstance(budgets, (str, os.PathLike)):
        plain = os.fspath(budgets)
        return {"of": of, "each": plain} if of and not os.path.exists(plain) else plain
    if isinstance(budgets, Mapping):
        plain = _plain(budgets, "budget")
        if not plain.keys() <= {"of", "each", "clients"} or plain.keys() & set(clients):
            plain = {"clients": plain}
        return {"of": of, **plain} if of else plain
    if hasattr(budgets, "to_dict"):  # a Series: names of clients → numbers
        return _budget(budgets.to_dict(), of, clients)
    if np.ndim(budgets) == 1:
        values = _plain(np.asarray(budgets).tolist(), "budget")
        if len(values) != len(clients):
            raise ValueError(
                f"problem: budget: found {len(values)} budgets, and {len(clients)} clients"
            )
        plain = {"clients": dict(zip(clients, values))}
        return {"of": of, **plain} if of else plain
    plain = _plain(budgets, "budget")
    return {"of": of, "each": plain} if of else plain


class Problem:
    """Who may train how much of what: all that a plan depends on but the algorithm.

    Every function that plans takes the same arguments in place of a problem; make one yourself
    to plan it several times, or to evaluate assignments of your own.

    Args:
        scores: Importance of every unit for every client, (clients, units), finite and at least 0:
            an array; a dict of dicts ``{client: {unit: score}}`` or of lists; a pandas DataFrame
            (index: clients, columns: units); a file as ``strata plan --scores`` takes it; or what
            ``strata_fl.score`` returns.
        budgets: How much each client trains: one number, or a dict, an array or a Series with one
            for each client, or an amount such as ``"400kB"``, or the file of a table.
        of: What budgets count: ``"units"`` (the default), ``"bytes"``, ``"flops"``, ``"memory"``.
            Budgets of units are met exactly, those of a resource are limits and need `costs`.
        costs: Of units: a file, or a mapping such as ``{"block.0": {"bytes": "100kB"}, …}``.
        ranks: The largest rank of LoRA's pairs; budgets then count ranks, and plans give each unit
            one. 1 plans units.
        pinned, forbidden: ``{client: [units]}`` that it must, or must not, train. Units may be
            patterns (``"block.[0-3]"``); the client ``"*"`` is everyone.
        coverage: How many clients must train each unit, at least; or ``{unit: number}``.
        least_cohort: How many clients train a unit that anyone trains, at least, so that no update
            of fewer can be read off the model; 1 asks for nothing.
        target_usage: (units,) or ``{unit: number}``: how many clients (or ranks) each unit shall
            have, in place of as many as any other: usage variance is then that of the difference.
            Only differences between these numbers matter; units that a dict leaves out have 0.
        client_weights: ``{client: weight}``: importance counts so often; others 1.
        normalise: Divide each client's row by its sum. By default where the scores say their
            units' roles, as those of a model do.
        competing: Names or patterns of the units that are planned; by default all but the head
            and the embeddings, where roles are known, and all where not.
        always: Units that every client trains beside its budget.
        objectives: Beside ``"importance"`` and ``"usage_variance"`` also ``"uplink_bytes"`` or
            ``"slowest_client"``, which are minimised; the latter needs `speeds`.
        speeds: ``{client: {"samples": …, "flops_per_second": …, "uplink_bytes_per_second": …}}``.
        clients, units: Names for an array's rows and columns; ``client.0``, …, ``block.0``, …
        metric: Which one, of a score file that holds several.

    Attributes:
        parameters: Unit → names of its parameters, where the scores said them; see `Plan.apply`.
        evaluations: How many assignments `evaluate` was asked for.

    Raises:
        ValueError: One line with the key, what was found and what is allowed, as the command line
            says it.

    >>> problem = Problem({"ct": [3, 2, 1], "mri": [3, 1, 2]}, budgets=1)
    >>> problem.clients, problem.units
    (['ct', 'mri'], ['block.0', 'block.1', 'block.2'])
    >>> problem.evaluate([[1, 0, 0], [0, 0, 1]]).round(3).tolist()  # importance, usage variance
    [5.0, 0.222]
    >>> problem.objectives, problem.importance.tolist()
    (['importance', 'usage_variance'], [[3.0, 2.0, 1.0], [3.0, 1.0, 2.0]])
    >>> problem.budgets.tolist(), problem.ranks, problem.always
    ([1, 1], 1, [])
    >>> Problem({"ct": [3, 2, 1], "mri": [3, 1, 2]}, budgets={"ct": 4, "mri": 1})
    Traceback (most recent call last):
    ValueError: problem: budget.clients.ct: client "ct": a budget of 4 units, but there are 3; allowed is 0 to 3
    """

    def __init__(
        self,
        scores: Scores,
        budgets: Budgets,
        *,
        of: Optional[str] = None,
        costs: Any = None,
        ranks: Optional[int] = None,
        pinned: Optional[Names] = None,
        forbidden: Optional[Names] = None,
        coverage: Union[int, Mapping[str, int], None] = None,
        least_cohort: Optional[int] = None,
        target_usage: Union[Mapping[str, int], npt.ArrayLike, None] = None,
        client_weights: Optional[Mapping[str, float]] = None,
        normalise: Optional[bool] = None,
        competing: Optional[Sequence[str]] = None,
        always: Optional[Sequence[str]] = None,
        objectives: Optional[Sequence[str]] = None,
        speeds: Optional[Mapping[str, Mapping[str, float]]] = None,
        clients: Optional[Sequence[object]] = None,
        units: Optional[Sequence[object]] = None,
        metric: str = "",
    ):
        table, parameters = score_table(scores, clients=clients, units=units, metric=metric)
        options = {
            "budget": _budget(budgets, of, table.clients),
            "costs": costs,
            "ranks": ranks,
            "pinned": pinned,
            "forbidden": forbidden,
            "coverage": coverage,
            "least_cohort": least_cohort,
            "target_usage": target_usage,
            "client_weights": client_weights,
            "normalise": normalise,
            "units": competing,
            "always": always,
            "objectives": objectives,
            "clients": speeds,
        }
        if target_usage is not None and hasattr(target_usage, "to_dict"):  # a Series
            options["target_usage"] = target_usage.to_dict()
        given = {key: _plain(value, key) for key, value in options.items() if value is not None}
        self._set(table, json.dumps({"version": 1, **given}), parameters)
        for warning in self._core.warnings:
            warnings.warn(warning, stacklevel=_level_of_user())

    def _set(self, table: _core.ScoreTable, options: str, parameters: Parameters) -> None:
        self._table, self._options = table, options
        self._core = _core.Problem(table, options)
        self.parameters = parameters
        self.evaluations = 0

    @property
    def clients(self) -> list[str]:
        """Names of the rows."""
        return self._core.clients

    @property
    def units(self) -> list[str]:
        """Names of the columns: the units that compete for the budgets."""
        return self._core.units

    @property
    def always(self) -> list[str]:
        """Units that every client trains beside its budget."""
        return self._core.always

    @property
    def importance(self) -> npt.NDArray[np.float64]:
        """(clients, units): the scores as they are planned, weighted and normalised."""
        return self._core.importance

    @property
    def budgets(self) -> npt.NDArray[np.int64]:
        """(clients,): of units or ranks, or of the resource."""
        return self._core.budgets

    @property
    def ranks(self) -> int:
        """The largest rank; 1 of plans of units."""
        return self._core.ranks

    @property
    def objectives(self) -> list[str]:
        """Names of the columns of `evaluate`."""
        return self._core.objectives

    def __repr__(self) -> str:
        counted = self._core.resource or ("ranks" if self.ranks > 1 else "units")
        return (
            f"Problem({len(self.clients)} clients, {len(self.units)} units, "
            f"budgets of {int(self.budgets.sum())} {counted})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        table = self._table
        names = {
            "metric": table.metric,
            "model_fingerprint": table.model_fingerprint,
            "samples": table.samples,
            "roles": table.roles,
        }
        scores = table.clients, table.units, table.scores, names
        return _restore, (*scores, self._options, self.parameters)

    def evaluate(self, assignments: npt.ArrayLike) -> np.ndarray:
        """Objectives of assignments, feasible or not.

        Args:
            assignments: (clients, units) or (points, clients, units), 0 and 1, or ranks.

        Returns:
            (objectives,) or (points, objectives): importance, to be maximised, usage variance and
            whatever else `objectives` names, to be minimised. 15 digits, as plan.json has them.

        >>> problem = Problem([[3, 2, 1], [3, 1, 2]], budgets=1)
        >>> problem.evaluate([[1, 0, 0], [0, 0, 1]]).tolist()
        [5.0, 0.222222222222222]
        """
        array, single = _assignments(assignments)
        values = self._core.evaluate(array)
        self.evaluations += len(values)
        return values[0] if single else values

    def is_feasible(self, assignments: npt.ArrayLike) -> Any:
        """Whether assignments, shaped as for `evaluate`, keep to budgets, rules and coverage.

        Returns:
            bool or (points,) of them.

        >>> problem = Problem([[3, 2, 1], [3, 1, 2]], budgets=1)
        >>> problem.is_feasible([[1, 0, 0], [0, 0, 1]]), problem.is_feasible([[1, 1, 0], [0, 0, 1]])
        (True, False)
        """
        array, single = _assignments(assignments)
        found = self._core.is_feasible(array).astype(bool)
        return bool(found[0]) if single else found

    def repair(self, assignments: npt.ArrayLike) -> np.ndarray:
        """Feasible assignments with few changes: what a search of your own may need.

        Pinned units are set and forbidden ones cleared; what is above a budget loses its units of
        least importance, what is below one of units gets its best free units.

        Args:
            assignments: bool, shaped as for `evaluate`.

        Returns:
            bool, of the same shape.

        >>> problem = Problem([[3, 2, 1], [3, 1, 2]], budgets=1)
        >>> problem.repair([[1, 1, 1], [0, 0, 0]]).astype(int).tolist()
        [[1, 0, 0], [1, 0, 0]]
        """
        array, single = _assignments(assignments)
        repaired = self._core.repair(array).astype(bool)
        return repaired[0] if single else repaired


def _restore(
    clients: list[str],
    units: list[str],
    scores: np.ndarray,
    names: dict[str, Any],
    options: str,
    parameters: Parameters,
) -> Problem:
    problem = Problem.__new__(Problem)
    table = _core.ScoreTable(clients, units, scores, **names)
    problem._set(table, options, parameters)
    return problem


def _assignments(values: npt.ArrayLike) -> tuple[np.ndarray, bool]:
    """(points, clients, units) of bytes, and whether a single one was given."""
    array = np.asarray(values)
    if array.ndim not in (2, 3):
        shape = " × ".join(str(size) for size in array.shape) or type(values).__name__
        raise ValueError(
            f"assignments: clients × units or points × clients × units was expected, found {shape}"
        )
    if array.dtype != bool:
        if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            raise ValueError(f"assignments: whole numbers were expected, found {array.dtype}")
        wrong = ~((array >= 0) & (array <= 255) & (array == np.floor(array)))
        if wrong.any():
            raise ValueError(
                f"assignments: whole numbers of 0 to 255 were expected, found {array[wrong][0]}"
            )
    single = array.ndim == 2
    return np.ascontiguousarray(array[None] if single else array, dtype=np.uint8), single


def as_problem(scores: Any, budgets: Any, options: Mapping[str, Any]) -> Problem:
    """A problem that is there already, or one of these."""
    if not isinstance(scores, Problem):
        if budgets is None:
            raise ValueError("problem: budget: the key is missing: budgets=… was expected")
        return Problem(scores, budgets, **options)
    if budgets is not None or options:
        given = (["budgets"] if budgets is not None else []) + sorted(options)
        raise ValueError(f"problem: a Problem has its own {', '.join(given)}")
    return scores


def _level_of_user() -> int:
    """Frames up to the first one outside of this package, for warnings."""
    import sys

    level = 1
    frame: Optional[FrameType] = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__package__") == __package__:
        level, frame = level + 1, frame.f_back
    return level
