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
                           .greedy, .beams: the new tokens alone, after the end padded; .beams_scores
    cases.json             what each case is, its options of generate, and the versions.

Everything is float32, on the CPU, with eager attention and one thread. `--out` elsewhere and a comparison of the folders
shows that a second run gives the same bytes.

counts.json has the numbers of parameters of the published architectures, made on the meta device from configurations
written here by hand; albef.py (called from here) records ALBEF, which transformers does not have.

The committed files were made with transformers 5.24.0 and 4.57.1, torch 2.15.0.
"""

import argparse
import copy
import json
import pathlib
import re
import shutil

import albef
import torch
import transformers
from safetensors.torch import load_file, save_file

FOLDER = pathlib.Path(__file__).parent / "vlms"
IS_NEW = int(transformers.__version__.split(".")[0]) >= 5
NEW, OLD = "5.24", "4.57"
NEW_TOKENS = 8

# ---- LLaVA ----------------------------------------------------------------------------------------------------------

BOS, EOS, IMAGE, PAD = 1, 2, 60, 61


def llava_config(text=None, **options):
    """llava-1.5-7b-hf's config.json, made small: 9 patches, an 18 x 18 image."""
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "ignore_index": -100,
        "image_token_index": IMAGE,
        "model_type": "llava",
        "pad_token_id": PAD,
        "torch_dtype": "float32",
        "text_config": {
            "model_type": "llama",
            "vocab_size": 64,
            "hidden_size": 24,
            "intermediate_size": 40,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 64,
            "rms_norm_eps": 1e-05,
        },
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": 16,
            "image_size": 18,
            "intermediate_size": 24,
            "num_attention_heads": 2,
            "num_hidden_layers": 3,
            "patch_size": 6,
            "projection_dim": 12,
            "vocab_size": 32000,
        },
    }
    config["text_config"].update(text or {})
    config.update(options)
    return config


LLAVA = {
    # As on the hub: projector_hidden_act, vision_feature_layer and -_strategy are there, though they are the defaults.
    "llava": llava_config(
        image_seq_length=9, projector_hidden_act="gelu", vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    ),
    "llava_full": llava_config({"tie_word_embeddings": True}, vision_feature_select_strategy="full"),
    "llava_layers": llava_config(
        {"rope_scaling": {"type": "linear", "factor": 2.5}, "rms_norm_eps": 1e-6, "num_key_value_heads": 4},
        vision_feature_layer=[1, -1],
    ),
    "llava_llama3": llava_config(
        {
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "max_position_embeddings": 512,
            "rope_theta": 1000.0,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
        multimodal_projector_bias=False,
    ),
    "llava_mistral": llava_config(
        {"model_type": "mistral", "rope_theta": 1000000.0, "sliding_window": 7, "head_dim": 8}
    ),
    "llava_qwen2": llava_config({"model_type": "qwen2", "rms_norm_eps": 1e-6, "tie_word_embeddings": True}),
}
# What text_config's keys above equal of their model type's defaults is taken out.
LEFT_OUT = {
    "llava_layers": ["rms_norm_eps", "num_key_value_heads"],
    "llava_qwen2": ["rms_norm_eps"],
}
for _name, _keys in LEFT_OUT.items():
    for _key in _keys:
        del LLAVA[_name]["text_config"][_key]


def canonical_llava(name):
    """One name for what 4.46, 4.57 and 5.24 call a weight in memory and in files."""
    for part in ("vision_tower", "multi_modal_projector", "language_model"):
        name = name.replace(f"model.{part}.", f"{part}.", 1) if name.startswith(f"model.{part}.") else name
    name = name.replace("language_model.lm_head", "lm_head").replace("language_model.model.", "language_model.")
    return name.replace("vision_tower.vision_model.", "vision_tower.")


def hub_llava(name):
    name = canonical_llava(name)
    if name.startswith("lm_head"):
        return f"language_model.{name}"
    name = name.replace("language_model.", "language_model.model.", 1)
    return name.replace("vision_tower.", "vision_tower.vision_model.", 1)


LLAVA_GRADIENTS = """
    vision_tower.embeddings.class_embedding
    vision_tower.embeddings.patch_embedding.weight
    vision_tower.embeddings.position_embedding.weight
    vision_tower.pre_layrnorm.weight
    vision_tower.encoder.layers.0.self_attn.q_proj.weight
    vision_tower.encoder.layers.0.self_attn.k_proj.weight
    vision_tower.encoder.layers.0.self_attn.v_proj.bias
    vision_tower.encoder.layers.1.self_attn.out_proj.weight
    vision_tower.encoder.layers.1.layer_norm1.bias
    vision_tower.encoder.layers.0.layer_norm2.weight
    vision_tower.encoder.layers.1.mlp.fc1.weight
    vision_tower.encoder.layers.1.mlp.fc2.bias
    vision_tower.encoder.layers.2.mlp.fc1.weight
    vision_tower.post_layernorm.weight
    multi_modal_projector.linear_1.weight
    multi_modal_projector.linear_2.weight
    multi_modal_projector.linear_2.bias
    language_model.embed_tokens.weight
    language_model.layers.0.self_attn.q_proj.weight
    language_model.layers.0.self_attn.q_proj.bias
    language_model.layers.0.self_attn.k_proj.weight
    language_model.layers.0.self_attn.k_proj.bias
    language_model.layers.1.self_attn.v_proj.weight
    language_model.layers.1.self_attn.o_proj.weight
    language_model.layers.0.input_layernorm.weight
    language_model.layers.1.post_attention_layernorm.weight
    language_model.layers.0.mlp.gate_proj.weight
    language_model.layers.1.mlp.up_proj.weight
    language_model.layers.1.mlp.down_proj.weight
    language_model.norm.weight
    lm_head.weight
""".split()
FEWER = """
    vision_tower.encoder.layers.0.self_attn.q_proj.weight
    vision_tower.encoder.layers.2.mlp.fc1.weight
    multi_modal_projector.linear_1.weight
    language_model.embed_tokens.weight
    language_model.layers.0.self_attn.q_proj.weight
    language_model.layers.0.self_attn.q_proj.bias
    language_model.layers.0.self_attn.k_proj.weight
    language_model.layers.1.self_attn.k_proj.bias
    language_model.layers.1.self_attn.v_proj.weight
    language_model.norm.weight
    lm_head.weight
""".split()


def padded(rows, pad, side):
    """Rows of tokens in one matrix, and its mask."""
    length = max(map(len, rows))
    ids = torch.full((len(rows), length), pad)
    mask = torch.zeros(len(rows), length, dtype=torch.long)
    for i, row in enumerate(rows):
        at = slice(0, len(row)) if side == "right" else slice(length - len(row), length)
        ids[i, at] = torch.tensor(row)
        mask[i, at] = 1
    return ids, mask


def llava_cases(config, only=("right", "left", "uneven", "generation")):
    image = [config["image_token_index"]] * (10 if config.get("vision_feature_select_strategy") == "full" else 9)
    prompts = [[BOS, *image, 13, 22], [BOS, 7, 9, *image, 5, 11, 30, 31], [BOS, 17, 40, 41, 8, 33, *image]]
    answers = [[44, 19, EOS], [50, EOS], [12, 27, 3, 36, EOS]]
    pad = config["pad_token_id"]

    def case(side, rows=prompts, found=answers, images=(0, 1, 2)):
        ids, mask = padded([p + a for p, a in zip(rows, found)], pad, side)
        labels = padded([[-100] * len(p) + a for p, a in zip(rows, found)], -100, side)[0]
        return {"input_ids": ids, "attention_mask": mask, "images": images, "labels": labels}

    questions, mask = padded(prompts, pad, "left")
    cases = {
        "right": ("Three rows padded on the right; the image at the start, in the middle, after the text", case("right")),
        "left": ("The same rows, padded on the left", case("left")),
        "uneven": (
            "One row with two images, one with none: images are taken in the order of their tokens, row by row",
            case("left", [[BOS, *image, 5, *image, 6], [BOS, 21, 22, 23]], answers[:2], (2, 0)),
        ),
        "generation": (
            "The rows without answers, padded on the left, continued",
            {"input_ids": questions, "attention_mask": mask, "images": (0, 1, 2)},
        ),
    }
    return {name: cases[name] for name in only}


# ---- BLIP-2 ---------------------------------------------------------------------------------------------------------

QUERIES, BLIP_IMAGE, BLIP_ANSWER_END = 4, 62, 50


def blip2_config(text):
    """blip2-opt-2.7b's config.json, made small: 16 patches of a 16 x 16 image, the queries cross in blocks 0 and 2."""
    return {
        "architectures": ["Blip2ForConditionalGeneration"],
        "image_token_index": BLIP_IMAGE,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "model_type": "blip-2",
        "num_query_tokens": QUERIES,
        "qformer_config": {
            "model_type": "blip_2_qformer",
            "classifier_dropout": None,
            "hidden_size": 12,
            "intermediate_size": 20,
            "num_attention_heads": 3,
            "num_hidden_layers": 3,
        },
        "text_config": text,
        "torch_dtype": "float32",
        "use_decoder_only_language_model": text["model_type"] == "opt",
        "vision_config": {
            "dropout": 0.0,
            "hidden_size": 16,
            "image_size": 16,
            "initializer_factor": 1.0,
            "intermediate_size": 24,
            "model_type": "blip_2_vision_model",
            "num_attention_heads": 2,
            "num_channels": 3,
            "num_hidden_layers": 2,
            "patch_size": 4,
            "projection_dim": 512,
        },
    }


OPT_SIZES = {
    "model_type": "opt",
    "vocab_size": 64,
    "hidden_size": 16,
    "ffn_dim": 28,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 40,
}
BLIP2 = {
    "blip2_opt": blip2_config({**OPT_SIZES, "word_embed_proj_dim": 16}),
    "blip2_opt_post": blip2_config({**OPT_SIZES, "do_layer_norm_before": False}),
    "blip2_t5": blip2_config({
        "model_type": "t5",
        "vocab_size": 64,
        "d_model": 16,
        "d_kv": 6,
        "d_ff": 28,
        "num_layers": 2,
        "num_heads": 2,
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 12,
        "feed_forward_proj": "gated-gelu",
        "decoder_start_token_id": 0,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "output_past": True,
    }),
}
BLIP2_GRADIENTS = """
    query_tokens
    vision_model.embeddings.class_embedding
    vision_model.embeddings.position_embedding
    vision_model.embeddings.patch_embedding.weight
    vision_model.embeddings.patch_embedding.bias
    vision_model.encoder.layers.0.self_attn.qkv.weight
    vision_model.encoder.layers.1.self_attn.qkv.bias
    vision_model.encoder.layers.1.self_attn.projection.weight
    vision_model.encoder.layers.0.layer_norm1.weight
    vision_model.encoder.layers.1.mlp.fc1.weight
    vision_model.encoder.layers.0.mlp.fc2.bias
    vision_model.post_layernorm.weight
    qformer.layernorm.weight
    qformer.encoder.layer.0.attention.attention.query.weight
    qformer.encoder.layer.1.attention.output.dense.weight
    qformer.encoder.layer.0.attention.output.LayerNorm.weight
    qformer.encoder.layer.0.crossattention.attention.key.weight
    qformer.encoder.layer.2.crossattention.attention.value.bias
    qformer.encoder.layer.2.crossattention.output.LayerNorm.bias
    qformer.encoder.layer.1.intermediate_query.dense.weight
    qformer.encoder.layer.0.output_query.dense.weight
    qformer.encoder.layer.2.output_query.LayerNorm.bias
    language_projection.weight
    language_projection.bias
""".split()
OPT_GRADIENTS = """
    language_model.model.decoder.embed_tokens.weight
    language_model.model.decoder.embed_positions.weight
    language_model.model.decoder.layers.0.self_attn.q_proj.weight
    language_model.model.decoder.layers.0.self_attn.k_proj.bias
    language_model.model.decoder.layers.1.self_attn.v_proj.weight
    language_model.model.decoder.layers.1.self_attn.out_proj.bias
    language_model.model.decoder.layers.0.self_attn_layer_norm.weight
    language_model.model.decoder.layers.1.fc1.weight
    language_model.model.decoder.layers.0.fc2.bias
    language_model.model.decoder.layers.1.final_layer_norm.bias
    language_model.model.decoder.final_layer_norm.weight
""".split()
T5_GRADIENTS = """
    language_model.shared.weight
    language_model.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight
    language_model.encoder.block.0.layer.0.SelfAttention.q.weight
    language_model.encoder.block.1.layer.0.SelfAttention.o.weight
    language_model.encoder.block.0.layer.0.layer_norm.weight
    language_model.encoder.block.1.layer.1.DenseReluDense.wi_0.weight
    language_model.encoder.block.0.layer.1.DenseReluDense.wi_1.weight
    language_model.encoder.block.1.layer.1.DenseReluDense.wo.weight
    language_model.encoder.final_layer_norm.weight
    language_model.decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight
    language_model.decoder.block.1.layer.0.SelfAttention.k.weight
    language_model.decoder.block.0.layer.1.EncDecAttention.k.weight
    language_model.decoder.block.1.layer.1.EncDecAttention.v.weight
    language_model.decoder.block.1.layer.1.layer_norm.weight
    language_model.decoder.block.0.layer.2.DenseReluDense.wi_0.weight
    language_model.decoder.block.1.layer.2.DenseReluDense.wo.weight
    language_model.decoder.final_layer_norm.weight
    language_model.lm_head.weight
""".split()


def blip2_cases(config):
    """Texts behind the image's tokens (OPT: a BOS and a prompt; T5: a prompt and its end), and as older files have
    them, without these tokens: the queries then stand before the text and its padding."""
    is_opt = config["text_config"]["model_type"] == "opt"
    pad = 1 if is_opt else 0
    texts = [[2, 13, 22, 5], [2, 7, 9, 31, 30, 8, 4], [2, 17]] if is_opt else [[13, 22, 5, 1], [7, 9, 31, 30, 8, 4, 1], [17, 1]]
    answers = [[44, 19, 3], [51, 3], [12, 27, 11, 36, 3]]
    cases = {}
    for name, side, image in (
        ("right", "right", [BLIP_IMAGE] * QUERIES), ("left", "left", [BLIP_IMAGE] * QUERIES), ("concatenated", "left", [])
    ):
        behind = answers if is_opt else [[]] * 3
        ids, mask = padded([image + t + a for t, a in zip(texts, behind)], pad, side)
        if is_opt:
            labels = padded([[-100] * len(image + t) + a for t, a in zip(texts, answers)], -100, side)[0]
        else:
            labels = padded(answers, -100, "right")[0]
        text = "Three rows, the image's tokens first, padded on the " + side
        if name == "concatenated":
            text = "The rows without the image's tokens, padded on the left; the queries are put before the padding"
        cases[name] = (text, {"input_ids": ids, "attention_mask": mask, "images": (0, 1, 2), "labels": labels})
    for name, image in (("generation", [BLIP_IMAGE] * QUERIES), ("generation_concatenated", [])):
        ids, mask = padded([image + t for t in texts], pad, "left")
        text = "The rows of left without answers, continued" if image else "The same, without the image's tokens"
        cases[name] = (text, {"input_ids": ids, "attention_mask": mask, "images": (0, 1, 2)})
    return cases


def with_own_head(model):
    """T5 of transformers 5 makes lm_head the embedding, though FlanT5's files have one of its own."""
    language_model = model.language_model
    if language_model.config.model_type == "t5":
        language_model.lm_head.weight = torch.nn.Parameter(language_model.lm_head.weight.detach().clone())
        language_model.generation_config = transformers.GenerationConfig(decoder_start_token_id=0)
    else:
        language_model.generation_config = transformers.GenerationConfig()


class Concatenated(torch.nn.Module):
    """What BLIP-2 of transformers 4.46 does where config.json has no image_token_index."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config

    def joined(self, pixel_values, input_ids, attention_mask):
        model = self.model
        seen = model.vision_model(pixel_values=pixel_values).last_hidden_state
        queries = model.qformer(
            query_embeds=model.query_tokens.expand(len(seen), -1, -1), encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long),
        ).last_hidden_state
        features = model.language_projection(queries)
        embeds = torch.cat([features, model.get_input_embeddings()(input_ids)], 1)
        return {"inputs_embeds": embeds, "attention_mask": torch.nn.functional.pad(attention_mask, (QUERIES, 0), value=1)}

    def forward(self, labels=None, **inputs):
        is_t5 = self.config.is_encoder_decoder
        output = self.model.language_model(**self.joined(**inputs), **({"labels": labels} if is_t5 else {}))
        if not is_t5:
            output.logits = output.logits[:, QUERIES:]
        if not is_t5 and labels is not None:
            output.loss = torch.nn.functional.cross_entropy(output.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return output

    @torch.no_grad()
    def generate(self, pixel_values, input_ids, attention_mask, **options):
        output = self.model.language_model.generate(**self.joined(pixel_values, input_ids, attention_mask), **options)
        if not self.config.is_encoder_decoder:  # only new tokens come back where no ids were given
            output.sequences = torch.nn.functional.pad(output.sequences, (input_ids.shape[1], 0))
        return output


# ---- PaliGemma, SmolVLM, LLaVA-Med ----------------------------------------------------------------------------------

PALIGEMMA = {
    "architectures": ["PaliGemmaForConditionalGeneration"],
    "bos_token_id": 2,
    "eos_token_id": 1,
    "hidden_size": 16,
    "ignore_index": -100,
    "image_token_index": 62,
    "model_type": "paligemma",
    "pad_token_id": 0,
    "projection_dim": 16,
    "text_config": {
        "model_type": "gemma",
        "head_dim": 6,
        "hidden_size": 16,
        "intermediate_size": 28,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_image_tokens": 9,
        "num_key_value_heads": 1,
        "torch_dtype": "float32",
        "vocab_size": 64,
    },
    "torch_dtype": "float32",
    "vision_config": {
        "model_type": "siglip_vision_model",
        "hidden_size": 12,
        "image_size": 18,
        "intermediate_size": 20,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_image_tokens": 9,
        "patch_size": 6,
        "projection_dim": 16,
        "projector_hidden_act": "gelu_fast",
        "vision_use_head": False,
    },
}
SMOLVLM = {
    "architectures": ["SmolVLMForConditionalGeneration"],
    "image_token_id": 62,
    "model_type": "smolvlm",
    "scale_factor": 2,
    "text_config": {
        "model_type": "llama",
        "architectures": ["VLlama3ForCausalLM"],
        "head_dim": 6,
        "hidden_size": 18,
        "intermediate_size": 28,
        "max_position_embeddings": 64,
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "pad_token_id": 3,
        "rms_norm_eps": 1e-05,
        "rope_theta": 100000,
        "torch_dtype": "float32",
        "vocab_size": 64,
    },
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "use_cache": True,
    "vision_config": {
        "model_type": "smolvlm_vision",
        "hidden_size": 12,
        "image_size": 16,
        "intermediate_size": 20,
        "max_image_size": {"longest_edge": 16},
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "patch_size": 4,
        "size": {"longest_edge": 64},
        "tie_word_embeddings": False,
        "use_base_siglip": False,
    },
    "vocab_size": 64,
}
SIGLIP_GRADIENTS = """
    embeddings.patch_embedding.weight
    embeddings.patch_embedding.bias
    embeddings.position_embedding.weight
    encoder.layers.0.self_attn.q_proj.weight
    encoder.layers.1.self_attn.k_proj.bias
    encoder.layers.0.self_attn.v_proj.weight
    encoder.layers.1.self_attn.out_proj.weight
    encoder.layers.0.layer_norm1.weight
    encoder.layers.1.layer_norm2.bias
    encoder.layers.0.mlp.fc1.weight
    encoder.layers.1.mlp.fc2.weight
    post_layernorm.weight
""".split()
DECODER_GRADIENTS = [name.removeprefix("language_model.") for name in LLAVA_GRADIENTS
                     if name.startswith("language_model.") and not name.endswith("bias")]
PALIGEMMA_GRADIENTS = (
    [f"vision_tower.{name}" for name in SIGLIP_GRADIENTS]
    + ["multi_modal_projector.linear.weight", "multi_modal_projector.linear.bias"]
    + [f"language_model.{name}" for name in DECODER_GRADIENTS]
)
SMOLVLM_GRADIENTS = (
    [f"model.vision_model.{name}" for name in SIGLIP_GRADIENTS]
    + ["model.connector.modality_projection.proj.weight"]
    + [f"model.text_model.{name}" for name in DECODER_GRADIENTS]
    + ["lm_head.weight"]
)


def causal_cases(image, pad, bos, eos, with_types, sides):
    """Prompts with an image first or inside, and answers. With token_type_ids: 0 for the prompt, which attends both
    ways, 1 for the answer."""
    front = [] if with_types else [9, 14]  # PaliGemma's image is always first
    prompts = [[*front, *image, bos, 13, 22, 4], [*image, bos, 7, 9, 31, 30, 8], [*front, *image, bos, 17]]
    answers = [[44, 19, eos], [50, eos], [12, 27, 5, 36, eos]]

    def types(side):
        rows = [[0] * len(p) + [1] * len(a) for p, a in zip(prompts, answers)]
        return {"token_type_ids": padded(rows, 0, side)[0]} if with_types else {}

    cases = {}
    for side in sides:
        ids, mask = padded([p + a for p, a in zip(prompts, answers)], pad, side)
        labels = padded([[-100] * len(p) + a for p, a in zip(prompts, answers)], -100, side)[0]
        given = {"input_ids": ids, "attention_mask": mask, "images": (0, 1, 2), "labels": labels, **types(side)}
        cases[side] = (f"Three rows padded on the {side}", given)
    ids, mask = padded(prompts, pad, "left")
    given = {"input_ids": ids, "attention_mask": mask, "images": (0, 1, 2)}
    if with_types:
        given["token_type_ids"] = torch.zeros_like(ids)
    cases["generation"] = ("The rows without answers, padded on the left, continued", given)
    return cases


def hub_paligemma(name):
    name = canonical_llava(name).replace("language_model.", "language_model.model.", 1)
    return name.replace("vision_tower.", "vision_tower.vision_model.", 1)


def with_right_positions(model):
    """transformers 4.55 to 4.57 gives the patch at i the position i - 1 (huggingface/transformers#41190)."""
    tower = model.model.vision_model
    if not IS_NEW:
        def forward(pixel_values, patch_attention_mask):
            patches = tower.embeddings.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
            return patches + tower.embeddings.position_embedding.weight

        tower.embeddings.forward = forward


# LLaVA-Med 1.5: 60 tokens, none of which is an image's; an image's places are -200.
LLAVA_MED = llava_config(
    {"model_type": "mistral", "vocab_size": 60, "rope_theta": 1000000.0, "sliding_window": None},
    image_token_index=-200, pad_token_id=0,
)


def llava_med_config():
    """config.json as LLaVA-Med's code writes it: the decoder's keys at the top, of the tower only where it is."""
    text = {key: value for key, value in LLAVA_MED["text_config"].items() if key != "model_type"}
    return {
        "architectures": ["LlavaMistralForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "freeze_mm_mlp_adapter": False,
        "hidden_act": "silu",
        "image_aspect_ratio": "pad",
        "mm_hidden_size": LLAVA_MED["vision_config"]["hidden_size"],
        "mm_projector_type": "mlp2x_gelu",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "tower",
        "model_type": "llava_mistral",
        **text,
        "tie_word_embeddings": False,
        "tokenizer_padding_side": "right",
        "torch_dtype": "float32",
        "unfreeze_mm_vision_tower": True,
        "use_mm_proj": True,
    }


def hub_llava_med(name):
    name = canonical_llava(name)
    name = name.replace("multi_modal_projector.linear_1", "model.mm_projector.0")
    name = name.replace("multi_modal_projector.linear_2", "model.mm_projector.2")
    name = name.replace("language_model.", "model.", 1)
    return name.replace("vision_tower.", "model.vision_tower.vision_tower.vision_model.", 1)


def write_llava_med(model, folder):
    """Its weights with the tower among them, and the tower once more in a folder of its own, as CLIP's file has it."""
    weights = {hub_llava_med(name): weight.detach().clone() for name, weight in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "tower").mkdir()
    tower = {name.removeprefix("model.vision_tower.vision_tower."): weight for name, weight in weights.items()
             if name.startswith("model.vision_tower.")}
    save_file(tower, folder / "tower" / "model.safetensors", metadata={"format": "pt"})
    (folder / "tower" / "config.json").write_text(json.dumps(LLAVA_MED["vision_config"], indent=2) + "\n")
    (folder / "config.json").write_text(json.dumps(llava_med_config(), indent=2) + "\n")


class Original(torch.nn.Module):
    """LLaVA as its authors wrote it: features take the places of -200, a token that no embedding has."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config

    def joined(self, pixel_values, input_ids, attention_mask):
        embeds = self.model.get_input_embeddings()(input_ids.clamp(min=0))
        features = self.model.model.get_image_features(
            pixel_values=pixel_values, vision_feature_layer=-2, vision_feature_select_strategy="default"
        )
        features = torch.cat(list(getattr(features, "pooler_output", features)))
        embeds = embeds.masked_scatter((input_ids == -200)[..., None], features)
        return {"inputs_embeds": embeds, "attention_mask": attention_mask}

    def forward(self, labels=None, **inputs):
        return self.model(**self.joined(**inputs), labels=labels)

    @torch.no_grad()
    def generate(self, pixel_values, input_ids, attention_mask, **options):
        output = self.model.generate(**self.joined(pixel_values, input_ids, attention_mask), **options)
        output.sequences = torch.nn.functional.pad(output.sequences, (input_ids.shape[1], 0))
        return output


def write_idefics3(reference, folder):
    """config.json of Idefics 3, which the smallest SmolVLM is by name: the same weights give the same."""
    config = copy.deepcopy(SMOLVLM)
    config |= {"architectures": ["Idefics3ForConditionalGeneration"], "model_type": "idefics3"}
    config["vision_config"]["model_type"] = "idefics3_vision"
    other = Reference(reference.name, config, reference.cases, [], one_tile=True)
    model = other.build()
    model.load_state_dict(load_file(folder / NEW / "model.safetensors"))
    logits = model(**other.inputs(other.cases["right"][1])).logits
    expected = load_file(folder / "expected.safetensors")["right.logits"]
    assert ((logits - expected) * other.cases["right"][1]["attention_mask"][..., None]).abs().max() < 1e-6
    (folder / "idefics3.json").write_text(json.dumps(config, indent=2) + "\n")


# ---- published architectures ----------------------------------------------------------------------------------------


def published_blip2(text, **options):
    return {
        "architectures": ["Blip2ForConditionalGeneration"],
        "model_type": "blip-2",
        "num_query_tokens": 32,
        "qformer_config": {"classifier_dropout": None, "model_type": "blip_2_qformer"},
        "text_config": text,
        "vision_config": {"model_type": "blip_2_vision_model"},
        **options,
    }


# What the hub's config.json have, but for keys that say nothing of the weights.
PUBLISHED = {
    "llava-hf/llava-1.5-7b-hf": {
        "architectures": ["LlavaForConditionalGeneration"],
        "image_token_index": 32000,
        "model_type": "llava",
        "text_config": {
            "max_position_embeddings": 4096, "model_type": "llama", "rms_norm_eps": 1e-05, "vocab_size": 32064
        },
        "vision_config": {
            "hidden_size": 1024, "image_size": 336, "intermediate_size": 4096, "model_type": "clip_vision_model",
            "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768,
        },
    },
    "Salesforce/blip2-opt-2.7b": published_blip2({
        "ffn_dim": 10240, "hidden_size": 2560, "model_type": "opt", "num_attention_heads": 32, "num_hidden_layers": 32,
        "vocab_size": 50304, "word_embed_proj_dim": 2560,
    }),
    "Salesforce/blip2-opt-6.7b": published_blip2({
        "ffn_dim": 16384, "hidden_size": 4096, "model_type": "opt", "num_attention_heads": 32, "num_hidden_layers": 32,
        "vocab_size": 50304, "word_embed_proj_dim": 4096,
    }),
    "Salesforce/blip2-flan-t5-xl": published_blip2({
        "d_ff": 5120, "d_model": 2048, "decoder_start_token_id": 0, "feed_forward_proj": "gated-gelu",
        "model_type": "t5", "num_decoder_layers": 24, "num_heads": 32, "num_layers": 24, "tie_word_embeddings": False,
    }),
    "google/paligemma-3b-pt-224": {
        "architectures": ["PaliGemmaForConditionalGeneration"],
        "image_token_index": 257152,
        "model_type": "paligemma",
        "projection_dim": 2048,
        "text_config": {
            "hidden_size": 2048, "intermediate_size": 16384, "model_type": "gemma", "num_attention_heads": 8,
            "num_hidden_layers": 18, "num_key_value_heads": 1, "vocab_size": 257216,
        },
        "vision_config": {
            "hidden_size": 1152, "intermediate_size": 4304, "model_type": "siglip_vision_model",
            "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14, "projection_dim": 2048,
            "vision_use_head": False,
        },
    },
    "HuggingFaceTB/SmolVLM-256M-Instruct": {
        "architectures": ["Idefics3ForConditionalGeneration"],
        "image_token_id": 49190,
        "model_type": "idefics3",
        "scale_factor": 4,
        "text_config": {
            "head_dim": 64, "hidden_size": 576, "intermediate_size": 1536, "max_position_embeddings": 8192,
            "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
            "rms_norm_eps": 1e-05, "rope_theta": 100000, "vocab_size": 49280,
        },
        "tie_word_embeddings": False,
        "vision_config": {
            "hidden_size": 768, "image_size": 512, "intermediate_size": 3072, "model_type": "idefics3_vision",
            "num_attention_heads": 12, "num_hidden_layers": 12, "patch_size": 16,
        },
    },
}


def count(config):
    """Numbers of parameters of blocks, and of what stands outside them, by the hub's names."""
    hub = {"llava": hub_llava, "paligemma": hub_paligemma}.get(config["model_type"], str)
    with torch.device("meta"):
        model = Reference("", config, {}, []).build()
        if config["model_type"] == "blip-2":
            with_own_head(model)
    modules = {}
    for name, weight in model.named_parameters():
        name = hub(name)
        block = re.match(r".*?\.(?:layers?|block)\.\d+(?=\.)", name)
        name = block[0] if block else re.sub(r"\.(weight|bias)$", "", name)
        modules[name] = modules.get(name, 0) + weight.numel()
    return {"config": config, "total": sum(modules.values()), "modules": modules}


def record_counts(path):
    counts = {name: count(config) for name, config in PUBLISHED.items()}
    write_json(path, {"made": versions(), "models": counts})
    for name, found in counts.items():
        print(f"{name}: {found['total']} parameters")


# OPT alone, as opt-350m is: narrower embeddings, which BLIP-2 of transformers cannot join with features.
OPT_PROJECTED = {
    "architectures": ["OPTForCausalLM"], **OPT_SIZES, "do_layer_norm_before": False, "word_embed_proj_dim": 10,
    "torch_dtype": "float32",
}
PROJECTED_GRADIENTS = [name.removeprefix("language_model.") for name in OPT_GRADIENTS] + [
    "model.decoder.project_in.weight", "model.decoder.project_out.weight"
]


def text_cases(config):
    cases = blip2_cases({"text_config": config})
    text = {"concatenated": "left", "generation_concatenated": "generation"}
    return {"right": right_padded(cases["concatenated"])} | {
        text[name]: ("Three rows padded on the left", case | {"images": ()})
        for name, (_, case) in cases.items() if name in text
    }


def right_padded(case):
    """Rows that are padded on the left, padded on the right."""
    given = dict(case[1], images=())
    for i, mask in enumerate(case[1]["attention_mask"]):
        away = int((mask == 0).sum())
        for key in ("input_ids", "attention_mask", "labels"):
            given[key] = given[key].clone()
            given[key][i] = given[key][i].roll(-away)
    return "Three rows padded on the right", given


# ---- what is done with every model ----------------------------------------------------------------------------------


class Unsuited(Exception):
    """These random weights make a recording that would say little; another seed is tried."""


class Reference:
    """A model to record: its configuration, names, cases, and which gradients are kept."""

    def __init__(self, name, config, cases, gradients, canonical=str, hub=str, keep_new=True, scale=0.25,
                 prepare=lambda model: None, wrap=lambda name, model: model, write=None, one_tile=False):
        self.name, self.config, self.cases, self.gradients = name, config, cases, gradients
        self.canonical, self.hub, self.keep_new, self.scale = canonical, hub, keep_new, scale
        self.prepare, self.wrap, self.write, self.one_tile = prepare, wrap, write, one_tile

    def build(self, seed=0):
        config = transformers.AutoConfig.for_model(**copy.deepcopy(self.config))
        config._attn_implementation = "eager"
        torch.manual_seed(seed)
        model = getattr(transformers, self.config["architectures"][0])(config).eval()
        model.generation_config = transformers.GenerationConfig()
        self.prepare(model)
        return model

    def pixels(self):
        if "vision_config" not in self.config:
            return None
        size = self.config["vision_config"]["image_size"]
        return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(7))

    def without_gradient(self):
        """Of the weights whose gradients are kept: those behind the states that LLaVA takes from its tower."""
        if not self.config["model_type"].startswith("llava") or self.config.get("vision_feature_layer") == [1, -1]:
            return []
        unused = ["vision_tower.encoder.layers.2.mlp.fc1.weight", "vision_tower.post_layernorm.weight"]
        return [self.hub(name) for name in unused if name in self.gradients]

    def inputs(self, case):
        """The arguments of forward for a case."""
        inputs = {key: value for key, value in case.items() if key != "images"}
        if not case["images"]:
            return inputs
        pixels = self.pixels()[list(case["images"])]
        return inputs | {"pixel_values": pixels[:, None] if self.one_tile else pixels}


def shake(model, scale):
    """Moves every weight away from its initial zero or one, so that none can be forgotten unnoticed."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(scale * torch.randn(weight.shape))


def compute(reference, model, tensors, gradients):
    """Logits, loss, each row's negative log-likelihood, and gradients by the hub's names."""
    model.zero_grad()
    output = model(**reference.inputs(tensors))
    labels, mask = tensors["labels"], tensors.get("decoder_attention_mask", tensors["attention_mask"])
    if model.config.is_encoder_decoder:  # labels stand where they are predicted
        logits, targets, shown = output.logits, labels, labels != -100
        predicted = logits
    else:
        logits, shown = output.logits, mask[:, -output.logits.shape[1]:] == 1
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

    assert until_end("greedy") == list(greedy_by_hand(reference, model, case, eos)), (reference.name, found)
    for name, penalty in (("beams", 1.0), ("beams_flat", 0.0)):
        tokens, scores = zip(*beams_by_hand(reference, model, case, eos, 3, penalty))
        assert until_end(name) == list(tokens), (reference.name, name, found[name], tokens)
        assert (found[f"{name}_scores"] - torch.tensor(scores)).abs().max() < 1e-4, (reference.name, name)


def rows_of(model, case):
    """A case's rows alone, without their padding, but in the concatenated form, where it stands between."""
    for i in range(len(case["input_ids"])):
        kept = case["attention_mask"][i].bool() | isinstance(model, Concatenated)
        row = {key: value[i : i + 1, kept] for key, value in case.items() if key != "images"}
        yield row | {"images": case["images"][i : i + 1]}


def greedy_by_hand(reference, model, case, eos):
    """What greedy search is, without a cache."""
    for row in rows_of(model, case):
        tokens = []
        while len(tokens) < NEW_TOKENS and eos not in tokens:
            tokens.append(next_scores(reference, model, row, tokens).argmax().item())
        yield tokens


def beams_by_hand(reference, model, case, eos, num_beams, penalty):
    """What beam search is in transformers (early_stopping false), without a cache: tokens and score of each row.

    Of all continuations of the running beams the 2 num_beams likeliest are looked at. Those that end (with eos, or
    because no more tokens are allowed) are finished, but only if they are among the first num_beams of these; the first
    num_beams that do not end run on. The score of a finished one is its log likelihood / length ** penalty, eos
    counted; the best num_beams are kept. It is over when num_beams have finished and the best running beam, at its
    present length, is not better than the worst of them.
    """
    for row in rows_of(model, case):
        running, finished = [(0.0, [])], []
        for length in range(1, NEW_TOKENS + 1):
            found = []
            for score, tokens in running:
                scores = next_scores(reference, model, row, tokens)
                found += [(score + scores[token].item(), [*tokens, token]) for token in range(len(scores))]
            found = sorted(found, reverse=True)[: 2 * num_beams]
            over = [tokens[-1] == eos or length == NEW_TOKENS for _, tokens in found]
            finished += [(score / length**penalty, tokens) for (score, tokens), end in zip(found[:num_beams], over) if end]
            finished = sorted(finished, reverse=True)[:num_beams]
            running = [beam for beam, end in zip(found, over) if not end][:num_beams]
            if len(finished) == num_beams and (not running or running[0][0] / length**penalty <= finished[-1][0]):
                break
        yield finished[0][1], finished[0][0]


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
    tensors, cases = {}, {}
    if reference.pixels() is not None:
        tensors["pixels"] = reference.pixels()
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
        shake(model, reference.scale)
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


def references():
    for name, config in LLAVA.items():
        is_first = name == "llava"
        yield Reference(
            name, config, llava_cases(config) if is_first else llava_cases(config, ("right", "generation")),
            LLAVA_GRADIENTS if is_first else FEWER, canonical_llava, hub_llava, keep_new=is_first,
        )
    for name, config in BLIP2.items():
        gradients = T5_GRADIENTS if name == "blip2_t5" else OPT_GRADIENTS
        if name != "blip2_opt_post":
            gradients = BLIP2_GRADIENTS + gradients
        yield Reference(
            name, config, blip2_cases(config), gradients, keep_new=name == "blip2_opt", prepare=with_own_head,
            wrap=lambda name, model: Concatenated(model) if name.endswith("concatenated") else model,
        )
    yield Reference("opt_projected", OPT_PROJECTED, text_cases(OPT_PROJECTED), PROJECTED_GRADIENTS, keep_new=False)
    yield Reference(
        "paligemma", PALIGEMMA, causal_cases([62] * 9, 0, 2, 1, True, ("right", "left")), PALIGEMMA_GRADIENTS,
        canonical_llava, hub_paligemma,
    )
    yield Reference(
        "smolvlm", SMOLVLM, causal_cases([62] * 4, 3, 1, 2, False, ("right",)), SMOLVLM_GRADIENTS,
        prepare=with_right_positions, one_tile=True, keep_new=False,
    )
    cases = {name: case for name, case in llava_cases(LLAVA_MED).items() if name in ("right", "generation")}
    yield Reference(
        "llava_med", LLAVA_MED, cases, FEWER, canonical_llava, hub_llava_med,
        wrap=lambda name, model: Original(model), write=write_llava_med,
    )


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
        else:
            confirm(reference, folder)
    if IS_NEW and (not arguments.only or "albef" in arguments.only):
        albef.record(arguments.out / "albef")
    if IS_NEW and (not arguments.only or "counts" in arguments.only):
        record_counts(arguments.out / "counts.json")


if __name__ == "__main__":
    main()
