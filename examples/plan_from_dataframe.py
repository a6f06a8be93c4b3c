"""Plans from a DataFrame of scores: who trains what, how much of a budget of bytes, and files for the clients.

Needs pandas. Run it where you like; it writes plan.json and front.csv into the folder.

    python plan_from_dataframe.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import strata_fl as st

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# Scores that each client found for each layer: rows are clients, columns are units. Yours come from a file
# (pd.read_csv("scores.csv", index_col=0)) or from strata_fl.score.
random = np.random.default_rng(7)
clients = [f"hospital-{letter}" for letter in "abcdef"]
layers = [f"block.{i}" for i in range(12)]
depth = np.linspace(1.5, 0.3, len(layers))
scores = pd.DataFrame(
    random.gamma(2, depth, size=(len(clients), len(layers))), index=clients, columns=layers
)
print(scores.round(2), "\n")

# Three layers for each client, four for the first. The first point of the front is the most even one.
budgets = pd.Series(3, index=clients)
budgets["hospital-a"] = 4
front = st.exact_front(scores, budgets=budgets, normalise=True)
print(front.to_frame().round(4).to_string(), "\n")

plan = front.choose("knee")
print(plan)
for client, units in plan.items():
    print(f"  {client}: {', '.join(units)}")
print("clients of each layer:", dict(zip(front.units, plan.X.sum(axis=0).tolist())), "\n")

# The same within what each client can send: layers cost bytes, and hospital-b has a slow line.
costs = {layer: {"bytes": 700_000 + 40_000 * i} for i, layer in enumerate(layers)}
limits = {**dict.fromkeys(clients, "3MB"), "hospital-b": "1MB"}
sent = st.plan(scores, limits, costs=costs, normalise=True, coverage=1)
print(sent)
print(pd.DataFrame({"used": sent.used, "of": sent.budgets}).to_string())

plan.save(folder / "plan.json")
front.save(folder / "front.csv")
assert st.Plan.load(folder / "plan.json") == plan
