"""Tiny random models of transformers, each with two batches whose texts are padded differently."""

import torch
import transformers as hf


def _text(rows, length, padding, words=40):
    ids = torch.randint(3, words, (rows, length))
    mask = torch.ones(rows, length, dtype=torch.long)
    for row in range(rows):
        cut = (row * padding) % max(1, length - 2)
        if cut:
            ids[row, -cut:] = 0
            mask[row, -cut:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def _answers(batch, last=2):
    labels = batch["input_ids"].clone()
    labels[:, :-last] = -100
    labels[batch["attention_mask"] == 0] = -100
    labels[:, 1] = batch["input_ids"][:, 1]  # at least one that counts
    return {**batch, "labels": labels}


def llama():
    config = hf.LlamaConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32, tie_word_embeddings=False,
    )
    return hf.LlamaForCausalLM(config), "answer", [_answers(_text(2, 7, 0)), _answers(_text(3, 5, 1))]


def tied_llama():
    model, outputs, batches = llama()
    config = model.config
    config.tie_word_embeddings = True
    return hf.LlamaForCausalLM(config), outputs, batches


def gpt2():
    config = hf.GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    return hf.GPT2LMHeadModel(config), "answer", [_answers(_text(2, 7, 0)), _answers(_text(3, 5, 1))]


def bert():
    config = hf.BertConfig(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=32, num_labels=3,
    )
    return hf.BertForSequenceClassification(config), "logits", [_text(3, 7, 1), _text(2, 5, 2)]


def t5():
    config = hf.T5Config(
        vocab_size=40, d_model=16, d_kv=4, d_ff=24, num_layers=2, num_heads=2, decoder_start_token_id=0,
        dropout_rate=0.1,
    )
    batches = []
    for batch in (_text(3, 6, 1), _text(2, 5, 0)):
        labels = torch.randint(3, 40, (batch["input_ids"].shape[0], 3))
        labels[0, -1] = -100
        batches.append({**batch, "labels": labels})
    return hf.T5ForConditionalGeneration(config), "answer", batches


def clip():
    """Three images beside two texts: logits_per_image, of which every text's row belongs to all images."""
    text = dict(
        vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=32, eos_token_id=2,
    )
    vision = dict(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=8,
        patch_size=4,
    )
    config = hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    batch = _text(2, 6, 1)
    batch["input_ids"][:, -2] = 2
    return hf.CLIPModel(config), "logits", [{**batch, "pixel_values": torch.randn(3, 3, 8, 8)}]


def vit():
    config = hf.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, image_size=16,
        patch_size=8, num_labels=3,
    )
    images = [torch.randn(size, 3, 16, 16) for size in (3, 2)]
    return hf.ViTForImageClassification(config), "logits", [{"pixel_values": x} for x in images]


def resnet():
    config = hf.ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8], depths=[2, 1], layer_type="basic", num_labels=3,
    )
    model = hf.ResNetForImageClassification(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model, "logits", [{"pixel_values": torch.randn(size, 3, 16, 16)} for size in (3, 2)]


MODELS = {
    "llama": llama, "tied_llama": tied_llama, "bert": bert, "clip": clip, "gpt2": gpt2, "t5": t5, "vit": vit,
    "resnet": resnet,
}
TARGETS = {
    "llama": ["q_proj", "down_proj", "lm_head"],
    "tied_llama": ["q_proj", "v_proj", "embed_tokens"],
    "bert": ["query", "value"],
    "clip": ["q_proj", "fc1"],
    "gpt2": ["c_attn"],
    "t5": ["q", "wo"],
    "vit": r".*\.(q_proj|fc2|query|output\.dense)",  # of transformers 5 and 4
    "resnet": ["convolution"],
}


def make(name, dtype=torch.float32):
    """(model in evaluation mode, outputs, batches) with the same numbers every time."""
    torch.manual_seed(3)
    model, outputs, batches = MODELS[name]()
    with torch.no_grad():
        for weight in model.parameters():  # biases and gains begin alike, and none may be forgotten unnoticed
            weight += 0.1 * torch.randn_like(weight)
    model = model.eval().to(dtype)
    return model, outputs, [
        {key: value.to(dtype) if value.is_floating_point() else value for key, value in batch.items()}
        for batch in batches
    ]


def with_lora(name, model):
    import peft

    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=TARGETS[name], lora_dropout=0.1)
    torch.manual_seed(5)
    found = peft.get_peft_model(model, config).eval()
    for weight_name, weight in found.named_parameters():
        if "lora_" in weight_name:
            torch.nn.init.normal_(weight, std=0.3)
    return found
