"""What scripts/compare-run-folders says of folders made by hand: tests/house/run_folder_differences.py SCRIPTS"""

import importlib.machinery
import importlib.util
import json
import pathlib
import struct
import sys
import tempfile

scripts = pathlib.Path(sys.argv[1])
sys.dont_write_bytecode = True
sys.path.insert(0, str(scripts))
loader = importlib.machinery.SourceFileLoader("compare_run_folders", str(scripts / "compare-run-folders"))
script = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare_run_folders", loader))
loader.exec_module(script)


def check(found, expected):
    if found != expected:
        sys.exit(f"run_folder_differences.py: found {found!r}, expected {expected!r}")


def safetensors(weights):
    header, data = {}, b""
    for name, values in weights.items():
        block = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [len(data), len(data) + len(block)]}
        data += block
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


RUN = {"clients": ["ann", "bob"], "rounds_done": 2, "provenance": {"date": "2026-01-01"}}
FILES = {
    "run.json": json.dumps(RUN),
    "config.yaml": "run:\n  rounds: 2\n  local:\n    steps: 4\n  strategies:\n    - {name: topk}\n",
    "metrics.csv": "round,client,accuracy,seconds\n1,ann,0.5,2.0\n1,bob,0.25,3.0\n",
    "rounds/001/plan.json": '{"clients": {"ann": ["block.0"], "bob": []}}',
    "model/model.safetensors": safetensors({"a": [1, 2], "b": [3]}),
    "state/round-002.safetensors": safetensors({"a": [1, 2]}),
    "run.log": "2 s\n",
}


def apart(changes, earlier={}, foundation={}):
    """(file, key, kind) of what differs, how many files there are and how many are the same bytes."""
    with tempfile.TemporaryDirectory() as work:
        before, after, base = (pathlib.Path(work) / name for name in ("before", "after", "base"))
        write(before, {**FILES, **earlier})
        write(after, {name: content for name, content in {**FILES, **changes}.items() if content is not None})
        write(base, foundation)
        found, files, same = script.differences(before, after, base)
        return [one[:3] for one in found], files, same


check(apart({}), ([], 7, 7))

# A number that moved is a value, and one that is measured is not, wherever both stand in one file.
check(apart({"metrics.csv": FILES["metrics.csv"].replace("0.25,3.0", "0.125,4.0")}),
      ([("metrics.csv", "accuracy", "value"), ("metrics.csv", "seconds", "measured")], 7, 6))
check(apart({"metrics.csv": FILES["metrics.csv"] + "2,ann,0.5,2.0\n"})[0][0], ("metrics.csv", "round", "value"))
check(apart({"run.log": "3 s\n"})[0], [("run.log", "(lines)", "measured")])


def runs_apart(before, after):
    return apart({"run.json": json.dumps({**RUN, **after})}, {"run.json": json.dumps({**RUN, **before})})[0]


check(runs_apart({}, {"rounds_done": 1, "budget_of": "units", "provenance": {"date": "now"}}),
      [("run.json", "rounds_done", "value"), ("run.json", "provenance.date", "measured"),
       ("run.json", "budget_of", "new")])
check(runs_apart({"foundation": "a"}, {"foundation": "b"}), [("run.json", "foundation", "accepted")])
# true is not 1, and the same number in other digits is still other bytes.
check(runs_apart({"x": 1}, {"x": True}), [("run.json", "x", "value")])
check(runs_apart({"x": 1}, {"x": "1"}), [("run.json", "x", "value")])
check(apart({"run.json": json.dumps(RUN, indent=1)})[0], [("run.json", "(layout)", "value")])

# A plan says which commit made it.
check(apart({"rounds/001/plan.json": '{"provenance": {"commit": "b"}}'},
            {"rounds/001/plan.json": '{"provenance": {"commit": "a"}}'})[0],
      [("rounds/NNN/plan.json", "provenance.commit", "measured")])

# Rounds and clients are folded; keys of YAML are paths.
check(apart({"rounds/001/plan.json": '{"clients": {"ann": ["block.0"], "bob": ["block.1"]}}'})[0],
      [("rounds/NNN/plan.json", "clients.CLIENT", "value"), ("rounds/NNN/plan.json", "clients.CLIENT[]", "value")])
check(apart({"config.yaml": FILES["config.yaml"].replace("steps: 4", "steps: 5\n    flips: none")})[0],
      [("config.yaml", "run.local.steps", "value"), ("config.yaml", "run.local.flips", "new")])
check(apart({"config.yaml": FILES["config.yaml"].replace("topk", "head")})[0],
      [("config.yaml", "run.strategies[]", "value")])

# Files: only one side has them, or under another name.
check(apart({"slices.json": "{}", "run.log": None})[0],
      [("run.log", "(file)", "gone"), ("slices.json", "(file)", "new")])
check(apart({"journal.log": FILES["run.log"], "run.log": None})[0][0], ("run.log", "(file)", "moved"))

# Tensors: another number, another name, another file, the foundation's, and one that is lost.
state = "state/round-002.safetensors"
check(apart({state: safetensors({"a": [1, 5]})})[0], [("state/round-NNN.safetensors", "a", "value")])
check(apart({state: safetensors({"z": [1, 2]})})[0], [("state/round-NNN.safetensors", "a", "moved")])
check(apart({}, {state: safetensors({"a": [1, 2], "b": [3]})})[0], [("state/round-NNN.safetensors", "b", "moved")])
check(apart({}, {state: safetensors({"a": [1, 2], "c": [7]})}, {"model.safetensors": safetensors({"c": [7]})})[0],
      [("state/round-NNN.safetensors", "c", "moved")])
check(apart({}, {state: safetensors({"a": [1, 2], "c": [7]})}, {"model.safetensors": safetensors({"c": [8]})})[0],
      [("state/round-NNN.safetensors", "c", "value")])
check(apart({state: safetensors({"a": [1, 2], "n": [9]})})[0], [("state/round-NNN.safetensors", "n", "new")])
print("scripts/compare-run-folders names what differs")
