"""LoRA pairs beside SAM's fused attn.qkv, for tests/peft/fused_lora.cpp.

    python3 tests/reference/sam_lora.py                        writes tests/reference/sam/lora/: an adapter that PEFT made of
                                                               tests/reference/sam/windows, and the masks that it gives
    python3 tests/reference/sam_lora.py --load BASE OUT MERGED that PEFT opens what `strata export` wrote to OUT over the
                                                               SamModel BASE, with the masks of MERGED (`strata merge`)

Needs torch, transformers and peft.
"""

import argparse
import json
import pathlib

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import SamModel

from sam import FOLDER, masks_of


def record():
    torch.manual_seed(11)
    base = SamModel.from_pretrained(FOLDER / "windows").eval()
    config = LoraConfig(r=2, lora_alpha=3, target_modules=["qkv", "q_proj", "v_proj"], rank_pattern={"layers.1.attn.qkv": 4},
                        alpha_pattern={"layers.1.attn.qkv": 10}, init_lora_weights=False)
    model = get_peft_model(base, config).eval()
    model.save_pretrained(FOLDER / "lora")
    (FOLDER / "lora/README.md").unlink(missing_ok=True)
    path = FOLDER / "lora/adapter_config.json"
    written = json.loads(path.read_text()) | {"base_model_name_or_path": None}
    written["target_modules"].sort()  # a set
    path.write_text(json.dumps(written, indent=2) + "\n")
    pixels = load_file(FOLDER / "windows/recorded.safetensors")["pixels"]
    with torch.no_grad():
        masks = masks_of(model.base_model.model, pixels)
    metadata = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__, "peft": peft.__version__}
    save_file({"masks": masks.contiguous()}, FOLDER / "lora/recorded.safetensors", metadata=metadata)
    print(metadata, sorted(path.name for path in (FOLDER / "lora").iterdir()))


def load(base, out, merged):
    torch.manual_seed(12)
    plain, expected = SamModel.from_pretrained(base).eval(), SamModel.from_pretrained(merged).eval()
    side = plain.config.vision_config.image_size
    pixels = torch.randn(2, 3, side, side)
    with torch.no_grad():
        before, wanted = masks_of(plain, pixels), masks_of(expected, pixels)
        model = PeftModel.from_pretrained(plain, out).eval()
        found = masks_of(model.base_model.model, pixels)
    partial = pathlib.Path(out) / "partial.safetensors"
    if partial.exists():
        model.base_model.model.load_state_dict(rename(load_file(partial), model.base_model.model), strict=False)
        with torch.no_grad():
            found = masks_of(model.base_model.model, pixels)
    difference, change = (found - wanted).abs().max().item(), (before - wanted).abs().max().item()
    pairs = sum("lora_A" in name for name in dict(model.named_modules()) if name.endswith("lora_A"))
    print(f"transformers {transformers.__version__}, peft {peft.__version__}: {pairs} pairs; masks differ by {difference:.1e}, "
          f"those of the base by {change:.1e}")
    assert difference < 1e-4 * max(1, wanted.abs().max().item()) and change > 10 * difference


def rename(tensors, model):
    """PEFT has the weights of a layer with a pair under base_layer."""
    known = set(model.state_dict())
    return {name if name in known else name.replace(".weight", ".base_layer.weight").replace(".bias", ".base_layer.bias"): tensor
            for name, tensor in tensors.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", nargs=3, metavar=("BASE", "OUT", "MERGED"))
    arguments = parser.parse_args()
    if arguments.load:
        load(*arguments.load)
    else:
        record()


if __name__ == "__main__":
    main()
