"""Fronts by every algorithm, and plans of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from . import _core
from .plans import Plan
from .problem import Problem, as_problem

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas
    from typing_extensions import Unpack

    from .problem import Budgets, ProblemOptions
    from .tables import Scores

    WarmStart = Union["Front", Plan, str, os.PathLike[str], npt.ArrayLike]


class Front:
    """Plans that no other one found beats in all objectives, by ascending usage variance.

    ``len(front)`` points; ``front[k]`` is the plan of the k-th, from 0.

    >>> import strata_fl as st
    >>> front = st.exact_front({"ct": [6, 4, 2], "mri": [6, 5, 1]}, budgets=1)
    >>> front.F.tolist()
    [[11.0, 0.222222222222222], [12.0, 0.888888888888889]]
    >>> front.X.shape, front.X.dtype.name
    ((2, 2, 3), 'bool')
    >>> front.choose("knee")["mri"]
    ['block.1']
    >>> front.clients, front.units, front.objectives
    (['ct', 'mri'], ['block.0', 'block.1', 'block.2'], ['importance', 'usage_variance'])
    >>> front.algorithm, front.kind, front.evaluations, front.problem, front.certificate.kind
    ('exact', 'exact', 0, Problem(2 clients, 3 units, budgets of 2 units), 'exact')
    """

    def __init__(self, core: _core.Front, problem: Problem):
        self._core = core
        self._X: Optional[np.ndarray] = None
        self._F = core.F
        self._problem = problem

    @property
    def F(self) -> npt.NDArray[np.float64]:
        """(points, objectives): importance, to be maximised, usage variance, to be minimised, and
        what further objectives the problem has. 15 digits, as plan.json has them."""
        return self._F

    @property
    def problem(self) -> Problem:
        """What was planned."""
        return self._problem

    @property
    def X(self) -> np.ndarray:
        """(points, clients, units): bool, or the ranks as whole numbers."""
        if self._X is None:
            found = self._core.X
            self._X = found if self.problem.ranks > 1 else found.astype(bool)
        return self._X

    @property
    def clients(self) -> list[str]:
        """Names along the second axis of `X`."""
        return self.problem.clients

    @property
    def units(self) -> list[str]:
        """Names along the third axis of `X`."""
        return self.problem.units

    @property
    def objectives(self) -> list[str]:
        """Names of the columns of `F`."""
        return self.problem.objectives

    @property
    def algorithm(self) -> str:
        """What planned."""
        return self._core.algorithm

    @property
    def kind(self) -> str:
        """What the algorithm is: exact, price, search or baseline."""
        return self._core.kind

    @property
    def evaluations(self) -> int:
        """Objective evaluations spent; 0 where none are counted."""
        return self._core.evaluations

    @property
    def certificate(self) -> Certificate:
        """What no assignment of the problem exceeds. Not of fronts made with ``gap=False``."""
        return Certificate(self._core.certificate)

    def __len__(self) -> int:
        return len(self._core)

    def __getitem__(self, point: int) -> Plan:
        try:
            place = range(len(self))[point]
        except IndexError:
            raise IndexError(f"point {point}: the front has {len(self)}") from None
        return self.choose(f"row:{place + 1}")

    def __iter__(self) -> Iterator[Plan]:
        return (self[point] for point in range(len(self)))

    def __repr__(self) -> str:
        return f"Front({self.algorithm}: {len(self)} points)"

    def choose(self, rule: str = "knee") -> Plan:
        """The plan of the point that a rule picks.

        Args:
            rule: ``"knee"``, ``"ideal"``, ``"weights:0.3"``, ``"importance:90"``, ``"variance:1"``,
                ``"row:3"``, …, as ``strata plan --choose`` has them (docs/planner.md).

        Raises:
            ValueError: An unknown rule, or a limit that no point keeps to.

        >>> import strata_fl as st
        >>> front = st.exact_front({"ct": [6, 4, 2], "mri": [6, 5, 1]}, budgets=1)
        >>> front.choose("importance:100").importance, front.choose("variance:0.5").usage_variance
        (12.0, 0.222222222222222)
        """
        check_rule(rule)
        return Plan(self._core.choose(rule), self.problem.parameters)

    def save(self, path: Union[str, os.PathLike[str]], choose: str = "knee") -> None:
        """Writes every point with who trains what, as ``strata plan --front`` does: CSV or .json.

        >>> import pathlib, tempfile
        >>> import strata_fl as st
        >>> front = st.exact_front({"ct": [6, 4], "mri": [6, 5]}, budgets=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     front.save(pathlib.Path(folder) / "front.csv")
        ...     len((pathlib.Path(folder) / "front.csv").read_text().splitlines())
        3
        """
        check_rule(choose)
        text = self._core.text(choose, os.fspath(path))
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def to_frame(self) -> pandas.DataFrame:
        """`F` as a DataFrame with names of objectives.

        >>> import strata_fl as st
        >>> st.exact_front({"ct": [6, 4], "mri": [6, 5]}, budgets=1).to_frame()
           importance  usage_variance
        0        11.0             0.0
        1        12.0             1.0
        """
        import pandas

        return pandas.DataFrame(self.F, columns=self.objectives)


class Certificate:
    """What no assignment of a problem exceeds.

    >>> import strata_fl as st
    >>> bound = st.certify({"ct": [6, 4, 2], "mri": [6, 5, 1]}, budgets=1)
    >>> bound.kind, bound.importance_bound(0.5), bound.importance_bound(1)
    ('exact', 11.416666666666666, 12.0)
    >>> bound.F.tolist()
    [[11.0, 0.222222222222222], [12.0, 0.888888888888889]]
    >>> bound.hypervolume_ratio([[11.0, 0.25]]) < 1 == bound.hypervolume_ratio(bound.F)
    True
    """

    def __init__(self, core: _core.Certificate):
        self._core = core

    @property
    def kind(self) -> str:
        """``"exact"``: of the exact supported front; ``"prices"``: by duality."""
        return self._core.kind

    @property
    def F(self) -> npt.NDArray[np.float64]:
        """(points, 2): importance and usage variance of points that bound the front."""
        return self._core.bounds

    def importance_bound(self, usage_variance: float) -> float:
        """The most importance that an assignment with at most this usage variance can have."""
        if not isinstance(usage_variance, Real) or math.isnan(usage_variance):
            raise ValueError(f"usage_variance: a number was expected, found {usage_variance!r}")
        return self._core.importance_bound(float(usage_variance))

    def hypervolume_ratio(self, front: npt.ArrayLike) -> float:
        """Hypervolume of a front, (points, 2), over that of the bound."""
        return self._core.hypervolume_ratio(_points(front))


def check_rule(rule: object) -> None:
    """Raises ValueError where a rule is none, before anything is planned for it."""
    if not isinstance(rule, str):
        raise ValueError(f'choose: a rule such as "knee" was expected, found {rule!r}')
    _core.check_choice(rule)


def _points(front: Any) -> np.ndarray:
    array = np.asarray(getattr(front, "F", front), dtype=np.float64)
    if array.ndim == 1 and array.size == 2:
        array = array[None]
    if array.ndim != 2:
        raise ValueError(f"points: an array of points × 2 was expected, found {array.ndim} axes")
    return np.ascontiguousarray(array)


def _warm_start(problem: Problem, given: Any) -> Optional[np.ndarray]:
    from .problem import _assignments

    if given is None:
        return None
    if isinstance(given, (str, os.PathLike)):
        return problem._core.read_assignments(os.fspath(given))
    return _assignments(given.X if isinstance(given, (Front, Plan)) else given)[0]


#: Types of algorithms' options, what these are made of, and what is said of others.
_FLAG, _NAME, _NUMBER = (bool, (bool, np.bool_), "True or False"), (str, str, "a name"), (float, Real, "a number")
_WHOLE = (int, Integral, "a whole number of at least 0")
_OPTIONS: dict[str, tuple[Any, Any, str]] = {
    "gap": _FLAG,
    "sweep": _FLAG,
    "start": _NAME,
    "full_front_seconds": _NUMBER,
    "seconds": _NUMBER,
    "evaluations": _WHOLE,
    "islands": _WHOLE,
    "population": _WHOLE,
    "seed": _WHOLE,
}


def _checked_options(algorithm: Any, options: dict[str, Any]) -> dict[str, Any]:
    """As _core takes them, NumPy's numbers as Python's."""
    if not isinstance(algorithm, str):
        raise ValueError(f"algorithm: a name was expected, found {algorithm!r}")
    checked = {}
    for name, value in options.items():
        if name not in _OPTIONS:
            raise ValueError(f"{name}: no such option; there are {', '.join(_OPTIONS)}")
        kind, accepted, called = _OPTIONS[name]
        if not isinstance(value, accepted) or (kind is int and value < 0):
            raise ValueError(f"{name}: {called} was expected, found {value!r}")
        checked[name] = kind(value)
    return checked


def plan_front(problem: Problem, algorithm: str, warm_start: Any = None, **options: Any) -> Front:
    """A front by any algorithm; what the functions below have in common."""
    options = _checked_options(algorithm, options)
    warm = _warm_start(problem, warm_start)
    try:
        return Front(_core.plan_front(problem._core, algorithm, warm_start=warm, **options), problem)
    except TypeError as error:
        if "incompatible function arguments" not in str(error):
            raise
        shown = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise ValueError(f"plan: an option is too large among {shown}") from None


def exact_front(
    scores: Union[Problem, Scores],
    budgets: Optional[Budgets] = None,
    *,
    sweep: bool = False,
    full_front_seconds: float = 0,
    **options: Unpack[ProblemOptions],
) -> Front:
    """The exact supported front: what any weighted sum of importance and usage variance reaches.

    Args:
        scores, budgets, **options: As of `Problem`, or a `Problem` alone. Budgets of units or ranks.
        sweep: Add the points between two of them that single exchanges lead to: nearly the whole
            front.
        full_front_seconds: Add the unsupported points that are found in this time.

    Returns:
        A `Front` of p points: ``F`` (p, 2), ``X`` (p, clients, units).

    Raises:
        ValueError: As `Problem`, and for budgets of a resource.

    >>> front = exact_front([[6, 4, 2], [6, 5, 1], [6, 4, 3]], budgets=[1, 1, 2])
    >>> len(front), front.choose("variance:1").importance
    (2, 20.0)
    """
    problem = as_problem(scores, budgets, options)
    return plan_front(problem, "exact", sweep=sweep, full_front_seconds=full_front_seconds)


def price_front(
    scores: Union[Problem, Scores],
    budgets: Optional[Budgets] = None,
    *,
    gap: bool = True,
    **options: Unpack[ProblemOptions],
) -> Front:
    """A front and a bound by prices on usage: for budgets of bytes, FLOPs or memory, any size.

    Args:
        scores, budgets, **options: As of `Problem`, or a `Problem` alone.
        gap: Certify how far it is from what can be reached.

    >>> costs = {"block.0": {"bytes": "2kB"}, "block.1": {"bytes": 800}}
    >>> front = price_front({"ct": [3, 2], "mri": [3, 1]}, budgets="2.5kB", costs=costs)
    >>> front.choose("importance:80")["ct"]
    ['block.1']
    """
    return plan_front(as_problem(scores, budgets, options), "prices", gap=gap)


def search(
    scores: Union[Problem, Scores],
    budgets: Optional[Budgets] = None,
    *,
    algorithm: str = "nsga2",
    evaluations: int = 20000,
    start: str = "greedy",
    population: int = 100,
    islands: int = 1,
    seconds: float = 0,
    seed: int = 1,
    warm_start: Optional[WarmStart] = None,
    gap: bool = True,
    **options: Unpack[ProblemOptions],
) -> Front:
    """A front by one of the metaheuristics. The same seed gives the same front, whatever the threads.

    Args:
        scores, budgets, **options: As of `Problem`, or a `Problem` alone.
        algorithm: ``"nsga2"``, ``"mopso"``, ``"aco"``, ``"abc"`` or ``"annealing"``.
        evaluations: Candidates whose objectives are computed, at most; shared by the islands.
        start: ``"greedy"``, ``"random"`` or ``"exact"``.
        population: A multiple of 4, at least 8.
        islands: Populations that pass on a tenth of themselves ten times.
        seconds: More than 0 ends it after this time; the result then depends on the machine.
        seed: Of random numbers.
        warm_start: An earlier front or plan to begin with, or its file, or assignments.
        gap: Certify the distance from what can be reached; the exact front is computed for it.

    >>> front = search({"ct": [6, 4, 2], "mri": [6, 5, 1]}, budgets=1, evaluations=200, seed=7)
    >>> front.F[:, 0].tolist()
    [11.0, 12.0]
    """
    if algorithm not in _core.search_algorithms():
        known = ", ".join(f'"{name}"' for name in _core.search_algorithms())
        raise ValueError(f'algorithm: "{algorithm}" is none that searches; allowed: {known}')
    problem = as_problem(scores, budgets, options)
    return plan_front(
        problem,
        algorithm,
        warm_start,
        gap=gap,
        evaluations=evaluations,
        start=start,
        population=population,
        islands=islands,
        seconds=seconds,
        seed=seed,
    )


def plan(
    scores: Union[Problem, Scores],
    budgets: Optional[Budgets] = None,
    *,
    algorithm: str = "auto",
    choose: str = "knee",
    seed: int = 1,
    gap: bool = True,
    evaluations: int = 20000,
    start: str = "greedy",
    population: int = 100,
    islands: int = 1,
    seconds: float = 0,
    sweep: bool = False,
    full_front_seconds: float = 0,
    warm_start: Optional[WarmStart] = None,
    **options: Unpack[ProblemOptions],
) -> Plan:
    """What ``strata plan`` does: a front, and the point of it that a rule picks.

    Args:
        scores, budgets, **options: As of `Problem`, or a `Problem` alone.
        algorithm: ``"auto"`` takes the one that serves; ``"exact"``, ``"prices"``, those of
            `search`, or a baseline: ``"greedy"``, ``"topk"``, ``"random"``, ``"roundrobin"``.
        choose: A rule as of `Front.choose`.
        seed, evaluations, start, population, islands, seconds, warm_start: As of `search`.
        gap: Certify the distance from what can be reached.
        sweep, full_front_seconds: As of `exact_front`.

    >>> scores = {"ct": [6, 4, 2], "mri": [6, 5, 1]}
    >>> plan(scores, budgets=1)
    Plan(exact, knee: 2 clients, 3 units, importance 11, usage variance 0.222222, gap 0.000 %)
    >>> plan(scores, budgets=1, algorithm="topk").X.sum(axis=0).tolist()  # usage of the units
    [2, 0, 0]
    """
    check_rule(choose)
    return plan_front(
        as_problem(scores, budgets, options),
        algorithm,
        warm_start,
        gap=gap,
        sweep=sweep,
        full_front_seconds=full_front_seconds,
        evaluations=evaluations,
        start=start,
        population=population,
        islands=islands,
        seconds=seconds,
        seed=seed,
    ).choose(choose)


def certify(
    scores: Union[Problem, Scores],
    budgets: Optional[Budgets] = None,
    **options: Unpack[ProblemOptions],
) -> Certificate:
    """What no assignment exceeds, to measure plans of your own with.

    Args:
        scores, budgets, **options: As of `Problem`, or a `Problem` alone.

    >>> import strata_fl as st
    >>> bound = st.certify({"ct": [6, 4], "mri": [6, 5]}, 1)
    >>> bound.kind, bound.importance_bound(0.0), bound.importance_bound(1.0)
    ('exact', 11.0, 12.0)
    """
    return Certificate(_core.certify(as_problem(scores, budgets, options)._core))
