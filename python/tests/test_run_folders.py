"""TensorBoard's own reader and pandas open what `strata run` leaves.

STRATA_BINARY names a `strata` with LibTorch beside it; without, these tests are skipped.
"""

import json
import math
import os
import pathlib
import subprocess

import pytest

pandas = pytest.importorskip("pandas", reason="pandas is not installed")

STRATA = os.environ.get("STRATA_BINARY")
EXPERIMENT = """version: 1
name: tiny
data: {folder: data, partition: modality}
model:
  folder: model
  architecture: {type: vit, hidden_size: 16, layers: 3, heads: 2, image_size: 32, patch_size: 8}
pretrain: {data: data/shapes, vocabulary: [data], epochs: 1, batch_size: 16, learning_rate: 1.0e-3}
run:
  strategies: [f3ocus, random]
  rounds: 2
  tensorboard: true
  budget: 1
  local: {steps: 1, batch_size: 4, learning_rate: 1.0e-2}
  score: {samples: 2}
"""


def strata(*arguments, folder):
    done = subprocess.run([STRATA, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The folder of a run of two strategies."""
    if not STRATA:
        pytest.skip("STRATA_BINARY is not set: no run is made")
    if "LibTorch: not built" in subprocess.run([STRATA, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("this strata has no LibTorch")
    folder = tmp_path_factory.mktemp("runs")
    (folder / "tiny.yaml").write_text(EXPERIMENT)
    strata("data", "make", "phantoms", "--out", "data", "--images", "10", "--shapes", "16", "--size", "32",
           folder=folder)
    strata("pretrain", "tiny.yaml", "--out", "model", "--threads", "1", folder=folder)
    strata("run", "tiny.yaml", "--out", "run", "--threads", "1", folder=folder)
    return folder / "run"


def scalars_of(folder):
    """tag → {step: value}, by TensorBoard's own reader."""
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    accumulator = reader.EventAccumulator(str(folder), size_guidance={reader.SCALARS: 0})
    accumulator.Reload()
    return {
        tag: {event.step: event.value for event in accumulator.Scalars(tag)}
        for tag in accumulator.Tags()["scalars"]
    }


def test_tensorboard_reads_the_events(runs):
    for run in ("f3ocus-seed1", "random-seed1"):
        found = scalars_of(runs / run)
        rows = pandas.read_csv(runs / run / "metrics.csv")
        metrics = ["accuracy", "test_loss", "up_mbit", "down_mbit"]
        assert {f"{m}/{c}" for m in metrics for c in rows.client.unique()} <= set(found)
        for metric in [*metrics, "train_loss"]:
            # Nothing travels before the first round.
            counted = rows[rows["round"] > 0] if metric.endswith("_mbit") else rows
            for client, own in counted.groupby("client"):
                told = {step: v for step, v in zip(own["round"], own[metric]) if not math.isnan(v)}
                read = found.get(f"{metric}/{client}", {})
                assert list(read) == list(told), (metric, client)
                assert list(read.values()) == pytest.approx(list(told.values()), rel=1e-6), (metric, client)
        # What chooses without scores has no importance.
        plans = rows[(rows.client == "all") & (rows["round"] > 0)]
        for key in ["usage_variance"] + ["importance"] * (run == "f3ocus-seed1"):
            read = found[f"plan/{key}"]
            assert list(read) == [1, 2]
            assert list(read.values()) == pytest.approx(plans[key].tolist(), rel=1e-6)
            written = runs / run / "rounds" / "002" / "plan.json"
            assert read[2] == pytest.approx(json.loads(written.read_text())["objectives"][key], rel=1e-6)


def test_pandas_reads_every_csv_without_options(runs):
    files = sorted(runs.rglob("*.csv"))
    assert {"metrics.csv", "questions.csv"} <= {path.name for path in files}
    for path in files:
        table = pandas.read_csv(path)
        header = path.read_text().splitlines()[0]
        assert list(table.columns) == header.split(",") and len(table) > 0, path
        assert not any(str(column).startswith("Unnamed") for column in table.columns), path
        # An index that pandas makes of a first column too many is no row number.
        assert list(table.index) == list(range(len(table))), path
    rows = pandas.read_csv(runs / "f3ocus-seed1" / "metrics.csv")
    numbers = rows.drop(columns="client")
    assert all(dtype.kind in "if" for dtype in numbers.dtypes), numbers.dtypes
    run = json.loads(pathlib.Path(runs / "f3ocus-seed1" / "run.json").read_text())
    assert set(rows.client) == {*run["clients"], "all", "mean"} and set(rows["round"]) == {0, 1, 2}
