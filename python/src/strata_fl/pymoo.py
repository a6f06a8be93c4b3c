"""The planning problem for pymoo (https://pymoo.org), to plan with its algorithms.

>>> from pymoo.algorithms.moo.nsga2 import NSGA2
>>> from pymoo.operators.crossover.pntx import TwoPointCrossover
>>> from pymoo.operators.mutation.bitflip import BitflipMutation
>>> from pymoo.operators.sampling.rnd import BinaryRandomSampling
>>> from pymoo.optimize import minimize
>>> from strata_fl import Problem
>>> problem = LayerAssignment(Problem({"ct": [6, 4, 2], "mri": [6, 5, 1]}, budgets=1))
>>> algorithm = NSGA2(
...     20, sampling=BinaryRandomSampling(), crossover=TwoPointCrossover(),
...     mutation=BitflipMutation(), repair=FeasibleAssignments(), eliminate_duplicates=True)
>>> result = minimize(problem, algorithm, ("n_gen", 10), seed=1)
>>> sorted((-result.F[:, 0]).tolist())
[11.0, 12.0]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pymoo.core.problem import Problem as _PymooProblem
from pymoo.core.repair import Repair as _Repair

from .problem import Problem


class LayerAssignment(_PymooProblem):
    """Minimises (−importance, usage variance) and what further objectives the problem has.

    A solution is clients · units booleans, one client after the other. What is not feasible is
    evaluated as `Problem.repair` makes it; with `FeasibleAssignments` the population keeps to it.

    >>> problem = LayerAssignment(Problem({"ct": [6, 4, 2], "mri": [6, 5, 1]}, budgets=1))
    >>> problem.evaluate(np.array([[1, 0, 0, 0, 1, 0]], dtype=bool)).round(3).tolist()
    [[-11.0, 0.222]]
    """

    def __init__(self, problem: Problem):
        shape = problem.importance.shape
        super().__init__(
            n_var=shape[0] * shape[1], n_obj=len(problem.objectives), xl=0, xu=1, vtype=bool
        )
        #: The problem that is planned.
        self.planning = problem

    def assignments(self, X: np.ndarray) -> np.ndarray:
        """(points, clients, units), feasible, of solutions (points, clients · units).

        >>> problem = LayerAssignment(Problem({"ct": [6, 4, 2], "mri": [6, 5, 1]}, budgets=1))
        >>> problem.assignments(np.array([[1, 1, 1, 0, 1, 0]])).astype(int).tolist()
        [[[1, 0, 0], [0, 1, 0]]]
        """
        clients, units = self.planning.importance.shape
        return self.planning.repair(np.asarray(X, dtype=bool).reshape(-1, clients, units))

    def _evaluate(self, X: np.ndarray, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        values = self.planning.evaluate(self.assignments(X))
        values[:, 0] *= -1
        out["F"] = values


class FeasibleAssignments(_Repair):
    """pymoo's repair operator: what is evaluated is what stays in the population.

    >>> from pymoo.core.population import Population
    >>> problem = LayerAssignment(Problem({"ct": [6, 4, 2], "mri": [6, 5, 1]}, budgets=1))
    >>> everything = Population.new(X=np.ones((1, 6), dtype=bool))
    >>> FeasibleAssignments().do(problem, everything).get("X").astype(int).tolist()
    [[1, 0, 0, 1, 0, 0]]
    """

    def _do(self, problem: LayerAssignment, X: np.ndarray, **kwargs: Any) -> np.ndarray:
        return problem.assignments(X).reshape(len(X), -1)
