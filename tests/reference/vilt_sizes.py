"""Records what transformers makes of images that are not square, for tests/models/image_sizes.cpp and tests/cli/image_sizes.cpp.

    python3 tests/reference/vilt_sizes.py           writes tests/reference/vilt_sizes/  (transformers 5)
    python3 tests/reference/vilt_sizes.py --agree   computes all of it again with another version, and notes it in
                                                    recorded.json where nothing differs by more than 1e-6

The folder is a data set (manifest.jsonl, images/) and a ViLT as transformers 5 saves it: tokenizer.json, no vocab.txt,
and the image processor in processor_config.json. recorded.json has, for its images, `pixels` by the PIL backend, patch
grids, logits, losses and accuracy of each client's test questions, all in one padded batch and one at a time; and
`processors`, what image processors with other settings make of one image.

Made with Pillow 12: Pillow 13 resizes some images first from top to bottom and rounds in another order.
"""

import argparse
import json
import pathlib

import numpy as np
import PIL
import torch
import transformers
from PIL import Image
from transformers import ViltConfig, ViltForQuestionAnswering

FOLDER = pathlib.Path(__file__).parent / "vilt_sizes"
SIZES = [(150, 100), (100, 150), (128, 128), (90, 60), (30, 170), (171, 40), (32, 32), (61, 64), (7, 9)]
LABELS = ["yes", "no", "red", "blue", "two"]
QUESTIONS = ["is it red?", "how many are there?", "what colour is the long one?"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + "is it red how many are there what colour the long one ?".split()
VILT = {
    "do_normalize": True, "do_pad": True, "do_rescale": True, "do_resize": True,
    "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "resample": 3,
    "rescale_factor": 1 / 255, "size": {"shortest_edge": 32}, "size_divisor": 8,
}
# What the processors of a model of 8 pixels with patches of 4 make of the first image.
PROCESSORS = [
    ("vit", {"size": {"height": 8, "width": 8}}),
    ("vit", {"size": 8, "resample": 3, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}),
    ("vit", {"size": 8, "resample": 0, "do_normalize": False}),
    ("vit", {"size": 8, "resample": 1, "do_rescale": False, "image_mean": 120.0, "image_std": 60.0}),
    ("vit", {"size": 8, "resample": 4, "rescale_factor": 1 / 127.5, "image_mean": 1.0, "image_std": 1.0}),
    ("vit", {"size": 8, "resample": 5}),
    ("vilt", {"size": 8, "size_divisor": 4}),
    ("vilt", {"size": {"shortest_edge": 9}, "size_divisor": 4, "resample": 2, "do_pad": False}),
    ("vilt", {"size": 8, "size_divisor": 8, "resample": 5}),
]


def processor(kind, settings):
    """PIL's, which transformers 4 has alone and 5 beside torchvision's."""
    if transformers.__version__.startswith("4."):
        return {"vilt": transformers.ViltImageProcessor, "vit": transformers.ViTImageProcessor}[kind](**settings)
    from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    return {"vilt": ViltImageProcessorPil, "vit": ViTImageProcessorPil}[kind](**settings)


def picture(index, width, height):
    y, x = np.mgrid[0:height, 0:width]
    channels = [
        127 + 100 * np.sin(x / (5 + index)) * np.cos(y / 9),
        (x * 3 + y * (index + 1)) % 256,
        255 * ((x // 6 + y // 4) % 2),
    ]
    return np.stack(channels, -1).clip(0, 255).astype(np.uint8) // 8 * 8


def examples():
    """Every image is asked about twice; those of the client b are all wide."""
    rows = []
    for i, (width, height) in enumerate(SIZES):
        for j in range(2):
            rows.append({
                "image": f"images/{width}x{height}.png",
                "question": QUESTIONS[(i + j) % len(QUESTIONS)],
                "answers": [LABELS[(2 * i + 3 * j) % len(LABELS)]],
                "client": "b" if width > 2 * height or (width, height) == (150, 100) else "a",
                "split": ["train", "test"][j],
                "answer_type": "open",
            })
    return rows


def write_folder():
    (FOLDER / "images").mkdir(parents=True, exist_ok=True)
    for i, (width, height) in enumerate(SIZES):
        Image.fromarray(picture(i, width, height)).save(FOLDER / f"images/{width}x{height}.png", optimize=True)
    (FOLDER / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in examples()))
    torch.manual_seed(11)
    model = ViltForQuestionAnswering(
        ViltConfig(
            hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8,
            vocab_size=len(VOCABULARY), max_position_embeddings=12,
            id2label=dict(enumerate(LABELS)), label2id={label: i for i, label in enumerate(LABELS)},
        )
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.3 * torch.randn(weight.shape))
    model.save_pretrained(FOLDER)
    tokenizer = transformers.BertTokenizer(vocab={token: i for i, token in enumerate(VOCABULARY)}, model_max_length=12)
    transformers.ViltProcessor(transformers.ViltImageProcessor(**VILT), tokenizer).save_pretrained(FOLDER)


def encode(model, rows):
    images = processor("vilt", VILT)(
        [Image.open(FOLDER / row["image"]).convert("RGB") for row in rows], return_tensors="pt"
    )
    tokenizer = transformers.BertTokenizerFast(tokenizer_file=str(FOLDER / "tokenizer.json"))
    texts = tokenizer([row["question"] for row in rows], padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(
            input_ids=texts["input_ids"], attention_mask=texts["attention_mask"],
            pixel_values=images["pixel_values"], pixel_mask=images["pixel_mask"],
        ).logits
    return images, logits


def compute():
    model = ViltForQuestionAnswering.from_pretrained(FOLDER).eval()
    tests = [row for row in examples() if row["split"] == "test"]
    images, logits = encode(model, tests)
    grids = [[int(mask[:, 0].sum()) // 8, int(mask[0].sum()) // 8] for mask in images["pixel_mask"]]
    found = {
        "grids": grids,
        "pixels": {
            row["image"]: values[:, : 8 * rows, : 8 * columns].flatten().tolist()
            for row, values, (rows, columns) in list(zip(tests, images["pixel_values"], grids))[:5]
        },
        "logits": logits.tolist(),
        "logits_alone": [encode(model, [row])[1][0].tolist() for row in tests],
        "clients": {},
    }
    for client in ("a", "b"):
        rows = [row for row in tests if row["client"] == client]
        targets = torch.tensor([LABELS.index(row["answers"][0]) for row in rows])
        of_client = encode(model, rows)[1]
        found["clients"][client] = {
            "loss": torch.nn.functional.cross_entropy(of_client, targets).item(),
            "accuracy": (of_client.argmax(1) == targets).double().mean().item(),
        }
    found["processors"] = []
    image = Image.open(FOLDER / tests[0]["image"]).convert("RGB")
    for kind, settings in PROCESSORS:
        values = processor(kind, settings)([image], return_tensors="np")["pixel_values"][0]
        found["processors"].append(
            {"kind": kind, "settings": settings, "shape": list(values.shape), "pixels": values.flatten().tolist()}
        )
    return found


def rounded(value):
    """Numbers of float32 in eight digits."""
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return {key: rounded(part) for key, part in value.items()} if isinstance(value, dict) else value


def largest_difference(a, b):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        return max((largest_difference(a[key], b[key]) for key in a if key != "settings"), default=0)
    if isinstance(a, list):
        assert len(a) == len(b)
        return max((largest_difference(x, y) for x, y in zip(a, b)), default=0)
    if isinstance(a, (int, float)):
        return abs(a - b)
    assert a == b
    return 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agree", action="store_true")
    file = FOLDER / "recorded.json"
    if parser.parse_args().agree:
        record = json.loads(file.read_text())
        difference = largest_difference(compute(), {key: value for key, value in record.items() if key != "made"})
        print(f"transformers {transformers.__version__}: largest difference {difference:.1e}")
        assert difference < 1e-6
        record["made"]["agrees"] = sorted({*record["made"]["agrees"], transformers.__version__})
    else:
        write_folder()
        made = {"by": "tests/reference/vilt_sizes.py", "transformers": transformers.__version__,
                "torch": torch.__version__.split("+")[0], "pillow": PIL.__version__, "agrees": []}
        record = {"made": made, **rounded(compute())}
    file.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in record.items()) + "\n}\n")


if __name__ == "__main__":
    main()
