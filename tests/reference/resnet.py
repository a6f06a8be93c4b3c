"""Records what transformers' ResNetForImageClassification computes, and what timm and torchvision call its weights,
for tests/models/architectures/resnet.cpp.

    python3 tests/reference/resnet.py                      writes tests/reference/resnet/{basic,bottleneck}/
    python3 tests/reference/resnet.py --names              writes tests/reference/resnet/names.json
    python3 tests/reference/resnet.py --processors         writes tests/reference/resnet/processors.json
    python3 tests/reference/resnet.py --load KIND DIR      checks that transformers loads a model Strata wrote,
                                                           and gives the recorded logits

Needs torch and transformers; --names needs timm and torchvision, too, and --processors Pillow. Versions are recorded.
"""

import argparse
import json
import pathlib

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import ResNetConfig, ResNetForImageClassification

FOLDER = pathlib.Path(__file__).parent / "resnet"
LABELS = ["normal", "bacterial", "viral"]
# Every option that changes the network is on in one of the two.
KINDS = {
    "basic": dict(embedding_size=8, hidden_sizes=[8, 8, 16], depths=[1, 2, 1], layer_type="basic"),
    "bottleneck": dict(
        embedding_size=8,
        hidden_sizes=[16, 32],
        depths=[2, 1],
        layer_type="bottleneck",
        downsample_in_first_stage=True,
        downsample_in_bottleneck=True,
    ),
}
# timm's and torchvision's networks of these names, as ResNetConfig has them.
PUBLISHED = {
    "resnet18": ("basic", [64, 128, 256, 512], [2, 2, 2, 2]),
    "resnet34": ("basic", [64, 128, 256, 512], [3, 4, 6, 3]),
    "resnet26": ("bottleneck", [256, 512, 1024, 2048], [2, 2, 2, 2]),
    "resnet50": ("bottleneck", [256, 512, 1024, 2048], [3, 4, 6, 3]),
    "resnet101": ("bottleneck", [256, 512, 1024, 2048], [3, 4, 23, 3]),
    "resnet152": ("bottleneck", [256, 512, 1024, 2048], [3, 8, 36, 3]),
}


def labelled(**options):
    return ResNetConfig(
        id2label=dict(enumerate(LABELS)), label2id={label: i for i, label in enumerate(LABELS)}, **options
    )


def shake(model):
    """Moves every weight and statistic away from its initial zero or one, so that none can be forgotten unnoticed."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):
                tensor.mul_(0.5 + torch.rand(tensor.shape))
            elif name.endswith("num_batches_tracked"):
                tensor.fill_(17)
            else:
                tensor.add_(0.1 * torch.randn(tensor.shape))


def record(kind):
    torch.manual_seed(11)
    model = ResNetForImageClassification(labelled(**KINDS[kind])).eval()
    shake(model)
    model.save_pretrained(FOLDER / kind)

    pixels = torch.randn(3, 3, 24, 40)
    targets = torch.tensor([0, 2, 1])
    logits = model(pixel_values=pixels).logits
    loss = torch.nn.functional.cross_entropy(logits, targets)
    loss.backward()
    tensors = {"pixels": pixels, "labels": targets, "logits": logits.detach(), "loss": loss.detach()}
    tensors |= {f"gradient.{name}": weight.grad for name, weight in model.named_parameters()}
    metadata = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    save_file(tensors, FOLDER / kind / "recorded.safetensors", metadata=metadata)
    print(kind, metadata, sum(weight.numel() for weight in model.parameters()))


def load(kind, folder):
    model, info = ResNetForImageClassification.from_pretrained(folder, output_loading_info=True)
    model.eval()
    with safe_open(FOLDER / kind / "recorded.safetensors", framework="pt") as file:
        logits = model(pixel_values=file.get_tensor("pixels")).logits
        difference = (logits - file.get_tensor("logits")).abs().max().item()
    print(transformers.__version__, model.config.id2label, f"largest difference of a logit: {difference:.1e}")
    assert difference < 1e-5 and not info["missing_keys"] and not info["unexpected_keys"], info


def other_name(name):
    """What timm and torchvision call a tensor of transformers' ResNet."""
    name = name.replace("resnet.embedder.embedder.convolution", "conv1")
    name = name.replace("resnet.embedder.embedder.normalization", "bn1").replace("classifier.1", "fc")
    if not name.startswith("resnet.encoder.stages."):
        return name
    stage, _, block, *path, end = name.removeprefix("resnet.encoder.stages.").split(".")
    part = path[-1]
    if path[0] == "shortcut":
        own = f"downsample.{('convolution', 'normalization').index(part)}"
    else:
        own = {"convolution": "conv", "normalization": "bn"}[part] + str(int(path[1]) + 1)
    return f"layer{int(stage) + 1}.{block}.{own}.{end}"


def names():
    import timm
    import torchvision

    networks = {}
    for published, (kind, hidden, depths) in PUBLISHED.items():
        torch.manual_seed(3)
        ours = ResNetForImageClassification(labelled(hidden_sizes=hidden, depths=depths, layer_type=kind)).eval()
        state = {other_name(name): tensor for name, tensor in ours.state_dict().items()}
        theirs = {"timm": timm.create_model(published, num_classes=3).eval()}
        if hasattr(torchvision.models, published):
            theirs["torchvision"] = getattr(torchvision.models, published)(num_classes=3).eval()
        for library, model in theirs.items():
            model.load_state_dict(state, strict=True)
            if len(depths) * 8 >= sum(depths):  # the small ones
                with torch.no_grad():
                    pixels = torch.randn(2, 3, 64, 64)
                    difference = (model(pixels) - ours(pixels).logits).abs().max().item()
                assert difference < 1e-4, (published, library, difference)
        networks[published] = {
            "parameters": sum(weight.numel() for weight in ours.parameters()),
            "tensors": len(state),
            "in": sorted(theirs),
        }
        if published in ("resnet18", "resnet50"):
            networks[published]["names"] = {
                name: [other_name(name), list(tensor.shape)] for name, tensor in ours.state_dict().items()
            }
    made = {"timm": timm.__version__, "torchvision": torchvision.__version__.split("+")[0]}
    made["transformers"] = transformers.__version__
    (FOLDER / "names.json").write_text(json.dumps({"made": made, "networks": networks}, indent=1) + "\n")
    print(made)


def processors():
    from PIL import Image

    if transformers.__version__.startswith("4."):
        from transformers import ConvNextImageProcessor as Processor
    else:
        from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil as Processor
    import PIL

    recorded = []
    generator = torch.Generator().manual_seed(5)
    for width, height, settings in [
        (30, 21, dict(size={"shortest_edge": 12}, crop_pct=0.875, resample=3)),
        (33, 40, dict(size={"shortest_edge": 12}, crop_pct=0.9, resample=2, image_mean=[0.485, 0.456, 0.406],
                      image_std=[0.229, 0.224, 0.225])),
        (23, 23, dict(size={"shortest_edge": 10}, crop_pct=1.0, resample=3, do_normalize=False)),
        (31, 27, dict(size={"shortest_edge": 384}, crop_pct=0.875, resample=2)),
    ]:
        array = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8).numpy()
        pixels = Processor(**settings)(Image.fromarray(array), return_tensors="np")["pixel_values"][0]
        # Of the large one, every 31st number.
        flat = pixels.reshape(-1).tolist()
        recorded.append({
            "width": width, "height": height, "image": array.reshape(-1).tolist(), "settings": settings,
            "shape": list(pixels.shape), "step": 31 if len(flat) > 10000 else 1,
            "pixels": [round(value, 6) for value in flat[:: 31 if len(flat) > 10000 else 1]],
        })
    made = {"transformers": transformers.__version__, "pillow": PIL.__version__}
    path = FOLDER / "processors.json"
    if path.exists():
        before = json.loads(path.read_text())
        worst = max(
            abs(a - b)
            for old, new in zip(before["processors"], recorded, strict=True)
            for a, b in zip(old["pixels"], new["pixels"], strict=True)
        )
        print(f"differs from {before['made']} by {worst:.1e}")
        if before["made"]["transformers"] != made["transformers"]:
            assert worst < 1e-5
            before["made"]["agrees"] = made["transformers"]
            path.write_text(json.dumps(before) + "\n")
            return
    path.write_text(json.dumps({"made": made, "processors": recorded}) + "\n")
    print(made)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--names", action="store_true")
    parser.add_argument("--processors", action="store_true")
    parser.add_argument("--load", nargs=2, metavar=("KIND", "DIR"))
    arguments = parser.parse_args()
    if arguments.names:
        names()
    elif arguments.processors:
        processors()
    elif arguments.load:
        load(*arguments.load)
    else:
        for each in KINDS:
            record(each)
