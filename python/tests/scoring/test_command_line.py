"""ViLT, ViT and ResNet score as `strata score` scores them: values, metrics, drawn samples, files.

STRATA_BINARY names the `strata` with LibTorch beside it; without, these tests are skipped.
"""

import csv
import json
import os
import pathlib
import subprocess

import pytest
import torch

pytest.importorskip("transformers", reason="needs transformers")
pytest.importorskip("PIL", reason="needs Pillow")
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from strata_fl.scoring import METRICS, ScoreTable, sample_rows, score  # noqa: E402

STRATA = os.environ.get("STRATA_BINARY")
pytestmark = pytest.mark.skipif(not STRATA, reason="STRATA_BINARY is not set")

EXPERIMENT = """version: 1
name: tiny
data: {folder: data, partition: modality}
model:
  folder: model
  architecture: {hidden_size: 16, layers: 2, heads: 2, image_size: 32, patch_size: 8, max_text: 16}
pretrain:
  data: data/shapes
  vocabulary: [data]
  epochs: 3
  batch_size: 16
  learning_rate: 1.0e-3
"""
ARCHITECTURES = {
    "vilt": None,
    "vit": "{type: vit, hidden_size: 16, layers: 2, heads: 2, image_size: 32, patch_size: 8}",
    "resnet": "{type: resnet, hidden_sizes: [8, 12], depths: [1, 2], embedding_size: 4, image_size: 32}",
}
CLASSES = {
    "vilt": "ViltForQuestionAnswering", "vit": "ViTForImageClassification",
    "resnet": "ResNetForImageClassification",
}
CLIENT, SAMPLES, SEED = "mri", 6, 3


def strata(*arguments, folder):
    done = subprocess.run([STRATA, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strata")
    (folder / "tiny.yaml").write_text(EXPERIMENT)
    strata("data", "make", "phantoms", "--out", "data", "--images", "12", "--shapes", "16", "--size", "32",
           folder=folder)
    for name, architecture in ARCHITECTURES.items():
        change = ["--set", f"model.architecture={architecture}"] if architecture else []
        strata("pretrain", "tiny.yaml", "--out", name, "--threads", "1", *change, folder=folder)
    return folder


def examples(folder):
    with open(folder / "data/manifest.jsonl", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row for row in rows if row["split"] == "train" and row["client"] == CLIENT]


def batch_of(name, folder, chosen):
    labels = json.loads((folder / name / "config.json").read_text())["label2id"]
    pixels = []
    for row in chosen:
        image = np.asarray(Image.open(folder / "data" / row["image"]).convert("RGB"), dtype=np.float32)
        pixels.append(torch.from_numpy(image / 255 * 2 - 1).permute(2, 0, 1))
    batch = {
        "pixel_values": torch.stack(pixels),
        "labels": torch.tensor([labels[row["answers"][0]] for row in chosen]),
    }
    if name == "vilt":
        from transformers import BertTokenizer

        tokenizer = BertTokenizer.from_pretrained(folder / name)
        texts = [row["question"] for row in chosen]
        batch.update(tokenizer(texts, padding=True, return_tensors="pt"))
        batch["pixel_mask"] = torch.ones(len(chosen), 32, 32, dtype=torch.long)
    return batch


def model_of(name, folder):
    import transformers

    return getattr(transformers, CLASSES[name]).from_pretrained(folder / name).eval()


@pytest.fixture(scope="module", params=ARCHITECTURES)
def both(request, folder):
    """Of every metric, what each of the two says: {metric: {unit: value}}."""
    name = request.param
    metrics = [metric for metric in METRICS]
    asked = [word for metric in metrics for word in ("--metric", metric)]
    strata("score", "--model", name, "--data", "data", "--client", CLIENT, "--samples", str(SAMPLES),
           "--seed", str(SEED), "--table", f"{name}.csv", "--out", f"{name}.json", *asked, folder=folder)
    told = {}
    with open(folder / f"{name}.csv", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            told.setdefault(row["metric"], {})[row["unit"]] = float(row["value"])
    own = examples(folder)
    chosen = [own[row] for row in sample_rows(len(own), SAMPLES, SEED)]
    model = model_of(name, folder)
    batch = batch_of(name, folder, chosen)
    # In two batches, so that the second's texts may have another length.
    parts = [{k: v[:4] for k, v in batch.items()}, {k: v[4:] for k, v in batch.items()}]
    tables = score(model, parts, metric=metrics, samples=SAMPLES, seed=SEED, client=CLIENT)
    return name, told, tables


def test_units_are_the_same(both):
    _, told, tables = both
    assert tables["lntk"].units == list(told["lntk"])


@pytest.mark.parametrize("metric", METRICS)
def test_metric_is_the_same(both, metric):
    name, told, tables = both
    values = dict(zip(tables[metric].units, tables[metric].raw[0]))
    for unit, value in told[metric].items():
        tolerance = 1e-4 if metric in ("lntk", "gradient", "trace") else 1e-5
        if metric == "snr":
            # Both have float32 gradients g. Rounding, 2^-24 |g|, changes a variance s^2 by up to
            # 2 * 2^-24 |g| / s of it, and |g| / s is the root of the ratio whose mean the metric is.
            tolerance += 4 * 2**-24 * value**0.5
        assert values[unit] == pytest.approx(value, rel=tolerance), unit


def test_drawn_outputs_are_the_same(both, folder):
    name, _, _ = both
    strata("score", "--model", name, "--data", "data", "--client", CLIENT, "--samples", "3", "--seed", "5",
           "--random-outputs", "4", "--out", "drawn.json", folder=folder)
    told = ScoreTable.load(folder / "drawn.json")
    own = examples(folder)
    batch = batch_of(name, folder, [own[row] for row in sample_rows(len(own), 3, 5)])
    table = score(model_of(name, folder), batch, samples=3, random_outputs=4, seed=5)
    assert table.raw[0] == pytest.approx(told.raw[0], rel=1e-4)


def test_a_file_is_read_and_written_byte_for_byte(both, folder):
    name, _, tables = both
    written = folder / "again.json"
    for ending in ("json", "csv"):
        path = folder / f"{name}_scores.{ending}"
        strata("score", "--model", name, "--data", "data", "--samples", "2", "--metric", "magnitude",
               "--out", path.name, folder=folder)
        if ending == "json":
            ScoreTable.load(path).save(written)
            assert written.read_bytes() == path.read_bytes()
    # What this package scored is a file of the same form, which the planner takes.
    tables["lntk"].save(written)
    told = json.loads((folder / f"{name}.json").read_text())
    mine = json.loads(written.read_text())
    assert list(mine) == list(told)
    for key in ("version", "metric", "samples", "clients", "units", "roles"):
        assert mine[key] == told[key], key
    strata("plan", "--scores", "again.json", "--budget", "1", "--out", "plan.json", folder=folder)

