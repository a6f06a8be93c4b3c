"""A client that trains nothing and sends other arrays back, as Flower's NumPy example without a model."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()
# By what a node answers for. Flower carries the same bytes once: no two nodes' arrays may be the same, as models are not.
SCALES = {"ct": np.float32(0.75), "mri": np.float32(1.25)}


@app.train()
def train(message: Message, context: Context) -> Message:
    scale = SCALES[str(context.node_config["clients"])]
    arrays = [array * scale for array in message.content["arrays"].to_numpy_ndarrays()]
    content = {"arrays": ArrayRecord(arrays), "metrics": MetricRecord({"num-examples": 1})}
    return Message(RecordDict(content), reply_to=message)
