"""What is scored is planned: tables go into the planner, and plans back onto the model."""

import subprocess
import sys

import torch
from torch import nn

import strata_fl as st


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.inner = nn.LayerNorm(4), nn.Linear(4, 4)

    def forward(self, x):
        return x + torch.tanh(self.inner(self.norm(x)))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.layers, self.head = nn.Linear(3, 4), nn.ModuleList(Block() for _ in range(4)), nn.Linear(4, 2)

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def test_a_plan_of_scores_is_applied_to_the_model():
    torch.manual_seed(0)
    model = Model()
    table = st.ScoreTable.concat(st.score(model, torch.randn(6, 3), client=name) for name in ("ct", "mr", "us"))
    plan = st.exact_front(table, budgets=2).choose("knee")
    for client in table.clients:
        units = plan[client]
        assert len(units) == 2 and all(unit.startswith("block.") for unit in units)
        trained = plan.apply(model, client)
        planned = [*units, "head"]  # a head is always trained
        assert sorted(trained) == sorted(name for unit in planned for name in table.parameters[unit])
        assert [n for n, w in model.named_parameters() if w.requires_grad] == [
            n for n, _ in model.named_parameters() if n in trained
        ]


def test_the_planner_does_without_torch():
    code = "import sys, strata_fl as st; st.exact_front([[1, 2]], budgets=1); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
