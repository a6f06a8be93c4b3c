import strata_fl


def test_algorithms_are_the_planners_without_pagmos():
    names = strata_fl._core.algorithms()
    assert names[:3] == ["auto", "exact", "prices"]
    assert not any(name.startswith("pagmo:") for name in names)
