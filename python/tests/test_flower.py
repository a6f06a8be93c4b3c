"""The strategy of strata_fl.flower by hand-computed averages, faults of clients, and what travels. Needs flwr and torch;
scripts/test-flower-app runs whole apps."""

import doctest
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("flwr.serverapp")
torch = pytest.importorskip("torch")

from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict  # noqa: E402

from strata_fl import flower  # noqa: E402
from strata_fl.flower import PlannedFedAvg, apply_plan, client_name, planned_reply, scored_reply  # noqa: E402


try:
    # Since Flower 1.42 messages are made in a task's process alone, which these tests are not.
    from flwr.supercore.task_identity import TaskIdentity
except ImportError:
    pass
else:
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1


def net():
    torch.manual_seed(0)
    return torch.nn.ModuleDict(
        {name: torch.nn.Linear(2, 2, bias=name == "head") for name in ["a", "b", "c", "head"]}
    )


UNITS = {"a": r"a[.]", "b": ["b.weight"], "c": r"c[.]"}


def best(scores, budgets):
    """Each client's best units: a planner that needs no compiled module."""
    return {c: sorted(row, key=lambda u: (-row[u], u))[: budgets[c]] for c, row in scores.items()}


class Client:
    """A node whose training adds `step` to what it trains."""

    def __init__(self, node, name, scores, examples=1, step=1.0):
        self.node, self.name, self.scores, self.examples, self.step = node, name, scores, examples, step
        self.model, self.fault, self.seen = net(), None, []
        self.context = Context(1, node, {"name": name}, RecordDict(), {})

    def answer(self, message):
        kind = message.metadata.message_type
        self.seen.append((kind, sorted(next(iter(message.content.array_records.values())))))
        if self.fault == f"error {kind}":
            return Message(Error(code=0, reason="out of memory"), reply_to=message)
        if self.fault == f"silent {kind}":
            return None
        try:
            task = apply_plan(message, self.model, self.context)
        except ValueError as error:
            return Message(Error(code=0, reason=str(error)), reply_to=message)
        if kind == "query.scores":
            return scored_reply(message, task, self.context, self.scores)
        with torch.no_grad():
            for parameter in self.model.parameters():
                if parameter.requires_grad:
                    parameter += self.step
        metrics = {"num-examples": self.examples, "loss": float(self.node)}
        if kind == "evaluate":
            assert task.trained == []
        reply = planned_reply(message, self.model, task, metrics)
        return self.fault(reply) if callable(self.fault) else reply


class Grid:
    """Nodes in one process. Messages and replies carry what Flower's own would."""

    def __init__(self, clients):
        self.clients = {client.node: client for client in clients}

    def get_node_ids(self):
        return list(self.clients)

    def send_and_receive(self, messages, timeout=None):
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id
            reply = self.clients[node].answer(message)
            if reply is not None:
                replies.append(reply)
        return reversed(replies)


def strategy(**options):
    options = {"units": UNITS, "always": {"head": r"head[.]"}, "budgets": 1, "planner": best} | options
    return PlannedFedAvg(min_available_nodes=1, min_evaluate_nodes=1, **options)


def rounds(plan, clients, count, arrays=None):
    return plan.start(Grid(clients), arrays or ArrayRecord(net().state_dict()), num_rounds=count, timeout=1)


def moved(result, key):
    """By how much an array has moved, the same everywhere in it."""
    change = result.arrays[key].numpy() - net().state_dict()[key].numpy()
    assert np.ptp(change) < 1e-6
    return float(change.flat[0])


def two(**ct):
    return [
        Client(11, "ct", {"a": 9, "b": 1, "c": 0}, **({"examples": 30, "step": 1.0} | ct)),
        Client(12, "mri", {"a": 0, "b": 5, "c": 1}, examples=10, step=-3.0),
    ]


def test_every_array_is_the_average_of_those_that_trained_it():
    clients = [*two(), Client(13, "oct", {"a": 7, "b": 0, "c": 1}, examples=5, step=2.0)]
    plan = strategy()
    result = rounds(plan, clients, 1)
    assert plan.plan == {"ct": ["a"], "mri": ["b"], "oct": ["a"]}
    assert moved(result, "a.weight") == pytest.approx((30 * 1 + 5 * 2) / 35, rel=1e-6)
    assert moved(result, "b.weight") == pytest.approx(-3)
    assert moved(result, "c.weight") == 0
    for key in ["head.weight", "head.bias"]:
        assert moved(result, key) == pytest.approx((30 * 1 + 10 * -3 + 5 * 2) / 45, rel=1e-6)
    assert result.arrays["a.weight"].dtype == "float32"
    assert result.train_metrics_clientapp[1]["loss"] == pytest.approx((30 * 11 + 10 * 12 + 5 * 13) / 45)


def test_a_node_gets_what_has_changed_and_sends_its_units():
    clients = two()
    sent = []
    for client in clients:
        client.fault = lambda reply: (sent.append(sorted(next(iter(reply.content.array_records.values()), []))), reply)[1]
    rounds(strategy(score_every=2), clients, 3)
    everything = sorted(net().state_dict())
    changed = ["a.weight", "b.weight", "head.bias", "head.weight"]
    assert clients[0].seen == [
        ("query.scores", everything),
        ("train", []),
        ("evaluate", changed),
        ("train", []),
        ("evaluate", changed),
        ("query.scores", []),
        ("train", []),
        ("evaluate", changed),
    ]
    assert ["a.weight", "head.bias", "head.weight"] in sent and ["b.weight", "head.bias", "head.weight"] in sent
    assert max(map(len, sent)) == 3


def test_the_clients_hold_the_servers_weights_after_every_evaluation():
    clients = two()
    result = rounds(strategy(), clients, 3)
    for client in clients:
        for key, value in client.model.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), result.arrays[key].numpy())


def test_a_node_that_lost_its_weights_is_out_for_one_message_and_gets_all_of_them():
    clients = two()
    plan, arrays = strategy(), ArrayRecord(net().state_dict())
    result = rounds(plan, clients, 1, arrays)
    clients[0].context.state = RecordDict()
    clients[0].model = net()
    before = len(clients[0].seen)
    second = Grid(clients)
    train = second.send_and_receive(plan.configure_train(2, result.arrays, ConfigRecord(), second))
    # It could not score, so mri alone is planned and trains.
    assert plan.plan == {"mri": ["b"]}
    arrays, _ = plan.aggregate_train(2, train)
    train = second.send_and_receive(plan.configure_train(3, arrays, ConfigRecord(), second))
    assert plan.plan == {"ct": ["a"], "mri": ["b"]}
    assert clients[0].seen[before:] == [
        ("query.scores", []),
        ("query.scores", sorted(net().state_dict())),
        ("train", []),
    ]
    assert {reply.metadata.src_node_id for reply in train} == {11, 12}


@pytest.mark.parametrize("fault", ["error query.scores", "silent query.scores"])
def test_who_does_not_score_is_out_of_the_plan(fault):
    clients = two()
    clients[0].fault = fault
    plan = strategy()
    result = rounds(plan, clients, 1)
    assert plan.plan == {"mri": ["b"]} and list(plan.scores) == ["mri"]
    assert moved(result, "a.weight") == 0
    assert moved(result, "head.bias") == pytest.approx(-3)


@pytest.mark.parametrize("fault", ["error train", "silent train"])
def test_who_does_not_train_is_out_of_the_average(fault):
    clients = two()
    clients[0].fault = fault
    plan = strategy()
    result = rounds(plan, clients, 1)
    assert plan.plan == {"ct": ["a"], "mri": ["b"]}
    assert moved(result, "a.weight") == 0
    assert moved(result, "head.bias") == pytest.approx(-3)
    clients[0].fault = None
    assert moved(rounds(strategy(), clients, 1), "a.weight") == pytest.approx(1)


def change_arrays(change):
    def fault(reply):
        if reply.content.array_records:
            change(next(iter(reply.content.array_records.values())))
        return reply

    return fault


def other(value):
    return ArrayRecord({"x": torch.as_tensor(value)})["x"]


BAD = {
    "foreign array": change_arrays(lambda a: a.__setitem__("c.weight", a["a.weight"])),
    "array missing": change_arrays(lambda a: a.__delitem__("a.weight")),
    "shape": change_arrays(lambda a: a.__setitem__("a.weight", other([1.0, 2.0]))),
    "dtype": change_arrays(lambda a: a.__setitem__("a.weight", other(np.zeros((2, 2))))),
    "NaN": change_arrays(lambda a: a.__setitem__("a.weight", other(np.full((2, 2), math.nan, np.float32)))),
}


@pytest.mark.parametrize("name", BAD)
def test_an_update_that_is_not_its_plans_is_refused(name):
    clients = two()
    clients[0].fault = BAD[name]
    result = rounds(strategy(), clients, 1)
    assert moved(result, "a.weight") == 0 and moved(result, "c.weight") == 0
    assert moved(result, "head.bias") == pytest.approx(-3)


@pytest.mark.parametrize("examples", [0, -1, math.nan, math.inf])
def test_a_weight_that_is_no_positive_number_is_refused(examples):
    result = rounds(strategy(fraction_evaluate=0.0), two(examples=examples), 1)
    assert moved(result, "head.bias") == pytest.approx(-3)


@pytest.mark.parametrize("scores", [{"a": 1, "b": bad, "c": 0} for bad in [math.nan, math.inf, -1]])
def test_scores_that_are_no_scores_are_refused(scores):
    clients = two()
    clients[0].scores = scores
    plan = strategy()
    rounds(plan, clients, 1)
    assert list(plan.plan) == ["mri"]


def test_scores_and_plans_stay_in_force_until_they_are_due():
    clients = two()
    plan = strategy(score_every=3, plan_every=2)
    seen = []
    plan.planner = lambda scores, budgets: (seen.append(scores), best(scores, budgets))[1]
    rounds(plan, clients, 6)
    assert [kind for kind, _ in clients[0].seen].count("query.scores") == 2
    assert len(seen) == 3
    assert seen[0]["ct"] == {"a": 0.9, "b": 0.1, "c": 0}  # of a row, the shares
    assert [kind for kind, _ in clients[0].seen].count("train") == 6


def test_a_new_node_scores_when_it_comes_and_one_that_is_gone_is_forgotten():
    clients = two()
    plan = strategy(score_every=9)
    grid = Grid(clients[:1])
    first = plan.configure_train(1, ArrayRecord(net().state_dict()), ConfigRecord(), grid)
    arrays, _ = plan.aggregate_train(1, grid.send_and_receive(first))
    grid.clients = {12: clients[1]}
    plan.configure_train(2, arrays, ConfigRecord(), grid)
    assert plan.plan == {"mri": ["b"]}
    # Back under another number, as Flower gives it to a node without a key.
    again = two()[0]
    again.node = 99
    grid.clients = {12: clients[1], 99: again}
    plan.configure_train(3, arrays, ConfigRecord(), grid)
    assert plan.plan == {"ct": ["a"], "mri": ["b"]}
    assert again.seen == [("query.scores", sorted(net().state_dict()))]


def test_two_nodes_of_one_name_are_one_client():
    clients = two()
    clients[1].context.node_config["name"] = "ct"
    plan = strategy()
    result = rounds(plan, clients, 1)
    assert list(plan.plan) == ["ct"]
    assert moved(result, "head.bias") == pytest.approx(1)


def test_budgets_by_name_and_of_nothing():
    clients = two()
    plan = strategy(budgets={"ct": 0, "mri": 2})
    result = rounds(plan, clients, 1)
    assert plan.plan == {"ct": [], "mri": ["b", "c"]}
    # Who trains nothing that was planned trains the head.
    assert moved(result, "head.bias") == pytest.approx((30 - 30) / 40)
    with pytest.raises(ValueError, match="none of the client 'mri'"):
        rounds(strategy(budgets={"ct": 1}), two(), 1)


def test_nobody_answers():
    clients = two()
    for client in clients:
        client.fault = "silent train"
    assert len(rounds(strategy(), clients, 1).arrays) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"units": {}}, "none compete"),
        ({"always": {"a": "a"}}, "both have 'a'"),
        ({"budgets": 4}, "all clients: a whole number from 0 to 3 was expected, found 4"),
        ({"budgets": {"ct": -1}}, "ct: a whole number from 0 to 3"),
        ({"budgets": {"ct": True}}, "found True"),
        ({"score_every": 0}, "score_every"),
        ({"plan_every": 1.5}, "plan_every"),
        ({"fraction_train": 0.5}, "fraction_train"),
    ],
)
def test_wrong_options(options, says):
    with pytest.raises(ValueError, match=says):
        strategy(**options)


@pytest.mark.parametrize(
    ("units", "says"),
    [
        ({"a": "A"}, "unit 'a': no array's key"),
        ({"a": ["a.bias"]}, "unit 'a': the arrays have no 'a.bias'"),
        ({"a": "a[.]", "all": "a|b"}, "'a.weight' is of the units 'a' and 'all'"),
    ],
)
def test_wrong_units(units, says):
    with pytest.raises(ValueError, match=says):
        rounds(strategy(units=units), two(), 1)


def test_a_plan_of_foreign_units_is_an_error():
    with pytest.raises(ValueError, match="gives 'ct' 'head'"):
        rounds(strategy(planner=lambda scores, budgets: {c: ["head"] for c in scores}), two(), 1)


def test_a_nodes_name():
    assert client_name(SimpleNamespace(node_config={"name": "ct", "partition-id": 3})) == "ct"
    assert client_name(SimpleNamespace(node_config={"partition-id": 3})) == "partition-3"
    with pytest.raises(ValueError, match="no name"):
        client_name(SimpleNamespace(node_config={}))


def test_running_statistics_and_counts_are_averaged_in_their_own_types():
    def model():
        return torch.nn.ModuleDict({"n": torch.nn.BatchNorm1d(2), "m": torch.nn.Linear(1, 1)})

    clients = [Client(11, "ct", {"n": 1, "m": 0}, examples=1), Client(12, "mri", {"n": 1, "m": 0}, examples=2)]
    for client in clients:
        client.model = model()

    def fault(count):
        def change(arrays):
            arrays["n.num_batches_tracked"] = other(np.asarray(count, np.int64))

        return change_arrays(change)

    clients[0].fault, clients[1].fault = fault(4), fault(8)
    plan = strategy(units={"n": "n[.]", "m": "m[.]"}, always={})
    result = rounds(plan, clients, 1, ArrayRecord(model().state_dict()))
    count = result.arrays["n.num_batches_tracked"].numpy()
    assert count.dtype == np.int64 and count == 7  # 20 / 3, rounded
    assert result.arrays["n.weight"].numpy() == pytest.approx(2.0)


def test_messages_are_of_the_round_and_carry_the_apps_configuration():
    clients = two()
    grid, plan = Grid(clients), strategy()
    messages = list(plan.configure_train(1, ArrayRecord(net().state_dict()), ConfigRecord({"lr": 0.5}), grid))
    for message in messages:
        task = apply_plan(message, net(), clients[0].context if message.metadata.dst_node_id == 11 else clients[1].context)
        assert task.config["lr"] == 0.5 and task.config["server-round"] == 1
    assert json.loads(messages[0].content["strata"]["task"])["units"] == ["a", "head"]
    assert MetricRecord and message.metadata.message_type == "train"


def test_the_default_planner_is_the_knee_of_the_exact_front():
    pytest.importorskip("strata_fl._core")
    # All of both clients' importance is in "a"; the knee of two points is the even one.
    scores = {"ct": {"a": 0.6, "b": 0.4, "c": 0.0}, "mri": {"a": 0.6, "b": 0.3, "c": 0.1}}
    plan = flower.exact_knee(scores, {"ct": 1, "mri": 1})
    assert plan == {"ct": ["b"], "mri": ["a"]}
    assert flower.exact_knee(scores, {"ct": 3, "mri": 0}) == {"ct": ["a", "b", "c"], "mri": []}
    planned = PlannedFedAvg(UNITS, 1, {"head": r"head[.]"}, min_available_nodes=1, min_evaluate_nodes=1)
    rounds(planned, two(), 1)
    assert planned.plan == {"ct": ["a"], "mri": ["b"]}


def test_the_docstrings_examples():
    assert doctest.testmod(flower).failed == 0 < doctest.testmod(flower).attempted


def test_the_example_app_learns(monkeypatch):
    folder = Path(__file__).parents[2] / "examples" / "flower_app"
    if not folder.exists():
        pytest.skip("the examples are in the repository alone")
    monkeypatch.syspath_prepend(str(folder))
    from planned_app import client_app, server_app, task

    answers = {"query.scores": client_app.score, "train": client_app.train, "evaluate": client_app.evaluate}

    class Node:
        def __init__(self, node, name):
            self.node, self.context = node, Context(1, node, {"name": name}, RecordDict(), {})

        def answer(self, message):
            return answers[message.metadata.message_type](message, self.context)

    grid, results = Grid([Node(11, "ct"), Node(12, "mri")]), []

    class Recorded(PlannedFedAvg):
        def __init__(self, **options):
            super().__init__(**options, planner=best)

        def start(self, *arguments, **options):
            results.append(super().start(*arguments, **options))
            return results[-1]

    monkeypatch.setattr(server_app, "PlannedFedAvg", Recorded)
    config = {"rounds": 6, "clients": 2, "budget": 1, "score-every": 3, "learning-rate": 0.1, "out": ""}
    server_app.main(grid, Context(1, 1, {}, RecordDict(), config))
    accuracy = [record["accuracy"] for record in results[0].evaluate_metrics_clientapp.values()]
    assert len(accuracy) == 6 and min(accuracy[2:]) > 0.9
    before = task.Net().state_dict()
    trained = {name.split(".")[1] for name, array in results[0].arrays.items() if "layers" in name
               if not np.array_equal(array.numpy(), before[name].numpy())}
    assert 0 < len(trained) < task.BLOCKS
