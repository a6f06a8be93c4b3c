"""A client: it scores, trains what its plan says, and evaluates."""

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from planned_app.task import Net, load_data
from strata_fl.flower import apply_plan, client_name, planned_reply, scored_reply

app = ClientApp()
loss_of = torch.nn.CrossEntropyLoss()


@app.query("scores")
def score(message: Message, context: Context) -> Message:
    """A block's importance: the squared norm of its gradient."""
    model = Net()
    task = apply_plan(message, model, context)
    x, y = load_data(client_name(context), "train")
    loss_of(model(x), y).backward()
    weights = dict(model.named_parameters())
    scores = {unit: sum(float(weights[key].grad.square().sum()) for key in task.keys[unit]) for unit in task.units}
    return scored_reply(message, task, context, scores)


@app.train()
def train(message: Message, context: Context) -> Message:
    model = Net()
    task = apply_plan(message, model, context)
    x, y = load_data(client_name(context), "train")
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=task.config["learning-rate"])
    for batch in torch.arange(len(x)).split(32):
        optimizer.zero_grad()
        loss = loss_of(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
    return planned_reply(message, model, task, {"num-examples": len(x), "loss": loss.item()})


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    model = Net()
    task = apply_plan(message, model, context)
    x, y = load_data(client_name(context), "test")
    with torch.no_grad():
        accuracy = (model(x).argmax(1) == y).float().mean().item()
    return planned_reply(message, model, task, {"num-examples": len(x), "accuracy": accuracy})
