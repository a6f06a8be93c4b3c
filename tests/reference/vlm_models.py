"""The vision-language models that vlms.py records: configurations, names of weights, cases, and what is odd in each."""

import copy
import dataclasses
import json
import typing

import torch
import transformers
import vlm_tiles
from safetensors.torch import load_file, save_file

IS_NEW = int(transformers.__version__.split(".")[0]) >= 5
NEW, OLD = "5.24", "4.57"  # folders of what these versions write


@dataclasses.dataclass
class Reference:
    """A model to record. A case is a text that says what it is, and its inputs; "images" are numbers of pixels()."""

    name: str
    config: dict  # the committed config.json
    cases: dict
    gradients: list = ()  # canonical names of the weights whose gradients are kept
    canonical: typing.Callable = str  # a weight's name in memory or in a file -> one for all versions
    hub: typing.Callable = str  # canonical name -> the name in the hub's files
    keep_new: bool = True  # the weights as 5.24 writes them are kept, too
    prepare: typing.Callable = lambda model: None
    wrap: typing.Callable = lambda name, model: model  # what a case is computed with
    write: typing.Callable = None  # writes the folder in another form than save_pretrained's
    one_tile: bool = False  # pixels are (batch, 1 image, 3, height, width)
    own_pixels: typing.Callable = None  # what pixels() gives

    def build(self, seed=0):
        config = transformers.AutoConfig.for_model(**copy.deepcopy(self.config))
        config._attn_implementation = "eager"
        torch.manual_seed(seed)
        model = getattr(transformers, self.config["architectures"][0])(config).eval()
        model.generation_config = transformers.GenerationConfig()
        self.prepare(model)
        return model

    def pixels(self):
        if self.own_pixels:
            return self.own_pixels()
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
        pixels = self.pixels()[list(case["images"])]
        return inputs | {"pixel_values": pixels[:, None] if self.one_tile else pixels}


# ---- LLaVA ----------------------------------------------------------------------------------------------------------

BOS, EOS, IMAGE, PAD = 1, 2, 60, 61


def llava_config(text=None, left_out=(), **options):
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
    for key in left_out:
        del config["text_config"][key]
    return config | options


LLAVA = {
    # As on the hub: projector_hidden_act, vision_feature_layer and -_strategy are there, though they are the defaults.
    "llava": llava_config(
        image_seq_length=9, projector_hidden_act="gelu", vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    ),
    "llava_full": llava_config({"tie_word_embeddings": True}, vision_feature_select_strategy="full"),
    "llava_layers": llava_config(
        {"rope_scaling": {"type": "linear", "factor": 2.5}},
        left_out=["rms_norm_eps", "num_key_value_heads"],
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
    "llava_qwen2": llava_config({"model_type": "qwen2", "tie_word_embeddings": True}, left_out=["rms_norm_eps"]),
}


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


def llava_cases(config):
    image = [config["image_token_index"]] * (10 if config.get("vision_feature_select_strategy") == "full" else 9)
    prompts = [[BOS, *image, 13, 22], [BOS, 7, 9, *image, 5, 11, 30, 31], [BOS, 17, 40, 41, 8, 33, *image]]
    answers = [[44, 19, EOS], [50, EOS], [12, 27, 3, 36, EOS]]
    pad = config["pad_token_id"]

    def case(side):
        ids, mask = padded([p + a for p, a in zip(prompts, answers)], pad, side)
        labels = padded([[-100] * len(p) + a for p, a in zip(prompts, answers)], -100, side)[0]
        return {"input_ids": ids, "attention_mask": mask, "images": (0, 1, 2), "labels": labels}

    questions, mask = padded(prompts, pad, "left")
    return {
        "right": ("Three rows padded on the right; the image at the start, in the middle, after the text", case("right")),
        "left": ("The same rows, padded on the left", case("left")),
        "generation": (
            "The rows without answers, padded on the left, continued",
            {"input_ids": questions, "attention_mask": mask, "images": (0, 1, 2)},
        ),
    }


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
    language_model.model.decoder.layers.0.self_attn.q_proj.bias
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
    encoder.layers.1.self_attn.q_proj.bias
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


def causal_cases(image, pad, bos, eos, with_types):
    """Prompts with an image first or inside, and answers. With token_type_ids: 0 for the prompt, which attends both
    ways, 1 for the answer."""
    front = [] if with_types else [9, 14]  # PaliGemma's image is always first
    prompts = [[*front, *image, bos, 13, 22, 4], [*image, bos, 7, 9, 31, 30, 8], [*front, *image, bos, 17]]
    answers = [[44, 19, eos], [50, eos], [12, 27, 5, 36, eos]]

    def types(side):
        rows = [[0] * len(p) + [1] * len(a) for p, a in zip(prompts, answers)]
        return {"token_type_ids": padded(rows, 0, side)[0]} if with_types else {}

    cases = {}
    for side in ("right", "left"):
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


def smolvlm_tiles():
    """The same, of the tokens that vlm_tiles.py has."""
    config = copy.deepcopy(SMOLVLM)
    config["text_config"] |= {"max_position_embeddings": 128, "pad_token_id": vlm_tiles.PAD,
                              "vocab_size": vlm_tiles.VOCABULARY}
    return config | {"image_token_id": vlm_tiles.IMAGE, "eos_token_id": vlm_tiles.END,
                     "vocab_size": vlm_tiles.VOCABULARY}


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


# ---- all ------------------------------------------------------------------------------------------------------------


def references():
    for name, config in LLAVA.items():
        is_first = name == "llava"
        yield Reference(
            name, config, llava_cases(config), LLAVA_GRADIENTS if is_first else FEWER, canonical_llava, hub_llava,
            keep_new=is_first,
        )
    for name, config in BLIP2.items():
        gradients = T5_GRADIENTS if name == "blip2_t5" else OPT_GRADIENTS
        if name != "blip2_opt_post":
            gradients = BLIP2_GRADIENTS + gradients
        yield Reference(
            name, config, blip2_cases(config), gradients, keep_new=name == "blip2_opt", prepare=with_own_head,
            wrap=lambda name, model: Concatenated(model) if name.endswith("concatenated") else model,
        )
    yield Reference(
        "paligemma", PALIGEMMA, causal_cases([62] * 9, 0, 2, 1, True), PALIGEMMA_GRADIENTS,
        canonical_llava, hub_paligemma,
    )
    yield Reference(
        "smolvlm", SMOLVLM, causal_cases([62] * 4, 3, 1, 2, False), SMOLVLM_GRADIENTS,
        prepare=with_right_positions, one_tile=True, keep_new=False,
    )
    yield Reference(
        "smolvlm_tiles", smolvlm_tiles(), vlm_tiles.cases(), SMOLVLM_GRADIENTS, prepare=with_right_positions,
        own_pixels=vlm_tiles.pixels, keep_new=False,
    )
    yield Reference(
        "llava_med", LLAVA_MED, llava_cases(LLAVA_MED), FEWER, canonical_llava, hub_llava_med,
        wrap=lambda name, model: Original(model), write=write_llava_med,
    )
