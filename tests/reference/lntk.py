"""Records the layerwise NTK of the small ViLT in tests/reference/vilt as torch.func computes it, for tests/ntk.

    python3 tests/reference/lntk.py              writes tests/reference/lntk.json and lntk.safetensors

Everything is in float64. The model is tests/reference/vilt (config.json, model.safetensors), the samples are
input_ids, attention_mask, pixels and labels of its recorded.safetensors: 3 samples with padding, 5 logits.
lntk.json holds

    made_by, versions   this script and the packages' versions
    lora_rank, lora_alpha, adapter_reduction
    kernels             one entry a kernel: {"outputs", "subset", "peft", "unit", "eigenvalues", "trace"}
      outputs           "logits": rows (i, k) of sample i and logit k; "loss": rows i, cross-entropy of sample i
      subset            the logits k that are differentiated, in this order (null: all)
      peft              whether the weights of lntk.safetensors are part of the model
      unit              embeddings, block.N, head, and of block N alone
                          layernorm.N   weight and bias of its two LayerNorms
                          bias.N        all biases, LayerNorms' included
                          lora.N, adapter.N   what lntk.safetensors has for it (only with peft)
      eigenvalues       the three largest, descending
      trace             sum of all eigenvalues

lntk.safetensors holds, in float32, LoRA of query and value (Hu et al., ICLR 2022; Wx + b + alpha/rank·BAx) and
Pfeiffer adapters (Pfeiffer et al., EACL 2021; y + up(relu(down(y))) of the sum y of a block's feed-forward branch
and its residual), with names of PEFT and AdapterHub.

Needs torch, transformers and safetensors.
"""

import json
import pathlib
import platform

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch.func import functional_call, jacrev
from transformers import ViltForQuestionAnswering

HERE = pathlib.Path(__file__).parent
LORA_RANK, LORA_ALPHA, ADAPTER_REDUCTION = 2, 6, 8
SUBSET = [3, 0]


def peft_weights(config):
    """Random, none of them zero, so that none can be forgotten unnoticed."""
    torch.manual_seed(11)
    hidden, bottleneck = config.hidden_size, config.hidden_size // ADAPTER_REDUCTION
    shapes = {}
    for i in range(config.num_hidden_layers):
        layer = f"vilt.encoder.layer.{i}."
        for target in ("query", "value"):
            shapes[f"{layer}attention.attention.{target}.lora_A.weight"] = (LORA_RANK, hidden)
            shapes[f"{layer}attention.attention.{target}.lora_B.weight"] = (hidden, LORA_RANK)
        adapter = f"{layer}output.adapters.strata."
        shapes[adapter + "adapter_down.0.weight"] = (bottleneck, hidden)
        shapes[adapter + "adapter_down.0.bias"] = (bottleneck,)
        shapes[adapter + "adapter_up.weight"] = (hidden, bottleneck)
        shapes[adapter + "adapter_up.bias"] = (hidden,)
    return {name: 0.3 * torch.randn(shape) for name, shape in shapes.items()}


def unit_weights(names):
    """{unit: names of its weights}"""
    units = {}

    def add(unit, name):
        units.setdefault(unit, []).append(name)

    for name in names:
        if name.startswith("vilt.embeddings."):
            add("embeddings", name)
        elif not name.startswith("vilt.encoder.layer."):
            add("head", name)
        else:
            index = name.split(".")[3]
            if "lora_" in name:
                add("lora." + index, name)
            elif "adapter_" in name:
                add("adapter." + index, name)
            else:
                add("block." + index, name)
                if "layernorm_" in name:
                    add("layernorm." + index, name)
                if name.endswith(".bias"):
                    add("bias." + index, name)
    return units


class WithPeft(torch.nn.Module):
    """The model as a function of its own weights and of the PEFT weights, by their names."""

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.peft = {}
        for i, layer in enumerate(model.vilt.encoder.layer):
            prefix = f"vilt.encoder.layer.{i}."
            for target in ("query", "value"):
                getattr(layer.attention.attention, target).register_forward_hook(
                    self.lora(f"{prefix}attention.attention.{target}."))
            layer.output.register_forward_hook(self.adapter(prefix + "output.adapters.strata."))

    def lora(self, name):
        def hook(module, inputs, output):
            if not self.peft:
                return output
            low = inputs[0] @ self.peft[name + "lora_A.weight"].T
            return output + LORA_ALPHA / LORA_RANK * low @ self.peft[name + "lora_B.weight"].T

        return hook

    def adapter(self, name):
        def hook(module, inputs, output):
            if not self.peft:
                return output
            linear = torch.nn.functional.linear
            down = linear(output, self.peft[name + "adapter_down.0.weight"], self.peft[name + "adapter_down.0.bias"])
            return output + linear(torch.relu(down), self.peft[name + "adapter_up.weight"],
                                   self.peft[name + "adapter_up.bias"])

        return hook

    def logits(self, weights, batch):
        own = dict(self.model.named_parameters())
        self.peft = {name: weight for name, weight in weights.items() if name not in own}
        return functional_call(self.model, {name: weights[name] for name in own}, kwargs=batch).logits


def main():
    model = ViltForQuestionAnswering.from_pretrained(HERE / "vilt").eval().double()
    added = peft_weights(model.config)
    save_file(added, HERE / "lntk.safetensors")
    recorded = load_file(HERE / "vilt" / "recorded.safetensors")
    batch = {
        "input_ids": recorded["input_ids"],
        "attention_mask": recorded["attention_mask"].long(),
        "pixel_values": recorded["pixels"].double(),
    }
    base = {name: weight.detach() for name, weight in model.named_parameters()}
    extended = base | {name: weight.double() for name, weight in added.items()}
    module = WithPeft(model)
    difference = (module.logits(base, batch) - recorded["logits"]).abs().max().item()
    assert difference < 1e-5, difference

    def loss(logits):
        return torch.nn.functional.cross_entropy(logits, recorded["labels"], reduction="none")

    kernels = []
    for peft, weights in ((False, base), (True, extended)):
        for unit, names in unit_weights(weights).items():
            for outputs, subset, function in (("logits", None, lambda logits: logits),
                                              ("logits", SUBSET, lambda logits: logits[:, SUBSET]),
                                              ("loss", None, loss)):
                jacobian = jacrev(lambda part: function(module.logits(weights | part, batch)))(
                    {name: weights[name] for name in names})
                samples = recorded["labels"].numel()
                rows = samples * (1 if outputs == "loss" else len(subset or model.config.id2label))
                flat = torch.cat([part.reshape(rows, -1) for part in jacobian.values()], 1)
                eigenvalues = torch.linalg.eigvalsh(flat @ flat.T).flip(0)
                kernels.append({"outputs": outputs, "subset": subset, "peft": peft, "unit": unit,
                                "eigenvalues": eigenvalues[:3].tolist(), "trace": eigenvalues.sum().item()})

    header = {
        "made_by": "tests/reference/lntk.py",
        "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
                     "python": platform.python_version()},
        "lora_rank": LORA_RANK,
        "lora_alpha": LORA_ALPHA,
        "adapter_reduction": ADAPTER_REDUCTION,
    }
    fields = [f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in header.items()]
    lines = ",\n".join("    " + json.dumps(kernel) for kernel in kernels)
    (HERE / "lntk.json").write_text("{\n" + "".join(fields) + '  "kernels": [\n' + lines + "\n  ]\n}\n")


if __name__ == "__main__":
    main()
