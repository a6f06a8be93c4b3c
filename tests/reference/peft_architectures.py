"""Records adapters that PEFT makes for ViLT, CLIP and the models that answer in words, for tests/peft/recorded.cpp.

    python3 tests/reference/peft_architectures.py [--only MODEL...]
        writes tests/reference/peft_architectures/VERSION/MODEL/METHOD/, VERSION being that of transformers
    python3 tests/reference/peft_architectures.py --load DIR
        DIR/MODEL/METHOD/ are model folders that Strata saved after it had read these: PEFT loads each without missing
        or unexpected weights, and it gives the recorded logits

The bases are tests/reference/vilt, image_encoders/clip and vlms/MODEL, with the inputs that are recorded there (of the
models that answer in words the case "right"). A folder holds the adapter as PEFT saves it, and logits.safetensors: of
models that answer in words those that predict the answers' tokens, one after the other. transformers renamed its
modules: one recording is made before and one since. test_peft writes DIR where STRATA_WRITE_PEFT names it.

Needs torch, transformers and peft, whose versions are in the metadata. The committed files were made with transformers
4.57.1 and 5.24.0, peft 0.21.2, torch 2.15.0.
"""

import argparse
import os
import pathlib
import shutil
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"  # PEFT would look for the base model's config.json on the hub

import peft
import torch
import transformers
import vlm_models
from safetensors.torch import load_file, save_file

REFERENCE = pathlib.Path(__file__).parent
OUT = REFERENCE / "peft_architectures" / transformers.__version__
SPEAKING = {reference.name: reference for reference in vlm_models.references()
            if reference.name in ("llava", "paligemma", "smolvlm", "blip2_opt", "blip2_t5")}


class Classifier:
    """A model with labels, all of whose logits are recorded."""

    def __init__(self, class_name, folder):
        self.class_name, self.folder = class_name, REFERENCE / folder
        self.tensors = load_file(self.folder / "recorded.safetensors")

    def build(self, folder=None):
        with tempfile.TemporaryDirectory() as bare:  # without an adapter, which transformers would put on top
            for file in ("config.json", "model.safetensors"):
                shutil.copy((folder or self.folder) / file, bare)
            return getattr(transformers, self.class_name).from_pretrained(bare)

    def logits(self, model):
        inputs = {"pixel_values": self.tensors["pixels"]}
        if "input_ids" in self.tensors:
            inputs |= {"input_ids": self.tensors["input_ids"], "attention_mask": self.tensors["attention_mask"].long()}
        return model(**inputs).logits


class Speaking:
    """A model that answers in words."""

    def __init__(self, reference):
        self.reference, self.folder = reference, REFERENCE / "vlms" / reference.name

    def build(self, folder=None):
        model = self.reference.build()
        names = {self.reference.canonical(name): name for name in model.state_dict()}
        weights = load_file((folder or self.folder) / "model.safetensors")
        given = {names[self.reference.canonical(name)]: weight for name, weight in weights.items()}
        model.load_state_dict(given, strict=False)
        model.tie_weights()
        self.reference.prepare(model)  # once more: transformers 5 ties T5's head, whatever the file has
        report = model.load_state_dict(given, strict=False)
        tied = {name for name in report.missing_keys if name.endswith(("lm_head.weight", "coder.embed_tokens.weight"))}
        assert not report.unexpected_keys and tied == set(report.missing_keys), report
        return model

    def logits(self, model):
        case = self.reference.cases["right"][1]
        logits, labels = model(**self.reference.inputs(case)).logits, case["labels"]
        if model.config.is_encoder_decoder:
            return logits[labels != -100]
        return logits[:, :-1][labels[:, 1:] != -100]


MODELS = {"vilt": Classifier("ViltForQuestionAnswering", "vilt"),
          "clip": Classifier("CLIPForImageClassification", "image_encoders/clip")}
MODELS |= {name: Speaking(reference) for name, reference in SPEAKING.items()}
# Of each: queries, values, a layer of an MLP, another; norms; what else may be saved as a whole.
NAMES = {
    "vilt": ("query", "value", "intermediate.dense", "output.dense",
             ["layernorm_before", "layernorm_after", "layernorm"], "classifier"),
    "clip": ("q_proj", "v_proj", "fc1", "fc2", ["layer_norm1", "layer_norm2", "pre_layrnorm"], "classifier"),
    "llava": ("q_proj", "v_proj", "up_proj", "fc2", ["input_layernorm", "post_attention_layernorm", "layer_norm1"],
              "multi_modal_projector"),
    "paligemma": ("q_proj", "v_proj", "up_proj", "fc2", ["input_layernorm", "layer_norm2"], "multi_modal_projector"),
    "smolvlm": ("q_proj", "v_proj", "up_proj", "fc2", ["input_layernorm", "post_layernorm"], "connector"),
    "blip2_opt": ("q_proj", "qkv", "fc1", "query", ["self_attn_layer_norm", "layer_norm2", "LayerNorm"],
                  "language_projection"),
    "blip2_t5": ("q", "v", "wi_1", "intermediate.dense", ["layer_norm", "layernorm"], "language_projection"),
}


def configs(model):
    query, value, up, down, norms, whole = NAMES[model]
    bias = "none" if model == "smolvlm" else "lora_only"  # no linear layer of SmolVLM's decoder has one
    return {
        "lora": peft.LoraConfig(r=2, lora_alpha=3, target_modules=[query, down]),
        "lora_flags": peft.LoraConfig(
            r=2, lora_alpha=3, use_dora=True, use_rslora=True, target_modules=[query, value, up],
            rank_pattern={value: 1}, alpha_pattern={up: 5}, layers_to_transform=[1], exclude_modules=[query]),
        "lora_saved": peft.LoraConfig(r=1, lora_alpha=3, bias=bias, target_modules=[value], modules_to_save=[whole]),
        "norms": peft.LNTuningConfig(target_modules=norms, modules_to_save=[whole] if whole == "classifier" else None),
        "ia3": peft.IA3Config(target_modules=[query, value, up], feedforward_modules=[up]),
        "vera": peft.VeraConfig(r=3, target_modules=[query, down]),
        "loha": peft.LoHaConfig(r=1, alpha=3, target_modules=[value, up]),
        "lokr": peft.LoKrConfig(r=1, alpha=3, target_modules=[query, down]),
        "oft": peft.OFTConfig(r=0, oft_block_size=2, target_modules=[query]),
    }


def record(name, method, config, folder):
    torch.manual_seed(17)
    model = peft.get_peft_model(MODELS[name].build(), config).eval()
    with torch.no_grad():  # away from where they start, at which most methods change nothing
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.2 * torch.randn(weight.shape))
        logits = MODELS[name].logits(model)
        plain = MODELS[name].logits(MODELS[name].build())
    assert (logits - plain).abs().max() > 1e-2, (name, method)
    model.peft_config["default"].base_model_name_or_path = "base"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    versions = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
                "peft": peft.__version__}
    save_file({"logits": logits.contiguous()}, folder / "logits.safetensors", metadata=versions)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}, {method}: {sum(weight.requires_grad for weight in model.parameters())} weights, {size} bytes")


def check(name, method, folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = peft.PeftModel.from_pretrained(MODELS[name].build(folder), folder).eval()
    said = [str(warning.message) for warning in caught if "key" in str(warning.message)]
    # Strata's patterns have the names of every transformers, of which one matches.
    said = [message for message in said if "_pattern keys did not match" not in message]
    assert not said, (name, method, said)
    expected = load_file(OUT / name / method / "logits.safetensors")["logits"]
    with torch.no_grad():
        difference = (MODELS[name].logits(model) - expected).abs().max().item()
    print(f"{name}, {method}: largest difference of a logit {difference:.1e}")
    assert difference < 1e-4, (name, method, difference)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="+", metavar="MODEL", default=list(MODELS))
    parser.add_argument("--load", type=pathlib.Path, metavar="DIR")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    failed = []
    for name in arguments.only:
        for method, config in configs(name).items():
            folder = (arguments.load or OUT) / name / method
            if arguments.load:
                try:
                    check(name, method, folder)
                except AssertionError as error:
                    failed.append(str(error))
                continue
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            record(name, method, config, folder)
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
