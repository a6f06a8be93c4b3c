#!/usr/bin/env python3
"""Training steps of bench_round in PyTorch: transformers' ViltForQuestionAnswering on the same weights and batches.

    bench_round --folder FOLDER --prepare --shape 64,12,4,128,16,9,10
    python bench/peers/round.py FOLDER --threads 1

For every lowest trained unit (a block with the head, the head, everything): forward, cross-entropy, backward,
clipping and torch.optim.AdamW, requires_grad on the trained weights alone. Prints one JSON object for each: seconds
a step by the clock and in processor time, what the process grew by at its peak, and the mean loss, which must be
Strata's.
"""

import argparse
import json
import pathlib
import time

import torch
import transformers
from safetensors.torch import load_file

from ntk_common import measured


def unit_sets(model):
    """{lowest: weights}, as bench_round has them."""
    named = dict(model.named_parameters())
    head = [weight for name, weight in named.items()
            if name.startswith(("vilt.layernorm.", "vilt.pooler.", "classifier."))]
    sets = {}
    for block in range(model.config.num_hidden_layers):
        prefix = f"vilt.encoder.layer.{block}."
        sets[f"block.{block}"] = [weight for name, weight in named.items() if name.startswith(prefix)] + head
    return sets | {"head": head, "everything": list(named.values())}


def train(model, trained, batches):
    """The mean loss, and processor seconds a step."""
    for weight in model.parameters():
        weight.requires_grad_(False)
        weight.grad = None
    for weight in trained:
        weight.requires_grad_(True)
    start = time.process_time()
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.01)
    total = torch.zeros((), dtype=torch.float64)
    for batch in batches:
        optimizer.zero_grad()
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"],
                       pixel_values=batch["pixels"]).logits
        loss = torch.nn.functional.cross_entropy(logits, batch["labels"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        total += loss.detach()
    return total.item() / len(batches), (time.process_time() - start) / len(batches)


def read_batches(folder):
    tensors = load_file(folder / "batches.safetensors")
    count = sum(name.startswith("labels.") for name in tensors)
    batches = [{key: tensors[f"{key}.{k}"] for key in ("input_ids", "attention_mask", "pixels", "labels")}
               for k in range(count)]
    for batch in batches:
        batch["attention_mask"] = batch["attention_mask"].long()
    return batches


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model = transformers.ViltForQuestionAnswering.from_pretrained(arguments.folder / "foundation").train()
    fresh = {name: weight.clone() for name, weight in model.state_dict().items()}
    batches = read_batches(arguments.folder)
    sets = unit_sets(model)
    train(model, sets["everything"], batches[:1])  # what the libraries keep
    for lowest, trained in sets.items():
        model.load_state_dict(fresh)
        for weight in model.parameters():
            weight.grad = None
        (loss, cpu), seconds, growth = measured(lambda trained=trained: train(model, trained, batches))
        print(json.dumps({"program": "PyTorch", "version": f"torch {torch.__version__}, transformers "
                          f"{transformers.__version__}", "lowest": lowest, "threads": arguments.threads,
                          "steps": len(batches), "seconds": seconds / len(batches),
                          "cpu_seconds": cpu, "peak_mib": growth, "loss": loss}), flush=True)


if __name__ == "__main__":
    main()
