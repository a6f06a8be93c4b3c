"""Records what vision-language models of transformers compute, for the tests of their architectures.

    python3 tests/reference/vlms.py [--out DIR] [--only NAME...]

is run twice: with transformers 5, which makes the models and records, then with transformers 4.57, which reads the same
weights, checks that it computes the same (1e-5) and writes them as that version does. DIR is tests/reference/vlms by
default. Each model, tiny and random, is a folder:

    config.json            in the hub's manner: old keys (torch_dtype, rope_theta), and most of what equals its model
                           type's default is left out. Both versions were given this file.
    model.safetensors      as transformers 4.57 writes the model: the names of the files on the hub.
    4.57/config.json       as transformers 4.57 writes it, with every key.
    5.24/                  config.json and model.safetensors as transformers 5.24 writes the fresh model. The weights are
                           there for llava and paligemma, whose names differ, and for blip2_opt, where they do not.
                           llava_med has neither: it is a folder of LLaVA's authors' own code, its tower's in tower/.
    expected.safetensors   pixels, of which CASE takes the images that cases.json says, in that order;
                           CASE.input_ids, .attention_mask; .logits (0 where the mask is 0), .labels, .loss,
                           .nll (of each row: minus the sum of the log-likelihoods of its labels),
                           .gradient.NAME of the loss, NAME as in model.safetensors (absent: there is none),
                           .greedy, .beams, .beams_flat (length_penalty 0): the new tokens alone, padded after the
                           end, also checked by hand here; .beams_scores, .beams_flat_scores
    cases.json             what each case is, its options of generate, the seed and the versions.

vlm_models.py has what these models are: LLaVA with LLaMA (linear and llama3 RoPE), Mistral and Qwen2, in the form of
LLaVA's authors (LLaVA-Med), BLIP-2 with OPT and T5, PaliGemma, SmolVLM (idefics3.json: the same as Idefics 3;
smolvlm_tiles: with images in tiles, which vlm_tiles.py has, as a folder with its tokenizer and processor).
Transformers 4.55 to 4.57 shifts SmolVLM's patch positions by one; that is mended before 4.57 is compared.

Everything is float32, on the CPU, with eager attention and one thread. `--out` elsewhere and a comparison of the folders
shows that a second run gives the same bytes.

vlm_counts.py writes counts.json, the numbers of parameters of published architectures; albef.py records ALBEF, which
transformers does not have. Both are called from here. beam_search.py has what generating is.

The committed files were made with transformers 5.24.0 and 4.57.1, torch 2.15.0.
"""

import argparse
import functools
import json
import pathlib
import shutil

import albef
import beam_search
import torch
import transformers
import vlm_counts
import vlm_tiles
from safetensors.torch import load_file, save_file
from vlm_models import IS_NEW, NEW, OLD, Concatenated, Original, references, write_idefics3

FOLDER = pathlib.Path(__file__).parent / "vlms"
NEW_TOKENS = 8


class Unsuited(Exception):
    """These random weights make a recording that would say little; another seed is tried."""


def shake(model):
    """Moves every weight away from its initial zero or one, so that none can be forgotten unnoticed."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.25 * torch.randn(weight.shape))


def compute(reference, model, tensors, gradients):
    """Logits, loss, each row's negative log-likelihood, and gradients by the hub's names."""
    model.zero_grad()
    output = model(**reference.inputs(tensors))
    labels, mask = tensors["labels"], tensors["attention_mask"]
    if model.config.is_encoder_decoder:  # labels stand where they are predicted
        logits, targets, shown = output.logits, labels, labels != -100
        predicted = logits
    else:
        logits, shown = output.logits, mask == 1
        predicted, targets = logits[:, :-1], labels[:, 1:]
    nll = torch.nn.functional.cross_entropy(predicted.transpose(1, 2), targets, reduction="none").sum(1)
    mean = nll.sum() / (targets != -100).sum()
    assert abs(mean.item() - output.loss.item()) < 1e-5, (reference.name, mean, output.loss)
    output.loss.backward()
    found = {
        "logits": torch.where(shown[..., None], logits, torch.zeros(())).detach(),
        "loss": output.loss.detach(),
        "nll": nll.detach(),
    }
    inner = model.model if isinstance(model, (Concatenated, Original)) else model
    by_name = {reference.canonical(name): weight.grad for name, weight in inner.named_parameters()}
    for name in gradients:
        if by_name.get(name) is not None:
            found[f"gradient.{reference.hub(name)}"] = by_name[name].clone()
    return found


def generate(reference, model, tensors, **options):
    inputs = reference.inputs(tensors)
    output = model.generate(
        **inputs, do_sample=False, max_new_tokens=NEW_TOKENS, return_dict_in_generate=True, output_scores=True, **options
    )
    sequences = output.sequences
    start = 1 if model.config.is_encoder_decoder else tensors["input_ids"].shape[1]
    return sequences[:, start:], output


def ends(rows, eos):
    """Where each row ends, its end included."""
    return [row.index(eos) + 1 if eos in row else len(row) for row in rows.tolist()]


def choose_eos(rows, not_these):
    """A token with which rows end at different places, one of them early."""
    for step in range(2, rows.shape[1]):
        for row in rows.tolist():
            lengths = ends(rows, row[step])
            if row[step] not in not_these and 1 < min(lengths) < max(lengths):
                return row[step]
    raise Unsuited(f"no token of {rows.tolist()} serves as an end")


def margin(scores):
    """The smallest gap between the best and the second-best token of a greedy step."""
    best = torch.stack(scores).topk(2).values
    return (best[..., 0] - best[..., 1]).min().item()


def same(a, b):
    return a.shape == b.shape and torch.equal(a, b)


def filled(rows, eos, pad):
    """Padding behind the ends. (Beam search of 4.57 and 5.24 fills with the end where the padding's id is 0.)"""
    rows = rows.clone()
    for row, end in zip(rows, ends(rows, eos)):
        row[end:] = pad
    return rows


def check_by_hand(reference, model, case, found, eos):
    def until_end(name):
        return [row[:end] for row, end in zip(found[name].tolist(), ends(found[name], eos))]

    rows = [functools.partial(next_scores, reference, model, row) for row in rows_of(model, case)]
    assert until_end("greedy") == [beam_search.greedy(row, eos, NEW_TOKENS) for row in rows], (reference.name, found)
    for name, penalty in (("beams", 1.0), ("beams_flat", 0.0)):
        tokens, scores = zip(*(beam_search.beams(row, eos, NEW_TOKENS, 3, penalty) for row in rows))
        assert until_end(name) == list(tokens), (reference.name, name, found[name], tokens)
        assert (found[f"{name}_scores"] - torch.tensor(scores)).abs().max() < 1e-4, (reference.name, name)


def rows_of(model, case):
    """A case's rows alone, without their padding, but in the concatenated form, where it stands between."""
    for i in range(len(case["input_ids"])):
        kept = case["attention_mask"][i].bool() | isinstance(model, Concatenated)
        row = {key: value[i : i + 1, kept] for key, value in case.items() if key != "images"}
        yield row | {"images": case["images"][i : i + 1]}


@torch.no_grad()
def next_scores(reference, model, row, tokens):
    """Log probabilities of what follows."""
    inputs = reference.inputs(row)
    if model.config.is_encoder_decoder:  # labels shifted to the right are what the decoder is given
        logits = model(**inputs, labels=torch.tensor([[*tokens, 0]])).logits
    else:
        ends = torch.tensor([tokens], dtype=torch.long)
        for key, fill in (("input_ids", ends), ("attention_mask", torch.ones_like(ends)),
                          ("token_type_ids", torch.ones_like(ends))):
            if key in inputs:
                inputs[key] = torch.cat([inputs[key], fill], 1)
        if "token_type_ids" in inputs:  # without labels, PaliGemma of 4.57 lets every token see every other
            inputs["labels"] = inputs["input_ids"]
        logits = model(**inputs).logits
    return logits[0, -1].log_softmax(-1)


def continued(reference, model, tensors, eos=None):
    """Greedy and beam outputs, and the options that gave them."""
    pad = reference.config.get("pad_token_id", model.config.get_text_config(decoder=True).pad_token_id)
    special = {reference.config.get("image_token_index", reference.config.get("image_token_id")), pad}
    if eos is None:
        free = generate(reference, model, tensors, eos_token_id=-1, pad_token_id=pad)[0]
        eos = choose_eos(free, special)
    options = {"eos_token_id": eos, "pad_token_id": pad}
    greedy, output = generate(reference, model, tensors, **options)
    if margin(output.scores) < 2e-3:
        raise Unsuited(f"two tokens are as likely: {margin(output.scores)}")
    found, said = {"greedy": greedy}, {"greedy": {**options, "max_new_tokens": NEW_TOKENS}}
    for name, penalty in (("beams", 1.0), ("beams_flat", 0.0)):
        of_beams = {"num_beams": 3, "length_penalty": penalty, **options}
        found[name], output = generate(reference, model, tensors, **of_beams)
        found[name] = filled(found[name], eos, pad)
        found[f"{name}_scores"] = output.sequences_scores
        said[name] = {**of_beams, "max_new_tokens": NEW_TOKENS, "early_stopping": False}
    for name in ("greedy", "beams", "beams_flat"):
        rows = found[name].tolist()
        if any(special & set(row[:end]) for row, end in zip(rows, ends(found[name], eos))):
            raise Unsuited("an image's token or padding was generated")
    if same(found["greedy"], found["beams"]) or same(found["beams"], found["beams_flat"]):
        raise Unsuited("beams find what greedy search finds, whatever the penalty")
    if IS_NEW:
        check_by_hand(reference, model, tensors, found, eos)
    return found, said


def all_cases(reference, model, eos=None):
    tensors, cases = {"pixels": reference.pixels()}, {}
    whole = model
    for name, (text, given) in reference.cases.items():
        model = reference.wrap(name, whole)
        if "labels" in given:
            found, said = compute(reference, model, given, reference.gradients if name == "right" else []), {}
        else:
            found, said = continued(reference, model, given, eos)
            eos = said["greedy"]["eos_token_id"]
        cases[name] = {"is": text, "images": list(given["images"]), **said}
        found |= {key: value for key, value in given.items() if key != "images"}
        tensors |= {f"{name}.{key}": value.contiguous().clone() for key, value in found.items()}
    return tensors, cases


def versions():
    return {"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}


def suited(reference):
    """A model of the first seed that suits, and what it computes."""
    for seed in range(11, 111):
        model = reference.build(seed)
        shake(model)
        try:
            return model, seed, *all_cases(reference, model)
        except Unsuited as reason:
            print(f"{reference.name}: seed {seed}: {reason}")
    raise SystemExit(f"{reference.name}: no seed suits")


def record(reference, folder):
    """With transformers 5: a fresh model, its files and what it computes."""
    model, seed, tensors, cases = suited(reference)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(reference.config, indent=2) + "\n")
    if reference.write:
        reference.write(model, folder)
    else:
        model.save_pretrained(folder / NEW)
        (folder / NEW / "generation_config.json").unlink(missing_ok=True)
    again = all_cases(reference, model)[0]
    assert all(torch.equal(tensors[name], again[name]) for name in tensors)
    # One key, because several would come in another order every time.
    save_file(tensors, folder / "expected.safetensors", metadata={"made": json.dumps(versions())})
    weights = {reference.canonical(name) for name, _ in model.named_parameters()}
    without = [reference.hub(name) for name in reference.gradients if name in weights]
    without = [name for name in without if f"right.gradient.{name}" not in tensors]
    assert without == reference.without_gradient(), without
    said = {"made": versions(), "seed": seed, "parameters": sum(weight.numel() for weight in model.parameters()),
            "without_gradient": without, "cases": cases}
    write_json(folder / "cases.json", said)
    print(f"{reference.name}: {said['parameters']} parameters, {folder_size(folder)} bytes")


def confirm(reference, folder):
    """With transformers 4.57: the same weights, what they compute, and the files it writes."""
    model = reference.build()
    names = {reference.canonical(name): name for name in model.state_dict()}
    if reference.write:
        weights = load_file(folder / "model.safetensors")
        given = {name: weights[reference.hub(name)] for name in model.state_dict()}
    else:
        weights = load_file(folder / NEW / "model.safetensors")
        given = {names[reference.canonical(name)]: weight for name, weight in weights.items()}
    report = model.load_state_dict(given, strict=False)
    model.tie_weights()
    tied = {key for key in report.missing_keys if key.endswith(("lm_head.weight", "coder.embed_tokens.weight"))}
    assert not report.unexpected_keys and tied == set(report.missing_keys), report
    expected = load_file(folder / "expected.safetensors")
    said = json.loads((folder / "cases.json").read_text())
    tensors, cases = all_cases(reference, model, said["cases"]["generation"]["greedy"]["eos_token_id"])
    assert tensors.keys() == expected.keys() and cases == said["cases"], tensors.keys() ^ expected.keys()
    worst = 0.0
    for name, tensor in tensors.items():
        assert tensor.shape == expected[name].shape, name
        difference = (tensor - expected[name]).abs().max().item()
        worst = max(worst, difference)
        assert difference < 1e-5 * max(1, expected[name].abs().max().item()), (name, difference)
    if not reference.write:
        write_old(reference, model, weights, folder)
    said["made"]["agrees"] = {**versions(), "largest_difference": float(f"{worst:.1e}")}
    write_json(folder / "cases.json", said)
    print(f"{reference.name}: agrees, largest difference {worst:.1e}, {folder_size(folder)} bytes")


def write_old(reference, model, weights, folder):
    """The file that transformers 4.57 writes; it has the hub's names and reads what it wrote."""
    model.save_pretrained(folder / OLD)
    shutil.move(folder / OLD / "model.safetensors", folder / "model.safetensors")
    (folder / OLD / "generation_config.json").unlink(missing_ok=True)
    written = load_file(folder / "model.safetensors")
    assert set(written) == {reference.hub(reference.canonical(name)) for name in weights}
    assert all(torch.equal(weight, written[reference.hub(reference.canonical(name))]) for name, weight in weights.items())
    loaded, info = type(model).from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    if not reference.keep_new:
        (folder / NEW / "model.safetensors").unlink()


def folder_size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=FOLDER)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    for reference in references():
        if arguments.only and reference.name not in arguments.only:
            continue
        folder = arguments.out / reference.name
        if IS_NEW:
            shutil.rmtree(folder, ignore_errors=True)
            record(reference, folder)
            if reference.name == "smolvlm":
                write_idefics3(reference, folder)
            if reference.name == "smolvlm_tiles":
                vlm_tiles.write(folder)
        else:
            confirm(reference, folder)
    if IS_NEW and (not arguments.only or "albef" in arguments.only):
        albef.record(arguments.out / "albef")
    if IS_NEW and (not arguments.only or "counts" in arguments.only):
        vlm_counts.record(arguments.out / "counts.json", versions())


if __name__ == "__main__":
    main()
