"""Fronts, plans, indicators, comparisons: what comes out, and how long calls behave."""

import itertools
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from conftest import instance

import strata_fl as st


def all_points(problem):
    """Objectives of every assignment of a small problem."""
    clients, units = problem.importance.shape
    rows = [
        [row for row in itertools.product([0, 1], repeat=units) if sum(row) == budget]
        for budget in problem.budgets
    ]
    return problem.evaluate(np.array(list(itertools.product(*rows))))


def test_the_exact_front_is_the_hull_of_every_assignment():
    for seed in range(8):
        table, budgets = instance(4, 4, seed)
        problem = st.Problem(table, budgets)
        points = all_points(problem)
        front = st.exact_front(problem)
        assert np.isclose(front.F[-1, 0], points[:, 0].max(), rtol=1e-12)
        assert np.isclose(front.F[0, 1], points[:, 1].min())
        for weight in (0.01, 0.1, 1, 10):
            best = (points[:, 0] - weight * points[:, 1]).max()
            assert np.isclose((front.F[:, 0] - weight * front.F[:, 1]).max(), best, rtol=1e-12)
        full = st.exact_front(problem, full_front_seconds=30).F
        kept = points[st.nondominated(points)]
        assert np.allclose(full, kept, rtol=1e-12)
        bound = st.certify(problem)
        assert bound.kind == "exact" and np.array_equal(bound.F, front.F)
        assert bound.hypervolume_ratio(front) == pytest.approx(1)
        for importance, variance in points:
            assert importance <= bound.importance_bound(variance) * (1 + 1e-12)


@pytest.mark.parametrize("ranks", [None, 2])
def test_a_target_usage_is_planned_exactly(ranks):
    for seed in range(6):
        table, budgets = instance(3, 4, seed)
        random = np.random.default_rng(seed)
        target = random.integers(0, 3, size=4)
        coverage = {"block.0": 1}
        extra = {"coverage": coverage} | ({"ranks": ranks} if ranks else {})
        problem = st.Problem(table, budgets, target_usage=target, **extra)
        plain = st.Problem(table, budgets, **extra)
        highest = range((ranks or 1) + 1)
        rows = [
            [row for row in itertools.product(highest, repeat=4) if sum(row) == budget]
            for budget in problem.budgets
        ]
        X = np.array(list(itertools.product(*rows)))
        X = X[np.asarray(plain.is_feasible(X))]
        points = problem.evaluate(X)
        off = X.sum(axis=1) - target
        assert np.allclose(points[:, 1], off.var(axis=1), atol=1e-12)
        assert np.array_equal(points[:, 0], plain.evaluate(X)[:, 0])
        front = st.exact_front(problem)
        assert front.X.shape[1:] == (3, 4) and plain.is_feasible(front.X).all()
        assert np.array_equal(problem.evaluate(front.X), front.F)
        for weight in (0.01, 0.1, 1, 10):
            best = (points[:, 0] - weight * points[:, 1]).max()
            assert np.isclose((front.F[:, 0] - weight * front.F[:, 1]).max(), best, rtol=1e-9)
        assert np.isclose(front.F[0, 1], points[:, 1].min())
        plan = front.choose()
        assert plan.clients == list(table) and plan.gap.relative < 1e-9
        assert plan.provenance["target_usage"] == " ".join(map(str, target))
        again = pickle.loads(pickle.dumps(problem))
        assert st.exact_front(again).choose() == plan


def test_a_target_usage_for_searches_and_budgets_of_bytes(tmp_path):
    table, budgets = instance(6, 8, 2)
    target = {"block.6": 3, "block.7": 5}
    problem = st.Problem(table, budgets, target_usage=target)
    exact = st.exact_front(problem)
    even = st.exact_front(table, budgets)
    # What is not named has 0.
    named = st.exact_front(table, budgets, target_usage=[0] * 6 + [3, 5])
    assert np.array_equal(exact.F, named.F)
    assert exact[0].X.sum(axis=0)[6:].sum() > even[0].X.sum(axis=0)[6:].sum()
    found = st.search(problem, evaluations=4000, warm_start=even)
    assert found.X.shape[1:] == (6, 8) and st.hypervolume_ratio(found, exact) > 0.95
    assert st.certify(problem).hypervolume_ratio(found) == pytest.approx(
        st.hypervolume_ratio(found, exact)
    )
    costs = {unit: {"bytes": 100} for unit in problem.units}
    limits = {client: 100 * budget for client, budget in budgets.items()}
    priced = st.price_front(table, limits, of="bytes", costs=costs, target_usage=target)
    assert priced.F[0, 1] <= exact.F[0, 1] + 1e-12
    plan = priced.choose()
    assert plan.budgets == limits
    plan.save(tmp_path / "plan.json")
    assert st.read_plan(tmp_path / "plan.json") == plan
    # An even target is none.
    assert st.plan(table, budgets, target_usage=[2] * 8).front.tolist() == even.F.tolist()


def test_every_search_finds_most_of_the_front():
    problem = st.Problem(*instance(9, 24, 4))
    exact = st.exact_front(problem)
    for name in ("nsga2", "mopso", "aco", "abc", "annealing"):
        front = st.search(problem, algorithm=name, evaluations=5000)
        assert front.algorithm == name and front.kind == "search"
        assert 0 < front.evaluations <= 5000
        assert st.hypervolume_ratio(front, exact) > 0.95
        assert st.igd_plus(front, exact) < 0.05
        again = st.search(problem, algorithm=name, evaluations=5000)
        assert np.array_equal(front.X, again.X)
        assert not np.array_equal(front.X, st.search(problem, algorithm=name, evaluations=5000, seed=2).X)


def test_plans_are_mappings():
    table, budgets = instance(3, 6)
    plan = st.plan(table, budgets, always=["block.5"])
    assert list(plan) == plan.clients == ["c0", "c1", "c2"] and len(plan) == 3
    assert {client: len(units) for client, units in plan.items()} == budgets
    assert plan.trained_units("c0")[-1] == "block.5" and "block.5" not in plan.units
    assert plan.get("nobody") is None and "nobody" not in plan
    with pytest.raises(ValueError, match='the plan has no client "nobody"; there are "c0", "c1"'):
        plan["nobody"]
    with pytest.raises(KeyError):
        plan["nobody"]
    assert plan.importance == plan.objectives["importance"] == plan.front[plan.row - 1, 0]
    frame = plan.to_frame()
    assert frame.loc["c1"].sum() == budgets["c1"]
    assert st.plan(table, budgets, gap=False).gap is None


def test_a_plan_is_the_same_when_read_again(tmp_path):
    table, budgets = instance(5, 9)
    for options in ({}, {"ranks": 3}, {"algorithm": "annealing", "evaluations": 300}):
        plan = st.plan(table, budgets, **options)
        plan.save(tmp_path / "plan.json")
        again = st.Plan.load(tmp_path / "plan.json")
        assert again == plan == st.read_plan(str(tmp_path / "plan.json"))
        assert again.to_json() == (tmp_path / "plan.json").read_text()
        assert dict(again) == dict(plan) and again.gap == plan.gap


def test_problems_are_pickled_whole():
    table, budgets = instance(4, 8)
    problem = st.Problem(table, budgets, pinned={"c0": ["block.1"]}, coverage={"block.3": 2})
    again = pickle.loads(pickle.dumps(problem))
    assert st.plan(again) == st.plan(problem) and repr(again) == repr(problem)


def test_rules_on_arrays_in_any_order():
    front = st.exact_front(*instance(9, 24, 2))
    order = np.random.default_rng(1).permutation(len(front))
    for rule in ("knee", "ideal", "weights:0.3", "importance:90", "row:3"):
        place = st.choose(front.F[order], rule)
        assert order[place] == front.choose(rule).row - 1
    with pytest.raises(ValueError, match="unknown rule|allowed"):
        st.choose(front.F, "nee")


def test_indicators_of_wrong_shapes():
    for measure in (st.hypervolume_ratio, st.igd_plus, st.spread):
        with pytest.raises(ValueError, match="found 2 × 3"):
            measure(np.ones((2, 3)), [[1, 1]])
        with pytest.raises(ValueError):
            measure(np.ones((0, 2)), np.ones((0, 2)))


def test_comparison_with_a_function_and_what_it_may_not_return():
    problem = st.Problem(*instance(6, 10, 3))

    def draws(problem, evaluations, seed):
        drawn = np.random.default_rng(seed).random((evaluations, *problem.importance.shape)) < 0.2
        found = problem.repair(drawn)
        problem.evaluate(found)
        return found

    def the_front(problem, evaluations, seed):
        return st.exact_front(problem)

    names = {"draws": draws, "front": the_front, "abc": "abc", "topk": "topk"}
    names["islands"] = {"algorithm": "aco", "islands": 2}
    result = st.compare(problem, names, seeds=3, evaluations=400)
    assert [line.rival for line in result.summary] == list(names)
    lines = {line.rival: line for line in result.summary}
    assert lines["front"].hypervolume_ratio == pytest.approx(1)
    assert lines["front"].igd_plus == pytest.approx(0, abs=1e-12)
    assert lines["draws"].hypervolume_ratio < lines["abc"].hypervolume_ratio
    assert {run.evaluations for run in result.runs if run.rival == "draws"} == {400}
    assert problem.evaluations == 0
    assert len(result.to_frame()) == 15 and "best" in str(result)
    for wrong, said in (
        (lambda *_: np.zeros((1, 6, 10)), "assignment 0 does not keep to budgets"),
        (lambda *_: np.zeros((2, 3)), "assignments of points × 6 × 10 were expected, found 2 × 3"),
    ):
        with pytest.raises(ValueError, match=said):
            st.compare(problem, {"wrong": wrong}, seeds=1)


def test_pymoo_and_pygmo_see_the_same_problem():
    pytest.importorskip("pymoo")
    from strata_fl import pygmo
    from strata_fl import pymoo

    problem = st.Problem(*instance(4, 7, 6))
    vectors = np.random.default_rng(2).random((5, 28)) < 0.4
    theirs = pymoo.LayerAssignment(problem).evaluate(vectors, return_as_dictionary=True)["F"]
    ours = pygmo.LayerAssignment(problem)
    assert np.array_equal(ours.batch_fitness(vectors.astype(float)).reshape(5, 2), theirs)
    expected = problem.evaluate(problem.repair(vectors.reshape(5, 4, 7)))
    assert np.array_equal(theirs * [-1, 1], expected)
    assert ours.get_bounds()[1].size == ours.get_nix() == 28


def test_control_c_ends_a_long_call():
    # A shell's jobs in the background are started deaf to it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            st.search(*instance(60, 60, 1), evaluations=10**10, seconds=60, gap=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(st.exact_front([[1, 2]], 1)) == 1


def test_a_handler_of_the_users_runs_and_the_call_goes_on():
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(time.monotonic()))
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        st.search(*instance(9, 24), evaluations=10**9, seconds=1, gap=False)
        ended = time.monotonic()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(seen) == 1 and ended - seen[0] > 0.2


def test_other_threads_go_on_during_a_long_call():
    counted = 0
    stop = threading.Event()

    def count():
        nonlocal counted
        while not stop.is_set():
            counted += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    st.search(*instance(9, 24), evaluations=10**9, seconds=0.5, gap=False)
    stop.set()
    thread.join()
    assert counted > 20


def test_every_public_name_is_documented():
    for name in st.__all__:
        thing = getattr(st, name)
        assert (thing.__doc__ or "").strip(), name
        if isinstance(thing, type) and issubclass(thing, (st.Problem, st.Front, st.Plan)):
            for member, value in vars(thing).items():
                if not member.startswith("_"):
                    text = getattr(value, "__doc__", None) or getattr(value.__func__, "__doc__", "")
                    assert text.strip(), f"{name}.{member}"
