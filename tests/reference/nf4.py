#!/usr/bin/env python3
"""Records weights in NF4 as bitsandbytes makes them, and what it makes of them again, in nf4.safetensors.

pip install torch bitsandbytes safetensors    (recorded with bitsandbytes 0.50.2, torch 2.15.0, on the CPU)
"""
import pathlib

import bitsandbytes
import bitsandbytes.functional as functional
import torch
from safetensors.torch import save_file

tensors = {}
torch.manual_seed(1)
for name, shape, dtype, nested in [
    ("nested", (192, 96), torch.bfloat16, True),  # 288 blocks: two nested ones
    ("half", (24, 80), torch.float16, True),
    ("plain", (16, 72), torch.float32, False),
]:
    weight = (torch.randn(shape) * 0.05).to(dtype)
    codes, state = functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=nested)
    tensors[name] = codes
    for part, value in state.as_dict(packed=True).items():
        tensors[f"{name}.{part}"] = value
    tensors[f"expected.{name}"] = functional.dequantize_4bit(codes, state).float()
save_file({key: value.contiguous() for key, value in tensors.items()}, pathlib.Path(__file__).with_name("nf4.safetensors"))
print(bitsandbytes.__version__, torch.__version__, {key: tuple(value.shape) for key, value in tensors.items()})
