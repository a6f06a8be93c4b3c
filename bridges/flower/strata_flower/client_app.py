"""A site: each order is answered by `strata work`, within what the site's own file allows.

The node's configuration (`flower-supernode --node-config`) has

    clients  the names that the site answers for, separated by commas
    site     the path of site.yaml
    strata   the program, by default the one in the path
"""

import subprocess
import tempfile
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from strata_flower.parcels import pack, unpack

app = ClientApp()


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    """Whose orders go to this node."""
    names = [name.strip() for name in str(context.node_config["clients"]).split(",")]
    return Message(RecordDict({"site": ConfigRecord({"clients": names})}), reply_to=message)


@app.train()
def work(message: Message, context: Context) -> Message:
    """Answers the orders of one exchange. One that cannot even be refused has no reply."""
    program = str(context.node_config.get("strata", "strata"))
    site = str(context.node_config["site"])
    replies = []
    with tempfile.TemporaryDirectory(prefix="strata-site-") as folder:
        order, reply = Path(folder, "order"), Path(folder, "reply")
        for content in unpack(message.content):
            order.write_bytes(content)
            reply.unlink(missing_ok=True)
            subprocess.run(
                [program, "work", str(order), "--site", site, "--out", str(reply), "--quiet"],
                check=False,
            )
            replies.append(reply.read_bytes() if reply.exists() else b"")
    return Message(pack(replies), reply_to=message)
