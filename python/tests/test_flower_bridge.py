"""bridges/flower: what a node sends that it should not is refused with the node's number, and nothing else ends."""

import logging
import pathlib
import sys

import pytest

pytest.importorskip("flwr", minversion="1.40")
np = pytest.importorskip("numpy")

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bridges/flower"))
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict  # noqa: E402
from strata_flower.parcels import pack  # noqa: E402
from strata_flower.server_app import Sites, carry  # noqa: E402

try:
    # Since Flower 1.42 messages are made in a task's process alone, which these tests are not.
    from flwr.supercore.task_identity import TaskIdentity
except ImportError:
    pass
else:
    TaskIdentity.run_id, TaskIdentity.task_id, TaskIdentity.node_id = 1, 1, 1


class Reply:
    """As Flower hands over what a node has sent."""

    def __init__(self, node, content):
        self.metadata = type("Metadata", (), {"src_node_id": node})()
        self.content = content

    def has_error(self):
        return False


class Grid:
    """Nodes that answer greetings and orders with what they are given."""

    def __init__(self, greetings, replies=None):
        self.greetings, self.replies = greetings, replies or {}

    def get_node_ids(self):
        return list(self.greetings)

    def send_and_receive(self, messages, timeout=None):
        of = self.greetings if messages[0].metadata.message_type == "query.hello" else self.replies
        return [Reply(m.metadata.dst_node_id, of[m.metadata.dst_node_id]) for m in messages]


def site(clients):
    return RecordDict({"site": ConfigRecord({"clients": clients})})


def test_greetings_that_are_none(caplog):
    caplog.set_level(logging.WARNING, logger="flwr")
    logging.getLogger("flwr").propagate = True
    grid = Grid({1: site(["ct"]), 2: RecordDict(), 3: RecordDict({"site": ConfigRecord({"names": ["mri"]})}),
                 4: site(7), 5: site([7]), 6: RecordDict({"site": MetricRecord({"clients": 1})}), 7: site(["ct", "oct"])})
    sites = Sites(grid)
    sites.refresh()
    assert sites.node_of("ct") == 1 and sites.node_of("oct") == 7 and sites.node_of("mri") is None
    for node in range(2, 7):
        assert f"node {node} does not say whom it answers for" in caplog.text
    assert "two nodes answer for client ct; the first counts" in caplog.text


def test_replies_that_are_none(tmp_path, caplog):
    caplog.set_level(logging.WARNING, logger="flwr")
    logging.getLogger("flwr").propagate = True
    names = ["good", "foreign", "records", "few", "floats", "nothing"]
    strange = Array(dtype="uint8", shape=(3,), stype="something.else", data=b"abc")
    replies = {
        0: pack([b"a reply"]),
        1: RecordDict({"files": ArrayRecord({"0": strange})}),
        2: RecordDict({"letters": ArrayRecord([np.zeros(3, np.uint8)])}),
        3: RecordDict({"files": ArrayRecord([np.zeros(1, np.uint8)] * 2)}),
        4: RecordDict({"files": ArrayRecord([np.zeros(3, np.float32)])}),
        5: RecordDict(),
    }
    grid = Grid({node: site([name]) for node, name in enumerate(names)}, replies)
    sites = Sites(grid)
    sites.refresh()
    tasks = []
    for name in names:
        (tmp_path / f"{name}.order").write_bytes(b"an order")
        tasks.append({"client": name, "order": str(tmp_path / f"{name}.order"), "reply": str(tmp_path / f"{name}.reply")})
    assert carry(grid, sites, {"tasks": tasks, "deadline": 1}) == sorted(names[1:])
    assert (tmp_path / "good.reply").read_bytes() == b"a reply"
    for node in range(1, 6):
        assert f"node {node}: its reply is refused" in caplog.text
