"""What score() takes and refuses, and that it leaves the model as it was."""

import copy

import pytest
import torch
from torch import nn

from strata_fl.scoring import METRICS, sample_rows, score
from strata_fl.scoring.outputs import answer, sample_losses


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 3))


UNITS = {"low": ["0.*"], "high": ["3.*"]}


def test_the_form_of_batches_does_not_matter():
    x = torch.randn(6, 4)
    own = model()
    values = score(own, x, units=UNITS).raw
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, torch.zeros(6)), batch_size=4)
    named = [{"input": x[:1]}, {"input": x[1:]}]
    for batches in (loader, (x, torch.zeros(6)), [x[:2], x[2:]], named, iter([x])):
        assert score(own, batches, units=UNITS).raw == pytest.approx(values, rel=1e-5)


def test_the_first_samples_are_taken():
    x = torch.randn(10, 4)
    own = model()
    assert score(own, [x[:4], x[4:]], units=UNITS, samples=6).raw == pytest.approx(
        score(own, x[:6], units=UNITS).raw, rel=1e-5
    )
    every = score(own, torch.randn(40, 4), units=UNITS, samples=None)
    assert every.samples == 0 and score(own, x, units=UNITS).samples == 32


def test_drawn_rows_ascend():
    rows = sample_rows(50, 20, seed=3)
    assert rows == sorted(set(rows)) and len(rows) == 20 and rows != sample_rows(50, 20, seed=4)


def test_the_model_is_left_as_it_was():
    own = model().train()
    own[0].weight.requires_grad_(False)
    own[3].weight.grad = torch.ones_like(own[3].weight)
    before = copy.deepcopy(own.state_dict())
    score(own, (torch.randn(4, 4), torch.tensor([0, 1, 2, 0])), units=UNITS, metric=METRICS)
    assert own.training and own[2].training
    assert [weight.requires_grad for weight in own.parameters()] == [False, True, True, True]
    assert bool((own[3].weight.grad == 1).all()) and own[0].bias.grad is None
    assert all(torch.equal(before[name], values) for name, values in own.state_dict().items())
    assert not own[0]._forward_hooks


def test_the_model_is_left_as_it_was_by_an_error():
    own = model().train()
    with pytest.raises(ValueError):
        score(own, torch.full((2, 4), float("nan")), units=UNITS)
    assert own.training and all(weight.requires_grad for weight in own.parameters())


def test_columns_and_functions_of_outputs():
    x, own = torch.randn(5, 4), model()
    some = score(own, x, units=UNITS, columns=[2, 0]).raw
    same = score(own, x, units=UNITS, outputs=lambda m, batch: m(batch)[:, [0, 2]]).raw
    assert some == pytest.approx(same, rel=1e-5)
    whole = score(own, x, units=UNITS).raw
    assert some[0, 0] < whole[0, 0]
    # Outputs of a linear head do not share its weights, so that its kernel is the same block for each.
    assert some[0, 1] == pytest.approx(whole[0, 1], rel=1e-5)


def test_a_compiled_model_is_unwrapped():
    own, x = model(), torch.randn(3, 4)

    class Optimized(nn.Module):  # as torch.compile wraps it
        def __init__(self, module):
            super().__init__()
            self._orig_mod = module

    assert score(Optimized(own), x, units=UNITS).raw == pytest.approx(score(own, x, units=UNITS).raw)


class Speaker(nn.Module):
    """Logits of the next token: of transformers' form."""

    def __init__(self, config=None):
        super().__init__()
        self.words, self.head = nn.Embedding(7, 4), nn.Linear(4, 7)
        self.config = config

    def forward(self, input_ids, image=None):
        x = self.words(input_ids).cumsum(1)
        return {"logits": self.head(torch.tanh(x if image is None else x + image[:, None]))}


def test_answers_are_sums_of_their_tokens_log_likelihoods():
    torch.manual_seed(0)
    ids = torch.tensor([[1, 2, 3, 4], [2, 5, 6, 1]])
    labels = torch.tensor([[-100, -100, 3, 4], [-100, -100, -100, 1]])
    own = Speaker()
    logits = own(ids)["logits"].log_softmax(-1)
    expected = [float(logits[0, 1, 3] + logits[0, 2, 4]), float(logits[1, 2, 1])]
    batch = {"input_ids": ids, "labels": labels}
    assert answer(own, batch).flatten().tolist() == pytest.approx(expected, rel=1e-5)
    assert sample_losses(own, batch).tolist() == pytest.approx([-one for one in expected], rel=1e-5)


def test_several_answers_of_one_sample():
    torch.manual_seed(0)
    ids = torch.randint(1, 7, (3, 2, 4))
    labels = ids.clone()
    labels[..., :2] = -100
    own = Speaker()
    both = {"input_ids": ids, "labels": labels}
    image = torch.randn(3, 4)  # one for all answers of a sample
    found = answer(own, {**both, "image": image})
    for k in range(2):
        one = answer(own, {"input_ids": ids[:, k], "labels": labels[:, k], "image": image})
        assert found[:, k].tolist() == pytest.approx(one.flatten().tolist(), rel=1e-5)
    # The samples' kernels are those of K outputs: rows of one answer are rows of the whole.
    units = {"words": ["words.*"], "head": ["head.*"]}
    whole = score(own.double(), both, units=units, outputs="answer", metric="trace").raw
    parts = [
        score(own, {"input_ids": ids[:, k], "labels": labels[:, k]}, units=units, outputs="answer", metric="trace").raw
        for k in range(2)
    ]
    assert whole == pytest.approx(parts[0] + parts[1], rel=1e-9)


X = torch.randn(4, 4)
REFUSED = {
    "metric": (dict(metric="lntq"), ['"lntq"', 'did you mean "lntk"']),
    "synflow": (dict(metric="synflow"), ["synflow", "input of ones"]),
    "outputs": (dict(outputs="logit"), ['"logit"', 'did you mean "logits"']),
    "samples": (dict(samples=0), ["samples: found 0"]),
    "columns": (dict(columns=[3]), ["columns: found [3]", "0 to 2"]),
    "random outputs": (dict(random_outputs=4), ["random_outputs: found 4", "3 outputs"]),
    "shape of outputs": (dict(outputs=lambda m, b: m(b)[0]), ["(n, K)", "(3,)"]),
    "no labels": (dict(metric="fisher"), ["loss", "no labels"]),
    "memory": (dict(memory="much"), ["memory: found 'much'"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_arguments_are_refused_by_name(name):
    options, said = REFUSED[name]
    with pytest.raises(ValueError) as error:
        score(model(), X, units=UNITS, **options)
    for text in said:
        assert text in str(error.value)


def test_outputs_that_are_not_finite_are_refused_by_sample():
    bad = X.clone()
    bad[2, 1] = float("inf")
    with pytest.raises(ValueError, match="outputs: that of sample 2 of its batch is not finite"):
        score(model(), bad - bad, units=UNITS)


def test_batch_norm_in_training_is_refused_by_name():
    own = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).train()
    with pytest.raises(ValueError, match=r"BatchNorm is in training mode \(1\).*model.eval\(\)"):
        score(own, X, units=["0", "1"])
    assert own.training
    assert score(own.eval(), X, units=["0", "1"]).raw.shape == (1, 2)


@pytest.mark.parametrize("batches", [[], [torch.zeros(0, 4)], 3, [{"a": 1}]])
def test_no_samples_are_refused(batches):
    with pytest.raises(ValueError, match="batches: "):
        score(model(), batches, units=UNITS)


def test_text_models_are_told_what_to_take():
    with pytest.raises(ValueError, match='outputs="answer"'):
        score(Speaker(), {"input_ids": torch.tensor([[1, 2]])}, units=["words"])


def test_a_model_without_weights_is_refused():
    with pytest.raises(ValueError, match="weights was expected, found Tanh"):
        score(nn.Tanh(), X)
