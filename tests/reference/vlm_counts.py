"""Numbers of parameters of published vision-language models, block by block; vlms.py writes them to counts.json.

The models are made on the meta device, without weights, from configurations written here by hand.
"""

import json
import re

import torch
from vlm_models import Reference, hub_llava, hub_paligemma, with_own_head


def blip2(text, **options):
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
    "Salesforce/blip2-opt-2.7b": blip2({
        "ffn_dim": 10240, "hidden_size": 2560, "model_type": "opt", "num_attention_heads": 32, "num_hidden_layers": 32,
        "vocab_size": 50304, "word_embed_proj_dim": 2560,
    }),
    "Salesforce/blip2-opt-6.7b": blip2({
        "ffn_dim": 16384, "hidden_size": 4096, "model_type": "opt", "num_attention_heads": 32, "num_hidden_layers": 32,
        "vocab_size": 50304, "word_embed_proj_dim": 4096,
    }),
    "Salesforce/blip2-flan-t5-xl": blip2({
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


def record(path, made):
    counts = {name: count(config) for name, config in PUBLISHED.items()}
    path.write_text(json.dumps({"made": made, "models": counts}, indent=1) + "\n")
    for name, found in counts.items():
        print(f"{name}: {found['total']} parameters")
