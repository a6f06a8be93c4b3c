"""Planned federated training in a Flower app: each client trains the units that a plan gives it, and sends nothing else.

`PlannedFedAvg` is a strategy for the ServerApp; `apply_plan`, `scored_reply` and `planned_reply` are what a ClientApp
needs. For Flower 1.31 and later, by its public interface (`flwr.app`, `flwr.serverapp`) alone, and PyTorch at the
clients. examples/flower_app is a whole app.

A round: every `score_every` rounds clients score the units of the current weights (messages `query.scores`); every
`plan_every` rounds the scores are planned within the clients' budgets; each client trains its units, and those that all
of them train, and sends their arrays; every array becomes the average, weighted by examples, of the clients that
trained it, and stays as it is where nobody did (F3OCUS, arXiv 2411.11912, with the mean of FedAvg, arXiv 1602.05629).

What travels down is what has changed since a client last answered: `apply_plan` keeps the arrays in the node's
`Context.state`. A client that has lost them, or whose answer was an error, gets all of them with the next message.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from logging import INFO, WARNING, getLogger
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

__all__ = ["PlannedFedAvg", "Task", "apply_plan", "client_name", "planned_reply", "scored_reply"]

Scores = Mapping[str, Mapping[str, float]]
Plan = Mapping[str, Sequence[str]]
Planner = Callable[[Scores, Mapping[str, int]], Plan]

_log = getLogger("flwr")
_RECORD = "strata"  # of messages and of a node's state
_SCORES = "query.scores"


def exact_knee(scores: Scores, budgets: Mapping[str, int]) -> Plan:
    """The knee of the exact front of `strata_fl.exact_front`: a client's units, of each client.

    `scores` are clients x units, each row divided by its sum; `budgets` are the units that a client trains.
    """
    from strata_fl import exact_front

    plan = exact_front(scores, budgets=dict(budgets)).choose("knee")
    return {client: list(plan[client]) for client in scores}


@dataclass
class _Node:
    """What the server knows of a node."""

    name: str
    scores: dict[str, float] | None = None  # of its last answer, unless it failed since
    revision: int = 0  # of the weights that it has


class PlannedFedAvg(FedAvg):
    """FedAvg over the units that a plan gives each client.

    A client that does not answer in time, or with an error, or with other arrays than its plan's, has no part in that
    round's scores, plan or average; the next scoring asks it again. Of two nodes of one name the first counts.

    Args:
        units: The units that compete: name -> keys of the arrays, or a regular expression for the beginning of keys,
            as `strata plan --export requires_grad` writes them. Every unit holds a key, and no key is in two.
        budgets: How many units a client trains, of all clients or by their names.
        always: Units that every client trains besides, such as the head.
        score_every: Rounds between scorings; in between the last scores stay in force.
        plan_every: Rounds between plans; likewise.
        planner: Who trains what, of scores (each row divided by its sum) and budgets; the knee of the exact front.
        score_timeout: Seconds that a scoring waits for clients.
        **fedavg: As of FedAvg: min_available_nodes, weighted_by_key, arrayrecord_key, fraction_evaluate, …; but all
            nodes that have a plan train, so that fraction_train is none.

    Attributes:
        plan: The plan in force: client -> units.
        scores: The scores that it was made of: client -> unit -> share of the client's sum.

    Raises:
        ValueError: An argument out of its range; at the start, units that the arrays do not have; in a round, a client
            without a budget, or a plan of units that do not compete.

    Example:
        >>> strategy = PlannedFedAvg(
        ...     units={"block.0": r"layers[.]0[.]", "block.1": r"layers[.]1[.]"},
        ...     always={"head": r"classifier[.]"},
        ...     budgets={"ct": 1, "mri": 2},
        ...     score_every=5,
        ...     plan_every=5,
        ... )
        >>> strategy.units_of(["layers.0.weight", "layers.1.weight", "classifier.bias"])["head"]
        ['classifier.bias']
    """

    def __init__(
        self,
        units: Mapping[str, str | Sequence[str]],
        budgets: int | Mapping[str, int],
        always: Mapping[str, str | Sequence[str]] | None = None,
        score_every: int = 1,
        plan_every: int = 1,
        planner: Planner = exact_knee,
        score_timeout: float = 3600,
        **fedavg: Any,
    ) -> None:
        if "fraction_train" in fedavg:
            raise ValueError("fraction_train: every client that has a plan trains")
        super().__init__(**fedavg)
        for name, value in [("score_every", score_every), ("plan_every", plan_every)]:
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: a whole number of at least 1 was expected, found {value!r}")
        both = sorted(set(units) & set(always or {}))
        if both:
            raise ValueError(f"units and always: both have {both[0]!r}")
        if not units:
            raise ValueError("units: none compete")
        _check_budgets(budgets, len(units))
        self.units, self.always, self.budgets = dict(units), dict(always or {}), budgets
        self.score_every, self.plan_every = score_every, plan_every
        self.planner, self.score_timeout = planner, score_timeout
        self.plan: dict[str, list[str]] = {}
        self.scores: dict[str, dict[str, float]] = {}
        self._nodes: dict[int, _Node] = {}
        self._keys: dict[str, list[str]] = {}  # of every unit, from the first round on
        self._arrays = ArrayRecord()
        self._changed: dict[str, int] = {}  # key -> the revision of its last change
        self._revision = 1
        self._sent: dict[int, list[str]] = {}  # the keys that each node is to send
        self._asked: set[int] = set()  # nodes that have been asked for scores

    def units_of(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """The keys of every unit, those of `always` last.

        Raises:
            ValueError: A unit without a key, or a key that is in two units.
        """
        keys = list(keys)
        found: dict[str, list[str]] = {}
        owner: dict[str, str] = {}
        for unit, of in (self.units | self.always).items():
            if isinstance(of, str):
                found[unit] = [key for key in keys if re.match(of, key)]
            else:
                found[unit] = list(of)
                missing = sorted(set(of) - set(keys))
                if missing:
                    raise ValueError(f"unit {unit!r}: the arrays have no {missing[0]!r}")
            if not found[unit]:
                raise ValueError(f"unit {unit!r}: no array's key begins as {of!r} says")
            for key in found[unit]:
                if owner.setdefault(key, unit) != unit:
                    raise ValueError(f"{key!r} is of the units {owner[key]!r} and {unit!r}")
        return found

    def summary(self) -> None:
        """Logs what the strategy does."""
        _log.log(INFO, "\t├──> Units: %d compete, %d are always trained", len(self.units), len(self.always))
        _log.log(INFO, "\t├──> Scored every %d, planned every %d rounds", self.score_every, self.plan_every)
        _log.log(INFO, "\t└──> Weighted by: '%s'", self.weighted_by_key)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Scores and plans where that is due, then a message for every client that trains."""
        self._take(arrays)
        there = self._wait_for_nodes(grid)
        due = (server_round - 1) % self.score_every == 0
        self._score([node for node in there if due or node not in self._asked], server_round, config, grid)
        if (server_round - 1) % self.plan_every == 0:
            self._make_plan(there)
        self._sent, messages = {}, []
        for node in there:
            units = self._units_of_node(node)
            if not units:
                continue
            self._sent[node] = [key for unit in units for key in self._keys[unit]]
            messages.append(self._message(node, "train", server_round, config, units))
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The average of every array over the clients that trained it; all other arrays as they were."""
        usable: list[tuple[str, dict[str, np.ndarray], RecordDict]] = []
        for reply in replies:
            node, fault = reply.metadata.src_node_id, self._fault_of(reply)
            if fault:
                _log.log(WARNING, "round %d: %s is not in the average: %s", server_round, self._name(node), fault)
                continue
            usable.append((self._nodes[node].name, _numpy(reply.content), reply.content))
        if not usable:
            return None, None
        usable.sort(key=lambda item: item[0])  # the sums do not depend on who answered first
        self._revision += 1
        averaged = self._average(usable)
        for key in averaged:
            self._changed[key] = self._revision
        self._arrays = ArrayRecord({key: averaged.get(key, array) for key, array in self._arrays.items()})
        contents = [content for _, _, content in usable]
        if len({frozenset(next(iter(content.metric_records.values()))) for content in contents}) > 1:
            _log.log(WARNING, "round %d: clients have different metrics, of which there is no average", server_round)
            return self._arrays, None
        return self._arrays, self.train_metrics_aggr_fn(contents, self.weighted_by_key)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg's, with what changed alone."""
        self._take(arrays)
        messages = list(super().configure_evaluate(server_round, ArrayRecord(), config, grid))
        return [self._message(m.metadata.dst_node_id, "evaluate", server_round, config, []) for m in messages]

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """As FedAvg's; who answered has the round's weights."""
        replies = list(replies)
        for reply in replies:
            self._heard(reply)
        return super().aggregate_evaluate(server_round, replies)

    # What the server has, and what a node lacks.

    def _take(self, arrays: ArrayRecord) -> None:
        if not self._keys:
            self._keys = self.units_of(arrays)
            self._changed = dict.fromkeys(arrays, self._revision)
        elif list(arrays) != list(self._arrays):
            raise ValueError("the arrays are not those that the strategy began with")
        self._arrays = arrays

    def _wait_for_nodes(self, grid: Grid) -> list[int]:
        while len(nodes := sorted(grid.get_node_ids())) < self.min_available_nodes:
            _log.log(INFO, "waiting for nodes: %d of %d are there", len(nodes), self.min_available_nodes)
            time.sleep(1)
        for node in set(self._nodes) - set(nodes):
            del self._nodes[node]
        self._asked &= set(nodes)
        return nodes

    def _message(
        self, node: int, kind: str, server_round: int, config: ConfigRecord, units: list[str]
    ) -> Message:
        revision = self._nodes[node].revision if node in self._nodes else 0
        task = {
            "units": units,
            "keys": {unit: self._keys[unit] for unit in units},
            "base": revision,
            "revision": self._revision,
        }
        lacking = {key: array for key, array in self._arrays.items() if self._changed[key] > revision}
        record = RecordDict(
            {
                self.arrayrecord_key: ArrayRecord(lacking),
                self.configrecord_key: ConfigRecord({**config, "server-round": server_round}),
                _RECORD: ConfigRecord({"task": json.dumps(task)}),
            }
        )
        return Message(record, dst_node_id=node, message_type=kind)

    def _name(self, node: int) -> str:
        return self._nodes[node].name if node in self._nodes else f"node {node}"

    def _heard(self, reply: Message) -> None:
        """The weights that a node has now: none where it failed, as nobody knows how far it came."""
        known = self._nodes.get(reply.metadata.src_node_id)
        if known is None:
            return
        record = None if reply.has_error() else reply.content.config_records.get(_RECORD)
        revision = record.get("revision", 0) if record else 0
        known.revision = revision if isinstance(revision, int) and 0 <= revision <= self._revision else 0

    # Scores and plans.

    def _score(self, nodes: list[int], server_round: int, config: ConfigRecord, grid: Grid) -> None:
        """Asks nodes for scores. Who does not answer, or not with scores, has none."""
        self._asked |= set(nodes)
        for node in nodes:
            if node in self._nodes:
                self._nodes[node].scores = None
        messages = [self._message(node, _SCORES, server_round, config, list(self.units)) for node in nodes]
        replies = grid.send_and_receive(messages, timeout=self.score_timeout) if messages else []
        for reply in sorted(replies, key=lambda reply: reply.metadata.src_node_id):
            node = reply.metadata.src_node_id
            self._heard(reply)
            try:
                name, scores = self._read_scores(reply)
            except ValueError as error:
                _log.log(WARNING, "round %d: %s has no scores: %s", server_round, self._name(node), error)
                continue
            holder = next((n for n, known in self._nodes.items() if known.name == name and n != node), None)
            if holder is not None:
                _log.log(WARNING, "two nodes are called %r; the first counts", name)
                continue
            self._nodes.setdefault(node, _Node(name)).scores = scores
            self._heard(reply)

    def _read_scores(self, reply: Message) -> tuple[str, dict[str, float]]:
        if reply.has_error():
            raise ValueError(reply.error.reason)
        said, found = reply.content.config_records.get(_RECORD), reply.content.metric_records.get("scores")
        if said is None or found is None or not isinstance(said.get("client"), str):
            raise ValueError("the reply is not one of scored_reply")
        if set(found) != set(self.units):
            raise ValueError(f"scores are of {sorted(found)}, not of {sorted(self.units)}")
        lists = [unit for unit in self.units if isinstance(found[unit], list)]
        if lists:
            raise ValueError(f"{lists[0]!r}: found {found[lists[0]]}, a number was expected")
        scores = {unit: float(found[unit]) for unit in self.units}
        wrong = [unit for unit, score in scores.items() if not (math.isfinite(score) and score >= 0)]
        if wrong:
            raise ValueError(f"{wrong[0]!r}: found {scores[wrong[0]]}, a number of at least 0 was expected")
        return said["client"], scores

    def _make_plan(self, there: list[int]) -> None:
        rows = sorted((self._nodes[n].name, self._nodes[n].scores) for n in there if n in self._nodes)
        self.scores = {name: _normalised(scores) for name, scores in rows if scores is not None}
        budgets = {name: self._budget_of(name) for name in self.scores}
        planned = self.planner(self.scores, budgets) if self.scores else {}
        self.plan = {client: list(planned[client]) for client in self.scores}
        for client, units in self.plan.items():
            strange = [unit for unit in units if unit not in self.units]
            if strange:
                raise ValueError(f"the plan gives {client!r} {strange[0]!r}, which is no unit that competes")
            _log.log(INFO, "\t├──> %s trains %s", client, ", ".join(units) or "nothing that was planned")

    def _budget_of(self, client: str) -> int:
        if isinstance(self.budgets, int):
            return self.budgets
        if client not in self.budgets:
            raise ValueError(f"budgets: there is none of the client {client!r}")
        return self.budgets[client]

    def _units_of_node(self, node: int) -> list[str]:
        """Nothing for a node that is in no plan: it does not train what all others do."""
        known = self._nodes.get(node)
        if known is None or known.name not in self.plan:
            return []
        return [*self.plan[known.name], *self.always]

    # Averages.

    def _fault_of(self, reply: Message) -> str:
        """Why a reply cannot be used; "" where it can."""
        node = reply.metadata.src_node_id
        self._heard(reply)
        if reply.has_error():
            return reply.error.reason
        if node not in self._sent or node not in self._nodes:
            return "it was not asked"
        content = reply.content
        if len(content.array_records) != 1 or len(content.metric_records) != 1:
            return "one record of arrays and one of metrics were expected"
        arrays = next(iter(content.array_records.values()))
        if set(arrays) != set(self._sent[node]):
            other = sorted(set(arrays) ^ set(self._sent[node]))[0]
            return f"its arrays are not those of its plan: {other!r}"
        for key, array in arrays.items():
            ours = self._arrays[key]
            if tuple(array.shape) != tuple(ours.shape) or array.dtype != ours.dtype:
                return f"{key!r} is {array.dtype} {tuple(array.shape)}, not {ours.dtype} {tuple(ours.shape)}"
            if not np.all(np.isfinite(array.numpy())):
                return f"{key!r} has values that are no numbers"
        weight = next(iter(content.metric_records.values())).get(self.weighted_by_key)
        if not isinstance(weight, (int, float)) or not math.isfinite(weight) or weight <= 0:
            return f"{self.weighted_by_key!r} is {weight!r}, a number above 0 was expected"
        return ""

    def _average(self, usable: list[tuple[str, dict[str, np.ndarray], RecordDict]]) -> dict[str, Array]:
        sums: dict[str, np.ndarray] = {}
        weights: dict[str, float] = {}
        for _, arrays, content in usable:
            weight = float(next(iter(content.metric_records.values()))[self.weighted_by_key])
            for key, array in arrays.items():
                weighted = array.astype(np.float64) * weight
                sums[key] = sums[key] + weighted if key in sums else weighted
                weights[key] = weights.get(key, 0.0) + weight
        averaged = {}
        for key, total in sums.items():
            dtype = np.dtype(self._arrays[key].dtype)
            mean = total / weights[key]
            averaged[key] = Array(np.asarray(np.rint(mean) if dtype.kind in "iu" else mean).astype(dtype))
        return averaged


def _check_budgets(budgets: int | Mapping[str, int], units: int) -> None:
    named = budgets.items() if isinstance(budgets, Mapping) else [("all clients", budgets)]
    for client, budget in named:
        if isinstance(budget, bool) or not isinstance(budget, int) or not 0 <= budget <= units:
            raise ValueError(f"budgets: {client}: a whole number from 0 to {units} was expected, found {budget!r}")


def _normalised(scores: Mapping[str, float]) -> dict[str, float]:
    """A row divided by its sum; of zeros, equal shares (docs/planner.md)."""
    total = sum(scores.values())
    return {unit: score / total if total > 0 else 1 / len(scores) for unit, score in scores.items()}


def _numpy(content: RecordDict) -> dict[str, np.ndarray]:
    return {key: array.numpy() for key, array in next(iter(content.array_records.values())).items()}


# The client.


@dataclass(frozen=True)
class Task:
    """What a message asks of a client.

    Example:
        >>> Task(["block.0"], {"block.0": ["0.weight", "0.bias"]}, revision=1).trained
        ['0.weight', '0.bias']
    """

    units: list[str]  # to score, or to train
    keys: dict[str, list[str]]  # of each of these units
    revision: int
    config: ConfigRecord = field(default_factory=ConfigRecord)  # the strategy's train_config, and "server-round"

    @property
    def trained(self) -> list[str]:
        """The keys of all units."""
        return [key for unit in self.units for key in self.keys[unit]]


def client_name(context: Context) -> str:
    """What the node is called: `name` of its configuration (flower-supernode --node-config 'name="ct"'), or
    "partition-N" of a simulation.

    Raises:
        ValueError: The node has neither.

    Example:
        >>> from flwr.app import Context
        >>> node = {"node_id": 7, "state": RecordDict(), "run_config": {}, "run_id": 1}
        >>> client_name(Context(node_config={"name": "ct"}, **node))
        'ct'
        >>> client_name(Context(node_config={"partition-id": 3}, **node))
        'partition-3'
    """
    for key, form in [("name", "{}"), ("partition-id", "partition-{}")]:
        if key in context.node_config:
            return form.format(context.node_config[key])
    raise ValueError("the node's configuration has no name: --node-config 'name=\"…\"'")


def apply_plan(message: Message, model: Any, context: Context, arrays_key: str = "arrays") -> Task:
    """Loads a message's weights into a torch.nn.Module, and has it train the planned units alone.

    The weights that the node has from earlier messages come from `context.state`, where the new ones are kept, too.
    Parameters of the planned units get requires_grad, all others do not; the arrays' keys are those of
    `model.state_dict()`. Give the optimizer `[p for p in model.parameters() if p.requires_grad]`.

    Raises:
        ValueError: Weights that the model does not have, or the node has lost the earlier ones: Flower then answers
            with an error, and the server sends all of them with its next message.

    Example:
        >>> from flwr.clientapp import ClientApp
        >>> app = ClientApp()
        >>> @app.train()
        ... def train(message: Message, context: Context) -> Message:
        ...     model = make_model()
        ...     task = apply_plan(message, model, context)
        ...     fit(model, [p for p in model.parameters() if p.requires_grad])
        ...     return planned_reply(message, model, task, {"num-examples": 30})
    """
    import torch

    task = json.loads(str(message.content.config_records[_RECORD]["task"]))
    held, has = _held(context)
    if has < task["base"]:
        raise ValueError(f"the node has the weights of revision {has}, and the message what changed since {task['base']}")
    held = {**held, **message.content.array_records[arrays_key]}
    state = model.state_dict()
    strange = sorted(set(held) - set(state))
    if strange:
        raise ValueError(f"the model has no {strange[0]!r}")
    model.load_state_dict({key: torch.from_numpy(array.numpy().copy()) for key, array in held.items()}, strict=False)
    context.state[_RECORD] = ArrayRecord(held)
    context.state[f"{_RECORD}.revision"] = MetricRecord({"revision": task["revision"]})
    config = next((c for name, c in message.content.config_records.items() if name != _RECORD), ConfigRecord())
    plan = Task(task["units"], task["keys"], task["revision"], config)
    trained = set(plan.trained)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    return plan


def _held(context: Context) -> tuple[dict[str, Array], int]:
    """The arrays that a node keeps, and their revision: 0 where it has none."""
    if _RECORD not in context.state.array_records:
        return {}, 0
    revision = context.state.metric_records[f"{_RECORD}.revision"]["revision"]
    return dict(context.state.array_records[_RECORD]), int(revision)


def scored_reply(
    message: Message, task: Task, context: Context, scores: Mapping[str, float], client: str | None = None
) -> Message:
    """The answer to `query.scores`: a number of at least 0 for every unit of the task, and whose they are, by default
    the node's (client_name).

    Raises:
        ValueError: Scores of other units than the task's.

    Example:
        >>> from flwr.clientapp import ClientApp
        >>> app = ClientApp()
        >>> @app.query("scores")
        ... def score_units(message: Message, context: Context) -> Message:
        ...     model = make_model()
        ...     task = apply_plan(message, model, context)
        ...     table = strata_fl.score(model, batches, units={u: task.keys[u] for u in task.units})
        ...     return scored_reply(message, task, context, dict(zip(table.units, table.raw[0])))
    """
    if set(scores) != set(task.units):
        raise ValueError(f"scores are of {sorted(scores)}, not of {sorted(task.units)}")
    content = RecordDict(
        {
            "scores": MetricRecord({unit: float(scores[unit]) for unit in task.units}),
            _RECORD: ConfigRecord({"client": client or client_name(context), "revision": task.revision}),
        }
    )
    return Message(content, reply_to=message)


def planned_reply(
    message: Message, model: Any, task: Task, metrics: Mapping[str, float], arrays_key: str = "arrays"
) -> Message:
    """The answer to `train` and `evaluate`: the arrays of the task's units, of an evaluation none, and the metrics, of
    which "num-examples" is the client's weight in averages.

    Example:
        >>> from flwr.clientapp import ClientApp
        >>> app = ClientApp()
        >>> @app.evaluate()
        ... def evaluate(message: Message, context: Context) -> Message:
        ...     model = make_model()
        ...     task = apply_plan(message, model, context)
        ...     return planned_reply(message, model, task, {"accuracy": accuracy_of(model), "num-examples": 12})
    """
    state = model.state_dict()
    arrays = {key: Array(state[key].detach().cpu().numpy()) for key in task.trained}
    content = RecordDict({"metrics": MetricRecord(dict(metrics)), _RECORD: ConfigRecord({"revision": task.revision})})
    if arrays:
        content[arrays_key] = ArrayRecord(arrays)
    return Message(content, reply_to=message)
