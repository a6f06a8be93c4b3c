"""The planning problem for pygmo (https://esa.github.io/pygmo2), to plan with pagmo's algorithms.

Importing this does not need pygmo: a user-defined problem is any class with these methods.

>>> from strata_fl import Problem
>>> problem = LayerAssignment(Problem({"ct": [6, 4, 2], "mri": [6, 5, 1]}, budgets=1))
>>> problem.fitness([1, 0, 0, 0, 1, 0]).round(3).tolist()
[-11.0, 0.222]
>>> import pygmo
>>> population = pygmo.population(pygmo.problem(problem), 24, seed=1)
>>> population = pygmo.algorithm(pygmo.nsga2(gen=20, seed=1)).evolve(population)
>>> float(max(-population.get_f()[:, 0]))
12.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .problem import Problem

if TYPE_CHECKING:
    import numpy.typing as npt


class LayerAssignment:
    """Minimises (−importance, usage variance) and what further objectives the problem has.

    A decision vector is clients · units integers in [0, 1], one client after the other; entries are
    rounded, and what is not feasible means what `Problem.repair` makes of it.

    >>> problem = LayerAssignment(Problem({"ct": [6, 4, 2], "mri": [6, 5, 1]}, budgets=1))
    >>> problem.assignments([1, 1, 1, 0, 1, 0]).astype(int).tolist()
    [[[1, 0, 0], [0, 1, 0]]]
    >>> problem.fitness([1, 0, 0, 0, 1, 0]).tolist()
    [-11.0, 0.222222222222222]
    """

    def __init__(self, problem: Problem):
        #: The problem that is planned.
        self.planning = problem

    def assignments(self, vectors: npt.ArrayLike) -> np.ndarray:
        """(points, clients, units), feasible, of one decision vector or several."""
        clients, units = self.planning.importance.shape
        values = np.asarray(vectors, dtype=np.float64) >= 0.5
        return self.planning.repair(values.reshape(-1, clients, units))

    def fitness(self, vector: npt.ArrayLike) -> np.ndarray:
        """(objectives,)."""
        return self.batch_fitness(vector)

    def batch_fitness(self, vectors: npt.ArrayLike) -> np.ndarray:
        """(points · objectives,), as pygmo's batch evaluation has it."""
        values = self.planning.evaluate(self.assignments(vectors))
        values[:, 0] *= -1
        return values.ravel()

    def get_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        size = self.planning.importance.size
        return np.zeros(size), np.ones(size)

    def get_nobj(self) -> int:
        return len(self.planning.objectives)

    def get_nix(self) -> int:
        return self.planning.importance.size

    def get_name(self) -> str:
        return "Strata layer assignment"
