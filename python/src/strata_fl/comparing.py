"""Rivals against the exact front: Strata's algorithms, pymoo's, pagmo's, and your own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

import numpy as np

from . import _core
from .fronts import exact_front, plan_front
from .indicators import hypervolume_ratio, igd_plus, nondominated, spread
from .problem import Problem, as_problem

if TYPE_CHECKING:
    import pandas
    from typing_extensions import Unpack

    from .problem import Budgets, ProblemOptions
    from .tables import Scores

    Rival = Union[str, Mapping[str, Any], Callable[[Problem, int, int], Any]]


class Run(NamedTuple):
    """One run of a rival."""

    rival: str
    seed: int
    hypervolume_ratio: float
    igd_plus: float
    spread: float
    points: int
    evaluations: int
    seconds: float


class Line(NamedTuple):
    """Medians over a rival's runs."""

    rival: str
    runs: int
    hypervolume_ratio: float
    igd_plus: float
    spread: float
    points: float
    seconds: float
    best: bool
    p: float


class Comparison:
    """What `compare` returns; as a text it is a table.

    Attributes:
        runs: A named tuple for each rival and seed: rival, seed, hypervolume_ratio, igd_plus, spread,
            points, evaluations, seconds.
        summary: A named tuple for each rival, in their order: rival, runs, and medians over these;
            ``best``, by the median ratio; ``p`` of Wilcoxon's signed-rank test against the best,
            Holm-adjusted, NaN of the best itself.

    >>> import strata_fl as st
    >>> scores = {"ct": [6, 4, 2, 1], "mri": [7, 5, 1, 1], "xray": [9, 2, 2, 3]}
    >>> found = st.compare(scores, {"nsga2": "nsga2"}, budgets=1, seeds=2, evaluations=1000)
    >>> [(run.rival, run.seed, run.hypervolume_ratio) for run in found.runs]
    [('nsga2', 1, 1.0), ('nsga2', 2, 1.0)]
    >>> found.summary[0].best, str(found).splitlines()[0].split()[:3]
    (True, ['rival', 'runs', 'hypervolume'])
    """

    def __init__(self, runs: list[Run]):
        self.runs = runs
        rows = [
            (r.rival, r.evaluations, r.seed, r.hypervolume_ratio, r.igd_plus, r.spread, r.points)
            + (r.seconds,)
            for r in runs
        ]
        self.summary = [Line(*line) for line in _core.summarise(rows)]

    def to_frame(self) -> pandas.DataFrame:
        """The runs as a DataFrame.

        >>> import strata_fl as st
        >>> scores = {"ct": [6, 4, 2, 1], "mri": [7, 5, 1, 1], "xray": [9, 2, 2, 3]}
        >>> found = st.compare(scores, {"nsga2": "nsga2"}, budgets=1, seeds=2, evaluations=1000)
        >>> found.to_frame()[["rival", "seed", "hypervolume_ratio"]]
           rival  seed  hypervolume_ratio
        0  nsga2     1                1.0
        1  nsga2     2                1.0
        """
        import pandas

        return pandas.DataFrame(self.runs, columns=Run._fields)

    def __str__(self) -> str:
        rows = [("rival", "runs", "hypervolume ratio", "IGD+", "points", "seconds", "p")]
        for line in self.summary:
            p = "best" if line.best else f"{line.p:.3g}"
            rows.append(
                (line.rival, str(line.runs), f"{line.hypervolume_ratio:.6f}")
                + (f"{line.igd_plus:.6f}", f"{line.points:g}", f"{line.seconds:.3f}", p)
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])])
            for row in rows
        )


def compare(
    scores: Union[Problem, Scores],
    rivals: Mapping[str, Rival],
    *,
    budgets: Optional[Budgets] = None,
    seeds: int = 5,
    evaluations: int = 20000,
    start: str = "random",
    population: int = 100,
    progress: Optional[Callable[[str, int], None]] = None,
    **options: Unpack[ProblemOptions],
) -> Comparison:
    """Runs every rival with the seeds 1 to `seeds` and measures its front against the exact one.

    Args:
        scores, budgets, **options: As of `Problem`, or a `Problem` alone; budgets of units.
        rivals: Name → what runs: the name of an algorithm (as of `plan`), a dict with
            ``"algorithm"`` and options of `search`, or a function ``(problem, evaluations, seed)``
            that returns assignments (points, clients, units), or anything with such an ``X``, as
            pymoo's results have. What it evaluates by ``problem.evaluate`` is counted.
        seeds: How many.
        evaluations, start, population: What Strata's algorithms get.
        progress: Called before every run with its rival and seed.

    Raises:
        ValueError: Assignments that are not feasible; no rivals; an exact front without area (one or
            two points), on which there is nothing to compare.

    >>> import numpy as np
    >>> scores = np.random.default_rng(1).random((9, 12))
    >>> def guess(problem, evaluations, seed):
    ...     drawn = np.random.default_rng(seed).random((evaluations, *problem.importance.shape)) < 0.2
    ...     return problem.repair(drawn)
    >>> result = compare(scores, {"guess": guess, "annealing": "annealing"}, budgets=3, evaluations=300)
    >>> [line.rival for line in result.summary if line.best]
    ['annealing']
    """
    problem = as_problem(scores, budgets, options)
    if not rivals:
        raise ValueError("rivals: none is given; at least one is needed")
    if not isinstance(seeds, Integral) or seeds < 1:
        raise ValueError(f"seeds: found {seeds!r}, allowed is 1 or more")
    exact = exact_front(problem).F
    if len(exact) < 3:
        raise ValueError(f"the exact front has {len(exact)} point(s); 3 are needed to compare on it")
    own = {"evaluations": evaluations, "start": start, "population": population}
    runs = []
    for name, rival in rivals.items():
        for seed in range(1, seeds + 1):
            if progress:
                progress(name, seed)
            begin = time.perf_counter()
            if callable(rival):
                front, spent = _front_of_callable(problem, name, rival, evaluations, seed)
            else:
                front, spent = _front_of_own(problem, name, rival, own, seed)
            seconds = time.perf_counter() - begin
            ratio = hypervolume_ratio(front, exact)
            distance, evenness = igd_plus(front, exact), spread(front, exact)
            runs.append(Run(name, seed, ratio, distance, evenness, len(front), spent, seconds))
    return Comparison(runs)


def _front_of_own(
    problem: Problem, name: str, rival: Any, own: dict[str, Any], seed: int
) -> tuple[np.ndarray, int]:
    if not isinstance(rival, (str, Mapping)):
        raise ValueError(
            f'rivals: "{name}": a name, a dict of options or a function was expected, found {type(rival).__name__}'
        )
    settings = {"algorithm": rival} if isinstance(rival, str) else dict(rival)
    if "algorithm" not in settings:
        raise ValueError(f'rivals: "{name}" has no algorithm')
    algorithm = settings.pop("algorithm")
    front = plan_front(problem, algorithm, gap=False, seed=seed, **{**own, **settings})
    return front.F[:, :2], front.evaluations


def _front_of_callable(
    problem: Problem, name: str, rival: Any, evaluations: int, seed: int
) -> tuple[np.ndarray, int]:
    counted = Problem.__new__(Problem)
    counted.__dict__.update(problem.__dict__, evaluations=0)
    found = rival(counted, evaluations, seed)
    X = np.asarray(getattr(found, "X", found))
    shape = problem.importance.shape
    if X.size % math.prod(shape) or X.size == 0:
        raise ValueError(
            f'rival "{name}", seed {seed}: assignments of points × {shape[0]} × {shape[1]} were '
            f"expected, found {' × '.join(map(str, X.shape))}"
        )
    X = X.reshape(-1, *shape)
    wrong = np.flatnonzero(~np.asarray(problem.is_feasible(X)))
    if len(wrong):
        raise ValueError(
            f'rival "{name}", seed {seed}: assignment {wrong[0]} does not keep to budgets, rules or '
            "coverage; Problem.repair makes assignments that do"
        )
    spent = counted.evaluations
    points = problem._core.evaluate(np.ascontiguousarray(X, dtype=np.uint8))[:, :2]
    return points[nondominated(points)], spent
