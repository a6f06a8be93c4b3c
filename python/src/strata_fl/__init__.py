"""Strata's planner: who trains which layers of a model that several clients fine-tune together.

>>> import strata_fl as st
>>> scores = {"ct": {"block.0": 6, "block.1": 4}, "mri": {"block.0": 6, "block.1": 5}}
>>> front = st.exact_front(scores, budgets=1)
>>> front.F.tolist()  # importance, usage variance
[[11.0, 0.0], [12.0, 1.0]]
>>> plan = front.choose("variance:0.5")
>>> plan["ct"], plan["mri"], plan.gap.relative
(['block.0'], ['block.1'], 0.0)

NumPy is all that it needs. `score`, of any PyTorch model, needs torch. `strata_fl.pymoo` and `strata_fl.pygmo`
have problem classes for these.
"""

from typing import TYPE_CHECKING

from . import _core
from .comparing import Comparison, compare
from .fronts import Certificate, Front, certify, exact_front, plan, price_front, search
from .indicators import choose, hypervolume, hypervolume_ratio, igd_plus, nondominated, spread
from .plans import Gap, Plan, read_plan
from .problem import Problem, ProblemOptions

__version__ = _core.version()

if TYPE_CHECKING:
    from .scoring import ScoreTable, find_units, score

# Of strata_fl.scoring, which imports torch; not in __all__, so that `import *` does not.
_SCORING = ("ScoreTable", "find_units", "score")


def __getattr__(name: str) -> object:
    if name not in _SCORING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import scoring

    return getattr(scoring, name)


__all__ = [
    "Certificate",
    "Comparison",
    "Front",
    "Gap",
    "Plan",
    "Problem",
    "ProblemOptions",
    "certify",
    "choose",
    "compare",
    "exact_front",
    "hypervolume",
    "hypervolume_ratio",
    "igd_plus",
    "nondominated",
    "plan",
    "price_front",
    "read_plan",
    "search",
    "spread",
]
