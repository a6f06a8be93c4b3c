"""`strata plan --export` and the methods of `Plan` say the same of one plan and model."""

import json
import re

import pytest

import strata_fl as st

SCORES = "client,block.0,block.1,block.2,head\nct,5,1,3,4\nmri,1,4,2,6\n"
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2}


@pytest.fixture
def exported(strata, tmp_path):
    """Runs the export; the plan, the patterns of `requires_grad`, and the folder of the others."""

    def run(scores=SCORES, budget=2, model=None, ranks=0, numbered=True):
        (tmp_path / "scores.csv").write_text(scores)
        kinds = ["peft:peft"] if numbered else []
        kinds += [] if ranks else ["unfrozen:unfrozen", "requires_grad:trained.json"]
        command = ["plan", "--scores", "scores.csv", "--budget", budget, "--algorithm", "topk", "--out", "plan.json"]
        command += [part for kind in kinds for part in ("--export", kind)]
        command += ["--export-model", model] if model else []
        strata(*command, *(["--ranks", ranks] if ranks else []))
        plan = st.read_plan(tmp_path / "plan.json")
        return plan, None if ranks else json.loads((tmp_path / "trained.json").read_text())["clients"]

    return run


def unfrozen(tmp_path, client):
    lines = (tmp_path / "unfrozen" / client / "unfrozen_parameters.yaml").read_text().splitlines()
    return [line[2:] for line in lines if line.startswith("- ")]


def test_without_a_model(exported, tmp_path):
    plan, patterns = exported()
    for client in plan:
        found = plan.unfrozen_parameters(client)
        assert found == patterns[client] == unfrozen(tmp_path, client)
    assert len(patterns["mri"]) == 6  # a block, and five names that heads have
    plan, patterns = exported("client,layer7,layer_11\nct,6,5\nmri,6,5\n")
    assert plan.unfrozen_parameters("ct") == patterns["ct"]
    units = "embeddings,a.layers.3.mlp,vision.block.3,score"
    plan, patterns = exported(f"client,{units}\nct,6,5,4,3\nmri,6,5,4,3\n", 4, numbered=False)
    with pytest.warns(UserWarning, match='"embeddings", "a.layers.3.mlp", "vision.block.3": taken for parts'):
        assert plan.unfrozen_parameters("ct") == patterns["ct"]


def test_two_towers_are_refused_by_both(strata, tmp_path):
    (tmp_path / "scores.csv").write_text("client,block.0,vision.block.0\nct,2,1\n")
    plan = st.plan(str(tmp_path / "scores.csv"), 1)
    why = "the units are of several towers"
    with pytest.raises(ValueError, match=why):
        plan.unfrozen_parameters("ct")
    for kind in ("unfrozen:out", "requires_grad:out.json", "peft:out"):
        done = strata("plan", "--scores", "scores.csv", "--budget", 1, "--export", kind, check=False)
        assert done.returncode == 2 and why in done.stderr


def tiny(kind):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config, model = {
        "llama": ("LlamaConfig", "LlamaForCausalLM"),
        "bert": ("BertConfig", "BertForSequenceClassification"),
        "roberta": ("RobertaConfig", "RobertaForSequenceClassification"),
        "vilt": ("ViltConfig", "ViltForQuestionAnswering"),
        "opt": ("OPTConfig", "OPTForCausalLM"),
        "vit": ("ViTConfig", "ViTForImageClassification"),
    }[kind]
    own = {"image_size": 16, "patch_size": 8} if kind in ("vit", "vilt") else {"vocab_size": 32}
    own |= {"ffn_dim": 24, "word_embed_proj_dim": 16} if kind == "opt" else {}
    return getattr(transformers, model)(getattr(transformers, config)(**SIZES, **own))


def matched(model, patterns):
    return {name for name, _ in model.named_parameters() if any(re.match(each, name) for each in patterns)}


#: Of the unit "head", which holds all that stands behind the blocks: what is not the last layer.
BEHIND_THE_BLOCKS = {
    "llama": r"model\.norm\.",
    "bert": r"bert\.pooler\.",
    "vit": r"vit\.layernorm\.",
    "vilt": r"vilt\.(layernorm|pooler)\.",
    "opt": r"model\.decoder\.final_layer_norm\.",
}


@pytest.mark.parametrize("kind", ["llama", "bert", "roberta", "vit", "vilt", "opt"])
@pytest.mark.parametrize("has_weights", [True, False])
def test_the_same_weights_train(exported, tmp_path, kind, has_weights):
    model = tiny(kind)
    model.save_pretrained(tmp_path / "model")
    plan, patterns = exported(model="model" if has_weights else kind)
    for client in plan:
        applied = set(plan.apply(model, client))
        assert matched(model, plan.unfrozen_parameters(client, model)) == applied
        if "head" in plan[client] and kind in BEHIND_THE_BLOCKS:
            assert any(re.match(BEHIND_THE_BLOCKS[kind], name) for name in applied)
        assert matched(model, patterns[client]) == matched(model, unfrozen(tmp_path, client)) == applied
    # Without a model: the last layer, by the names that it has in most.
    behind = matched(model, [BEHIND_THE_BLOCKS.get(kind, "none")])
    assert matched(model, plan.unfrozen_parameters("mri")) == matched(model, patterns["mri"]) - behind


def test_modules_and_the_head_of_a_resnet(exported, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic")
    model = transformers.ResNetForImageClassification(config)
    model.save_pretrained(tmp_path / "model")
    scores = "client,resnet.encoder.stages.0,resnet.encoder.stages.1,head\nct,1,2,0\nmri,0,2,3\n"
    plan, patterns = exported(scores, 2, "model", numbered=False)
    for client in plan:
        applied = set(plan.apply(model, client))
        assert matched(model, plan.unfrozen_parameters(client, model)) == applied
        assert matched(model, patterns[client]) == applied
    assert {name for name in applied if ".stages." not in name} == {"classifier.1.weight", "classifier.1.bias"}


def pairs_and_copies(model):
    """Names that train in PEFT's model, and each pair's rank and factor."""
    ranks = {
        name: (module.r["default"], module.scaling["default"])
        for name, module in model.named_modules()
        if hasattr(module, "lora_A") and getattr(module, "r", None)
    }
    return {name for name, value in model.named_parameters() if value.requires_grad}, ranks


@pytest.mark.parametrize("ranks", [0, 4])
@pytest.mark.parametrize("kind", ["llama", "roberta", "bert", "vit", "vilt"])
def test_peft_trains_the_same(exported, tmp_path, kind, ranks):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    if ranks and not hasattr(peft.utils.other, "get_pattern_key"):
        pytest.skip("this PEFT has no patterns that begin with ^")
    scores = "client,block.0,block.1,block.2\nct,5,1,3\nmri,1,4,2\n" if ranks else SCORES
    plan, _ = exported(scores, 5 if ranks else 2, model=kind, ranks=ranks)
    targets = ["q_proj", "v_proj", "query", "value"]  # a ViT's were renamed
    for client in plan:
        theirs = peft.LoraConfig.from_pretrained(str(tmp_path / "peft" / client))
        base = peft.LoraConfig(target_modules=targets, task_type=theirs.task_type)
        ours = plan.peft_config(client, base, tiny(kind))
        found = pairs_and_copies(peft.get_peft_model(tiny(kind), theirs))
        assert found == pairs_and_copies(peft.get_peft_model(tiny(kind), ours))
        assert len(found[1]) == 2 * sum(unit.startswith("block") for unit in plan[client])
