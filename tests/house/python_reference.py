"""scripts/python-reference: docs/python_api.md is what it writes, and what it refuses.

python_reference.py SCRIPTS
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(sys.argv[1]).resolve().parent
PACKAGE = pathlib.Path("python/src/strata_fl")

#: A file of the package, a text in it, what stands there instead, and the line that is said of it.
BREAKS = [
    ("_core.pyi", "def used(self) -> list[int]", "def spent(self) -> list[int]",
     "strata_fl.plans.Plan.used: _core.pyi has no Plan.used"),
    ("_core.pyi", "def row(self) -> int", "def row(self) -> float",
     "strata_fl.plans.Plan.row: returns int, _core.pyi says float"),
    ("_core.pyi", "def bounds(self) -> NDArray[numpy.float64]", "def bounds(self) -> NDArray[numpy.float32]",
     "strata_fl.fronts.Certificate.F: returns NDArray[float64], _core.pyi says NDArray[float32]"),
    ("_core.pyi", "def igd_plus(front: ", "def igd(front: ", "strata_fl.indicators.igd_plus: _core.pyi has no igd_plus"),
    ("_core.pyi", "warm_start: ", "warm: ",
     "strata_fl.fronts.plan_front: plan_front takes no warm_start, as _core.pyi has it"),
    ("_core.pyi", "raw: ", "unscaled: ",
     "strata_fl.scoring.table.ScoreTable.save: ScoreTable takes no raw, as _core.pyi has it"),
    ("plans.py", "plan.row\n", "plan.ranks\n", "without an example in the docstring: strata_fl.Plan.row"),
    ("indicators.py", ">>> spread", "spread", "without an example in the docstring: strata_fl.spread"),
    ("flower.py", "def summary(", "def report(",
     "without an example in the docstring: strata_fl.flower.PlannedFedAvg.report"),
    ("plans.py", "The sum of the scores", "The product of the scores",
     "docs/python_api.md is not what scripts/python-reference writes; run it"),
]


def check(root):
    command = [sys.executable, root / "scripts/python-reference", "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def main():
    done = check(ROOT)
    assert done.returncode == 0, done.stderr
    with tempfile.TemporaryDirectory() as work:
        root = pathlib.Path(work)
        for part in ("scripts/python-reference", "docs/python_api.md"):
            (root / part).parent.mkdir()
            shutil.copy(ROOT / part, root / part)
        shutil.copytree(ROOT / PACKAGE, root / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
        for file, before, after, complaint in BREAKS:
            text = (ROOT / PACKAGE / file).read_text(encoding="utf-8")
            assert before in text, (file, before)
            (root / PACKAGE / file).write_text(text.replace(before, after), encoding="utf-8")
            done = check(root)
            assert done.returncode == 1 and complaint in done.stderr.splitlines(), (complaint, done.stderr)
            (root / PACKAGE / file).write_text(text, encoding="utf-8")
    print(f"docs/python_api.md is what its script writes, which refuses {len(BREAKS)} breaks")


if __name__ == "__main__":
    main()
