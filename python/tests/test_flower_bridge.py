"""bridges/flower: what a node sends that it should not is refused with the node's number, and nothing else ends."""

import logging
import pathlib
import sys

import pytest

pytest.importorskip("flwr", minversion="1.40")
np = pytest.importorskip("numpy")

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bridges/flower"))
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict  # noqa: E402
from strata_flower.parcels import pack, unpack  # noqa: E402
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
        self.late = set()
        self.asked = []  # nodes and deadline of each exchange

    def get_node_ids(self):
        return list(self.greetings)

    def send_and_receive(self, messages, timeout=None):
        self.asked.append(([m.metadata.dst_node_id for m in messages], timeout))
        of = self.greetings if messages[0].metadata.message_type == "query.hello" else self.replies
        there = [m.metadata.dst_node_id for m in messages if m.metadata.dst_node_id not in self.late]
        return [Reply(node, of[node]) for node in there]


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


def test_greetings_have_a_deadline_of_their_own_and_who_misses_it_is_asked_again():
    grid = Grid({1: site(["ct"]), 2: site(["mri"])})
    grid.late = {2}
    sites = Sites(grid, greeting_timeout=2.5)
    sites.refresh()
    assert sites.node_of("ct") == 1 and sites.node_of("mri") is None
    grid.late = set()
    sites.refresh()
    assert sites.node_of("mri") == 2
    assert grid.asked == [([1, 2], 2.5), ([2], 2.5)]
    Sites(grid).refresh()
    assert grid.asked[-1] == ([1, 2], 60)
    with pytest.raises(ValueError, match="greeting_timeout: seconds above 0 were expected, found 0"):
        Sites(grid, 0)


def test_replies_that_are_none(tmp_path, caplog):
    caplog.set_level(logging.WARNING, logger="flwr")
    logging.getLogger("flwr").propagate = True
    names = ["good", "foreign", "records", "few", "floats", "nothing", "odd"]
    strange = Array(dtype="uint8", shape=(3,), stype="something.else", data=b"abc")
    replies = {
        0: pack([b"a reply"]),
        1: RecordDict({"files": ArrayRecord({"0": strange})}),
        2: RecordDict({"letters": ArrayRecord([np.zeros(3, np.uint8)])}),
        3: pack([b"a reply", b"another"]),
        4: RecordDict({"files": ArrayRecord([np.zeros(3, np.float32)] * 2)}),
        5: RecordDict(),
        6: RecordDict({"files": ArrayRecord(dict(pack([b"a reply"])["files"], more=strange))}),
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
    for node in range(1, 7):
        assert f"node {node}: its reply is refused" in caplog.text


def safetensors(metadata, tensors):
    """A file with this many bytes of metadata and these of tensors."""
    header = b"{" + b" " * metadata + b"}"
    return len(header).to_bytes(8, "little") + header + tensors


def test_files_come_back_and_the_same_tensors_are_the_same_chunks():
    tensors = bytes(range(256)) * 300
    files = [safetensors(5, tensors), safetensors(31, tensors), b"", b"short", safetensors(9, b"")]
    record = pack(files)
    assert unpack(record, len(files)) == files
    # Flower names an array by its bytes; of the two orders only the headers are others.
    names = [array.object_id for array in record["files"].values()]
    assert names[1] == names[3] and names[0] != names[2]


def exchange(folder, number, clients):
    """As a line of the pump has one."""
    tasks = [{"client": client, "order": str(folder / f"{client}.order"), "reply": str(folder / f"{number}-{client}.reply")}
             for client in clients]
    for task in tasks:
        pathlib.Path(task["order"]).write_bytes(b"an order")
    return {"exchange": number, "deadline": 7.5, "tasks": tasks}


def test_a_site_that_misses_the_deadline_is_missing_and_comes_back(tmp_path):
    grid = Grid({1: site(["ct"]), 2: site(["mri"])}, {1: pack([b"of ct"]), 2: pack([b"of mri"])})
    sites = Sites(grid)
    sites.refresh()
    grid.late = {2}
    assert carry(grid, sites, exchange(tmp_path, 2, ["ct", "mri"])) == ["mri"]
    assert grid.asked[-1] == ([1, 2], 7.5)
    assert (tmp_path / "2-ct.reply").read_bytes() == b"of ct"
    assert not (tmp_path / "2-mri.reply").exists()
    grid.late = set()
    assert carry(grid, sites, exchange(tmp_path, 3, ["ct", "mri"])) == []
    assert (tmp_path / "3-mri.reply").read_bytes() == b"of mri"


def test_a_site_that_is_gone_gets_no_message_until_it_greets_again(tmp_path):
    greetings = {1: site(["ct"]), 2: site(["mri"])}
    grid = Grid(greetings, {1: pack([b"of ct"]), 2: pack([b"of mri"]), 3: pack([b"of mri again"])})
    sites = Sites(grid)
    sites.refresh()
    del greetings[2]
    sites.refresh()
    assert carry(grid, sites, exchange(tmp_path, 2, ["ct", "mri"])) == ["mri"]
    assert grid.asked[-1] == ([1], 7.5)
    greetings[3] = site(["mri"])  # the same site under another number
    sites.refresh()
    assert carry(grid, sites, exchange(tmp_path, 3, ["ct", "mri"])) == []
    assert (tmp_path / "3-mri.reply").read_bytes() == b"of mri again"
