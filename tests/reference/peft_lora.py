"""Records what PEFT's LoRA computes on the ViLT of vilt.py, for tests/models/transformer.cpp.

    python3 tests/reference/peft_lora.py              writes tests/reference/peft_lora/
    python3 tests/reference/peft_lora.py --load DIR   checks that PEFT loads the LoRA pairs that Strata
                                                      wrote for that ViLT, and gives the recorded logits

Needs torch, transformers and peft (versions recorded in the metadata of recorded.safetensors).
"""

import argparse
import pathlib

import peft
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import ViltForQuestionAnswering

REFERENCE = pathlib.Path(__file__).parent
FOLDER = REFERENCE / "peft_lora"
GRADIENTS = [
    "vilt.encoder.layer.0.attention.attention.query.lora_A.weight",
    "vilt.encoder.layer.0.intermediate.dense.lora_B.weight",
    "vilt.encoder.layer.1.attention.attention.value.lora_A.weight",
    "vilt.encoder.layer.1.attention.attention.value.lora_B.weight",
]


def batch():
    with safe_open(REFERENCE / "vilt" / "recorded.safetensors", framework="pt") as file:
        return {
            "input_ids": file.get_tensor("input_ids"),
            "attention_mask": file.get_tensor("attention_mask").long(),
            "pixel_values": file.get_tensor("pixels"),
        }, file.get_tensor("labels")


def record():
    torch.manual_seed(13)
    config = peft.LoraConfig(
        r=2, lora_alpha=3, lora_dropout=0.0, target_modules=["query", "value", "intermediate.dense"]
    )
    model = peft.get_peft_model(
        ViltForQuestionAnswering.from_pretrained(REFERENCE / "vilt"), config
    ).eval()
    pairs = {
        name.replace("base_model.model.", "").replace(".default", ""): weight
        for name, weight in model.named_parameters()
        if ".lora_" in name
    }
    # B starts at zero: moved away, so that the pairs have an effect.
    with torch.no_grad():
        for weight in pairs.values():
            weight.add_(0.2 * torch.randn(weight.shape))
    inputs, targets = batch()
    logits = model(**inputs).logits
    torch.nn.functional.cross_entropy(logits, targets).backward()
    model.peft_config["default"].base_model_name_or_path = "vilt"
    # PEFT would put an empty model card in place of our README.
    readme = FOLDER / "README.md"
    ours = readme.read_text()
    model.save_pretrained(FOLDER)
    readme.write_text(ours)
    tensors = {"logits": logits.detach()}
    tensors |= {f"gradient.{name}": pairs[name].grad for name in GRADIENTS}
    metadata = {
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "peft": peft.__version__,
    }
    save_file(tensors, FOLDER / "recorded.safetensors", metadata=metadata)
    print(metadata)


def load(folder):
    base = ViltForQuestionAnswering.from_pretrained(REFERENCE / "vilt")
    model = peft.PeftModel.from_pretrained(base, folder).eval()
    with safe_open(FOLDER / "recorded.safetensors", framework="pt") as file:
        difference = (model(**batch()[0]).logits - file.get_tensor("logits")).abs().max().item()
    print(f"largest difference of a logit: {difference:.1e}")
    assert difference < 1e-5


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", metavar="DIR")
    arguments = parser.parse_args()
    load(arguments.load) if arguments.load else record()
