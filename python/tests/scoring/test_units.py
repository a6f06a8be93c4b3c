"""Units by the model's blocks, by PEFT's modules and by names."""

import pytest
import torch
from torch import nn

from strata_fl.scoring import find_units, score


def block(size=4):
    return nn.ModuleDict({"attention": nn.Linear(size, size), "norm": nn.LayerNorm(size)})


class Encoder(nn.Module):
    def __init__(self, depth=3):
        super().__init__()
        self.words = nn.Embedding(8, 4)
        self.layers = nn.ModuleList(block() for _ in range(depth))
        self.norm = nn.LayerNorm(4)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.classifier = Encoder(), nn.Linear(4, 2)


class TwoTowers(nn.Module):
    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))
        self.vision_model, self.text_model = Encoder(2), Encoder(3)
        self.projection = nn.Linear(4, 4)


class VisionLanguage(nn.Module):
    def __init__(self):
        super().__init__()
        self.vision_tower, self.connector, self.language_model = Encoder(2), nn.Linear(4, 4), Encoder(3)
        self.lm_head = nn.Linear(4, 8)


class Stages(nn.Module):
    """As torchvision's ResNet: stages are lists beside each other."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.layer1, self.layer2 = nn.Sequential(block(), block()), nn.Sequential(block(), block())
        self.fc = nn.Linear(4, 2)


def test_blocks_of_one_tower():
    units = find_units(Classifier())
    assert list(units.weights) == ["embeddings", "block.0", "block.1", "block.2", "head"]
    assert units.roles == ["embeddings", "body", "body", "body", "head"]
    assert units.weights["embeddings"] == ["encoder.words.weight"]
    assert units.weights["block.1"] == [
        f"encoder.layers.1.{name}"
        for name in ("attention.weight", "attention.bias", "norm.weight", "norm.bias")
    ]
    assert units.weights["head"] == [
        "encoder.norm.weight", "encoder.norm.bias", "classifier.weight", "classifier.bias",
    ]


def test_towers_are_called_by_what_distinguishes_them():
    units = find_units(TwoTowers())
    assert list(units.weights) == [
        "vision.embeddings", "vision.block.0", "vision.block.1", "vision.head", "text.embeddings",
        "text.block.0", "text.block.1", "text.block.2", "text.head", "head",
    ]
    assert units.weights["head"] == ["temperature", "projection.weight", "projection.bias"]


def test_a_language_model_has_no_prefix_and_its_tower_does_not_compete():
    units = find_units(VisionLanguage())
    roles = dict(zip(units.weights, units.roles))
    assert roles["block.0"] == roles["block.2"] == "body" and roles["vision.block.1"] == "vision"


def test_a_last_norm_is_the_heads_where_it_is_registered_before_the_blocks():
    """As OPT's decoder has it."""
    model = Encoder(2)
    blocks = model.layers
    del model.layers, model.norm
    model.final_layer_norm, model.layers = nn.LayerNorm(4), blocks
    found = find_units(model)
    assert found.weights["embeddings"] == ["words.weight"]
    assert found.weights["head"] == ["final_layer_norm.weight", "final_layer_norm.bias"]


def test_stages_beside_each_other_are_one_tower():
    assert list(find_units(Stages()).weights) == [
        "embeddings", "block.0", "block.1", "block.2", "block.3", "head",
    ]


@pytest.mark.parametrize("model", [Classifier(), TwoTowers(), VisionLanguage(), Stages()])
def test_every_weight_is_in_one_unit(model):
    listed = [name for names in find_units(model).weights.values() for name in names]
    assert sorted(listed) == sorted(name for name, _ in model.named_parameters())


def test_units_do_not_depend_on_what_requires_a_gradient():
    model = Classifier()
    before = find_units(model)
    model.requires_grad_(False)
    assert find_units(model) == before
    table = score(nn.Sequential(nn.Linear(3, 2)).requires_grad_(False), torch.randn(2, 3), units=["0"])
    assert table.raw[0][0] > 0


def test_patterns_and_frozen_weights():
    units = find_units(Classifier(), {"top": ["classifier.*", "encoder.norm.weight"], "low": "encoder.words.*"})
    assert units.weights == {
        "top": ["classifier.weight", "classifier.bias", "encoder.norm.weight"], "low": ["encoder.words.weight"],
    }
    units = find_units(Classifier(), frozen=[r".*\.bias"])
    assert not any(name.endswith("bias") for names in units.weights.values() for name in names)


def test_a_list_of_expressions_makes_a_unit_of_each_match():
    units = find_units(Classifier(), [r"encoder\.layers\.\d+\.", "classifier"])
    assert list(units.weights) == [
        "encoder.layers.0", "encoder.layers.1", "encoder.layers.2", "classifier",
    ]


REFUSED = {
    "overlap": ({"a": ["encoder.*"], "b": ["encoder.norm.*"]}, ["encoder.norm.weight", '"a"', '"b"']),
    "nothing matches": ({"a": ["clasifier.weight"]}, ["clasifier.weight", '"a"', 'did you mean "classifier.weight"']),
    "empty": ({"a": []}, ['"a"', "no weights"]),
    "no expression": ({"a": ["(("]}, ["((", "no regular expression"]),
    "unknown rule": ("blocks", ["blocks", '"block"', '"peft"']),
    "a number": (3, ["3"]),
    "peft of another model": ("peft", ["get_peft_model", "Classifier"]),
    "unused expression": ([r"encoder", "nothing"], ["nothing"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_units_are_refused_by_name(name):
    units, said = REFUSED[name]
    with pytest.raises(ValueError) as error:
        find_units(Classifier(), units)
    for text in said:
        assert text in str(error.value)


def test_a_unit_that_frozen_empties_is_refused():
    with pytest.raises(ValueError, match='"a" has no weights'):
        find_units(Classifier(), {"a": ["classifier.bias"]}, frozen=["classifier.bias"])


def test_a_model_without_blocks_is_refused():
    with pytest.raises(ValueError, match="no repeated modules in Sequential"):
        find_units(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)))


def test_adapters_are_scored_by_blocks():
    peft = pytest.importorskip("peft", reason="needs peft")
    model = nn.Sequential()
    model.encoder, model.classifier = Encoder(2), nn.Linear(4, 2)
    config = peft.LoraConfig(r=1, target_modules=["attention"], modules_to_save=["classifier"])
    adapted = peft.get_peft_model(model, config)
    for rule in ("peft", "block"):
        units = find_units(adapted, rule)
        assert list(units.weights) == ["block.0", "block.1", "head"]
        assert all("lora_" in name for name in units.weights["block.0"])
        assert all("modules_to_save" in name for name in units.weights["head"])
