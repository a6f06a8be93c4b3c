"""What is said of results/vlms follows from its tables: tests/house/vlm_texts.py SCRIPTS"""

import importlib.machinery
import importlib.util
import pathlib
import shutil
import sys
import tempfile

root = pathlib.Path(sys.argv[1]).parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(root / "scripts"))


def script(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(root / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def check(found, expected):
    if found != expected:
        sys.exit(f"vlm_texts.py: found {found!r}, expected {expected!r}")


demo, large = script("reproduce-vlm-demo"), script("measure-large")
recorded = root / "results" / "vlms"

# What --text writes is what is there.
with tempfile.TemporaryDirectory() as folder:
    copy = pathlib.Path(shutil.copytree(recorded, pathlib.Path(folder) / "vlms"))
    demo.RESULTS = copy
    demo.write_text()
    large.write_text(copy)
    for name in ("README.md", "large.md"):
        check((copy / name).read_text(encoding="utf-8"), (recorded / name).read_text(encoding="utf-8"))


# 1,000 closed questions of 1,500: two standard errors are 3.16 points.
def table(**closed):
    return [{"strategy": strategy, "test_samples": 1500, "closed_accuracy_before": 0.25, "open_accuracy_after": 0.1,
             "closed_accuracy_after": share, "accuracy_after": (500 * 0.1 + 1000 * share) / 1500}
            for strategy, share in closed.items()]


def said(**closed):
    return [line.split(":")[0].split(" (")[0] for line in demo.chance_lines(table(**closed))[1:]]


check(demo.closed_questions(table(f3ocus=0.6)), 1000)
check(said(f3ocus=0.53, random=0.5, full=0.47), ["- **Closed accuracy stays at chance** with every strategy"])
check(said(f3ocus=0.54, random=0.5, full=0.46),
      ["- **Closed accuracy stays at chance**", "- Closed accuracy is above chance", "- Closed accuracy is below chance"])

# Products of 100 s on each of two cores, of 250 s of processors.
row = {"what": "two steps of LoRA", "seconds": 200.0, "processor_seconds": 250.0, "floor_seconds": 100.0}
text = large.bounds(row, 2)
for part in ("perhaps the bytes", "are 0.42 GB a second", "80 % of the processor's seconds", "1.2 of 2 cores"):
    check(part if part in text else text, part)
text = large.bounds(row | {"seconds": 2000.0}, 2)
check("not the bytes" in text and "0.04 GB" in text, True)
