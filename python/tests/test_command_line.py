"""Plans and fronts are byte for byte those of `strata plan`."""

import json

import numpy as np
import pytest
from conftest import (
    costs_of,
    instance,
    without_commit,
    write_budgets,
    write_csv,
    write_problem,
)

import strata_fl as st

FIVE = ["nsga2", "mopso", "aco", "abc", "annealing"]
OTHERS = ["auto", "exact", "prices", "greedy", "topk", "random", "roundrobin"]


def assert_same(plan, tmp_path, written="cli.json"):
    plan.save(tmp_path / "python.json")
    found = (tmp_path / "python.json").read_bytes().decode()
    assert without_commit(found) == without_commit((tmp_path / written).read_bytes().decode())


@pytest.mark.parametrize("algorithm", OTHERS + FIVE)
@pytest.mark.parametrize("seed", [1, 42])
@pytest.mark.parametrize("clients, units", [(3, 5), (9, 24), (20, 48)])
def test_every_algorithm(strata, tmp_path, algorithm, seed, clients, units):
    table, budgets = instance(clients, units, seed)
    scores = write_csv(tmp_path / "scores.csv", table)
    file = write_budgets(tmp_path / "budgets.csv", budgets)
    options = ["--algorithm", algorithm, "--seed", seed, "--evaluations", 3000]
    strata("plan", "--scores", scores, "--budget", file, *options, "--out", "cli.json", "--quiet")
    given = {"algorithm": algorithm, "seed": seed, "evaluations": 3000}
    plan = st.plan(table, budgets, **given)
    assert_same(plan, tmp_path)
    assert plan == st.plan(str(scores), str(file), **given)
    written = json.loads((tmp_path / "cli.json").read_text())
    assert dict(plan) == written["clients"]
    assert plan.front.tolist() == [[p["importance"], p["usage_variance"]] for p in written["front"]]


@pytest.mark.parametrize("algorithm", FIVE)
@pytest.mark.parametrize("start, islands", [("random", 1), ("exact", 1), ("greedy", 3)])
def test_starts_and_islands(strata, tmp_path, algorithm, start, islands):
    table, budgets = instance(9, 24, 5)
    scores = write_csv(tmp_path / "scores.csv", table)
    file = write_budgets(tmp_path / "budgets.csv", budgets)
    search = ["--start", start, "--islands", islands, "--evaluations", 3000, "--population", 40]
    common = ["plan", "--scores", scores, "--budget", file, "--algorithm", algorithm, "--quiet"]
    strata(*common, *search, "--seed", 7, "--out", "cli.json", "--archive", "front.json")
    given = {"start": start, "islands": islands, "evaluations": 3000, "population": 40}
    front = st.search(table, budgets, algorithm=algorithm, seed=7, **given)
    assert_same(front.choose(), tmp_path)
    # What follows begins with that front.
    strata(*common, *search, "--warm", "front.json", "--out", "warm.json")
    warm = st.search(
        table, budgets, algorithm=algorithm, warm_start=tmp_path / "front.json", **given
    )
    assert_same(warm.choose(), tmp_path, "warm.json")
    if len(front) <= 1000:  # an archive holds no more
        again = st.search(table, budgets, algorithm=algorithm, warm_start=front, **given)
        assert again.choose() == warm.choose()


PROBLEMS = {
    "rules": {
        "pinned": {"c0": ["block.1"], "*": ["block.0"]},
        "forbidden": {"c1": ["block.[2-4]"]},
        "coverage": 1,
        "client_weights": {"c2": 2.5},
        "normalise": True,
        "budget": {"clients": {"c3": 5}, "each": 6},
    },
    "units": {"competing": ["block.?"], "always": ["block.23"], "budget": 3},
    "ranks": {"ranks": 4, "budget": 9, "coverage": {"block.2": 3}},
    "cohorts": {"least_cohort": 3, "budget": 4},
    "target usage": {"target_usage": {"block.2?": 2, "block.19": 1}, "budget": 4},
    "target usage of bytes": {"target_usage": {"block.23": 3}, "costs": True, "budget": "3kB"},
    "bytes": {"costs": True, "budget": "3kB"},
    "memory of ranks": {"costs": True, "ranks": 3, "budget": {"of": "bytes", "each": 2500}},
    "four objectives": {
        "costs": True,
        "budget": {"of": "flops", "each": 40_000},
        "objectives": ["importance", "usage_variance", "uplink_bytes", "slowest_client"],
        "speeds": True,
    },
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems(strata, tmp_path, name):
    table, _ = instance(6, 24, 3)
    given = dict(PROBLEMS[name])
    if "costs" in given:
        given["costs"] = costs_of(table)
    if "speeds" in given:
        speeds = {"flops_per_second": 1e6, "uplink_bytes_per_second": 1e4}
        given["speeds"] = {c: {"samples": 10 + i, **speeds} for i, c in enumerate(table)}
    write_csv(tmp_path / "scores.csv", table)
    keys = {"competing": "units", "speeds": "clients"}
    file = {keys.get(key, key): value for key, value in given.items()}
    write_problem(tmp_path / "problem.yaml", scores="scores.csv", **file)
    strata("plan", "--problem", "problem.yaml", "--out", "cli.json", "--front", "cli.csv", "--quiet")
    problem = st.Problem(table, given.pop("budget"), **given)
    plan = st.plan(problem)
    assert_same(plan, tmp_path)
    assert ("target_usage" in plan.provenance) == name.startswith("target usage")


def test_front_files_and_every_rule(strata, tmp_path):
    table, budgets = instance(9, 24, 2)
    scores = write_csv(tmp_path / "scores.csv", table)
    file = write_budgets(tmp_path / "budgets.csv", budgets)
    front = st.exact_front(table, budgets)
    rules = ["knee", "ideal", "weights:0.3", "importance:90", "variance:1.5", "row:2"]
    for rule in rules:
        common = ["plan", "--scores", scores, "--budget", file, "--algorithm", "exact", "--quiet"]
        for name in ("front.csv", "front.json"):
            strata(*common, "--choose", rule, "--front", name, "--out", "cli.json")
            front.save(tmp_path / ("python." + name), choose=rule)
            assert (tmp_path / ("python." + name)).read_bytes() == (tmp_path / name).read_bytes()
        assert_same(front.choose(rule), tmp_path)


@pytest.mark.parametrize("option", ["--sweep", "--full-front"])
def test_unsupported_points(strata, tmp_path, option):
    table, budgets = instance(4, 8, 2)
    scores = write_csv(tmp_path / "scores.csv", table)
    file = write_budgets(tmp_path / "budgets.csv", budgets)
    seconds = [20] if option == "--full-front" else []
    strata("plan", "--scores", scores, "--budget", file, option, *seconds, "--out", "cli.json")
    given = {"full_front_seconds": 20} if seconds else {"sweep": True}
    assert_same(st.plan(table, budgets, **given), tmp_path)


def test_wrong_input_is_said_as_on_the_command_line(strata, tmp_path):
    table, _ = instance(3, 5)
    write_csv(tmp_path / "scores.csv", table)
    cases = [
        {"budget": {"clients": {"c0": 9, "c1": 1, "c2": 1}}},
        {"budget": 1, "pinned": {"c0": ["block.0", "block.1"]}},
        {"budget": 1, "coverage": {"block.9": 1}},
        {"budget": 1, "forbidden": {"d0": ["block.0"]}},
        {"budget": {"of": "bytes", "each": 5}},
        {"budget": 1, "coverage": 1},
    ]
    for case in cases:
        write_problem(tmp_path / "problem", scores="scores.csv", **case)
        said = strata("plan", "--problem", "problem", "--out", "cli.json", check=False)
        assert said.returncode == 2
        given = dict(case)
        with pytest.raises(ValueError) as caught:
            st.plan(table, given.pop("budget"), **given)
        # The file has lines.
        shown = said.stderr.strip().removeprefix("strata: ").removeprefix("error: ")
        assert str(caught.value) == shown.replace("problem:1:", "problem:")


def test_comparisons_measure_as_strata_compare(strata, tmp_path):
    strata("compare", "--instances", "5x10", "--instance-seeds", 1, "--write-instances", "in")
    strata(
        *("compare", "--instances", "in/5x10-1.scores.csv", "--budget", "in/5x10-1.budgets.csv"),
        *("--algorithms", "nsga2,annealing", "--evaluations", 500, "--seeds", 3, "--out", "out"),
    )
    lines = (tmp_path / "out" / "compare.csv").read_text().splitlines()
    header = lines[0].split(",")
    theirs = {}
    for line in lines[1:]:
        row = dict(zip(header, line.split(",")))
        theirs[row["algorithm"], int(row["seed"])] = row
    ours = st.compare(
        tmp_path / "in" / "5x10-1.scores.csv",
        {"nsga2": "nsga2", "annealing": "annealing"},
        budgets=tmp_path / "in" / "5x10-1.budgets.csv",
        evaluations=500,
        seeds=3,
    )
    assert len(ours.runs) == len(theirs) == 6
    for run in ours.runs:
        row = theirs[run.rival, run.seed]
        assert run.points == int(row["points"])
        for name in ("hypervolume_ratio", "igd_plus", "spread"):
            assert np.isclose(getattr(run, name), float(row[name]), rtol=1e-9, atol=1e-12)
