"""Operations of any shape, batches of any sizes, any memory: λ₁ equal to brute force in double."""

import pytest
import torch
from reference import expected
from torch import nn

from strata_fl.scoring import score

hypothesis = pytest.importorskip("hypothesis", reason="needs hypothesis")
st = hypothesis.strategies
SETTINGS = hypothesis.settings(max_examples=25, deadline=None, derandomize=True)


class Summed(nn.Module):
    """Two outputs that depend on every number that the module computes."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        y = torch.tanh(self.body(x)).flatten(1)
        weights = torch.arange(1, y.shape[1] + 1, dtype=y.dtype)
        return torch.stack([y @ torch.cos(weights), y.square() @ torch.sin(weights)], 1)


def check(body, batches, memory):
    torch.manual_seed(0)
    for weight in body.parameters():
        nn.init.normal_(weight, std=0.4)
    model = Summed(body).double().eval()
    table = score(model, batches, units=[r"body\.\w+"], memory=memory)
    truth = expected(model, lambda model, batch: model(batch), batches, table.parameters)
    for unit, value in zip(table.units, table.raw[0]):
        assert value == pytest.approx(truth[unit], rel=1e-7, abs=1e-12)


batch_sizes = st.lists(st.integers(1, 3), min_size=1, max_size=3)
memories = st.sampled_from(["1GB", "300kB"])


@SETTINGS
@hypothesis.given(
    sizes=batch_sizes, memory=memories, spatial=st.integers(1, 3), groups=st.integers(1, 3), ins=st.integers(1, 2),
    outs=st.integers(1, 2), kernel=st.integers(1, 3), stride=st.integers(1, 2), dilation=st.integers(1, 2),
    padding=st.integers(0, 2), bias=st.booleans(),
)
def test_convolutions(sizes, memory, spatial, groups, ins, outs, kernel, stride, dilation, padding, bias):
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[spatial - 1]
    body = kind(
        ins * groups, outs * groups, kernel, stride=stride, dilation=dilation, padding=padding, groups=groups, bias=bias
    )
    side = dilation * (kernel - 1) + 2
    batches = [torch.randn(size, ins * groups, *[side] * spatial).double() for size in sizes]
    check(body, batches, memory)


@SETTINGS
@hypothesis.given(
    sizes=batch_sizes, memory=memories, places=st.lists(st.integers(1, 3), max_size=2), ins=st.integers(1, 6),
    outs=st.integers(1, 6), bias=st.booleans(),
)
def test_linear_operations(sizes, memory, places, ins, outs, bias):
    check(nn.Linear(ins, outs, bias), [torch.randn(size, *places, ins).double() for size in sizes], memory)


@SETTINGS
@hypothesis.given(sizes=batch_sizes, memory=memories, words=st.integers(1, 5), length=st.integers(1, 6))
def test_tables(sizes, memory, words, length):
    torch.manual_seed(length)
    check(nn.Embedding(words, 3), [torch.randint(0, words, (size, length)) for size in sizes], memory)
