"""ScoreTable: rows of clients, its file to the byte, and tables of several clients."""

import json

import numpy as np
import pytest

from strata_fl.scoring import ScoreTable

UNITS = ["block.0", "block.1", "head"]
EXAMPLE = """{
 "version": 1,
 "metric": "lntk",
 "model_fingerprint": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
 "samples": 8,
 "clients": [
  "ct, \\"A\\""
 ],
 "units": [
  "block.0",
  "block.1",
  "head"
 ],
 "roles": [
  "body",
  "body",
  "head"
 ],
 "scores": [
  [
   0.1,
   0.9,
   0.0
  ]
 ],
 "raw": [
  [
   3.0,
   3e-05,
   1e+21
  ]
 ]
}
"""


def table(clients=("ct",), raw=((3, 1, 0),), **options):
    return ScoreTable(clients, UNITS, raw, roles=["body", "body", "head"], metric="lntk", samples=8, **options)


def test_the_file_is_the_documented_one_byte_for_byte(tmp_path):
    """The example of docs/score_files.md."""
    written = ScoreTable(
        ['ct, "A"'], UNITS, [[3, 3e-5, 1e21]], scores=[[0.1, 0.9, 0]], roles=["body", "body", "head"],
        metric="lntk", samples=8,
        model_fingerprint="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )
    written.save(tmp_path / "scores.json")
    assert (tmp_path / "scores.json").read_text() == EXAMPLE
    written.save(tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text() == 'client,block.0,block.1,head\n"ct, ""A""",0.1,0.9,0\n'
    again = ScoreTable.load(tmp_path / "scores.json")
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "scores.json").read_bytes()
    assert ScoreTable.load(tmp_path / "scores.csv").raw is None


def test_rows_are_divided_by_their_sums_and_zeros_become_uniform():
    found = table(("a", "b"), [[3, 1, 0], [0, 0, 0]])
    assert found.scores.tolist() == [[0.75, 0.25, 0], [1 / 3] * 3]
    assert found["b"] == dict.fromkeys(UNITS, 1 / 3)
    assert np.asarray(found).shape == (2, 3) and len(found) == 2 and list(found) == ["a", "b"]


def test_tables_of_clients_are_joined():
    one, two = table(("a",), parameters={"head": ["fc.weight"]}), table(("b",), [[1, 1, 2]])
    both = one + two
    assert both.clients == ["a", "b"] and both.scores[1].tolist() == [0.25, 0.25, 0.5]
    assert both.parameters == {"head": ["fc.weight"]} and both.roles == ["body", "body", "head"]
    assert ScoreTable.concat([one, two, table(("c",))]).raw.shape == (3, 3)


def test_tables_are_joined_where_their_user_says_that_the_weights_are_the_same():
    one, other = table(("a",)), table(("b",), model_fingerprint="0" * 64)
    other.model_fingerprint = one.model_fingerprint
    assert (one + other).clients == ["a", "b"]


WRONG_JOINS = {
    "units": (lambda: ScoreTable(["b"], UNITS[:2], [[1, 1]], metric="lntk"), "units"),
    "metric": (lambda: ScoreTable(["b"], UNITS, [[1, 1, 1]], roles=["body", "body", "head"]), "metric"),
    "model": (lambda: table(("b",), model_fingerprint="0" * 64), "model_fingerprint"),
    "twice": (lambda: table(("a",)), '"a" stands twice'),
}


@pytest.mark.parametrize("name", WRONG_JOINS)
def test_tables_that_do_not_belong_together_are_refused(name):
    other, said = WRONG_JOINS[name]
    with pytest.raises(ValueError, match=said):
        table(("a",)) + other()


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_wrong_values_are_refused_by_client_and_unit(value):
    with pytest.raises(ValueError, match=f'client "ct", unit "block.1": found {value}'):
        table(raw=[[1, value, 1]])


def test_wrong_shapes_and_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"raw: found the shape \(1, 2\), \(1, 3\)"):
        table(raw=[[1, 1]])
    with pytest.raises(ValueError, match='unit "a" stands twice'):
        ScoreTable(["x"], ["a", "a"], [[1, 1]])
    with pytest.raises(KeyError, match='no client "mr"; there are ct'):
        table()["mr"]
    with pytest.raises(ValueError, match="has no name"):
        ScoreTable([""], ["a"], [[1]]).save(tmp_path / "s.json")
    assert not list(tmp_path.iterdir())
    (tmp_path / "bad.json").write_text(json.dumps({"version": 1, "clients": ["a"]}))
    with pytest.raises(ValueError, match="bad.json"):
        ScoreTable.load(tmp_path / "bad.json")


def test_to_frame():
    pytest.importorskip("pandas", reason="needs pandas")
    frame = table().to_frame()
    assert frame.index.name == "client" and list(frame.columns) == UNITS
    assert frame.loc["ct", "block.0"] == 0.75


def test_text():
    assert str(table()).splitlines()[1].split() == ["ct", "0.750", "0.250", "0.000"]
    assert repr(table()) == "ScoreTable(1 clients x 3 units, lntk)"
