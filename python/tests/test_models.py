"""Plans on models: requires_grad, PEFT's configurations, expressions of names. Needs torch, transformers, peft."""

import re

import numpy as np
import pytest

import strata_fl as st

torch = pytest.importorskip("torch", reason="torch is not installed: plans on models are not tested")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
peft = pytest.importorskip("peft", reason="peft is not installed")

LAYERS = 5


@pytest.fixture(scope="module")
def llama():
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=LAYERS,
            num_attention_heads=2,
            vocab_size=32,
        )
    )


def clip():
    small = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
    text = {**small, "num_hidden_layers": 3, "vocab_size": 32}
    vision = {**small, "num_hidden_layers": 4, "image_size": 16, "patch_size": 8}
    return transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    )


def plan_of(chosen, units, always=(), ranks=None):
    """A plan in which a client has exactly these units, or ranks."""
    scores = {c: {u: 1.0 if u in own else 0.0 for u in units} for c, own in chosen.items()}
    if ranks:
        found = st.plan(scores, {c: sum(own.values()) for c, own in chosen.items()}, ranks=ranks)
    else:
        # A unit of `always` must be in the scores.
        for row in scores.values():
            row.update(dict.fromkeys(always, 0.0))
        budgets = {c: len(own) for c, own in chosen.items()}
        found = st.plan(scores, budgets, choose="importance:100", always=list(always))
        for client, own in chosen.items():
            assert found[client] == [u for u in units if u in own]
    return found


BLOCKS = [f"block.{i}" for i in range(LAYERS)]


def trained(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def of_layers(model, *layers):
    return {n for n, _ in model.named_parameters() if re.match(rf"model\.layers\.({'|'.join(map(str, layers))})\.", n)}


def by_names(names, expressions):
    """As axolotl's freeze_layers_except reads them: from the beginning of names."""
    return {n for n in names if any(re.match(e, n) for e in expressions)}


def by_expressions(model, expressions):
    return by_names([n for n, _ in model.named_parameters()], expressions)


def parameters_of(model):
    units = {f"block.{i}": sorted(of_layers(model, i)) for i in range(LAYERS)}
    units["head"] = ["model.norm.weight", "lm_head.weight"]
    return units


def test_apply_by_parameters(llama):
    plan = plan_of({"a": ["block.1", "block.4"], "b": []}, BLOCKS, always=["head"])
    plan = plan.with_parameters(parameters_of(llama))
    head = {"model.norm.weight", "lm_head.weight"}
    assert set(plan.apply(llama, "a")) == trained(llama) == of_layers(llama, 1, 4) | head
    assert set(plan.apply(llama, "b")) == trained(llama) == head
    for client, expected in (("a", of_layers(llama, 1, 4) | head), ("b", head)):
        for model in (None, llama):
            assert by_expressions(llama, plan.unfrozen_parameters(client, model)) == expected
    layers = ["^model[.]layers[.]1[.]", "^model[.]layers[.]4[.]"]
    assert plan.unfrozen_parameters("a", llama)[:2] == layers
    # Expressions do as well as names.
    by_pattern = plan.with_parameters(
        {**{b: [rf"model\.layers\.{i}\..*"] for i, b in enumerate(BLOCKS)}, "head": ["lm_head.weight"]}
    )
    assert set(by_pattern.apply(llama, "a")) == of_layers(llama, 1, 4) | {"lm_head.weight"}
    expressions = by_pattern.unfrozen_parameters("a")
    assert by_expressions(llama, expressions) == of_layers(llama, 1, 4) | {"lm_head.weight"}
    # A unit that is a part of a layer is named parameter by parameter.
    part = [f"model.layers.1.{module}.weight" for module in ("self_attn.q_proj", "mlp.up_proj")]
    partly = plan.with_parameters({**parameters_of(llama), "block.1": part})
    for model in (llama, None):
        expressions = partly.unfrozen_parameters("a", model)
        assert by_expressions(llama, expressions) == {*part, *of_layers(llama, 4), *head}
    with pytest.raises(ValueError, match='parameters: none of the unit "block.0"'):
        plan.with_parameters({})
    with pytest.raises(ValueError, match='unit "block.1": the model has no parameters "x"'):
        plan.with_parameters(dict.fromkeys(plan.units + plan.always, ["x"])).apply(llama, "a")
    with pytest.raises(ValueError, match='no client "c"'):
        plan.apply(llama, "c")


def test_apply_by_the_models_blocks(llama):
    pytest.importorskip("strata_fl.scoring.units", reason="strata_fl.score is not there")
    plan = plan_of({"a": ["block.1", "block.4"], "b": ["block.0"]}, BLOCKS)
    assert set(plan.apply(llama, "a")) == of_layers(llama, 1, 4)
    assert by_expressions(llama, plan.unfrozen_parameters("a", llama)) == of_layers(llama, 1, 4)
    assert set(plan.apply(llama, "b")) == of_layers(llama, 0)
    numbered = plan_of({"a": ["layer1", "layer4"]}, [f"layer{i}" for i in range(LAYERS)])
    assert set(numbered.apply(llama, "a")) == of_layers(llama, 1, 4)
    # Names of modules are units, too.
    units = [f"model.layers.{i}.mlp" for i in range(LAYERS)] + ["lm_head"]
    plan = plan_of({"a": ["model.layers.2.mlp", "lm_head"]}, units)
    assert set(plan.apply(llama, "a")) == {
        n for n in of_layers(llama, 2) if ".mlp." in n
    } | {"lm_head.weight"}
    with pytest.raises(ValueError, match='unit "block.7": LlamaForCausalLM has no such unit'):
        plan_of({"a": ["block.7"]}, ["block.7", "block.0"]).apply(llama, "a")


def test_expressions_without_a_model():
    plan = plan_of({"a": ["block.1"]}, BLOCKS)
    names = ["model.layers.1.mlp.weight", "model.layers.11.mlp.weight", "h.1.w", "blocks.1.w", "x1.w"]
    patterns = plan.unfrozen_parameters("a")
    assert [n for n in names if re.match(patterns[0], n)] == [names[0], "h.1.w", "blocks.1.w"]
    with pytest.raises(ValueError, match="several towers"):
        plan_of({"a": ["block.1"]}, ["block.1", "vision.block.1"]).unfrozen_parameters("a")
    named = plan_of({"a": ["embeddings", "layers.1.mlp"]}, ["embeddings", "layers.1.mlp", "block.0"])
    with pytest.warns(UserWarning, match='"embeddings", "layers.1.mlp": taken for parts') as caught:
        assert by_names(names, named.unfrozen_parameters("a")) == {names[0]}
    assert caught[0].filename == __file__
    with pytest.raises(ValueError, match="several towers"):
        plan_of({"a": ["block.1"]}, ["block.1", "vision.block.1", "layers.1.mlp"]).unfrozen_parameters("a")


def lora_modules(model):
    """Module → (rank, alpha / rank) of every pair."""
    return {
        name.removeprefix("base_model.model."): (module.r["default"], module.scaling["default"])
        for name, module in model.named_modules()
        if hasattr(module, "lora_A") and getattr(module, "r", None)
    }


def adapted(model, config):
    import copy

    return peft.get_peft_model(copy.deepcopy(model), config)


LORA = {"r": 4, "lora_alpha": 8, "task_type": "CAUSAL_LM"}


@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], r".*\.(q_proj|v_proj)", "all-linear"])
def test_peft_trains_the_planned_layers(llama, targets):
    plan = plan_of({"a": ["block.1", "block.4"], "b": ["block.0"]}, BLOCKS)
    base = peft.LoraConfig(target_modules=targets, **LORA)
    before = base.to_dict()
    for client, layers in (("a", [1, 4]), ("b", [0])):
        model = adapted(llama, plan.peft_config(client, base))
        found = lora_modules(model)
        every = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        wanted = every if targets == "all-linear" else ["q_proj", "v_proj"]
        assert {(int(n.split(".")[2]), n.rpartition(".")[2]) for n in found} == {
            (layer, name) for layer in layers for name in wanted
        }
        assert set(found.values()) == {(4, 2.0)}
        assert all("lora_" in name for name in trained(model))
    assert base.to_dict() == before


@pytest.mark.parametrize("rslora", [False, True])
def test_peft_trains_at_the_planned_ranks(llama, rslora):
    scores = {"a": [6.0, 3, 1, 0, 0], "b": [0.0, 0, 4, 2, 1]}
    plan = st.plan(scores, {"a": 7, "b": 9}, ranks=4, choose="importance:100")
    base = peft.LoraConfig(target_modules=["q_proj"], use_rslora=rslora, **LORA)
    usual = set(lora_modules(adapted(llama, base)).values())
    if not hasattr(peft.utils.other, "get_pattern_key"):
        with pytest.raises(ValueError, match="no patterns that begin with"):
            plan.peft_config("a", base)
        return
    for client in plan:
        found = lora_modules(adapted(llama, plan.peft_config(client, base)))
        ranks = {f"model.layers.{u.split('.')[1]}.self_attn.q_proj": r for u, r in plan[client].items()}
        assert {name: rank for name, (rank, _) in found.items()} == ranks
        assert {round(scale, 12) for _, scale in found.values()} == {round(s, 12) for _, s in usual}
    assert len({rank for chosen in plan.values() for rank in chosen.values()}) > 2


def test_peft_of_two_towers_by_parameters():
    model = clip()
    paths = {"block": "text_model.encoder.layers", "vision.block": "vision_model.encoder.layers"}
    names = [name for name, _ in model.named_parameters()]
    if not any(name.startswith(paths["block"]) for name in names):
        paths = {k: v.replace("_model.encoder", "_model.encoder") for k, v in paths.items()}
    sizes = {"block": 3, "vision.block": 4}
    parameters = {
        f"{tower}.{i}": [n for n in names if n.startswith(f"{path}.{i}.")]
        for tower, path in paths.items()
        for i in range(sizes[tower])
    }
    plan = plan_of({"a": ["block.1", "vision.block.3"]}, list(parameters))
    base = peft.LoraConfig(target_modules=["q_proj", "fc1"], r=4)
    with pytest.raises(ValueError, match="several towers"):
        plan.peft_config("a", base)
    plan = plan.with_parameters(parameters)
    found = lora_modules(adapted(model, plan.peft_config("a", base)))
    assert set(found) == {
        f"{path}.{layer}.{part}"
        for path, layer in ((paths["block"], 1), (paths["vision.block"], 3))
        for part in ("self_attn.q_proj", "mlp.fc1")
    }
    # Scored on the model itself, applied to PEFT's model of it: the pairs beside the units' weights.
    everywhere = adapted(model, base)
    chosen = plan.apply(everywhere, "a")
    assert {name.split(".lora_")[0].removeprefix("base_model.model.") for name in chosen} == set(found)
    assert len(chosen) == 2 * len(found)


def test_peft_of_heads(llama):
    units = [*BLOCKS, "lm_head"]
    plan = plan_of({"a": ["block.1", "lm_head"], "b": ["block.2"]}, units)
    base = peft.LoraConfig(target_modules=["q_proj"], **LORA)
    assert plan.peft_config("a", base).modules_to_save == ["lm_head"]
    assert plan.peft_config("b", base).modules_to_save is None
    model = adapted(llama, plan.peft_config("a", base))
    assert any("modules_to_save" in name for name in trained(model))
    model = adapted(llama, plan_of({"a": ["block.1"]}, BLOCKS, always=["head"]).peft_config("a", base))
    assert {n.rpartition(".modules_to_save")[0] for n in trained(model) if "lora_" not in n} == {
        "base_model.model.lm_head"
    }
    with pytest.warns(UserWarning, match='the unit "embeddings" is no layer and no head') as caught:
        plan_of({"a": ["block.1"]}, BLOCKS, always=["embeddings"]).peft_config("a", base)
    assert caught[0].filename == __file__
    known = plan_of({"a": ["block.1"]}, BLOCKS, always=["head"]).with_parameters(parameters_of(llama))
    assert known.peft_config("a", base).modules_to_save == ["model.norm", "lm_head"]
    assert known.peft_config("a", base, llama).modules_to_save == ["model.norm", "lm_head"]
    alone = plan_of({"a": ["block.1"]}, BLOCKS, always=["head"])
    assert alone.peft_config("a", base, llama).modules_to_save == ["model.norm", "lm_head"]
    expressions = {unit: [rf"model\.layers\.{unit[6:]}\..*"] for unit in BLOCKS} | {"head": [r"lm_head\..*"]}
    matching = alone.with_parameters(expressions)
    assert matching.peft_config("a", base, llama).modules_to_save == ["lm_head"]
    with pytest.raises(ValueError, match='of the unit "head", is an expression; model=… says which'):
        matching.peft_config("a", base)
    # Applied to PEFT's model, a unit is its pairs and the copies that PEFT saves.
    model = adapted(llama, peft.LoraConfig(target_modules=["q_proj"], modules_to_save=["lm_head"], **LORA))
    assert {name.removeprefix("base_model.model.") for name in known.apply(model, "a")} == {
        "model.layers.1.self_attn.q_proj.lora_A.default.weight",
        "model.layers.1.self_attn.q_proj.lora_B.default.weight",
        "lm_head.modules_to_save.default.weight",
    }


def test_what_peft_cannot_be_told():
    base = peft.LoraConfig(target_modules=["q_proj"])
    with pytest.raises(ValueError, match='client "a" trains no numbered layer; PEFT would train all'):
        plan_of({"a": [], "b": ["block.1"]}, BLOCKS).peft_config("a", base)
    with pytest.raises(ValueError, match="target_modules of the LoraConfig say where"):
        plan_of({"a": ["block.1"]}, BLOCKS).peft_config("a", peft.LoraConfig())
    parts = ["layers.1.mlp", "layers.1.attn"]
    scores = {"a": dict(zip(parts, [3.0, 1.0]))}
    with pytest.raises(ValueError, match="two units of layer 1 have the ranks 3 and 1"):
        st.plan(scores, 4, ranks=3, choose="importance:100").peft_config("a", base)
    with pytest.raises(ValueError, match="ranks are of LoRA's pairs"):
        st.plan(scores, 4, ranks=3, choose="importance:100").unfrozen_parameters("a")


def test_numpy_scores_fit_a_model_as_they_are(llama):
    plan = st.plan(np.eye(2, LAYERS), 1, choose="importance:100")
    config = plan.peft_config("client.1", peft.LoraConfig(target_modules=["v_proj"], **LORA))
    assert list(lora_modules(adapted(llama, config))) == ["model.layers.1.self_attn.v_proj"]
