"""A client of the twin: its examples of the manifest, in one batch; the scores are those that `strata run` has written."""

import json
from pathlib import Path

import numpy as np
import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from PIL import Image
from transformers import ViTForImageClassification

from strata_fl.flower import apply_plan, planned_reply, scored_reply

app = ClientApp()
NAMES = ["ct", "mri"]
EPOCHS, LEARNING_RATE = 3, 0.1  # of the run


def name_of(context: Context) -> str:
    return str(context.node_config.get("name") or NAMES[int(context.node_config["partition-id"])])


def examples(folder: Path, client: str, labels: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """The client's training images, normalised to [-1, 1], and their classes."""
    lines = [json.loads(line) for line in (folder / "two" / "manifest.jsonl").read_text().splitlines()]
    lines = [line for line in lines if line["client"] == client and line["split"] == "train"]
    images = [np.asarray(Image.open(folder / "two" / line["image"]).convert("RGB")) for line in lines]
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    return (pixels - 0.5) / 0.5, torch.tensor([labels[line["label"]] for line in lines])


def begin(message: Message, context: Context):
    folder = Path(next(str(c["folder"]) for c in message.content.config_records.values() if "folder" in c))
    model = ViTForImageClassification.from_pretrained(folder / "vit")
    return folder, model, apply_plan(message, model, context)


@app.query("scores")
def score(message: Message, context: Context) -> Message:
    folder, _, task = begin(message, context)
    found = json.loads((folder / "run" / "rounds" / f"{task.config['server-round']:03}" / "scores.json").read_text())
    row = found["raw"][found["clients"].index(name_of(context))]
    scores = {unit: row[found["units"].index(unit)] for unit in task.units}
    return scored_reply(message, task, context, scores, client=name_of(context))


@app.train()
def train(message: Message, context: Context) -> Message:
    folder, model, task = begin(message, context)
    pixels, classes = examples(folder, name_of(context), model.config.label2id)
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(pixels).logits, classes)
        loss.backward()
        optimizer.step()
    return planned_reply(message, model, task, {"num-examples": len(classes), "loss": loss.item()})
