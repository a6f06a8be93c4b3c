"""Every metric against its equation in docs/importance.md, in float64, from gradients made sample by sample."""

import math

import pytest
import torch
from torch import nn
import torch.nn.functional as F

from strata_fl.scoring import METRICS, score
from strata_fl.scoring.importance_metrics import MEASURES

UNITS = {"low": ["0.*"], "high": ["[24].*"]}


@pytest.fixture(scope="module")
def case():
    torch.manual_seed(2)
    layers = nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 4)
    model = nn.Sequential(*layers).double()
    batches = [(torch.randn(4, 5).double(), torch.randint(0, 4, (4,))) for _ in range(2)]
    return model, batches, truth_of(model, batches)


def truth_of(model, batches):
    """{metric: {unit: value}} from the equations."""
    x, y = (torch.cat(parts) for parts in zip(*batches))
    names = {"low": ["0.weight", "0.bias"], "high": ["2.weight", "2.bias", "4.weight", "4.bias"]}
    weights = dict(model.named_parameters())
    everything = list(weights.values())

    def flat(gradients, unit):
        return torch.cat([dict(zip(weights, gradients))[name].flatten() for name in names[unit]])

    losses = F.cross_entropy(model(x), y, reduction="none")
    g = torch.autograd.grad(losses.mean(), everything, create_graph=True)
    along = sum((a * a.detach()).sum() for a in g)
    hg = torch.autograd.grad(along, everything, retain_graph=True)
    each = [torch.autograd.grad(one, everything, retain_graph=True) for one in losses]
    outputs = model(x).flatten()
    rows = [torch.autograd.grad(one, everything, retain_graph=True) for one in outputs]
    found = {metric: {} for metric in METRICS}
    for unit in names:
        w = flat(everything, unit).detach()
        gu, h = flat(g, unit).detach(), flat(hg, unit)
        gi = torch.stack([flat(one, unit) for one in each])
        jacobian = torch.stack([flat(one, unit) for one in rows])
        floor = 1e-10 * gi.square().mean()
        values = {
            "lntk": torch.linalg.eigvalsh(jacobian @ jacobian.T)[-1],
            "trace": jacobian.square().sum(),
            "gradient": torch.linalg.eigvalsh(gi @ gi.T)[-1],
            "grad_norm": gu.square().sum(),
            "rgn": (gu.square().sum() / w.square().sum()).sqrt(),
            "snr": (gi.mean(0).square() / (gi.var(0) + floor)).mean(),
            "magnitude": w.abs().mean(),
            "snip": (gu * w).abs().sum(),
            "grasp": (w * h).sum().abs(),
            "gradflow": (w * h).abs().sum(),
            "fisher": gi.square().sum(1).mean(),
        }
        for metric, value in values.items():
            found[metric][unit] = float(value)
    found["first"], found["last"] = {"low": 2, "high": 1}, {"low": 1, "high": 2}
    return found


@pytest.mark.parametrize("metric", [metric for metric in METRICS if metric != "random"])
def test_metric_is_its_equation(case, metric):
    model, batches, truth = case
    table = score(model, batches, units=UNITS, metric=metric)
    for unit, value in zip(table.units, table.raw[0]):
        assert value == pytest.approx(truth[metric][unit], rel=1e-9), unit


def test_metrics_asked_for_together_are_the_same(case):
    model, batches, truth = case
    tables = score(model, batches, units=UNITS, metric=METRICS)
    assert list(tables) == list(METRICS)
    for metric, table in tables.items():
        assert table.metric == metric
        if metric != "random":
            assert table.raw[0].tolist() == pytest.approx(list(truth[metric].values()), rel=1e-9)


@pytest.mark.parametrize("metric", MEASURES)
def test_memory_takes_samples_apart_and_changes_nothing(case, metric):
    model, batches, truth = case
    table = score(model, batches, units=UNITS, metric=metric, memory=2000)
    assert table.raw[0].tolist() == pytest.approx(list(truth[metric].values()), rel=1e-9)


def test_curvature_goes_through_fused_attention():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer = nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x):
            y = self.inner(x).unsqueeze(1)
            return self.outer(F.scaled_dot_product_attention(y, y, y).mean((1, 2)))

    torch.manual_seed(0)
    batch = torch.randn(3, 4, 8), torch.tensor([0, 2, 1])
    table = score(Attention(), [batch], units=["inner", "outer"], metric="gradflow")
    assert (table.raw > 0).all()


def test_loss_may_be_a_function(case):
    model, batches, truth = case

    def loss(model, batch):
        return 3 * F.cross_entropy(model(batch[0]), batch[1], reduction="none")

    table = score(model, batches, units=UNITS, metric=["grad_norm", "gradient"], loss=loss)
    for metric in table:
        expected = [9 * value for value in truth[metric].values()]
        assert table[metric].raw[0].tolist() == pytest.approx(expected, rel=1e-9)


def test_loss_as_output_is_the_metric_gradient(case):
    model, batches, truth = case
    table = score(model, batches, units=UNITS, outputs="loss")
    assert table.raw[0].tolist() == pytest.approx(list(truth["gradient"].values()), rel=1e-9)


def test_random_depends_on_seed_and_name_alone(case):
    model, batches, _ = case
    one, same, other = (
        score(model, batches, units=UNITS, metric="random", seed=seed).raw[0].tolist() for seed in (4, 4, 5)
    )
    assert one == same != other
    assert all(0 < value <= 1 for value in one)


def test_several_truths_have_the_mean_of_binary_losses(case):
    model, batches, _ = case
    x = batches[0][0]
    truths = torch.rand(4, 4).double()
    table = score(model, [(x, truths)], units=UNITS, metric="grad_norm")
    loss = F.binary_cross_entropy_with_logits(model(x), truths)
    gradients = torch.autograd.grad(loss, list(model[0].parameters()))
    total = math.fsum(float(g.square().sum()) for g in gradients)
    assert table.raw[0][0] == pytest.approx(total, rel=1e-9)
