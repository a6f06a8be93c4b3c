"""docs/python_api.md is what its command writes, and scripts know what they need."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.skipif(importlib.util.find_spec("pymoo") is None, reason="pymoo is not installed")
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


def test_examples_are_short():
    examples = list((ROOT / "examples").glob("*.py"))
    assert examples
    for example in examples:
        assert len(example.read_text().splitlines()) < 100, example.name
