"""Records what ALBEF computes, from its published equations, shapes and names, for the tests of the architecture.

    python3 tests/reference/albef.py [--out DIR]       writes DIR/albef/, tests/reference/vlms/albef by default

ALBEF (Li et al. 2021, arXiv 2107.07651) is not in transformers. Here it is written once more, in plain PyTorch, on a
dictionary of weights under the names of its checkpoints: a ViT with timm's names, a BERT whose layers from fusion_layer
on attend to the image after themselves, and a causal decoder of answers whose layers all attend to the question. The
layers of BERT are checked against transformers' BertModel. The folder:

    model.pth, model.safetensors     a finished model as VQA.py saves it: {"model": state dict, ...}; the safetensors file
                                     has the same weights without what is stored twice
    pretrained.pth                   a model after pretraining, with a smaller image, from which answering starts
    config.json                      its sizes, in the manner of ALBEF's config_bert.json and VQA.yaml
    expected.safetensors, cases.json what is computed; see cases.json

Dropout is off. The committed files were made with torch 2.15.0 and transformers 5.24.0.
"""

import argparse
import collections
import functools
import json
import pathlib

import beam_search
import torch
import transformers
from safetensors.torch import save_file
from torch.nn import functional as F

FOLDER = pathlib.Path(__file__).parent / "vlms"
PAD, CLS, SEP = 0, 1, 2
CONFIG = {
    "model_type": "albef",
    "image_res": 16,
    "patch_size": 4,
    "vision_width": 12,
    "vision_layers": 2,
    "vision_heads": 3,
    "mlp_ratio": 2,
    "hidden_size": 12,
    "encoder_width": 12,
    "num_hidden_layers": 4,
    "fusion_layer": 2,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 8,
    "type_vocab_size": 2,
    "vocab_size": 40,
    "pad_token_id": PAD,
    "cls_token_id": CLS,
    "sep_token_id": SEP,
    "decoder_layers": 2,
}
GRADIENTS = """
    visual_encoder.cls_token
    visual_encoder.pos_embed
    visual_encoder.patch_embed.proj.weight
    visual_encoder.patch_embed.proj.bias
    visual_encoder.blocks.0.attn.qkv.weight
    visual_encoder.blocks.0.attn.qkv.bias
    visual_encoder.blocks.1.attn.proj.weight
    visual_encoder.blocks.0.norm1.weight
    visual_encoder.blocks.1.norm2.bias
    visual_encoder.blocks.1.mlp.fc1.weight
    visual_encoder.blocks.1.mlp.fc2.bias
    visual_encoder.norm.weight
    text_encoder.embeddings.word_embeddings.weight
    text_encoder.embeddings.position_embeddings.weight
    text_encoder.embeddings.token_type_embeddings.weight
    text_encoder.embeddings.LayerNorm.weight
    text_encoder.encoder.layer.0.attention.self.query.weight
    text_encoder.encoder.layer.1.attention.output.dense.weight
    text_encoder.encoder.layer.2.crossattention.self.key.weight
    text_encoder.encoder.layer.3.crossattention.self.value.bias
    text_encoder.encoder.layer.3.crossattention.output.LayerNorm.weight
    text_encoder.encoder.layer.2.intermediate.dense.weight
    text_encoder.encoder.layer.3.output.dense.weight
    text_decoder.bert.embeddings.word_embeddings.weight
    text_decoder.bert.embeddings.LayerNorm.bias
    text_decoder.bert.encoder.layer.0.attention.self.key.weight
    text_decoder.bert.encoder.layer.0.crossattention.self.key.weight
    text_decoder.bert.encoder.layer.1.crossattention.output.dense.weight
    text_decoder.bert.encoder.layer.1.output.LayerNorm.bias
    text_decoder.cls.predictions.transform.dense.weight
    text_decoder.cls.predictions.transform.LayerNorm.weight
    text_decoder.cls.predictions.bias
""".split()


# ---- the computation ------------------------------------------------------------------------------------------------


def linear(w, name, x):
    return F.linear(x, w[name + ".weight"], w[name + ".bias"])


def norm(w, name, x, eps):
    return F.layer_norm(x, x.shape[-1:], w[name + ".weight"], w[name + ".bias"], eps)


def attention(q, k, v, heads, bias=None):
    """Softmax attention of (batch, length, width); `bias` is added to the scaled scores."""
    def split(x):
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    scores = split(q) @ split(k).transpose(2, 3) / (q.shape[-1] // heads) ** 0.5
    if bias is not None:
        scores = scores + bias
    return (scores.softmax(-1) @ split(v)).transpose(1, 2).flatten(2)


def see(w, config, pixels, prefix="visual_encoder"):
    """The ViT's states of all patches behind that of [CLS], after the last norm."""
    eps = 1e-6
    x = F.conv2d(pixels, w[f"{prefix}.patch_embed.proj.weight"], w[f"{prefix}.patch_embed.proj.bias"],
                 stride=config["patch_size"]).flatten(2).transpose(1, 2)
    x = torch.cat([w[f"{prefix}.cls_token"].expand(len(x), -1, -1), x], 1) + w[f"{prefix}.pos_embed"]
    for i in range(config["vision_layers"]):
        block = f"{prefix}.blocks.{i}"
        q, k, v = linear(w, f"{block}.attn.qkv", norm(w, f"{block}.norm1", x, eps)).chunk(3, -1)
        x = x + linear(w, f"{block}.attn.proj", attention(q, k, v, config["vision_heads"]))
        inner = F.gelu(linear(w, f"{block}.mlp.fc1", norm(w, f"{block}.norm2", x, eps)))
        x = x + linear(w, f"{block}.mlp.fc2", inner)
    return norm(w, f"{prefix}.norm", x, eps)


def hidden(mask):
    """What is added to scores: 0 where the mask is 1, -10000 where it is 0."""
    return (1.0 - mask.float()) * -10000.0


def read(w, config, prefix, ids, mask, states, states_mask, layers, fusion, causal):
    """BERT's states; the layers from `fusion` on attend to `states` after themselves."""
    eps = config["layer_norm_eps"]
    embeddings = f"{prefix}.embeddings"
    x = F.embedding(ids, w[f"{embeddings}.word_embeddings.weight"])
    x = x + w[f"{embeddings}.token_type_embeddings.weight"][0]
    x = x + w[f"{embeddings}.position_embeddings.weight"][: ids.shape[1]]
    x = norm(w, f"{embeddings}.LayerNorm", x, eps)
    seen = mask[:, None, None, :]
    if causal:
        seen = seen * torch.ones(ids.shape[1], ids.shape[1]).tril()
    for i in range(layers):
        layer = f"{prefix}.encoder.layer.{i}"
        for name, source, bias in (("attention", x, hidden(seen)),
                                   ("crossattention", states, hidden(states_mask[:, None, None, :]))):
            if name == "crossattention" and i < fusion:
                continue
            source = x if name == "attention" else states
            q = linear(w, f"{layer}.{name}.self.query", x)
            k, v = (linear(w, f"{layer}.{name}.self.{part}", source) for part in ("key", "value"))
            found = linear(w, f"{layer}.{name}.output.dense", attention(q, k, v, config["num_attention_heads"], bias))
            x = norm(w, f"{layer}.{name}.output.LayerNorm", found + x, eps)
        inner = F.gelu(linear(w, f"{layer}.intermediate.dense", x))
        x = norm(w, f"{layer}.output.LayerNorm", linear(w, f"{layer}.output.dense", inner) + x, eps)
    return x


def ask(w, config, pixels, ids, mask):
    """The question's states, and the image's."""
    image = see(w, config, pixels)
    everywhere = torch.ones(image.shape[:2])
    states = read(w, config, "text_encoder", ids, mask, image, everywhere, config["num_hidden_layers"],
                  config["fusion_layer"], causal=False)
    return states, image


def answer_logits(w, config, ids, mask, states, states_mask):
    x = read(w, config, "text_decoder.bert", ids, mask, states, states_mask, config["decoder_layers"], 0, causal=True)
    head = "text_decoder.cls.predictions"
    x = norm(w, f"{head}.transform.LayerNorm", F.gelu(linear(w, f"{head}.transform.dense", x)), config["layer_norm_eps"])
    return F.linear(x, w["text_decoder.bert.embeddings.word_embeddings.weight"], w[f"{head}.bias"])


def answer_losses(w, config, ids, mask, states, states_mask, smoothing=0.0):
    """Each answer's sum of the cross-entropies of its tokens after [CLS], and the logits."""
    logits = answer_logits(w, config, ids, mask, states, states_mask)
    targets = ids.masked_fill(ids == PAD, -100)[:, 1:]
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), targets, reduction="none", label_smoothing=smoothing)
    return losses.sum(1), logits


def rank(w, config, ids, mask, states, states_mask, k):
    """The k answers whose first token is likeliest, and the logs of what they are then ranked by, for each question."""
    questions = len(states)
    start = torch.full((questions, 1), CLS)
    first = answer_logits(w, config, start, torch.ones_like(start), states, states_mask)[:, 0].log_softmax(-1)
    log_first, chosen = first[:, ids[:, 1]].topk(k, 1)
    of_question = torch.arange(questions).repeat_interleave(k)
    losses = answer_losses(w, config, ids[chosen.flatten()], mask[chosen.flatten()], states[of_question],
                           states_mask[of_question])[0].view(questions, k)
    return chosen, log_first, -losses


@torch.no_grad()
def generated(w, config, states, states_mask, eos, most):
    """What is said behind [CLS] to each question, by the likeliest token and by three beams, with the beams' scores:
    rows of tokens, eos among them, and [PAD] behind it."""
    found = {}

    def next_scores(i, tokens):
        ids = torch.tensor([[CLS, *tokens]])
        own = slice(i, i + 1)
        return answer_logits(w, config, ids, torch.ones_like(ids), states[own], states_mask[own])[0, -1].log_softmax(-1)

    def rows(all_tokens):
        width = max(map(len, all_tokens))
        return torch.tensor([[*tokens, *[PAD] * (width - len(tokens))] for tokens in all_tokens])

    questions = [functools.partial(next_scores, i) for i in range(len(states))]
    found["greedy"] = rows([beam_search.greedy(question, eos, most) for question in questions])
    for name, penalty in (("beams", 1.0), ("beams_flat", 0.0)):
        said, scores = zip(*(beam_search.beams(question, eos, most, 3, penalty) for question in questions))
        found[name], found[f"{name}_scores"] = rows(said), torch.tensor(scores)
    return found


def an_end(rows):
    """A token with which rows end at different places, one of them early; nothing where there is none."""
    for token in rows.flatten().tolist():
        ends = [row.index(token) if token in row else len(row) for row in rows.tolist()]
        if token != PAD and 0 < min(ends) < max(ends):
            return token
    return None


# ---- weights --------------------------------------------------------------------------------------------------------


def shapes(config, decoder=True, bert=""):
    """The names and shapes of a finished model, or, with bert=".bert" and no decoder, of a pretrained one."""
    wide, text, inner = config["vision_width"], config["hidden_size"], config["intermediate_size"]
    named = {}

    def add_linear(name, rows, columns):
        named[f"{name}.weight"], named[f"{name}.bias"] = (rows, columns), (rows,)

    def add_norm(name, size):
        named[f"{name}.weight"] = named[f"{name}.bias"] = (size,)

    def add_bert(prefix, layers, fusion, width):
        for name, rows in (("word", "vocab_size"), ("position", "max_position_embeddings"),
                           ("token_type", "type_vocab_size")):
            named[f"{prefix}.embeddings.{name}_embeddings.weight"] = (config[rows], text)
        add_norm(f"{prefix}.embeddings.LayerNorm", text)
        for i in range(layers):
            layer = f"{prefix}.encoder.layer.{i}"
            for part in ("attention",) + (("crossattention",) if i >= fusion else ()):
                add_linear(f"{layer}.{part}.self.query", text, text)
                for name in ("key", "value"):
                    add_linear(f"{layer}.{part}.self.{name}", text, text if part == "attention" else width)
                add_linear(f"{layer}.{part}.output.dense", text, text)
                add_norm(f"{layer}.{part}.output.LayerNorm", text)
            add_linear(f"{layer}.intermediate.dense", inner, text)
            add_linear(f"{layer}.output.dense", text, inner)
            add_norm(f"{layer}.output.LayerNorm", text)

    def add_head(prefix):
        named[f"{prefix}.predictions.bias"] = (config["vocab_size"],)
        add_linear(f"{prefix}.predictions.transform.dense", text, text)
        add_norm(f"{prefix}.predictions.transform.LayerNorm", text)

    patch, side = config["patch_size"], config["image_res"] // config["patch_size"]
    named["visual_encoder.cls_token"] = (1, 1, wide)
    named["visual_encoder.pos_embed"] = (1, side * side + 1, wide)
    named["visual_encoder.patch_embed.proj.weight"] = (wide, 3, patch, patch)
    named["visual_encoder.patch_embed.proj.bias"] = (wide,)
    for i in range(config["vision_layers"]):
        block = f"visual_encoder.blocks.{i}"
        add_norm(f"{block}.norm1", wide)
        add_linear(f"{block}.attn.qkv", 3 * wide, wide)
        add_linear(f"{block}.attn.proj", wide, wide)
        add_norm(f"{block}.norm2", wide)
        add_linear(f"{block}.mlp.fc1", config["mlp_ratio"] * wide, wide)
        add_linear(f"{block}.mlp.fc2", wide, config["mlp_ratio"] * wide)
    add_norm("visual_encoder.norm", wide)
    add_bert(f"text_encoder{bert}", config["num_hidden_layers"], config["fusion_layer"], config["encoder_width"])
    if decoder:
        add_bert("text_decoder.bert", config["decoder_layers"], 0, text)
        add_head("text_decoder.cls")
    else:
        add_head("text_encoder.cls")
    return named


def draw(named, seed):
    """Random weights, with which no part of the model is without effect: attention is sharp, residuals last."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in named.items():
        one = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
        scale = 0.8 if ".query." in name or ".key." in name else 0.15 if ".output.dense." in name else 0.4
        weights[name] = one + scale * torch.randn(shape, generator=generator)
    return weights


def with_doubles(weights, config, prefixes):
    """A state dict as ALBEF's modules give it: position_ids, and the head's shared weights under their other names."""
    state = collections.OrderedDict(weights)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    for bert, cls in prefixes:
        state[f"{bert}.embeddings.position_ids"] = torch.arange(config["max_position_embeddings"])[None]
        if cls:
            state[f"{cls}.predictions.decoder.weight"] = weights[f"{bert}.embeddings.word_embeddings.weight"]
            state[f"{cls}.predictions.decoder.bias"] = weights[f"{cls}.predictions.bias"]
    return state


def started(pretrained, config):
    """The weights with which answering starts: the decoder's layers are the encoder's that attend to the image."""
    weights = {}
    for name, tensor in pretrained.items():
        if name == "visual_encoder.pos_embed":
            side, old = config["image_res"] // config["patch_size"], int((tensor.shape[1] - 1) ** 0.5)
            grid = tensor[:, 1:].unflatten(1, (old, old)).permute(0, 3, 1, 2)
            grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
            tensor = torch.cat([tensor[:, :1], grid.flatten(2).transpose(1, 2)], 1)
        if not name.startswith("text_encoder."):
            weights[name] = tensor
            continue
        if ".bert." in name:
            weights[name.replace(".bert", "")] = tensor
        parts = name.replace("text_encoder", "text_decoder").split(".")
        if "layer" in parts:
            number = int(parts[4]) - config["fusion_layer"]
            if number < 0:
                continue
            parts[4] = str(number)
        weights[".".join(parts)] = tensor
    return weights


# ---- what is recorded -----------------------------------------------------------------------------------------------


def inputs():
    def rows(lists):
        length = max(map(len, lists))
        return torch.tensor([row + [PAD] * (length - len(row)) for row in lists])

    ids = rows([[CLS, 7, 9, 21, 30], [CLS, 8, 5], [CLS, 33, 12, 6]])
    answers = rows([[CLS, 14, SEP], [CLS, 15, 16, SEP], [CLS, 31, SEP], [CLS, 15, 20, 22, SEP], [CLS, 14, SEP]])
    listed = rows([[CLS, 14, SEP], [CLS, 15, 16, SEP], [CLS, 26, SEP], [CLS, 31, SEP], [CLS, 37, 20, 22, SEP],
                   [CLS, 25, 11, SEP], [CLS, 18, 31, SEP]])
    return {
        "pixels": torch.randn(3, 3, CONFIG["image_res"], CONFIG["image_res"], generator=torch.Generator().manual_seed(7)),
        "question.input_ids": ids, "question.attention_mask": (ids != PAD).long(),
        "answers.input_ids": answers, "answers.attention_mask": (answers != PAD).long(),
        "answers.counts": torch.tensor([2, 1, 2]),  # answers of each question, one question after the other
        "answers.weights": torch.tensor([0.4, 0.6, 1.0, 0.7, 0.3]),
        "list.input_ids": listed, "list.attention_mask": (listed != PAD).long(),
    }


def compute(weights, given, k=4):
    w = {name: tensor.clone().requires_grad_() for name, tensor in weights.items()}
    mask = given["question.attention_mask"]
    states, image = ask(w, CONFIG, given["pixels"], given["question.input_ids"], mask)
    of_question = torch.arange(len(states)).repeat_interleave(given["answers.counts"])
    answers = given["answers.input_ids"], given["answers.attention_mask"], states[of_question], mask[of_question]
    losses, logits = answer_losses(w, CONFIG, *answers)
    loss = (given["answers.weights"] * losses).sum() / len(states)
    loss.backward()
    with torch.no_grad():
        smooth = (given["answers.weights"] * answer_losses(w, CONFIG, *answers, smoothing=0.1)[0]).sum() / len(states)
        chosen, log_first, log_whole = rank(w, CONFIG, given["list.input_ids"], given["list.attention_mask"], states, mask, k)
        order = (log_first + log_whole).argsort(1, descending=True)
        plain = log_whole.argsort(1, descending=True)
    shown = mask[..., None]
    found = {
        "image_states": image, "question_states": states * shown, "logits": logits * answers[1][..., None],
        "answer_losses": losses, "loss": loss, "loss_smoothed": smooth,
        "first.chosen": chosen, "first.log": log_first, "whole.log": log_whole,
        "ranked": chosen.gather(1, order), "ranked.probability": (log_first + log_whole).softmax(1).gather(1, order),
        "ranked_once": chosen.gather(1, plain), "ranked_once.probability": log_whole.softmax(1).gather(1, plain),
    }
    found |= {f"gradient.{name}": w[name].grad for name in GRADIENTS}
    return {name: tensor.detach().contiguous() for name, tensor in found.items()}


@torch.no_grad()
def say(weights, given):
    """What the model says to the questions, and with which options."""
    mask = given["question.attention_mask"]
    states = ask(weights, CONFIG, given["pixels"], given["question.input_ids"], mask)[0]
    most = CONFIG["max_position_embeddings"]  # [CLS] takes a place, the last token none
    eos = an_end(generated(weights, CONFIG, states, mask, -1, most)["greedy"])
    found = generated(weights, CONFIG, states, mask, eos, most)
    assert not same(found["greedy"], found["beams"]) and not same(found["beams"], found["beams_flat"]), found
    options = {"eos_token_id": eos, "pad_token_id": PAD, "max_new_tokens": most}
    said = {"greedy": options}
    for name, penalty in (("beams", 1.0), ("beams_flat", 0.0)):
        said[name] = {"num_beams": 3, "length_penalty": penalty, **options, "early_stopping": False}
    return {f"generation.{name}": tensor for name, tensor in found.items()}, said


def same(a, b):
    return a.shape == b.shape and torch.equal(a, b)


def exact_gradients(weights, given):
    """Those of float64: of float32 they are up to 3.2e-4 away, which would be the tests' tolerance."""
    def double(tensors):
        return {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}

    found = compute(double(weights), double(given))
    return {name: tensor.float() for name, tensor in found.items() if name.startswith("gradient.")}


def check_against_bert(weights):
    """transformers' BertModel as causal decoder with cross-attention gives this file's text_decoder."""
    config = transformers.BertConfig(
        is_decoder=True, add_cross_attention=True, attn_implementation="eager",
        **{key: value for key, value in CONFIG.items() if key in (
            "hidden_size", "num_attention_heads", "intermediate_size", "layer_norm_eps", "max_position_embeddings",
            "type_vocab_size", "vocab_size", "pad_token_id")},
        num_hidden_layers=CONFIG["decoder_layers"],
    )
    model = transformers.BertModel(config, add_pooling_layer=False).eval()
    prefix = "text_decoder.bert."
    model.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}, strict=True)
    given = inputs()
    ids, mask = given["answers.input_ids"], given["answers.attention_mask"]
    states = torch.randn(len(ids), 5, CONFIG["hidden_size"], generator=torch.Generator().manual_seed(3))
    seen = torch.tensor([[1, 1, 1, 1, 0]] * len(ids))
    theirs = model(input_ids=ids, attention_mask=mask, encoder_hidden_states=states, encoder_attention_mask=seen)[0]
    ours = read(weights, CONFIG, prefix[:-1], ids, mask, states, seen, CONFIG["decoder_layers"], 0, causal=True)
    difference = ((theirs - ours) * mask[..., None]).abs().max().item()
    assert difference < 1e-5, difference
    return difference


def record(folder):
    folder.mkdir(parents=True, exist_ok=True)
    given = inputs()
    for seed in range(11, 111):  # the first with which counting the first token twice matters
        weights = draw(shapes(CONFIG), seed)
        found = compute(weights, given)
        if not torch.equal(found["ranked"], found["ranked_once"]):
            break
    found |= exact_gradients(weights, given)
    spoken, options = say(weights, given)
    found |= spoken
    difference = check_against_bert(weights)
    torch.save({"model": with_doubles(weights, CONFIG, [("text_encoder", ""), ("text_decoder.bert", "text_decoder.cls")]),
                "config": {"image_res": CONFIG["image_res"], "optimizer": {"lr": 2e-5}}, "epoch": 7}, folder / "model.pth")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    small = {**CONFIG, "image_res": 12}
    before = draw(shapes(small, decoder=False, bert=".bert"), seed + 1)
    state = with_doubles(before, small, [("text_encoder.bert", "text_encoder.cls")])
    for name in ("temp", "vision_proj.weight", "image_queue", "visual_encoder_m.cls_token"):  # of pretraining alone
        state[name] = torch.zeros(() if name == "temp" else (2, 3))
    torch.save({"model": state, "epoch": 29}, folder / "pretrained.pth")
    start = started(before, CONFIG)
    assert {name: tensor.shape for name, tensor in start.items()} == {n: torch.Size(s) for n, s in shapes(CONFIG).items()}
    after = compute(start, given)
    found |= {f"start.{name}": after[name] for name in ("image_states", "question_states", "logits", "loss")}
    found["start.visual_encoder.pos_embed"] = start["visual_encoder.pos_embed"].contiguous()

    made = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    # One key, because several would come in another order every time.
    save_file(given | found, folder / "expected.safetensors", metadata={"made": json.dumps(made)})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    said = {
        "made": {**made, "difference_from_bert": float(f"{difference:.1e}")},
        "seed": seed,
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "is": {
            "loss": "sum over answers of weight * answer_losses, divided by the number of questions",
            "answer_losses": "the sum of an answer's cross-entropies, of the tokens after [CLS] up to its [SEP]",
            "loss_smoothed": "the same with label smoothing 0.1",
            "logits": "of each answer's positions, 0 where its mask is 0; question_states likewise",
            "first": "the 4 answers of the list whose first tokens are likeliest, best first, and that log probability",
            "whole": "the log probability of each of these answers, its [SEP] included",
            "ranked": "the 4 by first.log + whole.log, which counts the first token twice, as ALBEF's code does; "
                      "probability is the softmax over the 4",
            "ranked_once": "the 4 by whole.log",
            "generation": "what is said to the questions, as transformers' generate would: beam_search.py",
            "start": "of the model that starts from pretrained.pth",
        },
        "cases": {"generation": options},
    }
    (folder / "cases.json").write_text(json.dumps(said, indent=1) + "\n")
    print(f"albef: {said['parameters']} parameters, from BertModel {difference:.1e}, "
          f"{sum(path.stat().st_size for path in folder.iterdir())} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=FOLDER)
    torch.set_num_threads(1)
    record(parser.parse_args().out / "albef")
