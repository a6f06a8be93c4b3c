"""Records what transformers' ViTForImageClassification computes, for tests/models/transformer.cpp.

    python3 tests/reference/vit.py              writes tests/reference/vit/
    python3 tests/reference/vit.py --load DIR   checks that transformers loads a model Strata wrote, and
                                                gives the recorded logits

Needs torch and transformers (versions recorded in the metadata of recorded.safetensors).
"""

import argparse
import pathlib

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import ViTConfig, ViTForImageClassification

FOLDER = pathlib.Path(__file__).parent / "vit"
# transformers 5 renamed ViT's modules, but reads and writes checkpoints with their first names.
CHECKPOINT_NAMES = {
    "vit.layers.": "vit.encoder.layer.",
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
GRADIENTS = [
    "vit.embeddings.cls_token",
    "vit.embeddings.position_embeddings",
    "vit.embeddings.patch_embeddings.projection.weight",
    "vit.encoder.layer.0.attention.attention.query.weight",
    "vit.encoder.layer.0.attention.attention.value.bias",
    "vit.encoder.layer.0.layernorm_after.weight",
    "vit.encoder.layer.1.attention.attention.key.weight",
    "vit.encoder.layer.1.attention.output.dense.weight",
    "vit.encoder.layer.1.intermediate.dense.bias",
    "vit.encoder.layer.1.output.dense.weight",
    "vit.layernorm.bias",
    "classifier.weight",
]


def checkpoint_name(name):
    for found, first in CHECKPOINT_NAMES.items():
        name = name.replace(found, first)
    return name


def record():
    torch.manual_seed(11)
    labels = ["basophil", "eosinophil", "lymphocyte"]
    model = ViTForImageClassification(
        ViTConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            image_size=16,
            patch_size=8,
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
        )
    ).eval()
    # Every weight is moved away from its initial zero or one, so that none can be forgotten unnoticed.
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape))
    model.save_pretrained(FOLDER)

    pixels = torch.randn(4, 3, 16, 16)
    targets = torch.tensor([0, 2, 1, 2])
    logits = model(pixel_values=pixels).logits
    loss = torch.nn.functional.cross_entropy(logits, targets)
    loss.backward()

    weights = {checkpoint_name(name): weight for name, weight in model.named_parameters()}
    tensors = {
        "pixels": pixels,
        "labels": targets,
        "logits": logits.detach(),
        "loss": loss.detach(),
    }
    tensors |= {f"gradient.{name}": weights[name].grad for name in GRADIENTS}
    metadata = {
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
    }
    save_file(tensors, FOLDER / "recorded.safetensors", metadata=metadata)
    print(metadata)


def load(folder):
    model, info = ViTForImageClassification.from_pretrained(folder, output_loading_info=True)
    model.eval()
    with safe_open(FOLDER / "recorded.safetensors", framework="pt") as file:
        logits = model(pixel_values=file.get_tensor("pixels")).logits
        difference = (logits - file.get_tensor("logits")).abs().max().item()
    print(info, model.config.id2label, f"largest difference of a logit: {difference:.1e}")
    assert difference < 1e-5 and not info["missing_keys"] and not info["unexpected_keys"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", metavar="DIR")
    arguments = parser.parse_args()
    load(arguments.load) if arguments.load else record()
