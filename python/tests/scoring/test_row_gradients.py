"""Rows of weights whose operations are not known: torch.func's equal autograd's, and a line says which it was."""

import logging

import pytest
import torch
import torch.nn.functional as F
from live_bytes import LiveBytes
from reference import jacobian
from torch import nn

from strata_fl.scoring import score
from strata_fl.scoring.parts import Samples
from strata_fl.scoring.row_gradients import RowGradients


class Raw(nn.Module):
    """Weights that functions use, one of them twice, and one that no output depends on."""

    def __init__(self):
        super().__init__()
        self.table, self.spare = nn.Parameter(torch.randn(6, 5)), nn.Parameter(torch.randn(2))

    def forward(self, x):
        return torch.tanh(x @ self.table) @ self.table.T[:, :4]


class Branching(Raw):
    """Its control flow depends on numbers."""

    def forward(self, x):
        return super().forward(x) * (2 if bool((x.sum() > 1000).item()) else 1)


class InPlace(Raw):
    """It writes a sample's numbers into a tensor that all share."""

    def forward(self, x):
        kept = torch.zeros(6, dtype=x.dtype)
        kept += x[0]
        return super().forward(x)


class Cube(torch.autograd.Function):
    """Without setup_context, as older code has it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, slope):
        return slope * 3 * ctx.saved_tensors[0] ** 2


class OwnFunction(Raw):
    def forward(self, x):
        return Cube.apply(super().forward(x))


class Counting(Raw):
    """What it gives depends on how often it was called."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls


class Meeting(Raw):
    def forward(self, x):
        y = super().forward(x)
        return torch.tanh(y - y.mean(0)) * y


def rows_of(model, x, memory=1e6, size=3):
    """Explicit rows by weight, and why torch.func gave none."""
    batches = [x[i : i + size] for i in range(0, len(x), size)]
    found = RowGradients(model, model, Samples(batches, model), ["table", "spare"], memory)
    rows = {}
    for name, factor in found:
        rows.setdefault(name, []).append(factor.values.flatten(0, 1))
    return {name: torch.cat(parts, 1) for name, parts in rows.items()}, found.refused


def truth(model, x, size=3):
    batches = [x[i : i + size] for i in range(0, len(x), size)]
    return jacobian(model, lambda own, batch: own(batch), batches, ["table", "spare"])


def assert_true(rows, model, x):
    found = torch.cat([rows["table"], rows["spare"]], 1)
    assert torch.allclose(found, truth(model, x), rtol=1e-6, atol=1e-9)
    assert not rows["spare"].any() and rows["table"].any()


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(7, 6).double()


@pytest.mark.parametrize("kind", [Raw, Meeting])
@pytest.mark.parametrize("memory", [1e6, 4000, 1800])  # all at once; parts of samples and outputs; of weights
def test_rows_are_autograds(kind, memory, x):
    model = kind().double().requires_grad_(False)
    rows, refused = rows_of(model, x, memory)
    assert refused is None or (kind, memory) == (Meeting, 1800)
    assert_true(rows, model, x)
    assert not any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("kind", [Branching, InPlace, OwnFunction])
def test_what_vmap_refuses_goes_row_by_row(kind, x):
    model = kind().double()
    rows, refused = rows_of(model, x)
    assert refused
    assert_true(rows, model, x)


def test_other_outputs_within_vmap_are_refused(x):
    assert rows_of(Counting().double(), x, size=7)[1] == "the outputs are others within it"


def test_too_little_memory_goes_row_by_row(x):
    model = Raw().double()
    rows, refused = rows_of(model, x, 500)
    assert refused == "too little memory"
    assert_true(rows, model, x)


def said(model, x, caplog, **options):
    return said_of(model, x, caplog, "table", **options)


def said_of(model, x, caplog, unit, **options):
    with caplog.at_level(logging.WARNING, logger="strata_fl.scoring"):
        score(model, x, units=[unit], **options)
    (record,) = caplog.records
    return record.getMessage()


def test_the_line_says_which_it_was(x, caplog):
    assert said(Raw().double(), x, caplog).endswith("gradients are taken by torch.func, 28 rows")
    caplog.clear()
    line = said(Branching().double(), x, caplog)
    assert "row by row, in 28 backward passes (not by torch.func: " in line


class Keeping(nn.Module):
    """A module under two names, as T5's embedding, and one that keeps a tensor of its last pass."""

    def __init__(self):
        super().__init__()
        self.first = Raw()
        self.second, self.last = self.first, None

    def forward(self, x):
        self.last = self.second(x)
        self.new = self.last + 1
        return self.first(x) + self.last


def test_the_model_has_its_own_tensors_afterwards(x, caplog):
    model = Keeping().double()
    own = list(model.named_parameters(remove_duplicate=False))
    assert said_of(model, x, caplog, "first.table").endswith("gradients are taken by torch.func, 28 rows")
    for (name, before), (same, after) in zip(own, model.named_parameters(remove_duplicate=False)):
        assert name == same and before is after and type(after) is nn.Parameter
    for kept in (model.last, model.new):
        assert not torch._C._functorch.is_functorch_wrapped_tensor(kept)
    model(x).sum().backward()


class Attending(nn.Module):
    """Projections by a function, then attention, over 12 tokens."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(8, 24) / 3)

    def forward(self, x):
        queries, keys, values = (part.unsqueeze(1) for part in (x @ self.table).chunk(3, -1))
        return F.scaled_dot_product_attention(queries, keys, values).flatten(1, 2).mean(1)


@pytest.mark.parametrize("memory", [400_000, 210_000])
def test_the_memory_limit_holds(memory, caplog):
    torch.manual_seed(0)
    model, x = Attending().double().requires_grad_(False), torch.randn(10, 12, 8).double()
    whole = score(model, x, units=["table"])
    caplog.clear()
    with LiveBytes([*model.parameters(), x]) as live, caplog.at_level(logging.WARNING):
        table = score(model, x, units=["table"], memory=memory)
    assert "by torch.func" in caplog.text
    assert live.largest - model.table.nbytes <= memory
    assert table.raw[0][0] == pytest.approx(whole.raw[0][0], rel=1e-9)
