"""The server: PlannedFedAvg in place of FedAvg."""

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp

from planned_app.task import BLOCKS, Net
from strata_fl.flower import PlannedFedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    strategy = PlannedFedAvg(
        units={f"block.{n}": rf"layers[.]{n}[.]" for n in range(BLOCKS)},
        always={"head": r"classifier[.]"},
        budgets=int(config["budget"]),
        score_every=int(config["score-every"]),
        min_available_nodes=int(config["clients"]),
        min_evaluate_nodes=int(config["clients"]),
    )
    result = strategy.start(
        grid,
        ArrayRecord(Net().state_dict()),
        num_rounds=int(config["rounds"]),
        train_config=ConfigRecord({"learning-rate": float(config["learning-rate"])}),
    )
    if config["out"]:
        torch.save(result.arrays.to_torch_state_dict(), str(config["out"]))
