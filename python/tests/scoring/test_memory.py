"""The memory limit holds, and changes no result."""

import pytest
import torch
from live_bytes import LiveBytes
from torch import nn

from strata_fl.scoring import score
from strata_fl.scoring.amounts import parse_bytes


class Block(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(size), nn.Linear(size, 2 * size), nn.Linear(2 * size, size)

    def forward(self, x):
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm(x))))


class Model(nn.Module):
    """Patches, blocks over 25 tokens, and a head of 6 outputs."""

    def __init__(self, size=16):
        super().__init__()
        self.patches = nn.Conv2d(3, size, 4, stride=4)
        self.layers = nn.ModuleList(Block(size) for _ in range(4))
        self.head = nn.Linear(size, 6)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        return self.head(torch.tanh(x).mean(1))


def case():
    torch.manual_seed(0)
    return Model().double().eval(), torch.randn(12, 3, 20, 20).double()


def measured(memory, **options):
    model, x = case()
    own = sum(weight.nbytes for weight in model.parameters())
    known = [*model.parameters(), x]
    with LiveBytes(known) as live:
        table = score(model, x, memory=memory, **options)
    return table, live.largest - own  # the gradient of the weights is the model's own size


@pytest.fixture(scope="module")
def unlimited():
    return measured("1GB")


@pytest.mark.parametrize("memory", ["3MB", "900kB"])
def test_the_limit_holds_and_changes_no_result(memory, unlimited):
    table, bytes_used = measured(memory)
    assert bytes_used <= parse_bytes(memory)
    assert table.raw[0].tolist() == pytest.approx(unlimited[0].raw[0].tolist(), rel=1e-9)
    assert unlimited[1] > parse_bytes(memory)  # so that the limit has something to do


def test_too_little_memory_is_refused_with_what_is_needed():
    model, x = case()
    with pytest.raises(ValueError, match=r"memory: .*(is the least|alone needs)"):
        score(model, x, memory="100kB")
    with pytest.raises(ValueError, match="72 outputs|12 samples x 6 outputs"):
        score(model, x, memory="1kB")


def test_rows_of_unknown_operations_are_taken_in_parts():
    class Raw(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.randn(60, 20))

        def forward(self, x):
            return torch.tanh(x @ self.table)[:, :5]

    torch.manual_seed(0)
    model, x = Raw().double(), torch.randn(6, 60).double()
    whole = score(model, x, units=["table"])
    with LiveBytes([*model.parameters(), x]) as live:
        parts = score(model, x, units=["table"], memory="150kB")
    assert live.largest - 2 * model.table.nbytes <= 150_000 < 30 * model.table.nbytes
    assert parts.raw[0][0] == pytest.approx(whole.raw[0][0], rel=1e-12)


@pytest.mark.parametrize("amount, found", [("1GB", 10**9), ("512MiB", 2**29), (1e6, 10**6), ("3k", 3000)])
def test_amounts(amount, found):
    assert parse_bytes(amount) == found


@pytest.mark.parametrize("amount", ["", "much", "-1", 0, 1.5, True, None, "1XB", "1.5", float("nan"), "1e400"])
def test_wrong_amounts_are_refused(amount):
    with pytest.raises(ValueError, match="memory: found .*a whole number of bytes"):
        parse_bytes(amount)
