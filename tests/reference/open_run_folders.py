"""Opens what Strata writes with transformers and PEFT: run folders with adapters, prompts and LoRA, the clients'
adapter_config.json, those of `strata plan --export` for every model that has a preset, and SAM (sam_opens.py).

    python3 tests/reference/open_run_folders.py STRATA [--only PART...]

STRATA is the built program; with --only some of the parts are checked (plans, runs, resnet, exports, adapter_hub,
methods, speaking, sam). Every check is an assertion; the last line is "all opened". The CTest cli/transformers_opens runs
this with each Python that STRATA_REFERENCE_PYTHON names, and scripts/open-with-transformers makes
results/transformers of what it says. Needs torch, transformers and peft; made for transformers before and after 5.9,
where ViT's modules were renamed.
"""

import argparse
import collections
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy
import peft
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file

import sam_opens
import vlm_models
import vlm_tiles

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "is", "it", "bright", "dark", "red", "?"]
LABELS = ["no", "yes"]
SIZE = 16
CLIENTS = ["ct", "mri"]
RENAMED = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}


def renamed(module):
    """What transformers since 5.9 calls a linear layer of ViT."""
    found = re.fullmatch(r"vit\.encoder\.layer\.(\d+)\.(.+)", module)
    return f"vit.layers.{found[1]}.{RENAMED[found[2]]}" if found else module


def make_data(folder):
    """A few bright and dark images with a question each."""
    generator = numpy.random.default_rng(3)
    lines = []
    for index in range(24):
        bright = index % 2
        pixels = generator.integers(0, 120, (SIZE, SIZE, 3)) + 120 * bright
        name = f"{index}.png"
        Image.fromarray(pixels.astype("uint8")).save(folder / name)
        lines.append(
            {
                "image": name,
                "question": ["is it bright ?", "it is bright ?", "bright ?"][index % 3],
                "answers": [LABELS[bright]],
                "split": "test" if index % 4 > 1 else "train",
                "client": CLIENTS[index // 12],
                "answer_type": "closed",
            }
        )
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def read_tests(data):
    """The examples of the test split."""
    lines = [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]
    return [line for line in lines if line["split"] == "test"]


def make_foundations(folder):
    torch.manual_seed(7)
    sizes = dict(
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=SIZE,
        patch_size=8,
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
    )
    vit = transformers.ViTForImageClassification(transformers.ViTConfig(**sizes))
    vilt = transformers.ViltForQuestionAnswering(
        transformers.ViltConfig(vocab_size=len(WORDS), max_position_embeddings=12, **sizes)
    )
    resnet = transformers.ResNetForImageClassification(
        transformers.ResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 12],
            depths=[2, 1],
            layer_type="basic",
            id2label=sizes["id2label"],
            label2id=sizes["label2id"],
        )
    )
    for name, model in [("vit", vit), ("vilt", vilt), ("resnet", resnet)]:
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.1 * torch.randn(weight.shape))
            for buffer in model.buffers():
                if buffer.is_floating_point() and name == "resnet":
                    buffer.add_(0.3 * torch.rand(buffer.shape))
        model.save_pretrained(folder / name)
        (folder / name / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": SIZE, "width": SIZE}}
    (folder / "resnet" / "preprocessor_config.json").write_text(json.dumps(processor))


def run(strata, folder, architecture, scheme, methods, use=""):
    """`use`: what the run is for, where another has the same architecture and scheme."""
    out = folder / f"{use}{architecture}-{scheme}"
    config = f"""version: 1
name: opened
data: {{folder: data, partition: modality}}
model: {{folder: {architecture}{f", peft: {methods}" if methods else ""}}}
units: {{scheme: {scheme}, selectable: blocks, always: [head]}}
run:
  strategies: [f3ocus]
  seeds: [1]
  rounds: 2
  budget: 2
  score: {{samples: 2}}
  local: {{steps: 3, batch_size: 4, learning_rate: 0.03}}
"""
    return run_config(strata, out, config)


def run_config(strata, out, config):
    file = out.parent / f"{out.name}.yaml"
    file.write_text(config)
    command = [strata, "run", file.name, "--out", out.name, "--threads", "1"]
    done = subprocess.run(command, cwd=out.parent, capture_output=True, text=True)
    assert done.returncode == 0, (out.name, done.stderr)
    return out


def class_of(architecture):
    return {
        "vit": transformers.ViTForImageClassification,
        "vilt": transformers.ViltForQuestionAnswering,
        "resnet": transformers.ResNetForImageClassification,
    }[architecture]


def bare_folder(out):
    """The files of the run's base model without what lies beside it."""
    folder = out / "bare"
    folder.mkdir(exist_ok=True)
    for file in ["config.json", "model.safetensors"]:
        shutil.copy(out / "model" / file, folder / file)
    return folder


def bare(out, architecture):
    return class_of(architecture).from_pretrained(bare_folder(out)).eval()


def inputs_of(architecture, data, examples):
    pixels = [numpy.asarray(Image.open(data / line["image"])) for line in examples]
    inputs = {"pixel_values": torch.tensor(numpy.stack(pixels)).permute(0, 3, 1, 2) / 127.5 - 1}
    if architecture == "vilt":
        texts = [["[CLS]", *line["question"].split(), "[SEP]"] for line in examples]
        longest = max(map(len, texts))
        ids = [[WORDS.index(word) for word in text] for text in texts]
        inputs["input_ids"] = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
        inputs["attention_mask"] = (inputs["input_ids"] != 0).long()
    return inputs


def losses(logits, examples):
    targets = torch.tensor([LABELS.index(line["answers"][0]) for line in examples])
    each = torch.nn.functional.cross_entropy(logits.double(), targets, reduction="none")
    return {
        client: each[[line["client"] == client for line in examples]].mean().item()
        for client in CLIENTS
    }


def measured(out):
    """Strata's own test losses after the last round, by client."""
    with open(out / "metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["round"] == "2"]
    return {row["client"]: float(row["test_loss"]) for row in rows if row["client"] in CLIENTS}


def check_base(out, architecture):
    """from_pretrained(RUN/model) gives the base model, every weight of it."""
    model, info = class_of(architecture).from_pretrained(out / "model", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    assert not getattr(model, "_hf_peft_config_loaded", False)
    theirs = bare(out, architecture).state_dict()
    assert all(torch.equal(weight, theirs[name]) for name, weight in model.state_dict().items())


def check_losses(out, architecture, data, examples):
    """The opened base model has the test losses that Strata measured."""
    with torch.no_grad():
        logits = bare(out, architecture)(**inputs_of(architecture, data, examples)).logits
    theirs = measured(out)
    for client, loss in losses(logits, examples).items():
        assert abs(loss - theirs[client]) < 1e-5, (out.name, loss, theirs[client])


def merged(out, architecture):
    """The base model with the pairs added by hand: what every way of loading must compute."""
    model = bare(out, architecture)
    config = json.loads((out / "model" / "adapter_config.json").read_text())
    pairs = load_file(out / "model" / "adapter_model.safetensors")
    modules = dict(model.named_modules())
    merged_modules = 0
    with torch.no_grad():
        for name, a in pairs.items():
            module, lora, _ = name.removeprefix("base_model.model.").partition(".lora_A")
            # ViT's pairs stand there under both names, of which one is that of this transformers.
            if not lora or module not in modules:
                continue
            b = pairs[name.replace(".lora_A.", ".lora_B.")]
            modules[module].weight += config["lora_alpha"] / config["r"] * b @ a
            merged_modules += 1
    assert merged_modules > 0
    return model


def check_lora(out, architecture, data, examples):
    inputs = inputs_of(architecture, data, examples)
    with torch.no_grad():
        plain = bare(out, architecture)(**inputs).logits
        expected = merged(out, architecture)(**inputs).logits
    assert (plain - expected).abs().max() > 1e-3, "the pairs do nothing: nothing is tested"

    base = class_of(architecture)
    loaded = {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded["from_pretrained"] = base.from_pretrained(out / "model", **beside(out / "model"))
        loaded["PeftModel"] = peft.PeftModel.from_pretrained(bare(out, architecture), out / "model")
        loaded["load_adapter"] = bare(out, architecture)
        loaded["load_adapter"].load_adapter(str(out / "model"))
    said = [str(warning.message) for warning in caught if "key" in str(warning.message)]
    assert not said, said
    theirs = measured(out)
    for way, model in loaded.items():
        with torch.no_grad():
            logits = model.eval()(**inputs).logits
        difference = (logits - expected).abs().max().item()
        assert difference < 1e-5, (out.name, way, difference)
        for client, loss in losses(logits, examples).items():
            assert abs(loss - theirs[client]) < 1e-5, (out.name, way, loss, theirs[client])


def beside(folder):
    """What from_pretrained needs to be told of a base model that lies beside its adapter.

    Before version 5, transformers looks for the base where adapter_config.json says it is, and that can only
    be said with a path that is wrong as soon as the folder is moved.
    """
    if int(transformers.__version__.split(".")[0]) >= 5:
        return {}
    return {"adapter_kwargs": {"_adapter_model_path": str(folder)}}


def trainable(model):
    return [name for name, weight in model.named_parameters() if weight.requires_grad]


def layer_of(name):
    found = re.search(r"\.(?:layers?|h|blocks?)\.(\d+)\.", name)
    return int(found[1]) if found else None


def trained_pairs(names):
    """(block, linear layer) → names of its pair's two matrices, of trainable names."""
    pairs = collections.defaultdict(set)
    for name in names:
        if ".lora_" in name:
            pairs[layer_of(name), name.split(".lora_")[0]].add(name)
    return pairs


def check_clients(out, architecture, kinds):
    """Each client's adapter_config.json trains LoRA pairs in the planned layers, and nothing else."""
    for number in ["001", "002"]:
        round_folder = out / "rounds" / number
        plan = json.loads((round_folder / "plan.json").read_text())
        for client, units in plan["clients"].items():
            model = peft.get_peft_model(
                bare(out, architecture), peft.LoraConfig.from_pretrained(round_folder / client)
            )
            names = trainable(model)
            assert names and all(".lora_" in name for name in names), names
            pairs = trained_pairs(names)
            layers = {int(unit.rpartition(".")[2]) for unit in units}
            assert {layer for layer, _ in pairs} == layers, (client, units, names)
            assert len(pairs) == kinds * len(layers), names
            assert all(len(pair) == 2 for pair in pairs.values()), names


def check_runs(strata, folder):
    examples = read_tests(folder / "data")
    for architecture in ["vilt", "vit"]:
        for scheme, methods in [
            ("adapter", "{adapters: {reduction: 4}}"),
            ("layernorm+prompt", "{prompts: {length: 2}}"),
        ]:
            out = run(strata, folder, architecture, scheme, methods)
            check_base(out, architecture)
            print(f"{architecture}, {scheme}: from_pretrained opens the base model")
        every = "[query, key, value, output.dense, intermediate.dense]"
        for scheme, methods, kinds in [
            ("lora", "{lora: {rank: 2, alpha: 3}}", 2),
            ("adapter+lora", "{adapters: {reduction: 4}, lora: {rank: 2, targets: [value]}}", 1),
            ("lora+layernorm", f"{{lora: {{rank: 2, targets: {every}}}}}", 6),
            ("lora+bias", "{lora: {rank: 2, targets: [fc2]}}", 1),
        ]:
            out = run(strata, folder, architecture, scheme, methods)
            if "adapter" not in scheme:
                check_lora(out, architecture, folder / "data", examples)
            check_clients(out, architecture, kinds)
            print(f"{architecture}, {scheme}: three ways to load, and the clients' files train")


def check_resnet(strata, folder):
    examples = read_tests(folder / "data")
    for scheme in ["block", "norm", "bias"]:
        out = run(strata, folder, "resnet", scheme, "")
        check_base(out, "resnet")
        check_losses(out, "resnet", folder / "data", examples)
        print(f"resnet, {scheme}: from_pretrained opens the model, with Strata's losses")


def check_exports(strata, folder):
    """What `strata export` writes of a run, put into the foundation by PEFT or load_state_dict, is the run's model."""
    data = folder / "data"
    examples = [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]
    for architecture in ["vit", "resnet"]:
        inputs = inputs_of(architecture, data, examples)
        beside = ["lora", "lora+bias+only"] if architecture == "vit" else []
        for scheme in ["norm+only", "norm", "bias+only", "block"] + beside:
            out = folder / f"{architecture}-{scheme}"
            if scheme in beside:
                out = run(strata, folder, architecture, scheme, "{lora: {rank: 2}}", "exported-")
            elif not out.exists():
                run(strata, folder, architecture, scheme, "")
            command = [strata, "export", out / "model", "--base", folder / architecture, "--out", out / "changes"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            model = class_of(architecture).from_pretrained(folder / architecture).eval()
            with torch.no_grad():
                before = model(**inputs).logits
                whole = bare(out, architecture)
                if scheme in beside:
                    whole = peft.PeftModel.from_pretrained(whole, out / "model").eval()
                expected = whole(**inputs).logits
            names = set(model.state_dict())
            if (out / "changes" / "adapter_config.json").exists():
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    model = peft.PeftModel.from_pretrained(model, out / "changes")
                said = [str(warning.message) for warning in caught if "key" in str(warning.message)]
                assert not said, said
                config = model.peft_config["default"]
                assert (config.peft_type.value == "LORA") == (scheme in beside), config
                if scheme in beside:
                    assert config.bias == ("all" if "bias" in scheme else "none"), config
                    assert "classifier" in config.modules_to_save, config
                    assert not (out / "changes" / "partial.safetensors").exists()
                way = f"PEFT's {config.peft_type.value}"
            else:
                changes = load_file(out / "changes" / "partial.safetensors")
                assert names & set(changes), changes.keys()
                assert architecture == "vit" or set(changes) <= names, changes.keys()
                model.load_state_dict(changes, strict=False)
                way = "partial.safetensors"
            with torch.no_grad():
                logits = model.eval()(**inputs).logits
            assert torch.equal(logits, expected), (out.name, (logits - expected).abs().max())
            assert (logits - before).abs().max() > 1e-4, out.name
            # The only biases of a ResNet's body are its norms'.
            norms = scheme.startswith("norm") or (architecture, scheme) == ("resnet", "bias+only")
            assert (way == "PEFT's LN_TUNING") == norms, (out.name, way)
            print(f"{architecture}, {scheme}: exported as {way}, which in the foundation gives the run's logits")


HUB_METHODS = {
    "seq_bn": ("adapter", "{adapters: {reduction: 4}}"),
    "double_seq_bn": ("adapter", "{adapters: {reduction: 4, placement: houlsby}}"),
    "par_bn": ("adaptformer", "{adaptformer: {bottleneck: 3, scale: 0.5}}"),
}


def check_adapter_hub(strata, folder):
    """AdapterHub's `adapters` loads what `strata export` writes for it, with Strata's losses; and Strata reads what
    `save_adapter` writes, with its logits."""
    try:
        import adapters
    except ImportError:
        print("adapters is not installed: its folders are not opened")
        return
    data = folder / "data"
    examples = read_tests(data)
    inputs = inputs_of("vit", data, examples)
    (folder / "hub").mkdir()
    for form, (scheme, method) in HUB_METHODS.items():
        out = run(strata, folder, "vit", scheme, method).rename(folder / "hub" / form)
        command = [strata, "export", out / "model", "--base", folder / "vit", "--out", out / "changes"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        model = bare(out, "vit")
        with torch.no_grad():
            plain = losses(model(**inputs).logits, examples)
        adapters.init(model)
        name = model.load_adapter(str(out / "changes" / "adapterhub"), use_safetensors=True, set_active=True)
        with torch.no_grad():
            found = losses(model.eval()(**inputs).logits, examples)
        theirs = measured(out)
        assert any(abs(plain[client] - theirs[client]) > 1e-4 for client in CLIENTS), (form, "does nothing")
        for client, loss in found.items():
            assert abs(loss - theirs[client]) < 1e-5, (form, loss, theirs[client])

        both = bare_folder(out)
        with torch.no_grad():
            for weight_name, weight in model.named_parameters():
                if f".adapters.{name}." in weight_name:
                    weight.add_(0.1 * torch.randn(weight.shape))
        model.save_adapter(str(both), name, use_safetensors=True)
        command = [strata, "evaluate", both, "--data", data, "--predictions", out / "lines.jsonl", "--logits"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        read = [json.loads(line)["logits"] for line in (out / "lines.jsonl").read_text().splitlines()]
        with torch.no_grad():
            logits = model(**inputs).logits
        difference = (torch.tensor(read) - logits).abs().max().item()
        assert difference < 1e-5, (form, difference)
        print(f"vit, {form}: AdapterHub opens it with Strata's losses, and Strata AdapterHub's with its logits")


METHODS = {
    "vit": {
        "lora": "{lora: {rank: 2, dora: true, targets: [query, fc2]}}",
        "ia3": "{ia3: {}}",
        "vera": "{vera: {rank: 4, targets: [value, fc1]}}",
        "loha": "{loha: {rank: 2}}",
        "lokr": "{lokr: {rank: 1}}",
        "oft": "{oft: {block: 4, targets: [query, fc2]}}",
    },
    "resnet": {
        "lora": "{lora: {rank: 2, targets: [convolution]}}",
        "ia3": "{ia3: {targets: [convolution], feedforward: []}}",
        "loha": "{loha: {rank: 2, targets: [convolution]}}",
        "lokr": "{lokr: {rank: 1, targets: [convolution]}}",
    },
}


def transformers_loads(method):
    """Whether transformers by itself loads such a folder of PEFT's own. VeRA's shared matrices it never does, and
    of DoRA transformers 5 leaves the trained lengths out without a word (seen in 5.24.0 with peft 0.21.2)."""
    return "vera" not in method and not ("dora" in method and int(transformers.__version__.split(".")[0]) >= 5)


def peft_loads(method):
    """PEFT 0.17.1 passes over a VERA folder's shared matrices, its own folders' too, and draws others from the key; of
    OFT's series it counts the last term twice. 0.21.2 does neither."""
    return tuple(map(int, peft.__version__.split(".")[:3])) > (0, 17, 1) or not ("vera" in method or "oft" in method)


def check_methods(strata, folder):
    """PEFT and transformers load what runs wrote of every method that PEFT has, and merged models, and compute
    Strata's own test losses with them."""
    data = folder / "data"
    examples = read_tests(data)
    for architecture, methods in METHODS.items():
        inputs = inputs_of(architecture, data, examples)
        for scheme, method in methods.items():
            (folder / "methods").mkdir(exist_ok=True)
            out = run(strata, folder, architecture, scheme, method, "method-").rename(
                folder / "methods" / f"{architecture}-{scheme}")
            subprocess.run([strata, "merge", out / "model", "--out", out / "merged"], check=True,
                           stdout=subprocess.DEVNULL)
            theirs = measured(out)
            base = class_of(architecture)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                loaded = {"merged": base.from_pretrained(out / "merged")}
                if peft_loads(method):
                    loaded["PeftModel"] = peft.PeftModel.from_pretrained(bare(out, architecture), out / "model")
                if transformers_loads(method) and peft_loads(method):
                    loaded["from_pretrained"] = base.from_pretrained(out / "model", **beside(out / "model"))
                    loaded["load_adapter"] = bare(out, architecture)
                    loaded["load_adapter"].load_adapter(str(out / "model"))
            said = [str(warning.message) for warning in caught if "key" in str(warning.message)]
            assert not said, said
            with torch.no_grad():
                plain = losses(bare(out, architecture)(**inputs).logits, examples)
                found = {way: losses(model.eval()(**inputs).logits, examples) for way, model in loaded.items()}
            assert any(abs(plain[client] - theirs[client]) > 1e-4 for client in CLIENTS), (out, "does nothing")
            for way, each in found.items():
                for client, loss in each.items():
                    assert abs(loss - theirs[client]) < 1e-5, (out.name, way, loss, theirs[client])
            print(f"{architecture}, {scheme}: {len(loaded)} ways to load, with Strata's losses")


def character_tokenizer(image):
    """tokenizer.json whose tokens are single characters; `image` is the id of <image>."""
    vocabulary = {token: number for number, token in enumerate(["<pad>", "<s>", "</s>"])}
    for character in "abcdefghijklmnopqrstuvwxyz0123456789 ?.,:#":
        vocabulary[character] = len(vocabulary)
    while len(vocabulary) < image:
        vocabulary[f"<unused{len(vocabulary)}>"] = len(vocabulary)
    added = [
        dict(id=number, content=content, special=True, normalized=False, lstrip=False, rstrip=False, single_word=False)
        for number, content in [(0, "<pad>"), (1, "<s>"), (2, "</s>"), (image, "<image>")]
    ]
    model = dict(type="BPE", dropout=None, unk_token="#", continuing_subword_prefix=None, end_of_word_suffix=None,
                 fuse_unk=False, byte_fallback=False, vocab=vocabulary, merges=[])
    return json.dumps(dict(version="1.0", added_tokens=added, normalizer=None, pre_tokenizer=None, post_processor=None,
                           decoder=dict(type="Fuse"), model=model))


def check_speaking(strata, folder):
    """Every model that answers in words, saved by this transformers: after a run it opens there as it was, but for
    what was trained."""
    for reference in vlm_models.references():
        if reference.write:
            continue
        foundation = folder / reference.name
        model = reference.build(11)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.1 * torch.randn(weight.shape))
        model.save_pretrained(foundation)
        config = reference.config
        if reference.own_pixels:  # and a tokenizer
            vlm_tiles.write(foundation)
        else:
            image = config.get("image_token_id", config.get("image_token_index"))
            (foundation / "tokenizer.json").write_text(character_tokenizer(image))
        for scheme, methods in [("block", ""), ("lora", "{lora: {rank: 2, targets: [%s]}}")]:
            target = "q" if config["text_config"]["model_type"] == "t5" else "q_proj"
            peft_key = f", peft: {methods % target}" if methods else ""
            out = folder / f"{reference.name}-{scheme}"
            run_config(strata, out, f"""version: 1
name: opened
task: answer_generation
data: {{folder: data, partition: modality, prompt: "<image>{{question}} "}}
model: {{folder: {reference.name}{peft_key}}}
units: {{scheme: {scheme}, selectable: blocks}}
run:
  strategies: [f3ocus]
  seeds: [1]
  rounds: 1
  budget: 1
  score: {{samples: 2}}
  local: {{steps: 2, batch_size: 2, learning_rate: 0.03}}
""")
            opened, info = type(model).from_pretrained(bare_folder(out), output_loading_info=True)
            assert not info["missing_keys"] and not info["unexpected_keys"], (reference.name, info)
            before = model.state_dict()
            changed = {name for name, weight in opened.state_dict().items() if not torch.equal(weight, before[name])}
            blocks = {re.match(r"(.*?\.(?:layers?|block)\.\d+)\.", name) for name in changed}
            if scheme == "lora":
                assert not changed, (reference.name, changed)
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    adapted = peft.PeftModel.from_pretrained(opened, out / "model")
                said = [str(warning.message) for warning in caught if "key" in str(warning.message)]
                assert not said, (reference.name, said)
                seconds = [weight for name, weight in adapted.named_parameters() if ".lora_B." in name]
                assert seconds and any(weight.abs().max() > 0 for weight in seconds), reference.name
            else:
                assert changed and None not in blocks and len({found[1] for found in blocks}) <= 2, (reference.name, changed)
            print(f"{reference.name}, {scheme}: opens without missing or unexpected weights")


def tiny(model_type):
    """A tiny random model of a family."""
    t = transformers
    small = dict(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, vocab_size=20
    )
    image = dict(image_size=16, patch_size=8)
    decoder = dict(num_key_value_heads=2, head_dim=8, **small)
    vision = {key: value for key, value in small.items() if key != "vocab_size"} | image
    return {
        "vilt": lambda: t.ViltForQuestionAnswering(t.ViltConfig(**small, **image)),
        "vit": lambda: t.ViTForImageClassification(t.ViTConfig(**vision)),
        "deit": lambda: t.DeiTForImageClassification(t.DeiTConfig(**vision)),
        "bert": lambda: t.BertForSequenceClassification(t.BertConfig(**small)),
        "roberta": lambda: t.RobertaForSequenceClassification(t.RobertaConfig(**small)),
        "xlm-roberta": lambda: t.XLMRobertaForSequenceClassification(t.XLMRobertaConfig(**small)),
        "electra": lambda: t.ElectraForSequenceClassification(t.ElectraConfig(embedding_size=16, **small)),
        "distilbert": lambda: t.DistilBertForSequenceClassification(
            t.DistilBertConfig(dim=16, hidden_dim=32, n_layers=3, n_heads=2, vocab_size=20)
        ),
        "deberta-v2": lambda: t.DebertaV2ForSequenceClassification(t.DebertaV2Config(**small)),
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**decoder)),
        "mistral": lambda: t.MistralForCausalLM(t.MistralConfig(**decoder)),
        "mixtral": lambda: t.MixtralForCausalLM(t.MixtralConfig(num_local_experts=2, **decoder)),
        "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(num_key_value_heads=2, **small)),
        "qwen3": lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**decoder)),
        "gemma": lambda: t.GemmaForCausalLM(t.GemmaConfig(**decoder)),
        "gemma2": lambda: t.Gemma2ForCausalLM(t.Gemma2Config(**decoder)),
        "opt": lambda: t.OPTForCausalLM(
            t.OPTConfig(
                hidden_size=16, word_embed_proj_dim=16, ffn_dim=32, num_hidden_layers=3,
                num_attention_heads=2, vocab_size=20,
            )
        ),
        "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(n_embd=16, n_layer=3, n_head=2, vocab_size=20)),
        "gpt_neox": lambda: t.GPTNeoXForCausalLM(t.GPTNeoXConfig(**small)),
    }[model_type]()


# Of the plan below: "ct" trains two layers, "mri" one and the head.
SCORES = "client,layer0,layer1,layer2,head\nct,9,0,8,0\nmri,0,9,0,8\n"
CLASSIFIERS = "vilt vit deit bert roberta xlm-roberta electra distilbert deberta-v2".split()
DECODERS = "llama mistral mixtral qwen2 qwen3 gemma gemma2 opt gpt2 gpt_neox".split()
HEADS = {
    "vilt": {"vilt.layernorm", "vilt.pooler", "classifier"},
    "vit": {"vit.layernorm", "classifier"},
    "deit": {"deit.layernorm", "classifier"},
    "bert": {"bert.pooler", "classifier"},
    "distilbert": {"pre_classifier", "classifier"},
    "deberta-v2": {"pooler", "classifier"},
}
LAST_NORMS = {
    "opt": "model.decoder.final_layer_norm",
    "gpt2": "transformer.ln_f",
    "gpt_neox": "gpt_neox.final_layer_norm",
}
ONE_MATRIX = {"gpt2", "gpt_neox"}  # query, key and value are one linear layer


def check_preset(strata, folder, family, arguments, heads):
    """Exactly the planned layers train, and the head where it was planned."""
    out = f"peft-{'-'.join(arguments)}"
    command = [strata, "plan", "--scores", "scores.csv", "--budget", "2", "--algorithm", "topk"]
    command += ["--adapters", out, *arguments]
    if not (folder / out).exists():
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    for client, layers, head in [("ct", {0, 2}, set()), ("mri", {1}, heads)]:
        config = peft.LoraConfig.from_pretrained(folder / out / client)
        names = trainable(peft.get_peft_model(tiny(family), config))
        pairs = trained_pairs(names)
        assert {layer for layer, _ in pairs} == layers, (family, client, names)
        assert len(pairs) == (1 if family in ONE_MATRIX else 2) * len(layers), (family, names)
        saved = {
            name.removeprefix("base_model.model.").split(".modules_to_save.")[0]
            for name in names
            if ".lora_" not in name
        }
        assert saved == head, (family, client, saved, head)


def check_ranks(strata, folder, family):
    """Every pair has the rank that was planned for its layer, and they all have the same weight."""
    (folder / "ranks.csv").write_text("client,layer0,layer1,layer2\nct,9,1,4\nmri,0,9,8\n")
    command = [strata, "plan", "--scores", "ranks.csv", "--budget", "5", "--ranks", "4", "--algorithm", "topk"]
    command += ["--out", "ranks.json", "--adapters", f"ranks-{family}", "--adapter-model", family]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    plan = json.loads((folder / "ranks.json").read_text())
    assert plan["clients"]["ct"] == {"layer0": 4, "layer2": 1} and plan["clients"]["mri"] == {"layer1": 3, "layer2": 2}
    for client, planned in plan["clients"].items():
        config = peft.LoraConfig.from_pretrained(folder / f"ranks-{family}" / client)
        found = {}
        for name, module in peft.get_peft_model(tiny(family), config).named_modules():
            if hasattr(module, "lora_A") and len(module.lora_A):
                layer = "layer" + next(part for part in name.split(".") if part.isdigit())
                found.setdefault(layer, set()).add(module.lora_A["default"].weight.shape[0])
                assert module.scaling["default"] == 1, (family, name, module.scaling)
        assert found == {layer: {rank} for layer, rank in planned.items()}, (family, client, found)


def check_weights(strata, folder, family, heads):
    """Of the model's own weights those of the planned layers and head train, by either export and either reader."""
    model = tiny(family)
    names = [name for name, _ in model.named_parameters()]
    command = [strata, "plan", "--scores", "scores.csv", "--budget", "2", "--algorithm", "topk"]
    command += ["--export", f"requires_grad:{family}.json", "--export", f"unfrozen:unfrozen-{family}"]
    done = subprocess.run([*command, "--export-model", family], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and "warning" not in done.stderr, done.stderr
    clients = json.loads((folder / f"{family}.json").read_text())["clients"]
    for client, layers, head in [("ct", {0, 2}, set()), ("mri", {1}, heads)]:
        lines = (folder / f"unfrozen-{family}" / client / "unfrozen_parameters.yaml").read_text().splitlines()
        assert [line[2:] for line in lines if line.startswith("- ")] == clients[client], (family, client)
        # As axolotl compiles them, too.
        for patterns in [clients[client], [re.sub(r"\.(?!\+)", r"\.", pattern) for pattern in clients[client]]]:
            trained = {name for name in names if any(re.match(pattern, name) for pattern in patterns)}
            found = {name: re.search(r"(?:^|[.])(?:layer|layers|h)[.]([0-9]+)[.]", name) for name in names}
            expected = {name for name in names if found[name] and int(found[name][1]) in layers}
            # A head that shares the embeddings' weights has no name of its own.
            expected |= {name for name in names if any(f".{name}".find(f".{part}.") >= 0 for part in head)}
            assert trained == expected, (family, client, trained ^ expected)


def check_plans(strata, folder):
    (folder / "scores.csv").write_text(SCORES)
    for family in CLASSIFIERS + DECODERS:
        model = tiny(family)
        # GPT-NeoX's was renamed.
        output = "embed_out" if hasattr(model, "embed_out") else "lm_head"
        heads = HEADS.get(family, {"classifier"})
        if family in DECODERS:
            heads = {LAST_NORMS.get(family, "model.norm"), output}
        config = model.config.to_dict() | {"architectures": [type(model).__name__]}
        (folder / f"{family}-model").mkdir()
        (folder / f"{family}-model" / "config.json").write_text(json.dumps(config, default=str))
        check_preset(strata, folder, family, ["--adapter-model", family], heads)
        check_preset(strata, folder, family, ["--adapter-model", f"{family}-model"], heads)
        check_ranks(strata, folder, family)
        check_weights(strata, folder, family, heads)
        print(f"plan --adapter-model {family}: exactly the planned layers and the head train, at the planned ranks")
    for family in ["vilt", "vit", "deit", "bert", "roberta", "electra", "llama", "mistral", "qwen2", "opt"]:
        head = {"lm_head"} if family in DECODERS else {"classifier"}
        check_preset(strata, folder, family, [], head)
        print(f"plan --adapters, {family}: exactly the planned layers and the head train")


PARTS = {
    "plans": check_plans,
    "runs": check_runs,
    "resnet": check_resnet,
    "exports": check_exports,
    "adapter_hub": check_adapter_hub,
    "methods": check_methods,
    "speaking": check_speaking,
    "sam": sam_opens.check,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("strata", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(f"transformers {transformers.__version__}, peft {peft.__version__}, torch {torch.__version__}", flush=True)
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        (folder / "data").mkdir()
        make_data(folder / "data")
        make_foundations(folder)
        for name in arguments.only:
            PARTS[name](str(arguments.strata.resolve()), folder)
    print("all opened")


if __name__ == "__main__":
    main()
