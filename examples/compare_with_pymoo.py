"""How near does NSGA-II of pymoo come to the exact front, beside Strata's NSGA-II and annealing?

Needs pymoo. Every rival has the same number of evaluations; the figures are hypervolume over that of the exact front,
and IGD+ to it.

    python compare_with_pymoo.py [SEEDS] [EVALUATIONS]
"""

import sys

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.operators.mutation.bitflip import BitflipMutation
from pymoo.operators.sampling.rnd import BinaryRandomSampling
from pymoo.optimize import minimize

import strata_fl as st
from strata_fl.pymoo import FeasibleAssignments, LayerAssignment

seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
evaluations = int(sys.argv[2]) if len(sys.argv) > 2 else 5000

# Nine clients agree more or less on which of 24 layers matter.
random = np.random.default_rng(1)
scores = random.gamma(0.5, size=24) * random.lognormal(0, 0.5, (9, 24))
problem = st.Problem(scores, budgets=random.integers(2, 7, size=9), normalise=True)


def pymoo_nsga2(problem: st.Problem, evaluations: int, seed: int):
    """A rival: assignments (points, clients, units), or a result that has them as X."""
    algorithm = NSGA2(
        pop_size=100,
        sampling=BinaryRandomSampling(),
        crossover=UniformCrossover(),
        mutation=BitflipMutation(),
        repair=FeasibleAssignments(),
        eliminate_duplicates=True,
    )
    return minimize(LayerAssignment(problem), algorithm, ("n_eval", evaluations), seed=seed)


rivals = {"pymoo NSGA-II": pymoo_nsga2, "nsga2": "nsga2", "annealing": "annealing"}
comparison = st.compare(problem, rivals, seeds=seeds, evaluations=evaluations)
print(f"{problem}, exact front of {len(st.exact_front(problem))} points\n")
print(comparison)
