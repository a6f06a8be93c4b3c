"""Records what timm's VisionTransformer, transformers' ViTMAE and CLIPForImageClassification compute, for
tests/models/architectures/image_encoders.cpp.

    python3 tests/reference/image_encoders.py KIND           writes tests/reference/image_encoders/KIND/
    python3 tests/reference/image_encoders.py KIND --check   this version gives the recorded logits, too
    python3 tests/reference/image_encoders.py KIND --load DIR
                                  checks that the library loads a folder that Strata saved of KIND, with these logits
    python3 tests/reference/image_encoders.py names          writes tests/reference/image_encoders/names.json: the
                                  parameters of timm's networks, every one of which computes what transformers' ViT does,
                                  and of CLIP's towers there, which do not

KIND: timm, timm_clip (with the gradients of the mean cross entropy, too), vit_mae, clip. Of vit_mae what is recorded are the first rows of the encoder behind its last norm, as
ViTForImageClassification reads them. Needs torch and transformers; timm where it is named. Versions are recorded.
"""

import argparse
import json
import pathlib

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "image_encoders"
LABELS = ["basophil", "eosinophil", "lymphocyte"]
TRUE_LABELS = [0, 2, 1, 2]
SIZES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=16, patch_size=8)
NETWORKS = (
    "vit_tiny_patch16_224 vit_tiny_patch16_384 vit_small_patch32_224 vit_small_patch32_384 vit_small_patch16_224 "
    "vit_small_patch16_384 vit_small_patch8_224 vit_base_patch32_224 vit_base_patch32_384 vit_base_patch16_224 "
    "vit_base_patch16_384 vit_base_patch8_224 vit_large_patch32_224 vit_large_patch32_384 vit_large_patch16_224 "
    "vit_large_patch16_384 vit_large_patch14_224 vit_huge_patch14_224 deit_tiny_patch16_224 deit_small_patch16_224 "
    "deit_base_patch16_224 deit_base_patch16_384"
).split()
CLIP_NETWORKS = (
    "vit_xsmall_patch16_clip_224 vit_medium_patch32_clip_224 vit_medium_patch16_clip_224 vit_betwixt_patch32_clip_224 "
    "vit_base_patch32_clip_224 vit_base_patch32_clip_256 vit_base_patch32_clip_384 vit_base_patch32_clip_448 "
    "vit_base_patch16_clip_224 vit_base_patch16_clip_384 vit_base_patch16_plus_clip_240 vit_large_patch14_clip_224 "
    "vit_large_patch14_clip_336 vit_huge_patch14_clip_224 vit_huge_patch14_clip_336 vit_huge_patch14_clip_378 "
    "vit_giant_patch14_clip_224 vit_gigantic_patch14_clip_224 vit_gigantic_patch14_clip_378 "
    "vit_base_patch32_clip_quickgelu_224 vit_base_patch16_clip_quickgelu_224 vit_large_patch14_clip_quickgelu_224 "
    "vit_large_patch14_clip_quickgelu_336 vit_huge_patch14_clip_quickgelu_224 vit_huge_patch14_clip_quickgelu_378 "
    "vit_gigantic_patch14_clip_quickgelu_224"
).split()


def shake(model):
    """Moves every weight away from its initial zero or one, so that none can be forgotten unnoticed."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape))
    return model.eval()


def labelled():
    return dict(id2label=dict(enumerate(LABELS)), label2id={label: i for i, label in enumerate(LABELS)})


def make_timm(network="vit_tiny_patch16_224", kind="timm"):
    import timm

    arguments = dict(img_size=16, patch_size=8, embed_dim=16, depth=2, num_heads=4, mlp_ratio=3.0)
    model = timm.create_model(network, num_classes=3, **arguments)
    model.pretrained_cfg["input_size"] = (3, 16, 16)
    from timm.models import save_for_hf

    save_for_hf(shake(model), FOLDER / kind, model_config={"label_names": LABELS}, model_args=arguments,
                safe_serialization=True)
    return model


def make_timm_clip():
    return make_timm("vit_base_patch16_clip_quickgelu_224", "timm_clip")


def make_vit_mae():
    sizes = SIZES | dict(decoder_hidden_size=8, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
                         decoder_intermediate_size=16)
    model = shake(transformers.ViTMAEForPreTraining(transformers.ViTMAEConfig(**sizes)))
    model.save_pretrained(FOLDER / "vit_mae")
    return encoder_of(FOLDER / "vit_mae")


def encoder_of(folder):
    model = transformers.ViTForImageClassification.from_pretrained(folder, model_type="vit").eval()
    return lambda pixels: model.vit(pixel_values=pixels).last_hidden_state[:, 0].contiguous()


def clip_config():
    text = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=16)
    return transformers.CLIPConfig(text_config=text, vision_config=SIZES, projection_dim=8, **labelled())


def make_clip():
    model = shake(transformers.CLIPForImageClassification(clip_config()))
    model.save_pretrained(FOLDER / "clip")
    return lambda pixels: model(pixel_values=pixels).logits


def loaded_timm(folder):
    import timm

    return timm.create_model(f"local-dir:{folder}", pretrained=True).eval()


def loaded_clip(folder):
    model, info = transformers.CLIPForImageClassification.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"], info
    assert list(model.config.id2label.values()) == LABELS, model.config
    return lambda pixels: model.eval()(pixel_values=pixels).logits


MAKE = {"timm": make_timm, "timm_clip": make_timm_clip, "vit_mae": make_vit_mae, "clip": make_clip}
LOAD = {"timm": loaded_timm, "timm_clip": loaded_timm, "vit_mae": encoder_of, "clip": loaded_clip}


def versions(kind):
    found = {"torch": torch.__version__.split("+")[0]}
    if kind.startswith("timm"):
        import timm

        return found | {"timm": timm.__version__}
    return found | {"transformers": transformers.__version__}


def record(kind):
    torch.manual_seed(11)
    logits_of = MAKE[kind]()
    pixels = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        tensors = {"pixels": pixels, "logits": logits_of(pixels)}
    if kind == "timm_clip":
        torch.nn.functional.cross_entropy(logits_of(pixels), torch.tensor(TRUE_LABELS)).backward()
        tensors |= {f"gradient.{name}": weight.grad for name, weight in logits_of.named_parameters()}
    save_file(tensors, FOLDER / kind / "recorded.safetensors", metadata=versions(kind))
    print(kind, versions(kind))


def check(kind, folder):
    logits_of = LOAD[kind](folder)
    with safe_open(FOLDER / kind / "recorded.safetensors", framework="pt") as file, torch.no_grad():
        difference = (logits_of(file.get_tensor("pixels")) - file.get_tensor("logits")).abs().max().item()
    print(kind, versions(kind), f"largest difference of a number: {difference:.1e}")
    assert difference < 1e-5


def as_timm(state):
    """The weights of transformers' ViT under timm's names."""
    names = {"vit.embeddings.cls_token": "cls_token", "vit.embeddings.position_embeddings": "pos_embed"}
    starts = {"vit.embeddings.patch_embeddings.projection": "patch_embed.proj", "vit.layernorm": "norm",
              "classifier": "head", "vit.encoder.layer": "blocks", "vit.layers": "blocks"}
    ends = {"attention.output.dense": "attn.proj", "attention.o_proj": "attn.proj", "intermediate.dense": "mlp.fc1",
            "layernorm_before": "norm1", "layernorm_after": "norm2"}
    found, fused = {}, {}
    for name, tensor in state.items():
        new = names.get(name, name)
        for old, start in starts.items():
            new = start + new.removeprefix(old) if new.startswith(old) else new
        for old, end in ends.items():
            new = new.replace(old, end)
        new = new.replace(".output.dense", ".mlp.fc2")
        parts = [part for part in ("query", "key", "value", "q_proj", "k_proj", "v_proj") if f".{part}." in new]
        if parts:
            whole = new.replace("attention.attention", "attn").replace("attention.", "attn.").replace(parts[0], "qkv")
            fused.setdefault(whole, {})["qkv".index(parts[0][0])] = tensor
        else:
            found[new] = tensor
    return found | {name: torch.cat([parts[i] for i in range(3)]) for name, parts in fused.items()}


def names():
    import timm

    counts = {}
    for network in NETWORKS:
        torch.manual_seed(3)
        theirs = timm.create_model(network, num_classes=3).eval()
        side, patch = theirs.patch_embed.img_size[0], theirs.patch_embed.patch_size[0]
        config = transformers.ViTConfig(
            hidden_size=theirs.embed_dim, num_hidden_layers=len(theirs.blocks), image_size=side, patch_size=patch,
            num_attention_heads=theirs.blocks[0].attn.num_heads, intermediate_size=4 * theirs.embed_dim,
            layer_norm_eps=1e-6, **labelled()
        )
        counts[network] = {
            "parameters": sum(weight.numel() for weight in theirs.parameters()),
            "sizes": [config.hidden_size, config.num_hidden_layers, config.num_attention_heads, patch, side],
        }
        if config.hidden_size <= 384:  # the small ones
            ours = shake(transformers.ViTForImageClassification(config))
            theirs.load_state_dict(as_timm(ours.state_dict()), strict=True)
            with torch.no_grad():
                pixels = torch.randn(1, 3, side, side)
                difference = (theirs(pixels) - ours(pixels).logits).abs().max().item()
            assert difference < 1e-3, (network, difference)
        print(network, counts[network], flush=True)
    counts |= clip_names()
    made = versions("timm") | {"transformers": transformers.__version__}
    rows = ",\n".join(f"  {json.dumps(network)}: {json.dumps(found)}" for network, found in counts.items())
    (FOLDER / "names.json").write_text(f'{{"made": {json.dumps(made)},\n "networks": {{\n{rows}\n }}}}\n')


def clip_names():
    import timm

    counts = {}
    for network in CLIP_NETWORKS:
        with torch.device("meta"):
            theirs = timm.create_model(network, num_classes=3)
        block, patches = theirs.blocks[0], theirs.patch_embed
        counts[network] = {
            "parameters": sum(weight.numel() for weight in theirs.parameters()),
            "sizes": [theirs.embed_dim, len(theirs.blocks), block.attn.num_heads, patches.patch_size[0],
                      patches.img_size[0]],
            "activation": {"GELU": "gelu", "QuickGELU": "quick_gelu"}[type(block.mlp.act).__name__],
        }
        assert {theirs.norm_pre.eps, block.norm1.eps, block.norm2.eps, theirs.norm.eps} == {1e-5}
        assert patches.proj.bias is None and theirs.global_pool == "token"
        print(network, counts[network], flush=True)
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=[*MAKE, "names"])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--load", metavar="DIR")
    arguments = parser.parse_args()
    if arguments.kind == "names":
        names()
    elif arguments.check or arguments.load:
        check(arguments.kind, arguments.load or FOLDER / arguments.kind)
    else:
        record(arguments.kind)
