"""The fingerprint of a model says whether two clients scored the same weights."""

import torch
from torch import nn

from strata_fl.scoring import score

UNITS = {"low": ["0.*"], "high": ["2.*"]}


def fingerprint(model, units=UNITS):
    return score(model, torch.randn(3, 4), units=units, metric="magnitude").model_fingerprint


def test_it_depends_on_weights_and_statistics_alone():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).eval()
    first = fingerprint(model)
    assert len(first) == 64
    assert first == fingerprint(model, {"all": [".*"]}) == fingerprint(model.double())
    model[1].running_mean += 1
    second = fingerprint(model)
    with torch.no_grad():
        model[2].weight[1, 1] += 0.5
    assert len({first, second, fingerprint(model)}) == 3
