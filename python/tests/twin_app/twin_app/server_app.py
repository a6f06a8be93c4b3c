"""The server of the twin: `rounds` of the run's config, its budget, its planner."""

import json
import os
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp
from transformers import ViTForImageClassification

from strata_fl.flower import PlannedFedAvg

app = ServerApp()
BLOCKS = {f"block.{n}": rf"(.+[.])?(layer|layers)[.]{n}[.]" for n in range(4)}
# The unit "head" of a ViT is its last norm and the classifier.
HEAD = {"head": r"vit[.]layernorm[.]|classifier[.]"}


@app.main()
def main(grid: Grid, context: Context) -> None:
    folder = Path(str(context.run_config.get("folder") or os.environ["TWIN_FOLDER"]))
    out = Path(str(context.run_config.get("out") or os.environ["TWIN_OUT"]))
    plans = []
    strategy = PlannedFedAvg(units=BLOCKS, always=HEAD, budgets=1, score_every=2, fraction_evaluate=0.0)
    train = strategy.configure_train

    def configure_train(*arguments):
        messages = list(train(*arguments))
        plans.append(strategy.plan)
        return messages

    strategy.configure_train = configure_train
    model = ViTForImageClassification.from_pretrained(folder / "vit")
    rounds = len(list((folder / "run" / "rounds").iterdir()))
    result = strategy.start(
        grid,
        ArrayRecord(model.state_dict()),
        num_rounds=rounds,
        train_config=ConfigRecord({"folder": str(folder)}),
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "plans.json").write_text(json.dumps(plans))
    np.savez(out / "arrays.npz", **{key: array.numpy() for key, array in result.arrays.items()})
