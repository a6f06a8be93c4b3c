"""docs/python_api.md is what its command writes, and scripts know and say what they need."""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_reference_is_up_to_date():
    script = ROOT / "scripts" / "python-reference"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_missing_imports_are_named(tmp_path):
    file = tmp_path / "example.py"
    file.write_text("import os, numpy.linalg\nfrom nowhere_at_all.x import y\nif 1:\n    import gone_too\n")
    script = ROOT / "scripts" / "missing-imports"
    done = subprocess.run([sys.executable, script, file], capture_output=True, text=True)
    assert done.stdout == "gone_too nowhere_at_all\n"


def test_missing_imports_of_notebooks_are_named(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["import prose"]},
        {"cell_type": "code", "source": ["import json\n", "import nothing_like_this"]},
    ]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    command = [sys.executable, ROOT / "scripts/missing-imports", tmp_path / "a.ipynb"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "nothing_like_this" in found and set(found) <= {"nothing_like_this", "nbclient", "ipykernel"}


def test_notebooks_have_the_outputs_of_one_run():
    notebooks = list((ROOT / "examples").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        assert path.stat().st_size < 100_000
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
        assert all(cell["outputs"] for cell in cells)
        assert not any(output["output_type"] == "error" for cell in cells for output in cell["outputs"])
        assert any("assert " in "".join(cell["source"]) for cell in cells)


def test_examples_are_short():
    examples = list((ROOT / "examples").rglob("*.py"))
    assert examples
    for example in examples:
        assert len(example.read_text().splitlines()) < 100, example.name


def test_an_interpreter_without_the_module_is_not_recorded(tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    out = ROOT / "results/python_versions"
    before = {path: path.read_bytes() for path in out.glob("*")}
    for python, why in [(bare, "No module named"), (tmp_path / "none", "No such file or directory")]:
        command = [sys.executable, ROOT / "scripts/record-python-versions", python]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and not done.stdout
        assert done.stderr.startswith(f"scripts/record-python-versions: {python}: ") and why in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert {path: path.read_bytes() for path in out.glob("*")} == before
