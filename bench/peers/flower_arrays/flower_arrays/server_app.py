"""Flower's own FedAvg, without evaluation, that notes when each round ends."""

import json
import time
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


def shapes(model: Path, prefix: str) -> list[list[int]]:
    """Of the float32 tensors whose names begin so: what a safetensors file's header says."""
    with open(model, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return [tensor["shape"] for name, tensor in sorted(header.items())
            if name.startswith(prefix) and tensor["dtype"] == "F32"]


class Timed(FedAvg):
    """FedAvg; `ends` are the times since the epoch at which rounds were averaged."""

    def aggregate_train(self, server_round, replies):
        result = super().aggregate_train(server_round, replies)
        self.ends.append(time.time())
        return result


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    random = np.random.default_rng(1)
    arrays = [random.standard_normal(shape, dtype=np.float32)
              for shape in shapes(Path(str(config["model"])), str(config["prefix"]))]
    strategy = Timed(fraction_evaluate=0.0)
    strategy.ends = [time.time()]
    result = strategy.start(grid, ArrayRecord(arrays), num_rounds=int(config["rounds"]))
    same = all(np.allclose(a, b, rtol=1e-4) for a, b in zip(arrays, result.arrays.to_numpy_ndarrays()))
    Path(str(config["out"])).write_text(json.dumps({
        "ends": strategy.ends, "bytes": sum(a.nbytes for a in arrays), "same": same}))
