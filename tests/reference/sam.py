"""Records what transformers' SamModel and segment-anything's Sam compute, for tests/models/architectures/sam.cpp.

    python3 tests/reference/sam.py                     writes tests/reference/sam/{windows,plain,classes}/
    python3 tests/reference/sam.py --published         writes tests/reference/sam/windows/published.safetensors alone: the
                                                       gradients of segment-anything's Sam with the weights of sam.pth
    python3 tests/reference/sam.py --load KIND DIR     checks that transformers loads a model that Strata wrote, and gives
                                                       the recorded masks

Needs torch, transformers and segment_anything (PyPI). Versions are recorded.

windows: relative positions, windows that need padding, a global block; prompts of points and of a box.
plain: neither positions, no bias of queries, keys and values, another patch size and depth.
classes: a decoder of two classes and four steps of upsampling, as FLAP-SAM builds it (2407.21739), in plain PyTorch over
         transformers' parts.
"""

import argparse
import json
import pathlib

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig
from transformers.models.sam.modeling_sam import SamFeedForward, SamLayerNorm

FOLDER = pathlib.Path(__file__).parent / "sam"
# Wide enough for LayerNorms and heads, small enough to be kept.
DECODER = dict(hidden_size=32, mlp_dim=24, num_attention_heads=2, iou_head_hidden_dim=12)
KINDS = {
    "windows": dict(
        vision=dict(
            image_size=40, patch_size=8, window_size=3, global_attn_indexes=[1], num_hidden_layers=3, mlp_ratio=2.0
        ),
        decoder={},
    ),
    "plain": dict(
        vision=dict(
            image_size=16,
            patch_size=4,
            window_size=2,
            global_attn_indexes=[0],
            num_hidden_layers=1,
            mlp_dim=20,
            use_abs_pos=False,
            use_rel_pos=False,
            qkv_bias=False,
        ),
        decoder=dict(num_hidden_layers=1, num_multimask_outputs=2, iou_head_depth=2),
    ),
    "classes": dict(
        vision=dict(
            image_size=32, patch_size=16, window_size=2, global_attn_indexes=[0], num_hidden_layers=1, mlp_dim=20
        ),
        decoder=dict(num_multimask_outputs=2),
    ),
}


def make_config(kind):
    vision = dict(hidden_size=16, output_channels=32, num_attention_heads=2, num_pos_feats=16) | KINDS[kind]["vision"]
    size, patch = vision["image_size"], vision["patch_size"]
    prompt = dict(
        hidden_size=32, image_size=size, patch_size=patch, image_embedding_size=size // patch, mask_input_channels=4
    )
    return SamConfig(
        vision_config=SamVisionConfig(**vision).to_dict(),
        prompt_encoder_config=SamPromptEncoderConfig(**prompt).to_dict(),
        mask_decoder_config=SamMaskDecoderConfig(**(DECODER | KINDS[kind]["decoder"])).to_dict(),
    )


def upscale_to_patches(decoder, width):
    """FLAP-SAM's decoder: four steps of ConvTranspose 2x2, a LayerNorm and GELU after three, GELU after the last."""
    decoder.upscale_conv3 = nn.ConvTranspose2d(width // 8, width // 16, kernel_size=2, stride=2)
    decoder.upscale_conv4 = nn.ConvTranspose2d(width // 16, width // 32, kernel_size=2, stride=2)
    decoder.upscale_layer_norm2 = SamLayerNorm(width // 8, data_format="channels_first")
    decoder.upscale_layer_norm3 = SamLayerNorm(width // 16, data_format="channels_first")
    decoder.output_hypernetworks_mlps = nn.ModuleList(
        SamFeedForward(width, width, width // 32, 3) for _ in range(decoder.num_mask_tokens)
    )


def shake(model):
    """Moves every weight away from its initial zero or one, so that none can be forgotten unnoticed."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(0.1 * torch.randn(tensor.shape))
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(
            model.shared_image_embedding.positional_embedding
        )


def masks_of(model, pixels, points=None, labels=None, boxes=None):
    """All masks, the first one included, which SamModel leaves out."""
    embeddings = model.vision_encoder(pixels)[0]
    sparse, dense = model.prompt_encoder(input_points=points, input_labels=labels, input_boxes=boxes, input_masks=None)
    positions = model.get_image_wide_positional_embeddings().repeat(len(pixels), 1, 1, 1)
    decode = model.mask_decoder
    if hasattr(decode, "upscale_conv4"):
        return classes_of(decode, embeddings, positions, dense)
    found = [
        decode(embeddings, positions, sparse, dense, multimask_output=several)[0] for several in (False, True)
    ]
    return torch.cat(found, dim=2)[:, 0]


def classes_of(decoder, embeddings, positions, dense):
    n, width, height, _ = embeddings.shape
    tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight]).repeat(n, 1, 1, 1)
    tokens, rows = decoder.transformer(tokens, embeddings + dense, positions, None)
    maps = rows.transpose(2, 3).reshape(n, width, height, height)
    gelu = nn.functional.gelu
    maps = gelu(decoder.upscale_layer_norm(decoder.upscale_conv1(maps)))
    maps = gelu(decoder.upscale_layer_norm2(decoder.upscale_conv2(maps)))
    maps = gelu(decoder.upscale_layer_norm3(decoder.upscale_conv3(maps)))
    maps = gelu(decoder.upscale_conv4(maps))
    rows = [mlp(tokens[:, 0, 1 + i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps)]
    return torch.einsum("nkc,nchw->nkhw", torch.stack(rows, 1), maps)


def record(kind):
    torch.manual_seed(7)
    model = SamModel(make_config(kind)).eval()
    if kind == "classes":
        upscale_to_patches(model.mask_decoder, DECODER["hidden_size"])
    shake(model)
    model.save_pretrained(FOLDER / kind)
    if kind == "classes":
        path = FOLDER / kind / "config.json"
        config = json.loads(path.read_text())
        config["strata"] = {"classes": ["kidney", "tumor"], "upscaling_steps": 4}
        path.write_text(json.dumps(config, indent=2) + "\n")

    size = KINDS[kind]["vision"]["image_size"]
    pixels = torch.randn(2, 3, size, size)
    tensors = {"pixels": pixels}
    masks = masks_of(model, pixels)
    tensors["masks"] = masks.detach()
    tensors["weights"] = torch.randn(masks.shape)
    # In double precision: a LayerNorm over two channels leaves float32 three digits of a gradient.
    model.double()
    (masks_of(model, pixels.double()) * tensors["weights"]).sum().backward()
    tensors |= {
        f"gradient.{name}": weight.grad.float() for name, weight in model.named_parameters() if weight.grad is not None
    }
    model.float()
    if kind == "windows":
        points = torch.tensor([[[[3.0, 5.0], [30.0, 12.5]]], [[[20.0, 39.0], [0.0, 0.0]]]])
        labels = torch.tensor([[[1, 0]], [[0, -10]]])
        boxes = torch.tensor([[[2.0, 3.0, 30.0, 35.0]], [[10.0, 0.0, 20.0, 8.5]]])
        tensors |= {"points": points, "point_labels": labels, "boxes": boxes}
        with torch.no_grad():
            tensors["masks.points"] = masks_of(model, pixels, points, labels)
            tensors["masks.boxes"] = masks_of(model, pixels, boxes=boxes)
            tensors["masks.both"] = masks_of(model, pixels, points, labels, boxes)
        tensors["masks.published"] = published(model, pixels)
        tensors["pixels.smaller"] = torch.randn(2, 3, 32, 32)
        tensors["masks.smaller"] = smaller(model, tensors["pixels.smaller"])
    metadata = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, FOLDER / kind / "recorded.safetensors", metadata=metadata)
    print(kind, metadata, sum(weight.numel() for weight in model.parameters()))


def resized(maps, shape):
    return nn.functional.interpolate(maps, shape, mode="bilinear", align_corners=False)


def smaller(model, pixels):
    """The same weights for images of another size, positions resized as FLAP-SAM's and SAMed's build_sam.py do."""
    sizes = KINDS["windows"]["vision"]
    sizes["image_size"], side = pixels.shape[-1], sizes["image_size"]
    other = SamModel(make_config("windows")).eval()
    sizes["image_size"] = side
    state = model.state_dict()

    for name, tensor in other.state_dict().items():
        if name == "vision_encoder.pos_embed":
            state[name] = resized(state[name].permute(0, 3, 1, 2), tensor.shape[1:3]).permute(0, 2, 3, 1)
        elif "rel_pos" in name and tensor.shape != state[name].shape:
            state[name] = resized(state[name][None, None], tensor.shape)[0, 0]
    other.load_state_dict(state)
    with torch.no_grad():
        return masks_of(other, pixels)


# As transformers' convert_sam_to_hf.py has them, read the other way round.
PUBLISHED = [
    ("vision_encoder.", "image_encoder."),
    ("image_encoder.layers.", "image_encoder.blocks."),
    (".layer_norm1.", ".norm1."),
    (".layer_norm2.", ".norm2."),
    ("patch_embed.projection", "patch_embed.proj"),
    ("neck.conv1.", "neck.0."),
    ("neck.norm1.", "neck.1."),
    ("neck.conv2.", "neck.2."),
    ("neck.norm2.", "neck.3."),
    ("prompt_encoder.point_embed.", "prompt_encoder.point_embeddings."),
    ("mask_embed.conv1.", "mask_downscaling.0."),
    ("mask_embed.norm1.", "mask_downscaling.1."),
    ("mask_embed.conv2.", "mask_downscaling.3."),
    ("mask_embed.norm2.", "mask_downscaling.4."),
    ("mask_embed.conv3.", "mask_downscaling.6."),
    ("upscale_conv1.", "output_upscaling.0."),
    ("upscale_layer_norm.", "output_upscaling.1."),
    ("upscale_conv2.", "output_upscaling.3."),
    ("layer_norm_final_attn", "norm_final_attn"),
    ("layer_norm3.", "norm3."),
    ("layer_norm4.", "norm4."),
]


def published_name(name):
    if name == "shared_image_embedding.positional_embedding":
        return "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    for own, theirs in PUBLISHED:
        name = name.replace(own, theirs)
    if "hypernetworks" in name or "iou_prediction_head" in name:
        head, _, tail = name.partition(".proj_in.")
        if tail:
            return f"{head}.layers.0.{tail}"
        head, _, tail = name.partition(".proj_out.")
        if tail:
            return f"{head}.layers.2.{tail}"
        return name.replace(".layers.0.", ".layers.1.")
    return name


def published_sam(size):
    """segment-anything's Sam of the sizes of `windows`, but for images of this size."""
    from functools import partial

    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    sizes = KINDS["windows"]["vision"]
    grid = size // sizes["patch_size"]
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=size,
            patch_size=sizes["patch_size"],
            embed_dim=16,
            depth=sizes["num_hidden_layers"],
            num_heads=2,
            mlp_ratio=sizes["mlp_ratio"],
            out_chans=32,
            qkv_bias=True,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=sizes["window_size"],
            global_attn_indexes=sizes["global_attn_indexes"],
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=32,
            image_embedding_size=(grid, grid),
            input_image_size=(size, size),
            mask_in_chans=4,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=24, num_heads=2),
            transformer_dim=32,
            iou_head_depth=3,
            iou_head_hidden_dim=12,
        ),
    ).eval()


def published_masks(theirs, pixels):
    sparse, dense = theirs.prompt_encoder(points=None, boxes=None, masks=None)
    # Its encoding of places is for float32 alone.
    positions = theirs.prompt_encoder.get_dense_pe().to(pixels.dtype)
    found = []
    for embedding in theirs.image_encoder(pixels):
        masks, _ = theirs.mask_decoder.predict_masks(
            image_embeddings=embedding[None],
            image_pe=positions,
            sparse_prompt_embeddings=sparse.to(pixels.dtype),
            dense_prompt_embeddings=dense,
        )
        found.append(masks)
    return torch.cat(found)


def published(model, pixels):
    """The same weights in segment-anything's Sam, whose checkpoint is kept beside; its masks without a prompt."""
    theirs = published_sam(KINDS["windows"]["vision"]["image_size"])
    own = model.state_dict()
    own.pop("prompt_encoder.shared_embedding.positional_embedding", None)
    missing, unexpected = theirs.load_state_dict(
        {published_name(name): tensor for name, tensor in own.items()}, strict=False
    )
    assert not missing and not unexpected, (missing, unexpected)
    torch.save(theirs.state_dict(), FOLDER / "windows" / "sam.pth")
    with torch.no_grad():
        return published_masks(theirs, pixels)


def published_gradients(size, pixels, weights):
    """Of the sum of masks times `weights`, in double precision; positions are resized to images of another size."""
    theirs = published_sam(size)
    state = torch.load(FOLDER / "windows" / "sam.pth")
    for name, tensor in theirs.state_dict().items():
        if name == "image_encoder.pos_embed":
            state[name] = resized(state[name].permute(0, 3, 1, 2), tensor.shape[1:3]).permute(0, 2, 3, 1)
        elif "rel_pos" in name and tensor.shape != state[name].shape:
            state[name] = resized(state[name][None, None], tensor.shape)[0, 0]
    theirs.load_state_dict(state)
    theirs.double().prompt_encoder.pe_layer.float()
    masks = published_masks(theirs, pixels.double())
    (masks * weights).sum().backward()
    return masks, {name: weight.grad for name, weight in theirs.named_parameters() if weight.grad is not None}


def record_published():
    from importlib.metadata import version

    tensors = {}
    with safe_open(FOLDER / "windows" / "recorded.safetensors", framework="pt") as file:
        pixels, weights = file.get_tensor("pixels"), file.get_tensor("weights")
        expected, smaller_pixels = file.get_tensor("masks.published"), file.get_tensor("pixels.smaller")
    masks, gradients = published_gradients(pixels.shape[-1], pixels, weights)
    assert (masks - expected).abs().max() < 1e-4
    tensors |= {f"gradient.{name}": gradient.float() for name, gradient in gradients.items()}
    torch.manual_seed(11)
    tensors["weights.smaller"] = torch.randn(2, 4, 16, 16)
    masks, gradients = published_gradients(smaller_pixels.shape[-1], smaller_pixels, tensors["weights.smaller"])
    tensors["masks.smaller"] = masks.float()
    # Of these lengths alone, which is enough beside all of the first ones.
    tensors |= {f"length.{name}": gradient.norm().float().reshape(1) for name, gradient in gradients.items()}
    metadata = {"torch": torch.__version__.split("+")[0], "segment-anything": version("segment-anything")}
    tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, FOLDER / "windows" / "published.safetensors", metadata=metadata)
    print("published", metadata, len(gradients))


def load(kind, folder):
    model, info = SamModel.from_pretrained(folder, output_loading_info=True)
    model.eval()
    with safe_open(FOLDER / kind / "recorded.safetensors", framework="pt") as file:
        masks = masks_of(model, file.get_tensor("pixels"))
        difference = (masks - file.get_tensor("masks")).abs().max().item()
    print(transformers.__version__, f"largest difference of a mask's logit: {difference:.1e}")
    assert difference < 1e-5 and not info["missing_keys"] and not info["unexpected_keys"], info


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--load", nargs=2, metavar=("KIND", "DIR"))
    arguments = parser.parse_args()
    if arguments.load:
        load(*arguments.load)
    elif arguments.published:
        record_published()
    else:
        for kind in KINDS:
            (FOLDER / kind).mkdir(parents=True, exist_ok=True)
            record(kind)
        record_published()
