"""Records what PEFT's methods compute on the ViT of vit.py and the ResNet of resnet.py, for tests/peft/recorded.cpp.

    python3 tests/reference/peft_methods.py [MODEL_METHOD ...]
        writes tests/reference/peft_methods/VERSION/MODEL_METHOD/, of those alone where some are named, VERSION being
        that of transformers

A folder holds the adapter as PEFT saves it and recorded.safetensors: the images, the logits, and the gradient of the
cross-entropy by every trained weight, under its name in the adapter's file. transformers renamed ViT's modules in 5.9:
one recording is made before and one since. Needs torch, transformers and peft, whose versions are in the metadata.
"""

import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # PEFT would look for the base model's config.json on the hub

import peft
import torch
import transformers
from safetensors.torch import save_file
from transformers import ResNetForImageClassification, ViTForImageClassification

REFERENCE = pathlib.Path(__file__).parent
OUT = REFERENCE / "peft_methods" / transformers.__version__


def vit():
    return ViTForImageClassification.from_pretrained(REFERENCE / "vit")


def resnet():
    return ResNetForImageClassification.from_pretrained(REFERENCE / "resnet" / "bottleneck")


def configs(since):
    """By model and method; `since` tells transformers' names of ViT's layers."""
    query, value, up, down = (["q_proj", "v_proj", "fc1", "fc2"] if since
                              else ["query", "value", "intermediate.dense", "output.dense"])
    return {
        "vit": {
            "lora_dora": peft.LoraConfig(r=2, lora_alpha=3, use_dora=True, target_modules=[query, up]),
            "lora_patterns": peft.LoraConfig(r=2, lora_alpha=3, use_rslora=True, target_modules=[query, value, up],
                                             rank_pattern={value: 4}, alpha_pattern={up: 5},
                                             layers_to_transform=[1], exclude_modules=[query]),
            "lora_biases": peft.LoraConfig(r=2, lora_alpha=3, bias="all", target_modules=[query],
                                           modules_to_save=["classifier"]),
            "lora_b_bias": peft.LoraConfig(r=2, lora_alpha=3, lora_bias=True, target_modules=[query, up]),
            # The convolution over patches, which is no linear layer to PEFT.
            "lora_patches": peft.LoraConfig(r=2, lora_alpha=3, target_modules=["projection", value]),
            "lora_patches_dora": peft.LoraConfig(r=2, lora_alpha=3, use_dora=True, target_modules=["projection"]),
            # The classifier, too, as task_type is not SEQ_CLS.
            "lora_all_linear": peft.LoraConfig(r=2, lora_alpha=3, target_modules="all-linear"),
            "norms": peft.LNTuningConfig(target_modules=["layernorm_before", "layernorm_after", "layernorm"],
                                         modules_to_save=["classifier"]),
            "ia3": peft.IA3Config(target_modules=[query, value, up], feedforward_modules=[up]),
            "vera": peft.VeraConfig(r=5, target_modules=[query, up, down]),
            "loha": peft.LoHaConfig(r=2, alpha=3, target_modules=[value, up]),
            "lokr": peft.LoKrConfig(r=2, alpha=3, target_modules=[value, up]),
            # Of each rank and alpha, all four together; with rank 16 LoKr's second factor is whole.
            "loha_patterns": peft.LoHaConfig(
                r=2, alpha=3, target_modules=[query, value, up], rank_pattern={value: 4, f"layers?.0.*{up}": 1},
                alpha_pattern={up: 5, query: 2}),
            "lokr_patterns": peft.LoKrConfig(
                r=2, alpha=3, target_modules=[query, value, up], rank_pattern={value: 16, up: 3},
                alpha_pattern={up: 5, value: 2}),
            # A factor that is no divisor of a width bounds the first one; w1 is a product, too.
            "lokr_both": peft.LoKrConfig(r=1, alpha=3, decompose_both=True, decompose_factor=8,
                                         target_modules=[query, up, down]),
            "lokr_bounded": peft.LoKrConfig(r=1, alpha=3, decompose_factor=5, target_modules=[value, up]),
            "lokr_whole": peft.LoKrConfig(r=16, alpha=3, target_modules=[query]),
            "oft": peft.OFTConfig(r=0, oft_block_size=8, target_modules=[query, up]),
            # Two blocks, the divisor of the width that is nearest to three; and one rotation for all blocks of an input.
            "oft_blocks": peft.OFTConfig(r=3, oft_block_size=0, num_cayley_neumann_terms=6, target_modules=[query, up]),
            "oft_shared": peft.OFTConfig(r=0, oft_block_size=4, block_share=True, num_cayley_neumann_terms=3,
                                         target_modules=[query, down]),
            # Some blocks are longer than 0.6 / √blocks, others are not.
            "oft_constrained": peft.OFTConfig(r=0, oft_block_size=4, coft=True, eps=0.6, target_modules=[value, up]),
            "oft_exact": peft.OFTConfig(r=0, oft_block_size=4, use_cayley_neumann=False, target_modules=[value]),
        },
        "resnet": {
            "lora": peft.LoraConfig(r=2, lora_alpha=3, target_modules=["convolution"]),
            "lora_dora": peft.LoraConfig(r=1, lora_alpha=2, use_dora=True, target_modules=["convolution"]),
            "lora_b_bias": peft.LoraConfig(r=2, lora_alpha=3, lora_bias=True, target_modules=["convolution"]),
            "norms": peft.LNTuningConfig(target_modules=["normalization"], modules_to_save=["classifier"]),
            "ia3": peft.IA3Config(target_modules=["convolution"], feedforward_modules=[]),
            "ia3_input": peft.IA3Config(target_modules=["convolution"], feedforward_modules=["convolution"]),
            "loha": peft.LoHaConfig(r=2, alpha=3, target_modules=["convolution"]),
            "lokr": peft.LoKrConfig(r=1, alpha=3, target_modules=["convolution"]),
            # Of 1 x 1 alone: of more places what PEFT computes is not what it merges.
            "oft": peft.OFTConfig(r=0, oft_block_size=4, target_modules=["layer.0.convolution", "layer.2.convolution",
                                                                         "shortcut.convolution"]),
            "loha_tucker": peft.LoHaConfig(r=2, alpha=3, use_effective_conv2d=True, target_modules=["convolution"]),
            "lokr_tucker": peft.LoKrConfig(r=1, alpha=3, use_effective_conv2d=True, decompose_both=True,
                                           decompose_factor=4, target_modules=["convolution"]),
            "loha_patterns": peft.LoHaConfig(r=2, alpha=3, target_modules=["convolution"],
                                             rank_pattern={"layer.1.convolution": 1},
                                             alpha_pattern={"layer.1.convolution": 4}),
        },
    }


class TuckerProduct:
    """LoHa's weight with Tucker cores as PEFT computes it, with autograd's own gradients: PEFT's backward of w1_a takes
    the core and factor of w2 where the derivative has those of w1, and the other way round."""

    @staticmethod
    def apply(t1, w1a, w1b, t2, w2a, w2b, scale):
        one, two = (torch.einsum("i j k l, j r, i p -> p r k l", t, b, a)
                    for t, a, b in ((t1, w1a, w1b), (t2, w2a, w2b)))
        return one * two * scale


peft.tuners.loha.layer.HadaWeightCP = TuckerProduct


def record(folder, model, config):
    torch.manual_seed(17)
    model = peft.get_peft_model(model, config).eval()
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    with torch.no_grad():  # away from where they start, at which most methods change nothing
        for weight in trained.values():
            weight.add_(0.2 * torch.randn(weight.shape))
    model.peft_config["default"].base_model_name_or_path = "base"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    size = getattr(model.config, "image_size", 16)
    pixels = torch.randn(4, 3, size, size)
    logits = model(pixel_values=pixels).logits
    labels = torch.arange(4) % logits.shape[1]
    torch.nn.functional.cross_entropy(logits, labels).backward()
    tensors = {"pixels": pixels, "labels": labels, "logits": logits.detach()}
    for name, weight in trained.items():
        saved = name.replace("lora_magnitude_vector.default.weight", "lora_magnitude_vector")
        saved = saved.replace(".modules_to_save.default", "").replace(".default", "")
        tensors["gradient:" + saved] = weight.grad.contiguous()
    versions = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
                "peft": peft.__version__}
    save_file(tensors, folder / "recorded.safetensors", metadata=versions)
    print(folder.name, len(trained), "weights")


if __name__ == "__main__":
    since = any(name.endswith("q_proj") for name, _ in vit().named_modules())
    for model, methods in configs(since).items():
        for method, config in methods.items():
            folder = OUT / f"{model}_{method}"
            if sys.argv[1:] and folder.name not in sys.argv[1:]:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            record(folder, {"vit": vit, "resnet": resnet}[model](), config)
