#!/usr/bin/env python3
"""Records small checkpoints that PyTorch saves, for tests/core/torch_file.cpp and tests/models/checkpoint.cpp.

Usage: python3 tests/reference/torch_checkpoints.py        (needs torch; made with 2.15.0)
       python3 tests/reference/torch_checkpoints.py --show FILE         
                                     prints what torch.load reads from a file, to compare by eye

Writes into tests/reference/torch_checkpoints/ the files NAME.pth, each of a kilobyte or a few, and expected.json: for
the files that hold a dictionary of tensors, name -> [dtype as safetensors calls it, shape, the numbers' bytes in
row-major order as hexadecimal digits, strides, offset, whether it is contiguous]. The others must be refused.
"""

import argparse
import collections
import io
import json
import os
import pathlib
import sys
import zipfile

import torch

HERE = pathlib.Path(__file__).parent / "torch_checkpoints"
DTYPES = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}


class Small(torch.nn.Module):
    """Its state_dict is an OrderedDict with _metadata; decoder and embeddings are tied."""

    def __init__(self):
        super().__init__()
        self.embeddings = torch.nn.Embedding(3, 2)
        self.norm = torch.nn.BatchNorm1d(2)
        self.decoder = torch.nn.Linear(2, 3)
        self.decoder.weight = self.embeddings.weight


def numbers(*shape, start=0):
    return torch.arange(start, start + torch.Size(shape).numel(), dtype=torch.float32).reshape(shape)


def described(tensors):
    def one(tensor):
        plain = torch.empty(tensor.numel(), dtype=tensor.dtype).copy_(tensor.detach().reshape(-1))
        data = plain.view(torch.uint8).numpy().tobytes() if plain.numel() else b""
        return [DTYPES[tensor.dtype], list(tensor.shape), data.hex(), list(tensor.stride()), tensor.storage_offset(),
                tensor.is_contiguous()]

    return {name: one(tensor) for name, tensor in tensors.items()}


def trained(model):
    """The state of an optimizer after a step, as checkpoints have it: integer keys, tensors, tuples, None."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.decoder(model.norm(model.embeddings(torch.tensor([0, 1, 2])))).sum().backward()
    optimizer.step()
    return optimizer


def keep(path, wanted):
    """Leaves those entries in a file whose name, without the folder's, is wanted."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            if wanted(entry.filename.split("/", 1)[1]):
                new.writestr(zipfile.ZipInfo(entry.filename), old.read(entry))
    path.write_bytes(out.getvalue())


def record():
    torch.manual_seed(1)
    HERE.mkdir(exist_ok=True)
    expected = {}

    def save(name, value, tensors=None, **options):
        torch.save(value, HERE / f"{name}.pth", **options)
        if tensors is not None:
            expected[name] = described(tensors)

    plain = {"weight": numbers(2, 3), "bias": numbers(2, start=6)}
    save("plain", plain, plain)
    for protocol in (3, 4, 5):
        save(f"protocol{protocol}", plain, plain, pickle_protocol=protocol)
    save("old", plain, plain)
    # PyTorch 1.6 to 2.0 wrote no byteorder, .format_version, .storage_alignment.
    keep(HERE / "old.pth", lambda name: name in ("data.pkl", "version") or name.startswith("data/"))

    model = Small()
    state = model.state_dict()
    save("state_dict", state, state)
    save("parameters", collections.OrderedDict(model.named_parameters()), dict(model.named_parameters()))
    optimizer = trained(model)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10).state_dict()
    state = model.state_dict()
    # As salesforce/ALBEF saves: its configuration is a dictionary of YAML.
    save("albef", {"model": state, "optimizer": optimizer.state_dict(), "lr_scheduler": scheduler,
                   "config": {"image_res": 384, "train_file": ["a.json"], "optimizer": {"lr": 2e-05}, "distill": True},
                   "epoch": 7}, state)
    # As LAVIS saves: OmegaConf's container, a gradient scaler's state or None.
    scaler = {"scale": 65536.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 0}
    save("lavis", {"model": state, "optimizer": optimizer.state_dict(), "config": {"run": {"seed": 42, "amp": None}},
                   "scaler": scaler, "epoch": 1, "large": 2**80, "tags": {"a"}, "raw": (1, b"")}, state,
         pickle_protocol=4)
    save("sets", {"state_dict": plain, "seen": {1, 2}, "accuracy": torch.tensor(0.5), "large": 2**80, "negative": -2**40},
         plain)
    save("nested", {"visual": plain, "text": {"head": {"weight": numbers(1)}}, "epoch": 3},
         {"visual.weight": plain["weight"], "visual.bias": plain["bias"], "text.head.weight": numbers(1)})

    base = numbers(4, 6)
    views = {"whole": base, "transposed": base.t(), "columns": base[:, 1:4], "rows": base[1:3], "steps": base[::2, ::3],
             "flat": base.reshape(-1)[5:9], "expanded": numbers(1, 3).expand(4, 3), "one": base[2:3, 4:5].t(),
             "permuted": base.reshape(2, 3, 4).permute(2, 0, 1)}
    save("views", views, views)
    dtypes = {name: (torch.arange(5) - (0 if dtype in (torch.uint8, torch.bool) else 2)).to(dtype)
              for dtype, name in DTYPES.items()}
    save("dtypes", dtypes, dtypes)
    odd = {"scalar": torch.tensor(2.5), "empty": torch.zeros(0), "none": torch.zeros(3, 0, 2), "end": numbers(4)[4:],
           "große\nZeile": numbers(1), "counter": torch.tensor(12)}
    save("odd", odd, odd)

    # What must be refused.
    save("before_1_6", plain, _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1, 1)), str(HERE / "torchscript.pth"))
    keep(HERE / "torchscript.pth", lambda name: not name.endswith("debug_pkl"))  # they name folders
    save("namespace", {"model": plain, "args": argparse.Namespace(lr=0.1)})
    save("module", torch.nn.Linear(1, 1))
    save("complex", {"x": torch.zeros(2, dtype=torch.complex64)})
    save("uint16", {"x": torch.zeros(2, dtype=torch.uint16)})
    save("negated", {"x": torch.zeros(2, dtype=torch.complex64).conj().imag, "y": numbers(1)})

    class System:
        def __reduce__(self):
            return os.system, ("touch strata-was-here",)

    save("system", {"model": plain, "x": System()})
    save("system4", {"model": plain, "x": System()}, pickle_protocol=4)
    save("list", [numbers(1)])
    save("no_tensor", {"a": 1, "b": [2]})
    save("two", {"model": plain, "state_dict": {"weight": numbers(1)}})
    save("listed", {"weights": [numbers(1), numbers(2)]})
    save("numbered", {"weight": numbers(1), "more": {0: numbers(1)}})
    (HERE / "expected.json").write_text(json.dumps(expected, indent=0, ensure_ascii=False) + "\n")


def show(path):
    for name, entry in torch.load(path, map_location="cpu", weights_only=True).items():
        print(name, type(entry).__name__, getattr(entry, "shape", ""))


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "--show":
        show(sys.argv[2])
    else:
        record()
