"""λ₁ of models of transformers, with and without PEFT's LoRA, for every unit."""

import contextlib

import pytest
import torch

pytest.importorskip("transformers", reason="needs transformers")

from reference import doubles, expected  # noqa: E402
from tiny import MODELS, make, with_lora  # noqa: E402

from strata_fl.scoring import score  # noqa: E402
from strata_fl.scoring.outputs import output_function  # noqa: E402


def check(model, outputs, batches, tolerance):
    double = next(model.parameters()).dtype == torch.float64
    with doubles() if double else contextlib.nullcontext():
        table = score(model, batches, outputs=outputs)
    truth = expected(model, output_function(outputs), batches, table.parameters)
    for unit, value in zip(table.units, table.raw[0]):
        assert value == pytest.approx(truth[unit], rel=tolerance, abs=1e-12), unit
    assert table.residuals.max() < 1e-6
    return table


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_every_unit_equals_brute_force(name, dtype, tolerance):
    table = check(*make(name, dtype), tolerance)
    assert sum("block." in unit for unit in table.units) >= 2


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_every_unit_with_lora_equals_brute_force(name, dtype, tolerance):
    pytest.importorskip("peft", reason="needs peft")
    model, outputs, batches = make(name, dtype)
    table = check(with_lora(name, model).to(dtype), outputs, batches, tolerance)
    assert all("lora_" in name for names in table.parameters.values() for name in names)
