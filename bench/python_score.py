#!/usr/bin/env python3
"""What strata_fl.score costs, in units of K forward and backward passes of the same model in the same run.

    bench/python_score.py --out results/python_score [--sizes 192x12,384x12] [--repeats 3] [--torch-func 192x12]

The model is transformers' ViT with random weights, of HIDDEN x LAYERS, on 128 x 128 pixels in patches of 16: 65 tokens.
A pass is a forward pass of all n samples and a backward pass of one output's sum with the gradients of all weights.
Passes and scores are taken in turns; the ratio is that of the medians, and cpu_ratio that of the processor's time, which
other programs on the machine change less (OMP_NUM_THREADS=1 leaves out what threads wait). --torch-func also makes the kernels of the same
units by torch.func, vmap over samples of jacrev over all weights, then J Jᵀ, once.
Writes OUT/cost.csv, OUT/machine.json and of these OUT/README.md; what is in OUT already is replaced. --readme measures
nothing and writes README.md anew.
"""

import argparse
import csv
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time

import torch
import transformers

import strata_fl
from strata_fl.scoring import score


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--sizes", default="192x12,384x12")
    parser.add_argument("--torch-func", default="")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--outputs", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readme", action="store_true")
    return parser.parse_args()


def model_of(size, outputs):
    hidden, layers = (int(part) for part in size.split("x"))
    config = transformers.ViTConfig(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=hidden // 64, intermediate_size=4 * hidden,
        image_size=128, patch_size=16, num_labels=outputs,
    )
    return transformers.ViTForImageClassification(config).eval()


def passes(model, pixels, outputs):
    weights = list(model.parameters())
    for k in range(outputs):
        torch.autograd.grad(model(pixel_values=pixels).logits[:, k].sum(), weights)


def by_torch_func(model, pixels, units):
    """λ₁ of every unit, from one Jacobian of all weights."""
    weights = {name: weight.detach() for name, weight in model.named_parameters()}

    def outputs(weights, image):
        return torch.func.functional_call(model, weights, (image.unsqueeze(0),)).logits[0]

    rows = torch.func.vmap(torch.func.jacrev(outputs), (None, 0), chunk_size=1)(weights, pixels)
    found = {}
    for unit, names in units.items():
        kernel = sum((flat @ flat.T).double() for flat in (rows[name].flatten(0, 1).flatten(1) for name in names))
        found[unit] = float(torch.linalg.eigvalsh(kernel)[-1])
    return found


def timed(work):
    """(seconds, seconds of all threads' processor time, what it gives)."""
    begin, processor = time.perf_counter(), time.process_time()
    found = work()
    return time.perf_counter() - begin, time.process_time() - processor, found


def measure(size, options):
    torch.manual_seed(options.seed)
    model = model_of(size, options.outputs)
    pixels = torch.randn(options.samples, 3, 128, 128)
    batch = {"pixel_values": pixels}
    score(model, batch, samples=1)
    passes(model, pixels[:1], 1)
    plain, scored, plain_cpu, scored_cpu = [], [], [], []
    for _ in range(options.repeats):
        seconds, processor, _ = timed(lambda: passes(model, pixels, options.outputs))
        plain.append(seconds)
        plain_cpu.append(processor)
        seconds, processor, table = timed(lambda: score(model, batch, memory=options.memory, seed=options.seed))
        scored.append(seconds)
        scored_cpu.append(processor)
    row = {
        "size": size,
        "samples": options.samples,
        "outputs": options.outputs,
        "memory": options.memory,
        "passes_seconds": statistics.median(plain),
        "score_seconds": statistics.median(scored),
        "ratio": statistics.median(scored) / statistics.median(plain),
        "ratios": " ".join(f"{b / a:.3f}" for a, b in zip(plain, scored)),
        "cpu_ratio": statistics.median(scored_cpu) / statistics.median(plain_cpu),
        "torch_func_ratio": "",
        "largest_difference": "",
    }
    if size in options.torch_func.split(","):
        seconds, _, found = timed(lambda: by_torch_func(model, pixels, table.parameters))
        row["torch_func_ratio"] = seconds / statistics.median(plain)
        row["largest_difference"] = max(
            abs(value / found[unit] - 1) for unit, value in zip(table.units, table.raw[0])
        )
    return row


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    git = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True)
    threads = [f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}"] if "OMP_NUM_THREADS" in os.environ else []
    return {
        "command": " ".join([*threads, "bench/python_score.py", *sys.argv[1:]]),
        "commit": git.stdout.strip(),
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "strata_fl": strata_fl.__version__,
    }


AIM = 2.0
README = """\
# Cost of strata_fl.score

Made by `bench/python_score.py`, whose head says what the columns of `cost.csv` are: seconds of `strata_fl.score` of all
units (embeddings, 12 blocks, head) over those of K forward and backward passes of the same model in the same run, taken in
turns, on transformers' ViT with 65 tokens, random weights and random images. torch.func's column is its time for the same
kernels in the same units; the greatest difference is the relative one of a unit's λ₁ to it.

- command: `{command}`, seed 1
- commit: {commit}
- machine: {cpu}, {cores} cores, torch on {torch_threads}; load {load_before[0]:.1f} before, {load_after[0]:.1f} after
- Python {python}, torch {torch}, transformers {transformers}

| hidden × layers, n, K | passes s | score s | ratio | of each repeat | by processor time | torch.func | greatest difference |
|---|---|---|---|---|---|---|---|
{table}

A ratio of at most {aim:.1f} was aimed for: {within} of {count} are within it.
"""


def readme(out):
    """README.md of what was measured."""
    about = json.loads((out / "machine.json").read_text(encoding="utf-8"))
    with open(out / "cost.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    def number(row, key, form):
        return format(float(row[key]), form) if row[key] else "–"

    lines = [
        f"| {row['size']}, {row['samples']}, {row['outputs']} | {number(row, 'passes_seconds', '.2f')} | "
        f"{number(row, 'score_seconds', '.2f')} | **{number(row, 'ratio', '.2f')}** | {row['ratios']} | "
        f"{number(row, 'cpu_ratio', '.2f')} | {number(row, 'torch_func_ratio', '.2f')} | "
        f"{number(row, 'largest_difference', '.1e')} |"
        for row in rows
    ]
    within = sum(float(row["ratio"]) <= AIM for row in rows)
    text = README.format(**about, table="\n".join(lines), aim=AIM, within=within, count=len(rows))
    (out / "README.md").write_text(text, encoding="utf-8")


def main():
    options = parse()
    if options.readme:
        return readme(options.out)
    about = machine()
    about["load_before"] = os.getloadavg()
    rows = [measure(size, options) for size in options.sizes.split(",")]
    about["load_after"] = os.getloadavg()
    about["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    options.out.mkdir(parents=True, exist_ok=True)
    with open(options.out / "cost.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with open(options.out / "machine.json", "w", encoding="utf-8") as file:
        json.dump(about, file, indent=1)
        file.write("\n")
    readme(options.out)
    for row in rows:
        print(f"{row['size']}: ratio {row['ratio']:.2f} ({row['ratios']}), torch.func {row['torch_func_ratio']}")


if __name__ == "__main__":
    main()
