#!/usr/bin/env python3
"""Exact fronts of small planning problems with budgets of bytes, by mixed-integer programming.

Strata's tests hold `price_front` against these (tests/optimizers/resource_front.cpp). For every number of trained
units T and every bound on the sum of squared usages Q, SciPy's HiGHS maximises the importance; the front over
importance and usage variance (Q / L - (T / L)^2) follows. Needs numpy and scipy.

    python3 tests/reference/resource_fronts.py > tests/reference/resource_fronts.json
"""
import json
import sys

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_matrix


def instance(clients, units, seed):
    """A lognormal trend over the units, noise for every client, costs of 20 to 200 kB, budgets of 2 to 4 mean costs."""
    rng = np.random.default_rng(seed)
    trend = rng.lognormal(0, 1, units)
    scores = trend * rng.lognormal(0, 0.5, (clients, units))
    scores = np.round(1e6 * scores / scores.sum(axis=1, keepdims=True)).astype(int)
    costs = rng.integers(20_000, 200_001, units)
    budgets = np.round(rng.uniform(2, 4, clients) * costs.mean()).astype(int)
    rules = np.zeros((clients, units), int)
    coverage = np.zeros(units, int)
    if seed % 4 == 3:  # pinned (1) and forbidden (2) units, and coverage, in every fourth
        for client in range(clients):
            pin, ban = rng.choice(units, 2, replace=False)
            if costs[pin] <= budgets[client] and client % 2 == 0:
                rules[client, pin] = 1
            rules[client, ban] = 2
        coverage[rng.choice(units, units // 4, replace=False)] = 1
    return {"clients": clients, "units": units, "seed": seed, "scores": scores.tolist(), "costs": costs.tolist(),
            "budgets": budgets.tolist(), "rules": rules.tolist(), "coverage": coverage.tolist()}


class Model:
    def __init__(self, data):
        m, n = data["clients"], data["units"]
        self.m, self.n = m, n
        scores = np.array(data["scores"])
        rules = np.array(data["rules"])
        size = m * n + n * m  # x[i, l], then y[l, k]: at least k + 1 clients train unit l
        self.cost = np.zeros(size)
        self.cost[: m * n] = -scores.ravel()
        lower, upper = np.zeros(size), np.ones(size)
        lower[: m * n][rules.ravel() == 1] = 1
        upper[: m * n][rules.ravel() == 2] = 0
        for l, least in enumerate(data["coverage"]):
            lower[m * n + l * m: m * n + l * m + least] = 1
        self.bounds = Bounds(lower, upper)
        a = lil_matrix((m + n + 3, size))
        low = np.full(m + n + 3, -np.inf)
        high = np.zeros(m + n + 3)
        for i in range(m):
            for l in range(n):
                a[i, i * n + l] = data["costs"][l]
            high[i] = data["budgets"][i]
        for l in range(n):
            for i in range(m):
                a[m + l, i * n + l] = 1
            for k in range(m):
                a[m + l, m * n + l * m + k] = -1
            low[m + l] = high[m + l] = 0
        for j in range(m * n):
            a[m + n, j] = 1
        for l in range(n):
            for k in range(m):
                a[m + n + 1, m * n + l * m + k] = 2 * k + 1
        a[m + n + 2, : m * n] = scores.ravel()
        high[m + n + 2] = np.inf
        self.a, self.low, self.high = a.tocsr(), low, high

    def solve(self, total, squares, above):
        """The greatest importance, if more than `above`, with `total` uses whose squares sum to at most `squares`,
        and that sum."""
        low, high = self.low.copy(), self.high.copy()
        row = self.m + self.n
        low[row] = high[row] = total
        low[row + 1], high[row + 1] = 0, squares
        low[row + 2] = above + 0.5
        found = milp(self.cost, integrality=np.ones(len(self.cost)), bounds=self.bounds,
                     constraints=LinearConstraint(self.a, low, high), options={"mip_rel_gap": 0})
        if found.status == 2:
            return None
        assert found.status == 0, found.message
        x = np.round(found.x[: self.m * self.n]).astype(int).reshape(self.m, self.n)
        uses = x.sum(axis=0)
        importance = -int(np.round(self.cost[: self.m * self.n] @ x.ravel()))
        return importance, int((uses * uses).sum())


def exact_front(data):
    model = Model(data)
    m, n = model.m, model.n
    points = []  # (n^2 variance, importance)
    for total in range(m * n, -1, -1):
        uses, more = divmod(total, n)
        most_even = n * ((n - more) * uses ** 2 + more * (uses + 1) ** 2) - total ** 2
        # Nothing of this total matters that is not more than what is known to be as even as it can be.
        above = max((importance for variance, importance in points if variance <= most_even), default=-1)
        squares = m * m * n
        while squares >= 0:
            found = model.solve(total, squares, above)
            if found is None:
                break
            importance, reached = found
            points.append((n * reached - total * total, importance))
            squares = reached - 2  # the sum of squares has the parity of the sum
    points.sort(key=lambda p: (p[0], -p[1]))
    front = []
    for variance, importance in points:
        if not front or importance > front[-1][1]:
            front.append((variance, importance))
    return front


def main():
    result = []
    for clients, units, seeds in ((4, 8, (0, 1, 3)), (5, 10, (0, 1, 3)), (6, 10, (1, 2, 3)), (6, 13, (0, 3)),
                                  (8, 14, (1, 2, 3, 7))):
        for seed in seeds:
            data = instance(clients, units, seed)
            data["front"] = exact_front(data)
            print(clients, units, seed, len(data["front"]), file=sys.stderr, flush=True)
            result.append(data)
    print("[" + ",\n".join(json.dumps(data, separators=(",", ":")) for data in result) + "]")


main()
