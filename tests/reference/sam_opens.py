"""What Strata writes of a SAM is opened by transformers and PEFT: a part of open_run_folders.py.

Bases are transformers' folders and segment-anything's .pth of the same weights. Masks with classes are read by the lines
of docs/models.md, which are run here as they stand there.
"""

import json
import pathlib
import re
import struct
import subprocess

import numpy
import peft
import torch
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

import sam_lora
from sam import masks_of, published_name

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/models.md"
CLASSES = ["kidney", "tumor"]
SIZE, SLICES = 32, 6


def build(patch):
    """A SAM with random weights; heads and epsilon of the decoder are those that segment-anything's checkpoints have."""
    torch.manual_seed(11)
    vision = SamVisionConfig(
        hidden_size=16, output_channels=32, num_hidden_layers=3, num_attention_heads=2, num_pos_feats=16, image_size=SIZE,
        patch_size=patch, window_size=3, global_attn_indexes=[1], mlp_ratio=2.0)
    prompt = SamPromptEncoderConfig(hidden_size=32, image_size=SIZE, patch_size=patch, image_embedding_size=SIZE // patch,
                                    mask_input_channels=4)
    decoder = SamMaskDecoderConfig(hidden_size=32, mlp_dim=24, num_attention_heads=8, iou_head_hidden_dim=12,
                                   layer_norm_eps=1e-5)
    model = SamModel(SamConfig(vision_config=vision.to_dict(), prompt_encoder_config=prompt.to_dict(),
                               mask_decoder_config=decoder.to_dict())).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape))
        encoding = model.shared_image_embedding.positional_embedding
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(encoding)
    return model


def write_base(model, folder, published):
    if not published:
        model.save_pretrained(folder)
        return
    folder.mkdir(exist_ok=True)
    state = {published_name(name): tensor for name, tensor in model.state_dict().items()
             if not name.startswith("prompt_encoder.shared_embedding.")}
    torch.save(state, folder / "sam.pth")


def opened(folder):
    model, info = SamModel.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], (folder, info)
    return model.eval()


def check_merged(strata, folder, kind, published):
    """`strata merge` of a base and PEFT's pairs is a SamModel with the masks of PEFT's model."""
    base, pairs = build(8), folder / f"sam-{kind}-lora"
    write_base(base, pairs, published)
    base.save_pretrained(folder / f"sam-{kind}-plain")
    config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=["qkv", "q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(12)
    pixels = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        before = masks_of(base, pixels)
        adapted = peft.get_peft_model(base, config).eval()
        expected = masks_of(adapted.base_model.model, pixels)
    adapted.save_pretrained(pairs)
    merged = folder / f"sam-{kind}-merged"
    subprocess.run([strata, "merge", pairs, "--out", merged], check=True, stdout=subprocess.DEVNULL)
    with torch.no_grad():
        found = masks_of(opened(merged), pixels)
    difference, change = (found - expected).abs().max().item(), (before - expected).abs().max().item()
    assert difference < 1e-4 * expected.abs().max() and change > 1e-2, (kind, difference, change)
    print(f"sam, {kind} with PEFT's pairs, merged: opens without missing or unexpected weights, masks differ by {difference:.0e}")
    return pairs, merged


def check_exported(strata, folder, pairs, merged):
    """PEFT opens what `strata export --base` makes of the pairs, with the masks of the merged model."""
    plain, out = folder / "sam-SamModel-plain", folder / "sam-exported"
    subprocess.run([strata, "export", pairs, "--base", plain, "--out", out], check=True, stdout=subprocess.DEVNULL)
    print("sam, pairs exported, opened by PEFT:", end=" ")
    sam_lora.load(plain, out, merged)


def write_nifti(path, voxels):
    header = bytearray(352)
    code, bits = {"int16": (4, 16), "uint8": (2, 8)}[str(voxels.dtype)]
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *voxels.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, code, bits)
    struct.pack_into("<8f", header, 76, 1, 1, 1, 2, 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    struct.pack_into("<2h", header, 252, 0, 1)  # by the s-form
    struct.pack_into("<12f", header, 280, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0)
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + voxels.tobytes(order="F"))


def read_labels(path):
    data = path.read_bytes()
    shape = struct.unpack_from("<3h", data, 42)
    assert struct.unpack_from("<h", data, 70)[0] == 2, path
    begin = int(struct.unpack_from("<f", data, 108)[0])
    return numpy.frombuffer(data, "uint8", offset=begin).reshape(shape, order="F")


def make_volumes(folder):
    """Two sites' volumes of slices along the last axis, with bright and brighter squares."""
    folder.mkdir()
    random, lines = numpy.random.default_rng(5), []
    for number in range(4):
        mask = numpy.zeros((SIZE, SIZE, SLICES), "uint8")
        row, column = random.integers(2, 12, 2)
        mask[row:row + 14, column:column + 10, 1:5] = 1
        mask[row + 4:row + 9, column + 2:column + 7, 2:4] = 2
        image = (300 * mask.astype("int16") + random.integers(0, 200, mask.shape)).astype("int16")
        write_nifti(folder / f"{number}.nii", image)
        write_nifti(folder / f"{number}_mask.nii", mask)
        lines.append({"image": f"{number}.nii", "mask": f"{number}_mask.nii", "client": ["ct", "mri"][number // 2],
                      "split": ["train", "test"][number % 2]})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "dataset.json").write_text(json.dumps({"version": 1, "name": "squares", "synthetic": True, "classes": CLASSES}))
    return [line["image"] for line in lines if line["split"] == "test"]


def documented(folder):
    """`class_masks` and `names` of docs/models.md, of the model in a folder."""
    [code] = [block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "class_masks" in block]
    assert 'folder = "run/model"' in code
    found = {}
    exec(code.replace('"run/model"', repr(str(folder))), found)
    return found["class_masks"], found["names"]


def segmented(class_masks, path):
    """The mean probabilities of each place of a volume's slices over the stacks of five that a slice is in."""
    data = path.read_bytes()
    image = numpy.frombuffer(data, "<i2", offset=352).reshape((SIZE, SIZE, SLICES), order="F").astype("float64")
    slices = torch.tensor(image.transpose(2, 0, 1))
    sums, counts = 0, torch.zeros(SLICES)
    for middle in range(SLICES):
        places = [min(max(middle + step, 0), SLICES - 1) for step in range(-2, 3)]
        stack = slices[places]
        stack = ((stack - stack.min()) / (stack.max() - stack.min() + 1e-8)).float()
        found = class_masks(stack[:, None].expand(-1, 3, -1, -1)).softmax(1)
        sums = sums + torch.zeros(SLICES, *found.shape[1:])
        for place, step in enumerate(range(-2, 3)):
            if 0 <= middle + step < SLICES:
                sums[middle + step] += found[place]
                counts[middle + step] += 1
    return sums / counts[:, None, None, None]


def check_classes(strata, folder, kind, published):
    """A run's SAM with classes and two steps of enlarging is a SamModel, whose masks are those of `strata evaluate`."""
    base, data, out = folder / f"sam-{kind}", folder / "squares", folder / f"sam-{kind}-run"
    write_base(build(4), base, published)
    tests = sorted(path.name for path in data.glob("[13].nii")) if data.exists() else make_volumes(data)
    (folder / f"{out.name}.yaml").write_text(f"""version: 1
name: opened
task: segmentation
data: {{folder: squares}}
model: {{folder: {base.name}, answers: data}}
units: {{mode: full}}
run: {{strategies: [full], seeds: [1], rounds: 1, budget: 1, local: {{steps: 4, batch_size: 4, learning_rate: 0.001}}}}
""")
    for command in (["run", f"{out.name}.yaml", "--out", out.name, "--threads", "1"],
                    ["evaluate", f"{out.name}/model", "--data", "squares", "--masks", f"{out.name}-masks", "--threads", "1"]):
        done = subprocess.run([strata, *command], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
    assert opened(out / "model").config.mask_decoder_config.num_multimask_outputs == len(CLASSES)
    class_masks, names = documented(out / "model")
    assert names == ["background", *CLASSES], names
    kinds, least = set(), 1.0
    for name in tests:
        found = segmented(class_masks, data / name)
        assert found.shape == (SLICES, 1 + len(CLASSES), SIZE, SIZE), found.shape
        theirs = read_labels(folder / f"{out.name}-masks" / name).transpose(2, 0, 1)
        ours = found.argmax(1).numpy()
        top = found.topk(2, 1).values
        differs = (ours != theirs) & ((top[:, 0] - top[:, 1]).numpy() > 1e-4)
        assert not differs.any(), (kind, name, differs.sum())
        least = min(least, (ours == theirs).mean())
        kinds |= set(numpy.unique(ours))
    assert len(kinds) > 1, (kind, "the model says the same everywhere: nothing is tested")
    print(f"sam, {kind} with classes: opens without missing or unexpected weights, {100 * least:.2f} % of the voxels are as evaluated")


def check(strata, folder):
    for kind, published in [("SamModel", False), ("segment-anything", True)]:
        pairs, merged = check_merged(strata, folder, kind, published)
        if not published:
            check_exported(strata, folder, pairs, merged)
        check_classes(strata, folder, kind, published)
