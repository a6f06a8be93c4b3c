"""Records what transformers' ViltForQuestionAnswering computes, for tests/models/transformer.cpp.

    python3 tests/reference/vilt.py              writes tests/reference/vilt/
    python3 tests/reference/vilt.py --load DIR   checks that transformers loads a model Strata wrote, and
                                                 gives the recorded logits

Needs torch and transformers (versions recorded in the metadata of recorded.safetensors).
"""

import argparse
import pathlib

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import ViltConfig, ViltForQuestionAnswering

FOLDER = pathlib.Path(__file__).parent / "vilt"
GRADIENTS = [
    "vilt.embeddings.cls_token",
    "vilt.embeddings.position_embeddings",
    "vilt.embeddings.text_embeddings.word_embeddings.weight",
    "vilt.embeddings.text_embeddings.position_embeddings.weight",
    "vilt.embeddings.text_embeddings.LayerNorm.weight",
    "vilt.embeddings.patch_embeddings.projection.weight",
    "vilt.embeddings.token_type_embeddings.weight",
    "vilt.encoder.layer.0.attention.attention.query.weight",
    "vilt.encoder.layer.0.attention.attention.value.bias",
    "vilt.encoder.layer.0.layernorm_after.weight",
    "vilt.encoder.layer.1.attention.attention.key.weight",
    "vilt.encoder.layer.1.attention.output.dense.weight",
    "vilt.encoder.layer.1.intermediate.dense.bias",
    "vilt.encoder.layer.1.output.dense.weight",
    "vilt.layernorm.bias",
    "vilt.pooler.dense.weight",
    "classifier.1.weight",
    "classifier.3.weight",
]


def record():
    torch.manual_seed(7)
    labels = ["yes", "no", "red", "blue", "two"]
    model = ViltForQuestionAnswering(
        ViltConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            image_size=32,
            patch_size=8,
            vocab_size=50,
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
        )
    ).eval()
    # Every weight is moved away from its initial zero or one, so that none can be forgotten unnoticed.
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape))
    model.save_pretrained(FOLDER)

    lengths = [9, 4, 7]
    mask = torch.zeros(3, 9, dtype=torch.long)
    ids = torch.zeros(3, 9, dtype=torch.long)
    for row, length in enumerate(lengths):
        mask[row, :length] = 1
        ids[row, :length] = torch.randint(1, 50, (length,))
    pixels = torch.randn(3, 3, 32, 32)
    targets = torch.tensor([0, 3, 4])
    logits = model(input_ids=ids, attention_mask=mask, pixel_values=pixels).logits
    loss = torch.nn.functional.cross_entropy(logits, targets)
    loss.backward()

    weights = dict(model.named_parameters())
    tensors = {
        "input_ids": ids,
        "attention_mask": mask.float(),
        "pixels": pixels,
        "labels": targets,
        "logits": logits.detach(),
        "loss": loss.detach(),
    }
    tensors |= {f"gradient.{name}": weights[name].grad for name in GRADIENTS}
    with torch.device("meta"):
        published = ViltForQuestionAnswering(ViltConfig(num_labels=3129))
    metadata = {
        "torch": torch.__version__.split("+")[0],
        "transformers": transformers.__version__,
        "vilt_b32_vqa_parameters": str(sum(p.numel() for p in published.parameters())),
    }
    save_file(tensors, FOLDER / "recorded.safetensors", metadata=metadata)
    print(metadata)


def load(folder):
    model, info = ViltForQuestionAnswering.from_pretrained(folder, output_loading_info=True)
    model.eval()
    with safe_open(FOLDER / "recorded.safetensors", framework="pt") as file:
        logits = model(
            input_ids=file.get_tensor("input_ids"),
            attention_mask=file.get_tensor("attention_mask").long(),
            pixel_values=file.get_tensor("pixels"),
        ).logits
        difference = (logits - file.get_tensor("logits")).abs().max().item()
    print(info, model.config.id2label, f"largest difference of a logit: {difference:.1e}")
    assert difference < 1e-5 and not info["missing_keys"] and not info["unexpected_keys"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--load", metavar="DIR")
    arguments = parser.parse_args()
    load(arguments.load) if arguments.load else record()
