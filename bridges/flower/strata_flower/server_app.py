"""The server: drives `strata run --courier pump:…` and has Flower bring orders to sites and replies back."""

import json
import logging
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from strata_flower.parcels import pack, unpack

app = ServerApp()
log = logging.getLogger("flwr")
_POLL = 3.0  # seconds between looks at who is there, as Flower's own


def clients_of(content: RecordDict) -> list[str]:
    """Whom a node's greeting names. Raises KeyError or ValueError for anything else."""
    clients = content.config_records["site"]["clients"]
    if not isinstance(clients, list) or not all(isinstance(client, str) for client in clients):
        raise ValueError(f"its clients are {clients!r}, not a list of names")
    return clients


class Sites:
    """Which node answers for which client. Nodes have numbers; what they are called they say, within
    `greeting_timeout` seconds, or they are asked again."""

    def __init__(self, grid: Grid, greeting_timeout: float = 60):
        if not greeting_timeout > 0:
            raise ValueError(f"greeting_timeout: seconds above 0 were expected, found {greeting_timeout}")
        self._grid, self._greeting_timeout = grid, greeting_timeout
        self._asked: set[int] = set()
        self._nodes: dict[str, int] = {}

    def refresh(self) -> None:
        """Asks nodes that are new, and forgets those that are gone."""
        there = set(self._grid.get_node_ids())
        for client in [client for client, node in self._nodes.items() if node not in there]:
            del self._nodes[client]
        self._asked &= there
        new = sorted(there - self._asked)
        greetings = [
            Message(RecordDict(), dst_node_id=node, message_type="query.hello") for node in new
        ]
        for reply in self._greeted(greetings):
            node = reply.metadata.src_node_id
            if reply.has_error():
                log.warning("node %d does not say whom it answers for: %s", node, reply.error.reason)
                continue
            self._asked.add(node)
            try:
                clients = clients_of(reply.content)
            except Exception as error:  # whatever Flower makes of a reply that is none
                log.warning("node %d does not say whom it answers for: %s", node, error)
                continue
            for client in clients:
                if self._nodes.setdefault(client, node) != node:
                    log.error("two nodes answer for client %s; the first counts", client)

    def _greeted(self, greetings: list[Message]) -> Iterable[Message]:
        if not greetings:
            return []
        return self._grid.send_and_receive(greetings, timeout=self._greeting_timeout)

    def wait_for(self, clients: Iterable[str], seconds: float) -> None:
        """Until somebody answers for each of them, or so long."""
        end = time.monotonic() + seconds
        while True:
            self.refresh()
            missing = [client for client in clients if client not in self._nodes]
            if not missing or time.monotonic() > end:
                return
            log.info("waiting for %s", ", ".join(missing))
            time.sleep(_POLL)

    def node_of(self, client: str) -> int | None:
        return self._nodes.get(client)


def carry(grid: Grid, sites: Sites, line: dict) -> list[str]:
    """One exchange: a message a node with all its orders. Gives the clients without a reply."""
    tasks: dict[int, list[dict]] = {}
    for task in line["tasks"]:
        node = sites.node_of(task["client"])
        if node is not None:
            tasks.setdefault(node, []).append(task)
    messages = [
        Message(
            pack([Path(task["order"]).read_bytes() for task in of_node]),
            dst_node_id=node,
            message_type="train",
        )
        for node, of_node in tasks.items()
    ]
    for reply in grid.send_and_receive(messages, timeout=line["deadline"]) if messages else []:
        node = reply.metadata.src_node_id
        if reply.has_error():
            log.warning("node %d: error %d: %s", node, reply.error.code, reply.error.reason)
            continue
        try:
            files = unpack(reply.content, len(tasks[node]))
        except Exception as error:  # whatever Flower makes of a reply that is none
            log.warning("node %d: its reply is refused: %s", node, error)
            continue
        for task, content in zip(tasks[node], files):
            if content:
                Path(task["reply"]).write_bytes(content)
    return sorted({t["client"] for t in line["tasks"] if not Path(t["reply"]).exists()})


def command_of(config: dict, mailbox: str) -> list[str]:
    for key in ("experiment", "out"):
        if not Path(str(config[key])).is_absolute():
            raise ValueError(f"{key}: an absolute path was expected, found {config[key]!r}")
    command = [str(config["strata"]), "run", str(config["experiment"]), "--out", str(config["out"])]
    command += ["--courier", f"pump:{mailbox}", "--threads", str(config["threads"])]
    command += ["--resume"] if config["resume"] else []
    return command + shlex.split(str(config["arguments"]))


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = dict(context.run_config)
    sites = Sites(grid, float(config["greeting-timeout"]))
    with tempfile.TemporaryDirectory(prefix="strata-mailbox-") as own:
        command = command_of(config, str(config["mailbox"]) or str(Path(own, "mailbox")))
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        ) as run:
            try:
                for text in run.stdout:
                    line = json.loads(text)
                    if "runs" in line:
                        log.info("%s", text.strip())
                        continue
                    clients = [task["client"] for task in line["tasks"]]
                    sites.wait_for(clients, float(config["wait"]) if line["exchange"] == 1 else 0)
                    missing = carry(grid, sites, line)
                    if missing:
                        log.warning("exchange %d: no reply of %s", line["exchange"], ", ".join(missing))
                    run.stdin.write(json.dumps({"missing": missing}) + "\n")
            finally:
                if run.poll() is None and run.stdin:
                    run.stdin.close()
        if config["ended"]:
            Path(str(config["ended"])).write_text(f"{run.returncode}\n")
        if run.returncode != 0:
            raise RuntimeError(f"strata run ended with {run.returncode}: {shlex.join(command)}")
