"""That FLAP-SAM's own program loads what `strata export MODEL --out FILE.pth` writes.

    python3 tests/reference/flap_checkpoint.py CLONE FILE.pth

CLONE is a clone of BioMedIA-MBZUAI/FLAP-SAM (read with commit f2cf1be). Its model is built in the file's sizes, which must be
FLAP-SAM's but for the encoder's width, depth, heads and image: a decoder of 256 with 8 heads and patches of 16 pixels. Its names
and shapes must be those of the file, all of them, and its load_parameters must take it. Needs torch.
"""

import argparse
import sys
import types

import torch


def build(clone, state):
    sys.path.insert(0, clone)
    sys.modules["icecream"] = types.SimpleNamespace(ic=print)
    sys.modules["einops"] = types.SimpleNamespace(rearrange=None)
    from segment_anything.build_sam import _build_sam

    position = state["image_encoder.pos_embed"]
    width = position.shape[3]
    depth = 1 + max(int(name.split(".")[2]) for name in state if name.startswith("image_encoder.blocks."))
    first = "image_encoder.blocks.0.attn."
    pair = state.get(first + "lora_w_a_q.0.weight")
    model, _ = _build_sam(
        encoder_embed_dim=width,
        encoder_depth=depth,
        encoder_num_heads=width // state[first + "rel_pos_h"].shape[1],
        encoder_global_attn_indexes=[
            block
            for block in range(depth)
            if state[f"image_encoder.blocks.{block}.attn.rel_pos_h"].shape[0] == 2 * position.shape[1] - 1
        ],
        num_classes=state["mask_decoder.mask_tokens.weight"].shape[0] - 1,
        image_size=16 * position.shape[1],
        pixel_mean=[0, 0, 0],
        pixel_std=[1, 1, 1],
        r=0 if pair is None else pair.shape[0],
        num_lora=0 if pair is None else 1,
    )
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", metavar="CLONE")
    parser.add_argument("file", metavar="FILE.pth")
    arguments = parser.parse_args()
    state = torch.load(arguments.file, weights_only=True)["state_dict"]
    model = build(arguments.clone, state)
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    assert own == found, set(own.items()) ^ set(found.items())
    model.load_parameters(arguments.file)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    pairs = sum("lora_w_a_" in name for name in found)
    print(f"torch {torch.__version__}: {len(found)} tensors, {pairs} pairs, {sum(t.numel() for t in state.values())} numbers")


if __name__ == "__main__":
    main()
