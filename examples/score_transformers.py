"""Scores tiny random models of transformers with LoRA, plans three clients' layers, and trains these.

Needs torch, transformers and peft. Run it in any folder: it downloads and writes nothing.
"""

import warnings

import peft
import torch
import transformers as hf

import strata_fl as st

warnings.filterwarnings("ignore")
hf.logging.set_verbosity_error()
SIZES = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=4, num_attention_heads=2)


def texts(seed, answers=False):
    ids = torch.randint(3, 40, (6, 8), generator=torch.Generator().manual_seed(seed))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if answers:  # the last two tokens are the answer, the others its prompt
        batch["labels"] = torch.where(torch.arange(8) >= 6, ids, -100)
    else:
        batch["labels"] = ids[:, 0] % 3
    return batch


def images(seed):
    pixels = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return {"pixel_values": pixels, "labels": torch.arange(6) % 3}


def llama():
    config = hf.LlamaConfig(vocab_size=40, **SIZES)
    return hf.LlamaForCausalLM(config), ["q_proj", "v_proj"], lambda seed: texts(seed, answers=True)


def bert():
    config = hf.BertConfig(vocab_size=40, num_labels=3, **SIZES)
    return hf.BertForSequenceClassification(config), ["query", "value"], texts


def clip():
    vision = dict(image_size=16, patch_size=8, **SIZES)
    config = hf.CLIPConfig(vision_config=vision, text_config=dict(SIZES), projection_dim=8, num_labels=3)
    return hf.CLIPForImageClassification(config), ["q_proj", "v_proj"], images


def vit():
    config = hf.ViTConfig(image_size=16, patch_size=8, num_labels=3, **SIZES)
    return hf.ViTForImageClassification(config), [r".*\.(q_proj|v_proj|query|value)"], images


def main():
    for make in (llama, bert, clip, vit):
        torch.manual_seed(0)
        model, targets, data = make()
        targets = targets[0] if len(targets) == 1 else targets
        adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=targets))
        outputs = "answer" if make is llama else "logits"
        clients = {name: data(seed) for seed, name in enumerate(("ct", "mr", "us"))}
        table = st.ScoreTable.concat(
            st.score(adapted, batch, outputs=outputs, client=name) for name, batch in clients.items()
        )
        plan = st.exact_front(table, budgets=2).choose("knee")
        print(f"{type(model).__name__}\n{table}")
        for client, batch in clients.items():
            names = plan.apply(adapted, client)
            chosen = [weight for weight in adapted.parameters() if weight.requires_grad]
            optimizer = torch.optim.AdamW(chosen, lr=0.02)
            losses = []
            for _ in range(8):
                loss = st.scoring.sample_losses(adapted, batch).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(float(loss))
            print(f"{client} trains {', '.join(plan[client])} ({len(names)} weights): "
                  f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
            assert losses[-1] < losses[0]
        print()


if __name__ == "__main__":
    main()
