"""SmolVLM with images in tiles, for vlm_models.py: what its processor makes of images and questions, and the files that
a folder of it has beside the model's.

The images are some of vilt_sizes/images; resized to a longer edge of 32 and cut into tiles of 16 pixels they have 2 x 2,
1 x 2 and 2 x 1 of these, so that two of them are padded. The tokenizer is of SmolLM2's kind: bytes and a few pairs, two
line ends among them. Made with Pillow 12.3.0: Pillow 13 resizes some images first from top to bottom.
"""

import importlib
import json
import pathlib

import numpy
import PIL.Image
import tokenizers
import torch
import transformers

IS_NEW = int(transformers.__version__.split(".")[0]) >= 5
IMAGES = ("150x100.png", "171x40.png", "30x170.png")
QUESTIONS = ("what is it?", "how many?", "is 12 red?")
ANSWERS = (" a bag", " two", " no, it is")
SETTINGS = {
    "do_convert_rgb": True,
    "do_image_splitting": True,
    "do_normalize": True,
    "do_pad": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_processor_type": "SmolVLMImageProcessor",
    "image_std": [0.5, 0.5, 0.5],
    "max_image_size": {"longest_edge": 16},
    "resample": 1,
    "rescale_factor": 0.00392156862745098,
    "size": {"longest_edge": 32},
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<end_of_utterance>", "<pad>", "<fake_token_around_image>", "<image>",
           "<global-img>"] + [f"<row_{row}_col_{column}>" for row in (1, 2, 3) for column in (1, 2, 3)]
PAD, END, IMAGE = (SPECIAL.index(token) for token in ("<pad>", "<end_of_utterance>", "<image>"))
PAIRS = [("Ċ", "Ċ"), ("Ġ", "i"), ("i", "s"), ("a", "t")]


def tokenizer():
    units = [*SPECIAL, *sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in PAIRS)]
    model = tokenizers.models.BPE(vocab={unit: i for i, unit in enumerate(units)}, merges=PAIRS)
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Digits(individual_digits=True),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
    ])
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens([tokenizers.AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    return made


VOCABULARY = len(SPECIAL) + 256 + len(PAIRS)


def image_processor(name):
    if not IS_NEW:
        cls = getattr(transformers, f"{name}ImageProcessor")
    else:  # whose others resize by torchvision
        folder = name.lower()
        module = importlib.import_module(f"transformers.models.{folder}.image_processing_pil_{folder}")
        cls = getattr(module, f"{name}ImageProcessorPil")
    return cls(**{key: value for key, value in SETTINGS.items() if not key.endswith("_type")})


def images():
    folder = pathlib.Path(__file__).parent / "vilt_sizes" / "images"
    return [[PIL.Image.open(folder / name).convert("RGB")] for name in IMAGES]


def ids_of(texts):
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer(), pad_token="<pad>", padding_side="right")
    # SmolVLM's own asks for a package that spells out numbers, for videos; of images its texts are the same.
    processor = transformers.Idefics3Processor(image_processor("Idefics3"), words, image_seq_len=4)
    return processor(images=images(), text=list(texts))["input_ids"]


def pixels():
    found = [torch.as_tensor(numpy.array(image_processor(name)(images())["pixel_values"], dtype=numpy.float32))
             for name in ("SmolVLM", "Idefics3")]
    assert torch.equal(*found)
    return found[0]


def prompts():
    return [f"<|im_start|>User:<image>{question}<end_of_utterance>\nAssistant:" for question in QUESTIONS]


def padded(rows, value, side):
    width = max(map(len, rows))
    fill = [[value] * (width - len(row)) for row in rows]
    return torch.tensor([f + r if side == "left" else r + f for r, f in zip(rows, fill)])


def cases():
    asked = ids_of(prompts())
    answered = [row + [END] for row in
                ids_of(prompt + answer for prompt, answer in zip(prompts(), ANSWERS))]
    labels = [[-100] * len(prompt) + row[len(prompt):] for prompt, row in zip(asked, answered)]

    def case(rows, side):
        mask = padded([[1] * len(row) for row in rows], 0, side)
        return {"input_ids": padded(rows, PAD, side), "attention_mask": mask, "images": (0, 1, 2)}

    return {
        "right": ("Three questions and answers about images in 5, 3 and 3 tiles, padded on the right",
                  case(answered, "right") | {"labels": padded(labels, -100, "right")}),
        "left": ("The same rows, padded on the left",
                 case(answered, "left") | {"labels": padded(labels, -100, "left")}),
        "generation": ("The questions alone, padded on the left, continued", case(asked, "left")),
    }


def write(folder):
    """What a folder has beside config.json and weights, and what was asked."""
    tokenizer().save(str(folder / "tokenizer.json"))
    for name, value in (("preprocessor_config.json", SETTINGS),
                        ("asked.json", {"images": IMAGES, "questions": QUESTIONS, "answers": ANSWERS})):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")
