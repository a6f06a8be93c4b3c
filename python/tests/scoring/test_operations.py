"""Each operation on its own, with odd shapes: λ₁ equal to brute force, and captured or said not to be."""

import logging

import pytest
import torch
from reference import expected
from torch import nn
import torch.nn.functional as F

from strata_fl.scoring import score


class Flat(nn.Module):
    """A module, and the mean of its output's places for each of two mixtures of its columns."""

    def __init__(self, module, channel=-1):
        super().__init__()
        self.body, self.channel = module, channel
        self.scale = 1.0

    def forward(self, x):
        y = self.body(x)
        y = torch.tanh(y).transpose(1, -1) if self.channel == 1 and y.dim() > 2 else torch.tanh(y)
        y = y.reshape(y.shape[0], -1, y.shape[-1])
        mixture = torch.cos(torch.arange(y.shape[1], device=y.device, dtype=y.dtype))
        mixed = torch.einsum("t,ntc->nc", mixture, y)
        columns = torch.sin(torch.arange(1, y.shape[-1] + 1, device=y.device, dtype=y.dtype))
        return torch.stack([mixed @ columns, mixed.square() @ columns], 1)


def forward(model, batch):
    return model(batch)


def check(model, batches, units, caplog, captured=True, tolerance=1e-7, memory="64MB"):
    model = model.double().eval()
    batches = [b.double() if b.is_floating_point() else b for b in batches]
    with caplog.at_level(logging.WARNING, logger="strata_fl.scoring"):
        table = score(model, batches, units=units, memory=memory)
    truth = expected(model, forward, batches, table.parameters)
    for unit, value in zip(table.units, table.raw[0]):
        assert truth[unit] > 0
        assert value == pytest.approx(truth[unit], rel=tolerance), unit
    said = [record.getMessage() for record in caplog.records]
    assert bool(said) != captured, said
    return said


EACH = [r"body\.[a-z_0-9.]+"]

CASES = {
    "linear": (nn.Linear(5, 3), (2, 5), -1),
    "linear of tokens": (nn.Linear(5, 3, bias=False), (3, 7, 5), -1),
    "linear of places": (nn.Linear(4, 6), (2, 3, 2, 4), -1),
    "conv1d": (nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (3, 4, 9), 1),
    "conv2d": (nn.Conv2d(3, 5, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)), (2, 3, 8, 7), 1),
    "conv2d depthwise": (nn.Conv2d(4, 8, 3, groups=4, padding="same"), (2, 4, 5, 6), 1),
    "conv2d circular": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", bias=False), (2, 2, 5, 4), 1),
    "conv2d reflect": (nn.Conv2d(2, 3, (3, 5), padding=(1, 2), padding_mode="reflect"), (2, 2, 5, 4), 1),
    "conv3d": (nn.Conv3d(2, 4, (1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 1), groups=2), (2, 2, 3, 4, 3), 1),
    "layer norm": (nn.LayerNorm(6), (3, 4, 6), -1),
    "group norm": (nn.GroupNorm(2, 6), (2, 6, 3, 4), 1),
    "batch norm 1d": (nn.BatchNorm1d(5), (4, 5), 1),
    "batch norm 2d": (nn.BatchNorm2d(3), (2, 3, 4, 5), 1),
}


@pytest.mark.parametrize("name", CASES)
def test_operation(name, caplog):
    torch.manual_seed(1)
    module, shape, channel = CASES[name]
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    for statistic in ("running_mean", "running_var"):
        if getattr(module, statistic, None) is not None:
            getattr(module, statistic).uniform_(0.5, 2)
    check(Flat(module, channel), [torch.randn(shape), torch.randn(1, *shape[1:])], EACH, caplog)


@pytest.mark.skipif(not hasattr(nn, "RMSNorm"), reason="torch 2.4 has RMSNorm")
def test_rms_norm(caplog):
    module = nn.RMSNorm(6)
    nn.init.normal_(module.weight)
    check(Flat(module), [torch.randn(3, 4, 6)], EACH, caplog)


@pytest.mark.parametrize("padding", [None, 2])
def test_embedding_with_repeated_and_padded_words(padding, caplog):
    torch.manual_seed(1)
    ids = torch.tensor([[1, 2, 2, 5], [5, 1, 7, 2], [8, 8, 8, 2]])
    check(Flat(nn.Embedding(11, 3, padding_idx=padding)), [ids, ids[:1, :2]], EACH, caplog)


def test_shared_module_and_tied_table(caplog):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Embedding(9, 4)
            self.twice = nn.Linear(4, 4)
            self.head = nn.Linear(4, 9, bias=False)
            self.head.weight = self.body.weight

        def forward(self, ids):
            x = self.twice(torch.tanh(self.twice(self.body(ids))))
            return self.head(x).tanh().sum(1)[:, :3]

    ids = torch.randint(0, 9, (3, 5))
    check(Tied(), [ids], {"table": ["body.weight"], "twice": ["twice.*"]}, caplog)


def test_in_place_module_behind_an_operation(caplog):
    body = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 2))
    check(Flat(body, 1), [torch.randn(3, 2, 6, 6)], EACH, caplog)


def test_positions_and_class_tokens_are_copied_for_every_sample(caplog):
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.randn(1, 1, 4))
            self.place = nn.Parameter(torch.randn(1, 4, 4))
            self.table = nn.Embedding(8, 4)
            self.gain = nn.Parameter(torch.randn(4))

        def forward(self, x):
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
            places = torch.arange(x.shape[1]).unsqueeze(0)
            return self.gain * torch.tanh(x + self.table(places))

    check(Flat(Positions()), [torch.randn(2, 3, 4), torch.randn(3, 3, 4)], EACH, caplog)


def test_checkpointed_blocks(caplog):
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 4))

        def forward(self, x):
            return checkpoint(self.inner, x, use_reentrant=False)

    check(Flat(Checkpointed()), [torch.randn(3, 4)], EACH, caplog)


def test_inputs_by_name_and_dropout(caplog):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.drop = nn.Linear(4, 4), nn.Dropout(0.9)

        def forward(self, x):
            return self.drop(self.first(input=x))

    model, x = Flat(Named()).train(), torch.randn(3, 4)
    table = score(model, x, units=EACH)
    assert model.training and model.body.drop.training
    assert score(model.eval(), x, units=EACH).raw == pytest.approx(table.raw, rel=1e-6)
    check(model, [x], EACH, caplog)


# What is not known is taken by torch.func or row by row, for that weight alone, and a line says so.


class Functional(nn.Module):
    """A Linear that is called, another whose weight is used by a function, and one that is used both ways."""

    def __init__(self):
        super().__init__()
        self.called, self.raw, self.both = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        x = torch.tanh(self.called(x))
        x = torch.tanh(F.linear(x, self.raw.weight, self.raw.bias))
        return self.both(x) + F.linear(x, 0.01 * self.both.weight)


def test_raw_uses_are_found(caplog):
    said = check(Flat(Functional()), [torch.randn(3, 2, 4)], EACH, caplog, captured=False)
    assert len(said) == 1
    for name in ("body.raw.weight", "body.both.weight"):
        assert name in said[0]
    # F.linear of some versions takes a bias of each sample's own, which is then no row by row.
    assert "body.called" not in said[0] and "both.bias" not in said[0]


def test_attention_of_torch(caplog):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)

        def forward(self, x):
            return self.layer(x)

    said = check(Flat(Attention()), [torch.randn(2, 3, 8)], EACH, caplog, captured=False)
    assert len(said) == 1 and "in_proj_weight" in said[0] and "linear1" not in said[0]


def test_a_module_that_only_looks_like_a_norm(caplog):
    class FakeRMSNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.variance_epsilon = nn.Parameter(torch.randn(4)), 1e-6

        def forward(self, x):
            return x.cumsum(-1) * self.weight

    said = check(Flat(FakeRMSNorm()), [torch.randn(3, 2, 4)], EACH, caplog, captured=False)
    assert "body.weight" in said[0]


def test_samples_behind_the_first_axis(caplog):
    class SequenceFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x):
            return self.inner(x.transpose(0, 1)).transpose(0, 1)

    for shape in ((3, 5, 4), (3, 3, 4)):  # with as many tokens as samples it looks like the usual order
        caplog.clear()
        said = check(Flat(SequenceFirst()), [torch.randn(shape)], EACH, caplog, captured=False)
        assert "samples meet" in said[0]


def test_samples_that_depend_on_each_other(caplog):
    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.outer = nn.Linear(4, 3), nn.Linear(3, 3)

        def forward(self, x):
            y = self.inner(x)
            return self.outer(torch.tanh(y - y.mean(0)))

    said = check(Flat(Centred()), [torch.randn(4, 2, 4)], EACH, caplog, captured=False)
    assert "inner" in said[0] and "outer" not in said[0]


def test_weights_without_influence_score_zero():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return self.used(x)

    table = score(Spare(), torch.randn(4, 3), units=["used", "spare"])
    assert table.raw[0][1] == 0 and table.raw[0][0] > 0


def test_short_types_are_contracted_in_float32():
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 4))
    model, x = Flat(body).eval(), torch.randn(3, 5, 6)
    short = score(model.to(torch.bfloat16), x.to(torch.bfloat16), units=EACH)
    truth = expected(model, forward, [x.to(torch.bfloat16).double()], short.parameters)
    for unit, value in zip(short.units, short.raw[0]):
        assert value == pytest.approx(truth[unit], rel=0.05), unit  # bfloat16 has 8 bits


def test_products_of_short_types_are_not_rounded():
    torch.manual_seed(0)
    model, x = nn.Linear(65, 3).to(torch.bfloat16), torch.randn(5, 65).to(torch.bfloat16)
    table = score(model, x, units={"all": [".*"]})
    rows = torch.cat([x.double(), torch.ones(5, 1).double()], 1)  # nothing else of it is rounded
    assert table.raw[0][0] == pytest.approx(float(torch.linalg.eigvalsh(rows @ rows.T)[-1]), rel=1e-6)


@pytest.mark.parametrize("way", ["streamed", "mixed", "outer"])
def test_ways_of_contraction_agree(way):
    from strata_fl.scoring.factors import MatrixFactor

    torch.manual_seed(0)
    tokens = 1 if way == "outer" else 5
    for transposed in (False, True):
        x, delta = torch.randn(3, tokens, 4).double(), torch.randn(3, 2, tokens, 6).double()
        factor = MatrixFactor(x, delta, transposed=transposed)
        theta = torch.zeros(6, 6).double()
        factor.add_gram(theta, 100, way)
        rows = torch.einsum("nkto,nti->nkoi", delta, x).reshape(6, -1)
        assert torch.allclose(theta, rows @ rows.T)
