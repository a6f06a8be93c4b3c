"""How good a front is, and which point of one to take.

A front is an array of (points, 2): importance, which is maximised, and usage variance, which is
minimised, as `Front.F` has them; a `Front` does as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

import numpy as np

from . import _core
from .fronts import Front, _points, check_rule

if TYPE_CHECKING:
    import numpy.typing as npt

    Points = Union[Front, npt.ArrayLike]


def hypervolume(front: Points, reference: tuple[float, float]) -> float:
    """The area that a front dominates and that is better than the reference in both objectives.

    Args:
        front: (points, 2), in any order.
        reference: Least importance and greatest usage variance.

    >>> hypervolume([[2, 1], [3, 2]], reference=(1, 4))
    5.0
    """
    importance, usage_variance = reference
    return _core.hypervolume(_points(front), float(importance), float(usage_variance))


def hypervolume_ratio(front: Points, exact: Points) -> float:
    """Hypervolume over that of the exact front, from whose nadir both are measured.

    Unsupported points can take it above 1.

    >>> hypervolume_ratio([[2, 1]], exact=[[2, 1], [3, 2]])
    0.5
    """
    return _core.hypervolume_ratio(_points(front), _points(exact))


def igd_plus(front: Points, exact: Points) -> float:
    """IGD⁺ (Ishibuchi et al. 2015): how far the exact front's points are from the front; less is better.

    Objectives are divided by their range over `exact`.

    >>> igd_plus([[0, 0]], exact=[[0, 0], [1, 1]])
    0.5
    """
    return _core.igd_plus(_points(front), _points(exact))


def spread(front: Points, exact: Points) -> float:
    """Deb's spread Δ (2002) of a front without dominated points: 0 is even and reaches the ends.

    >>> spread([[1, 0], [2, 1], [3, 2]], [[1, 0], [2, 1], [3, 2]])
    0.0
    """
    return _core.spread(_points(front), _points(exact))


def nondominated(front: npt.ArrayLike) -> np.ndarray:
    """Indices of the points that no other one beats, one of equal ones, by ascending usage variance.

    >>> nondominated([[3, 2], [2, 1], [1, 1], [3, 2]]).tolist()
    [1, 0]
    """
    points = _points(front)
    kept: list[int] = []
    for i in np.lexsort((-points[:, 0], points[:, 1])):
        if not kept or points[i, 0] > points[kept[-1], 0]:
            kept.append(int(i))
    return np.array(kept, dtype=np.intp)


def choose(front: Points, rule: str = "knee") -> int:
    """The index, from 0, of the point that a rule picks; rules as of `Front.choose`.

    Args:
        front: (points, 2), in any order; dominated points are never picked.

    >>> choose([[4, 4], [1, 0], [3, 1]], "knee")
    2
    """
    check_rule(rule)
    points = _points(front)
    order = nondominated(points)
    return int(order[_core.choose(np.ascontiguousarray(points[order]), rule)])
