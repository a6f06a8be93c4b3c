"""Scores are made where the model is, from batches that are somewhere else, and are the CPU's."""

import copy

import pytest
import torch

pytest.importorskip("transformers", reason="needs transformers")

from reference import doubles, expected  # noqa: E402
from tiny import make  # noqa: E402

from strata_fl.scoring import score  # noqa: E402
from strata_fl.scoring.outputs import output_function  # noqa: E402

NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NO_CUDA)])
@pytest.mark.parametrize("name", ["llama", "resnet"])
def test_scores_are_made_where_the_model_is(name, device):
    model, outputs, batches = make(name, torch.float64)
    moved = copy.deepcopy(model).to(device)
    with doubles():
        tables = score(moved, batches, outputs=outputs, metric=["lntk", "trace", "magnitude"])
        there = score(model, batches, outputs=outputs, metric=["trace", "magnitude"])
    assert {weight.device.type for weight in moved.parameters()} == {device}
    truth = expected(model, output_function(outputs), batches, tables["lntk"].parameters)
    for unit, value in zip(tables["lntk"].units, tables["lntk"].raw[0]):
        assert value == pytest.approx(truth[unit], rel=1e-6, abs=1e-12), unit
    for metric, table in there.items():
        assert tables[metric].raw[0] == pytest.approx(table.raw[0], rel=1e-6), metric
