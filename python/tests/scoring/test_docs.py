"""The example of docs/python_scoring.md runs."""

import doctest
import pathlib

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "python_scoring.md"


def test_the_example_runs():
    failures, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried > 8 and not failures
