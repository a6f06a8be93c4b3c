"""Records what PEFT's LoRA computes on the ViT of vit.py, for tests/models/transformer.cpp.

    python3 tests/reference/vit_lora.py             writes tests/reference/vit_lora/VERSION/, VERSION being
                                                    that of transformers
    python3 tests/reference/vit_lora.py --load DIR  checks that PEFT and transformers load the LoRA pairs that
                                                    Strata saved for that ViT after reading one of these, in
                                                    three ways, and give the recorded logits

transformers renamed ViT's modules in 5.9: one recording is made before and one since. Needs torch,
transformers and peft (versions recorded in the metadata of recorded.safetensors).
"""

import argparse
import os
import pathlib

os.environ["HF_HUB_OFFLINE"] = "1"  # PEFT would look for the base model's config.json on the hub

import peft
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import ViTForImageClassification

REFERENCE = pathlib.Path(__file__).parent
FOLDER = REFERENCE / "vit_lora"


def pixels():
    with safe_open(REFERENCE / "vit" / "recorded.safetensors", framework="pt") as file:
        return file.get_tensor("pixels")


def logits_of(model):
    with torch.no_grad():
        return model.eval()(pixel_values=pixels()).logits


def base():
    return ViTForImageClassification.from_pretrained(REFERENCE / "vit")


def record():
    folder = FOLDER / transformers.__version__
    model = base()
    since = any(name.endswith("q_proj") for name, _ in model.named_modules())
    targets = ["q_proj", "v_proj", "fc1"] if since else ["query", "value", "intermediate.dense"]
    torch.manual_seed(17)
    config = peft.LoraConfig(r=2, lora_alpha=3, lora_dropout=0.0, target_modules=targets)
    model = peft.get_peft_model(model, config).eval()
    # B starts at zero: moved away, so that the pairs have an effect.
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_" in name:
                weight.add_(0.2 * torch.randn(weight.shape))
    model.peft_config["default"].base_model_name_or_path = "vit"
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    metadata = {
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "peft": peft.__version__,
    }
    save_file({"logits": logits_of(model)}, folder / "recorded.safetensors", metadata=metadata)
    print(targets, metadata)


def load(folder):
    folder = pathlib.Path(folder)
    adapter = base()
    adapter.load_adapter(str(folder))
    ways = {
        "from_pretrained": ViTForImageClassification.from_pretrained(folder),
        "PeftModel.from_pretrained": peft.PeftModel.from_pretrained(base(), folder),
        "load_adapter": adapter,
    }
    for way, model in ways.items():
        logits = logits_of(model)
        for recorded in sorted(FOLDER.glob("*/recorded.safetensors")):
            with safe_open(recorded, framework="pt") as file:
                difference = (logits - file.get_tensor("logits")).abs().max().item()
            print(f"{way}: largest difference from {recorded.parent.name}: {difference:.1e}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", metavar="DIR")
    arguments = parser.parse_args()
    load(arguments.load) if arguments.load else record()
