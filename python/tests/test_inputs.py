"""What goes in: arrays, dicts, frames, files; and what is refused, in one line."""

import numpy as np
import pytest
from conftest import instance, write_csv
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.numpy import array_shapes, arrays

import strata_fl as st

pandas = pytest.importorskip("pandas")


def test_all_forms_of_scores_are_one_problem(tmp_path):
    table, budgets = instance(4, 6)
    units = list(table["c0"])
    array = np.array([list(row.values()) for row in table.values()])
    expected = st.plan(table, budgets)
    named = {"clients": list(table), "units": units}
    frame = pandas.DataFrame(table).T
    file = write_csv(tmp_path / "scores.csv", table)
    forms = [
        (array, named),
        (array.tolist(), named),
        (np.asfortranarray(array), named),
        (np.repeat(array, 2, axis=1)[:, ::2], named),
        ({client: list(row.values()) for client, row in table.items()}, {}),
        (frame, {}),
        (pandas.read_csv(file), {}),
        (pandas.read_csv(file, index_col=0), {}),
        (file, {}),
        (str(file), {}),
    ]
    for scores, names in forms:
        assert st.plan(scores, budgets, **names) == expected


def test_a_table_with_attributes_as_scores_have_it():
    class Table:
        clients = ["a", "b"]
        units = ["block.0", "block.1", "head"]
        roles = ["body", "body", "head"]
        raw = np.array([[4.0, 2, 9], [1, 3, 9]])
        scores = raw / raw.sum(axis=1, keepdims=True)
        metric, samples, model_fingerprint = "lntk", 32, "abc"
        parameters = {"block.0": ["0.weight"], "block.1": ["1.weight"], "head": ["out.weight"]}

    problem = st.Problem(Table(), budgets=1)
    assert problem.units == ["block.0", "block.1"] and problem.always == ["head"]
    # Who says roles has a model's measure, so that clients count alike.
    assert problem.importance.sum(axis=1).tolist() == [1, 1]
    plan = st.plan(problem)
    assert plan.parameters == Table.parameters
    assert plan.trained_units("a") == ["block.0", "head"]


def test_default_names():
    problem = st.Problem(np.ones((2, 3)), 1)
    assert problem.clients == ["client.0", "client.1"]
    assert problem.units == ["block.0", "block.1", "block.2"]


def test_budgets():
    table, _ = instance(3, 6)
    for budgets in (
        2,
        np.int32(2),
        2.0,
        [2, 2, 2],
        (2, 2, 2),
        np.array([2, 2, 2]),
        np.array([2.0, 2, 2]),
        {"c2": 2, "c0": 2, "c1": 2},
        {"each": 2},
        {"each": 1, "clients": {"c0": 2, "c1": 2, "c2": 2}},
        pandas.Series({"c0": 2, "c1": 2, "c2": 2}),
    ):
        assert st.Problem(table, budgets).budgets.tolist() == [2, 2, 2]
    # A client may be called as a key is.
    problem = st.Problem([[1, 2], [2, 1]], {"each": 2, "of": 1}, clients=["each", "of"])
    assert problem.budgets.tolist() == [2, 1]


COSTS = {"block.0": {"bytes": "2kB"}, "block.1": {"bytes": 500}, "block.2": {"bytes": np.int64(7)}}


def test_budgets_of_a_resource(tmp_path):
    scores = {"a": [3, 2, 1], "b": [1, 2, 3]}
    problem = st.Problem(scores, "1kB", costs=COSTS)
    assert problem.budgets.tolist() == [1000, 1000]
    assert st.Problem(scores, {"a": 600, "b": "2kB"}, of="bytes", costs=COSTS).budgets.tolist() == [
        600,
        2000,
    ]
    front = st.price_front(problem)
    plan = front.choose("importance:100")
    assert plan.counted == "bytes" and plan.used == {"a": 507, "b": 507}
    assert all(plan.used[client] <= plan.budgets[client] for client in plan)
    costs = tmp_path / "costs.csv"
    costs.write_text("unit,bytes\nblock.0,2kB\nblock.1,500\nblock.2,7\n")
    assert st.plan(scores, "1kB", costs=costs) == st.plan(problem)


WRONG = [
    (dict(scores=[[1, np.nan]]), 'client "client.0", unit "block.1": a score is nan'),
    (dict(scores=[[1, np.inf]]), 'unit "block.1": a score is inf'),
    (dict(scores=[[1, -2]]), 'client "client.0", unit "block.1": a score is -2; scores must be'),
    (dict(scores=[1, 2]), "an array of clients × units was expected, found 2"),
    (dict(scores=[["a", "b"]]), "numbers of clients × units were expected"),
    (dict(scores=None), "found NoneType"),
    (dict(scores=3), "found int"),
    (dict(scores={}), "no clients"),
    (dict(scores=np.zeros((0, 3))), "no clients"),
    (dict(scores=np.zeros((2, 0))), "no units"),
    (dict(scores={"a": {"x": 1}, "b": {"y": 1}}), 'client "b" has no unit "x"'),
    (dict(scores={"a": {"x": 1}, "b": {"x": 1, "y": 1}}), 'client "b" has a unit "y"'),
    (dict(scores={"a": [1, 2], "b": [1]}), 'client "b" has 1 scores, the first one 2'),
    (dict(scores=[[1, 2]], clients=["a", "b"]), "found 2 names of clients, and 1 clients"),
    (dict(scores=[[1, 2]], units=["a", "a"]), '"a"'),
    (dict(budgets=3), 'client "client.0": a budget of 3 units, but there are 2; allowed is 0 to 2'),
    (dict(budgets=-1), "budget"),
    (dict(budgets=1.5), "found 1.5"),
    (dict(budgets="many"), '"many"'),
    (dict(budgets=[1, 1]), "found 2 budgets, and 1 clients"),
    (dict(budgets={"client.9": 1}), 'there is no client "client.9"'),
    (dict(budgets={}), 'no budget for the client "client.0"'),
    (dict(budgets=float("nan")), "budget: a finite number was expected, found nan"),
    (dict(budgets=object()), "found object"),
    (dict(budgets=None), "budget: the key is missing"),
    (dict(pinned={"client.0": ["block.7"]}), "block.7"),
    (dict(pinned={"nobody": ["block.0"]}), 'no client "nobody"'),
    (dict(pinned={"*": ["block.0"]}, forbidden={"*": ["block.0"]}), "both pinned and forbidden"),
    (dict(forbidden={"*": ["block.*"]}), "only 0 are not forbidden"),
    (dict(coverage=2), "coverage"),
    (dict(coverage="all"), "coverage"),
    (dict(least_cohort=0), "least_cohort"),
    (dict(least_cohort=2.5), "least_cohort"),
    (dict(of="bytes"), "bytes of every unit"),
    (dict(of="byte"), "byte"),
    (dict(ranks=0), "ranks"),
    (dict(objectives=["importance", "usage_variance", "uplink"]), '"uplink" is not one of'),
    (dict(client_weights={"client.0": -1}), "client_weights"),
    (dict(always=["head"]), "head"),
    (dict(target_usage=[1]), "target usage: found 1 numbers, and there are 2 units"),
    (dict(target_usage=[1, 2]), 'unit "block.1": found 2, allowed is 0 to 1'),
    (dict(target_usage={"head": 1}), 'target_usage.head'),
    (dict(target_usage=[0.5, 1]), "whole numbers were expected, found 0.5"),
    (dict(target_usage=[0, float("nan")]), "target_usage: a finite number was expected, found nan"),
    (dict(target_usage=[0, "one"]), "whole numbers were expected, found \"one\""),
    (dict(target_usage={"block.1": 0.5}), "target_usage.block.1"),
    (dict(target_usage=[]), "a number for each unit was expected"),
    (dict(target_usage="late"), "a number for each unit was expected"),
]


@pytest.mark.parametrize("options, said", WRONG, ids=[said[:40] for _, said in WRONG])
def test_wrong_input_is_one_line(options, said):
    options = {"scores": [[1, 2]], "budgets": 1, **options}
    with pytest.raises(ValueError) as caught:
        st.plan(options.pop("scores"), options.pop("budgets"), **options)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_options_of_algorithms_are_checked():
    wrong = [
        (dict(algorithm="exakt"), 'unknown name "exakt" (did you mean "exact"?)'),
        (dict(algorithm="pagmo:nsga2"), "built without pagmo"),
        (dict(choose="best"), "best"),
        (dict(evaluations=0), "evaluations: found 0, allowed is 1 or more"),
        (dict(population=9), "population: found 9"),
        (dict(start="hot"), '"hot"'),
        (dict(islands=0), "islands"),
        (dict(evaluations="many"), "evaluations: a whole number of at least 0 was expected, found 'many'"),
        (dict(seed=-1), "seed: a whole number of at least 0 was expected, found -1"),
        (dict(seed=1.5), "seed: a whole number of at least 0 was expected, found 1.5"),
        (dict(seconds="1"), "seconds: a number was expected, found '1'"),
        (dict(gap=0), "gap: True or False was expected, found 0"),
        (dict(algorithm=3), "algorithm: a name was expected, found 3"),
        (dict(choose=3), 'choose: a rule such as "knee" was expected, found 3'),
        (dict(warm_start=3), "points × clients × units was expected, found int"),
        (dict(warm_start=np.ones((2, 2, 2))), "found 2 clients and 2 units"),
        (dict(warm_start=np.full((1, 2), 3)), "an entry of 3"),
    ]
    for options, said in wrong:
        with pytest.raises(ValueError) as caught:
            st.plan([[1, 2]], 1, **options)
        assert said in str(caught.value), options
    with pytest.raises(ValueError, match="needs budgets that count units"):
        st.exact_front([[3, 2, 1]], "1kB", costs=COSTS)
    with pytest.raises(ValueError, match='"exact" is none that searches'):
        st.search([[1, 2]], 1, algorithm="exact")
    with pytest.raises(ValueError, match="a Problem has its own budgets, coverage"):
        st.plan(st.Problem([[1, 2]], 1), 1, coverage=1)
    with pytest.raises(TypeError, match="pined"):
        st.plan([[1, 2]], 1, pined={})


def test_numpys_numbers_are_options_too():
    options = dict(seed=np.int64(3), evaluations=np.int32(200), gap=np.bool_(True), seconds=np.float32(0))
    table = [[6, 4, 2], [6, 5, 1]]
    found = st.plan(table, 1, algorithm="nsga2", **options)
    assert found == st.plan(table, 1, algorithm="nsga2", seed=3, evaluations=200)


def test_wrong_types_of_results_methods():
    front = st.exact_front([[6, 4, 2], [6, 5, 1], [6, 4, 1]], 1)
    assert front.certificate.importance_bound(np.float32(2)) == front.certificate.importance_bound(2)
    for call, said in [
        (lambda: front.choose(3), 'choose: a rule such as "knee" was expected, found 3'),
        (lambda: front.save("front.csv", 3), "found 3"),
        (lambda: st.choose(front.F, None), "found None"),
        (lambda: front.certificate.importance_bound("1"), "usage_variance: a number was expected, found '1'"),
        (lambda: front.certificate.importance_bound(float("nan")), "usage_variance: a number was expected, found nan"),
        (lambda: front.choose().peft_config("nobody", None), 'the plan has no client "nobody"'),
        (lambda: front.choose().peft_config("client.0", None), "base: a LoraConfig was expected, found NoneType"),
        (lambda: st.compare(front.problem, {"mine": "nsga2"}, seeds="2"), "seeds: found '2', allowed is 1 or more"),
        (lambda: st.compare(front.problem, {"mine": {"algorithm": "aco", "sed": 1}}), "sed: no such option; there are gap"),
        (lambda: st.compare(front.problem, {"mine": 3}), '"mine": a name, a dict of options or a function'),
    ]:
        with pytest.raises(ValueError) as caught:
            call()
        assert said in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(IndexError, match=f"point 9: the front has {len(front)}"):
        front[9]


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="none.csv"):
        st.plan(tmp_path / "none.csv", 1)
    with pytest.raises(ValueError, match="none.json"):
        st.read_plan(tmp_path / "none.json")
    (tmp_path / "wrong.json").write_text('{"version": 2')
    with pytest.raises(ValueError, match="wrong.json:1: is not valid JSON"):
        st.Plan.load(tmp_path / "wrong.json")
    with pytest.raises(OSError):
        st.plan([[1, 2]], 1).save("/proc/nobody/plan.json")


def test_scales_that_differ_are_warned_of_where_the_user_is():
    with pytest.warns(UserWarning, match="the clients' scores differ in scale") as caught:
        st.exact_front({"a": [1, 2], "b": [100, 200]}, 1)
    assert caught[0].filename == __file__


numbers = some.floats(0, 1e9, allow_subnormal=False)
tables = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6).flatmap(
    lambda shape: arrays(np.float64, shape, elements=numbers)
)


@settings(max_examples=60, deadline=None)
@given(tables, some.data())
@pytest.mark.filterwarnings("ignore:the clients' scores differ")
def test_shapes_types_and_feasibility(scores, data):
    clients, units = scores.shape
    budgets = data.draw(arrays(np.int64, clients, elements=some.integers(0, units)))
    kind = data.draw(some.sampled_from([np.float64, np.float32, np.int64]))
    problem = st.Problem(scores.astype(kind), budgets)
    front = st.exact_front(problem)
    points = len(front)
    assert front.F.shape == (points, 2) and front.F.dtype == np.float64
    assert front.X.shape == (points, clients, units) and front.X.dtype == bool
    assert (front.X.sum(axis=2) == budgets).all()
    assert problem.is_feasible(front.X).all()
    assert np.array_equal(problem.evaluate(front.X), front.F)
    assert (np.diff(front.F[:, 1]) > 0).all() and (np.diff(front.F[:, 0]) > 0).all()
    for place, plan in enumerate(front):
        assert np.array_equal(plan.X, front.X[place]) and plan.row == place + 1
        assert plan.gap.relative <= 1e-9
    # No assignment lies beyond the bound.
    drawn = problem.repair(data.draw(arrays(np.bool_, (3, clients, units))))
    assert problem.is_feasible(drawn).all()
    for importance, variance in problem.evaluate(drawn):
        assert importance <= front.certificate.importance_bound(variance) * (1 + 1e-9) + 1e-9
    random = st.plan(problem, algorithm="random", seed=data.draw(some.integers(0, 2**64 - 1)))
    assert problem.is_feasible(random.X)


@settings(max_examples=30, deadline=None)
@given(some.integers(1, 4), some.integers(1, 5), some.integers(2, 6), some.data())
def test_ranks(clients, units, ranks, data):
    scores = data.draw(arrays(np.float64, (clients, units), elements=some.floats(1, 2)))
    budget = data.draw(some.integers(0, units * ranks))
    plan = st.plan(scores, budget, ranks=ranks)
    assert plan.X.dtype == np.uint8 and (plan.X.sum(axis=1) == budget).all()
    assert all(sum(chosen.values()) == budget for chosen in plan.values())
    assert all(1 <= rank <= ranks for chosen in plan.values() for rank in chosen.values())
