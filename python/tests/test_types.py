"""The types that the package ships: its annotations, and the stub of what is compiled."""

import ast
import pathlib
import re

import pytest

import strata_fl

ROOT = pathlib.Path(__file__).resolve().parents[2]
STUB = ROOT / "python/src/strata_fl/_core.pyi"
#: Without what computes with torch, whose classes mypy would have to know.
CHECKED = ("applying", "comparing", "flower", "fronts", "indicators", "peft_configs", "plans", "problem", "pygmo",
           "pymoo", "tables", "unit_names")


#: What is not looked into, so that it makes no difference whether it is installed, and which version.
OTHERS = ("flwr", "pandas", "peft", "pymoo", "torch")


def mypy(*arguments, cwd):
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    settings = cwd / "mypy.ini"
    others = ",".join(f"mypy-{name}.*" for name in OTHERS)
    settings.write_text("[mypy]\nignore_missing_imports = True\nfollow_imports = silent\n"
                        f"[{others}]\nfollow_imports = skip\n")
    said, complaint, _ = api.run(["--config-file", str(settings), "--no-error-summary",
                                  "--cache-dir", str(cwd / "cache"), *map(str, arguments)])
    assert not complaint, complaint
    return [line for line in said.splitlines() if ": error: " in line]


def test_the_stub_in_the_sources_is_the_modules_own():
    """scripts/python-reference reads the one; nanobind makes the other where the wheel is built."""
    built = pathlib.Path(strata_fl.__file__).parent / "_core.pyi"
    assert ast.dump(ast.parse(STUB.read_text())) == ast.dump(ast.parse(built.read_text())), (
        f"{built} is what the bindings are now: copy it to {STUB.relative_to(ROOT)}"
    )


def test_what_the_package_returns_has_the_types_of_the_stub(tmp_path):
    modules = ["strata_fl", *(f"strata_fl.{name}" for name in CHECKED)]
    assert mypy(*(part for name in modules for part in ("-m", name)), cwd=tmp_path) == []


def test_users_are_told_of_wrong_types(tmp_path):
    file = tmp_path / "use.py"
    file.write_text(
        "import strata_fl as st\n"
        'front = st.exact_front({"ct": [6.0, 4.0]}, budgets=1)\n'
        "width: str = front.F.dtype.itemsize\n"
        'chosen: list[int] = front.choose("knee").clients\n'
        "exact: float = front.choose(3).importance\n"
        "fine: float = front.certificate.importance_bound(1)\n"
    )
    found = [re.search(r"use\.py:(\d): error: .* \[(.*)\]", line).groups() for line in mypy(file, cwd=tmp_path)]
    assert found == [("3", "assignment"), ("4", "assignment"), ("5", "arg-type")]
