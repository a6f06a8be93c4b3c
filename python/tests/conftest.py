"""What the tests share: instances, and the command line's program that results are compared with."""

import json
import os
import re
import subprocess
import zlib

import numpy as np
import pytest


@pytest.fixture
def strata(tmp_path):
    """Runs `strata` in the test's folder; STRATA_BINARY names the program."""
    program = os.environ.get("STRATA_BINARY")
    if not program:
        pytest.skip("STRATA_BINARY is not set: nothing compares with the command line")
    program = os.path.abspath(program)

    def run(*arguments, check=True):
        command = [program, *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stderr
        return done

    return run


def instance(clients, units, seed=1):
    """Scores by name, in which clients agree more or less on what matters, and budgets."""
    random = np.random.default_rng(seed)
    common = random.gamma(0.5, size=units)
    scores = common * random.lognormal(0, 0.7, (clients, units))
    table = {
        f"c{i}": {f"block.{l}": round(float(scores[i, l]), 6) for l in range(units)}
        for i in range(clients)
    }
    budgets = {f"c{i}": int(random.integers(1, max(2, units // 3))) for i in range(clients)}
    return table, budgets


def write_csv(path, table):
    units = list(next(iter(table.values())))
    lines = ["client," + ",".join(units)]
    lines += [f"{c}," + ",".join(repr(row[u]) for u in units) for c, row in table.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_budgets(path, budgets):
    path.write_text("client,budget\n" + "".join(f"{c},{b}\n" for c, b in budgets.items()))
    return path


def write_problem(path, **keys):
    """problem.yaml: JSON is YAML."""
    path.write_text(json.dumps({"version": 1, **keys}))
    return path


def without_commit(text):
    """Program and module may be built from different commits, and say so."""
    return re.sub(r'"commit": "[^"]*"', '"commit": ""', text)


def costs_of(table):
    units = list(next(iter(table.values())))
    return {
        u: {"bytes": 500 + zlib.crc32(u.encode()) % 700, "flops": 10_000 + 100 * i}
        for i, u in enumerate(units)
    }
