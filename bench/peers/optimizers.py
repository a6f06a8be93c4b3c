#!/usr/bin/env python3
"""NSGA-II of pymoo and of pygmo on the instances that `strata compare` uses.

    strata compare --instances 9x24,20x48 --instance-seeds 3 --write-instances instances
    pip install -r bench/peers/requirements.txt
    python bench/peers/optimizers.py --instances instances --evaluations 20000 --seeds 5 --out peers.csv

The rows are those of compare.csv. Both start from uniformly random feasible assignments, have the
population of `strata compare`, and get the credit that Strata's algorithms get: all nondominated
assignments they ever evaluated are their front. Objectives are evaluated in whole generations by
numpy. `seconds` is the library's time with these evaluations; keeping that front is not counted.

- pygmo:nsga2 has integers, the unit of every slot of every client. Equal entries of a client count
  once, and its best units fill the slots that are then free: Strata's encoding for pagmo.
- pymoo:nsga2 has one bit for every client and unit, uniform crossover and bit flips; a client above
  its budget keeps its best units, one below it gets its best further ones. Of the encodings and
  repairs that were tried with pymoo (units of slots; repair at random), this one did best.
"""

import argparse
import csv
import os
import re
import sys
import time

import numpy as np

COLUMNS = (
    "instance instance_seed algorithm start evaluations seed hypervolume_ratio igd_plus spread points "
    "seconds evaluations_to_0.99 seconds_to_0.99 evaluations_to_0.999 seconds_to_0.999"
).split()
TARGETS = (0.99, 0.999)


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


class Instance:
    """Scores, budgets and the exact supported front, as `strata compare --write-instances` has them."""

    def __init__(self, folder, stem):
        match = re.fullmatch(r"(.+)-(\d+)", stem)
        self.name, self.seed = (match[1], int(match[2])) if match else (stem, 0)
        scores = read_csv(os.path.join(folder, stem + ".scores.csv"))[1:]
        self.scores = np.array([[float(value) for value in row[1:]] for row in scores])
        budgets = {row[0]: int(row[1]) for row in read_csv(os.path.join(folder, stem + ".budgets.csv"))[1:]}
        self.budgets = np.array([budgets[row[0]] for row in scores])
        front = read_csv(os.path.join(folder, stem + ".front.csv"))[1:]
        # (−importance, usage variance), both minimised, by ascending usage variance.
        self.exact = np.array([[-float(row[0]), float(row[1])] for row in front])
        self.nadir = self.exact.max(axis=0)
        self.ranges = self.nadir - self.exact.min(axis=0)
        self.slot_client = np.repeat(np.arange(len(self.budgets)), self.budgets)

    def objectives(self, assignments):
        """Of a batch of 0/1 arrays, batch × clients × units."""
        usage = assignments.sum(axis=1)
        return np.column_stack([-np.einsum("ncl,cl->n", assignments, self.scores), usage.var(axis=1)])

    def best_within_budget(self, keys):
        """The units of greatest key, as many as each client's budget."""
        ranks = np.argsort(np.argsort(-keys, axis=2, kind="stable"), axis=2, kind="stable")
        return ranks < self.budgets[None, :, None]

    def repaired(self, chosen):
        """Chosen units come before others, and better ones before worse."""
        return self.best_within_budget(self.scores[None] + 2.0 * self.scores.max() * chosen)

    def random_assignments(self, count, random):
        return self.best_within_budget(random.random((count, *self.scores.shape)))

    def from_slots(self, slots):
        chosen = np.zeros((len(slots), *self.scores.shape), dtype=bool)
        rows = np.arange(len(slots))[:, None]
        chosen[rows, self.slot_client[None, :], np.rint(slots).astype(int)] = True
        return self.repaired(chosen)

    def to_slots(self, assignments):
        return np.array([np.nonzero(assignment)[1] for assignment in assignments], dtype=float)


def nondominated(points):
    """By ascending second objective."""
    points = points[np.lexsort((points[:, 0], points[:, 1]))]
    before = np.concatenate([[np.inf], np.minimum.accumulate(points[:, 0])[:-1]])
    return points[points[:, 0] < before]


def hypervolume(front, reference):
    inside = front[(front < reference).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    rights = np.append(inside[1:, 1], reference[1])
    return float(((rights - inside[:, 1]) * (reference[0] - inside[:, 0])).sum())


def igd_plus(front, exact, ranges):
    loss = np.maximum(0, (front[None, :, :] - exact[:, None, :]) / ranges)
    return float(np.sqrt((loss**2).sum(axis=2)).min(axis=1).mean())


def spread(front, exact, ranges):
    front, exact = front / ranges, exact / ranges
    missed = np.linalg.norm(front[0] - exact[0]) + np.linalg.norm(front[-1] - exact[-1])
    gaps = np.linalg.norm(np.diff(front, axis=0), axis=1)
    length = gaps.sum()
    uneven = np.abs(gaps - gaps.mean()).sum() if len(gaps) else 0.0
    return float((missed + uneven) / (missed + length)) if missed + length > 0 else 0.0


class Run:
    """The front of everything that was evaluated, and when it reached the targets."""

    def __init__(self, instance):
        self.instance = instance
        self.front = np.empty((0, 2))
        self.exact_area = hypervolume(instance.exact, instance.nadir)
        self.evaluations, self.next_look, self.not_counted = 0, 1, 0.0
        self.reached = [(None, None)] * len(TARGETS)
        self.start = time.perf_counter()

    def seconds(self):
        return time.perf_counter() - self.start - self.not_counted

    def evaluate(self, assignments):
        objectives = self.instance.objectives(assignments)
        pause = time.perf_counter()
        self.evaluations += len(objectives)
        self.front = nondominated(np.vstack([self.front, objectives]))
        if self.evaluations >= self.next_look:
            self.next_look = self.evaluations + self.evaluations // 100
            seconds = pause - self.start - self.not_counted
            for i, target in enumerate(TARGETS):
                if self.reached[i][0] is None and self.ratio() >= target:
                    self.reached[i] = (self.evaluations, seconds)
        self.not_counted += time.perf_counter() - pause
        return objectives

    def ratio(self):
        return hypervolume(self.front, self.instance.nadir) / self.exact_area


class PygmoProblem:
    """pygmo's user-defined problem; a copy of it shares the run, as pygmo copies problems."""

    def __init__(self, instance, run):
        self.instance, self.run = instance, run

    def __deepcopy__(self, memo):
        return PygmoProblem(self.instance, self.run)

    def fitness(self, x):
        return self.run.evaluate(self.instance.from_slots(np.asarray(x)[None]))[0]

    def batch_fitness(self, xs):
        slots = np.asarray(xs).reshape(-1, len(self.instance.slot_client))
        return self.run.evaluate(self.instance.from_slots(slots)).ravel()

    def get_bounds(self):
        slots = len(self.instance.slot_client)
        return [0.0] * slots, [self.instance.scores.shape[1] - 1.0] * slots

    def get_nobj(self):
        return 2

    def get_nix(self):
        return len(self.instance.slot_client)


def run_pygmo(instance, evaluations, population, seed):
    import pygmo

    pygmo.set_global_rng_seed(seed)
    random = np.random.default_rng(seed)
    run = Run(instance)
    individuals = pygmo.population(pygmo.problem(PygmoProblem(instance, run)), seed=seed)
    slots = instance.to_slots(instance.random_assignments(population, random))
    objectives = run.evaluate(instance.from_slots(slots))
    for x, f in zip(slots, objectives):
        individuals.push_back(x, f)
    generations = (evaluations - population) // population
    if generations > 0:
        nsga2 = pygmo.nsga2(gen=generations, seed=seed)
        nsga2.set_bfe(pygmo.bfe(pygmo.member_bfe()))
        pygmo.algorithm(nsga2).evolve(individuals)
    return run


def run_pymoo(instance, evaluations, population, seed):
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.core.repair import Repair
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.mutation.bitflip import BitflipMutation
    from pymoo.optimize import minimize

    run = Run(instance)

    class Layers(Problem):
        def __init__(self):
            super().__init__(n_var=instance.scores.size, n_obj=2, xl=0, xu=1, vtype=bool)

        def _evaluate(self, bits, out, *args, **kwargs):
            out["F"] = run.evaluate(bits.reshape(-1, *instance.scores.shape))

    class WithinBudget(Repair):
        def _do(self, problem, bits, **kwargs):
            return instance.repaired(bits.reshape(-1, *instance.scores.shape)).reshape(len(bits), -1)

    start = instance.random_assignments(population, np.random.default_rng(seed)).reshape(population, -1)
    algorithm = NSGA2(pop_size=population, sampling=start, crossover=UniformCrossover(),
                      mutation=BitflipMutation(), repair=WithinBudget(), eliminate_duplicates=True)
    minimize(Layers(), algorithm, ("n_eval", evaluations), seed=seed, verbose=False)
    return run


ALGORITHMS = {"pygmo:nsga2": run_pygmo, "pymoo:nsga2": run_pymoo}


def row_of(instance, algorithm, evaluations, seed, run):
    seconds = run.seconds()
    row = [instance.name, instance.seed, algorithm, "random", evaluations, seed, run.ratio(),
           igd_plus(run.front, instance.exact, instance.ranges),
           spread(run.front, instance.exact, instance.ranges), len(run.front), round(seconds, 6)]
    for reached_evaluations, reached_seconds in run.reached:
        row += ["", ""] if reached_evaluations is None else [reached_evaluations, round(reached_seconds, 6)]
    return row


def listed(kind):
    return lambda text: [kind(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--instances", required=True, help="folder of strata compare --write-instances")
    parser.add_argument("--algorithms", type=listed(str), default=list(ALGORITHMS))
    parser.add_argument("--evaluations", type=listed(int), default=[20000])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--population", type=int, default=100)
    parser.add_argument("--out", required=True, help="CSV file to write")
    arguments = parser.parse_args()
    for name in arguments.algorithms:
        if name not in ALGORITHMS:
            parser.error(f"unknown algorithm {name!r}; there are {', '.join(ALGORITHMS)}")
    end = ".scores.csv"
    stems = sorted(name[: -len(end)] for name in os.listdir(arguments.instances) if name.endswith(end))
    if not stems:
        parser.error(f"{arguments.instances} holds no *{end}; `strata compare --write-instances` writes them")
    rows = []
    for instance in (Instance(arguments.instances, stem) for stem in stems):
        for evaluations in arguments.evaluations:
            for algorithm in arguments.algorithms:
                for seed in range(1, arguments.seeds + 1):
                    run = ALGORITHMS[algorithm](instance, evaluations, arguments.population, seed)
                    rows.append(row_of(instance, algorithm, evaluations, seed, run))
                    print(*rows[-1][:7], f"{rows[-1][10]:.3f} s", file=sys.stderr)
    temporary = arguments.out + ".tmp"
    with open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    os.replace(temporary, arguments.out)


if __name__ == "__main__":
    main()
