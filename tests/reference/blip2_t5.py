"""Records the gradients of BLIP-2 with T5 (vlms.py) in double precision.

    python3 tests/reference/blip2_t5.py

is run after vlms.py, which empties the folder.

T5 does not scale its scores, so that in float32 these gradients lose more than the other models' do: those that vlms.py
records differ from the exact ones by up to 1.3e-4 of their norm, and Strata's by up to 1e-4. Computed in double precision,
both are the same to 4e-8, of which the storage in float32 is most.

gradients.safetensors in tests/reference/vlms/blip2_t5 holds gradient.NAME of the loss of the case "right". It was made
with transformers 5.24.0 and torch 2.15.0, on the CPU, with one thread.
"""

import pathlib

import torch
import transformers
from safetensors.torch import load_file, save_file
from vlm_models import references

FOLDER = pathlib.Path(__file__).parent / "vlms" / "blip2_t5"


def in_double(norm):
    """T5LayerNorm without its float32."""
    def forward(states):
        return norm.weight * states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)

    return forward


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    reference = next(found for found in references() if found.name == "blip2_t5")
    model = reference.build()
    report = model.load_state_dict(load_file(FOLDER / "model.safetensors"), strict=False)
    assert not report.unexpected_keys and all(name.endswith("embed_tokens.weight") for name in report.missing_keys)
    model = model.double()
    for module in model.modules():
        if type(module).__name__ == "T5LayerNorm":
            module.forward = in_double(module)
    inputs = reference.inputs(reference.cases["right"][1])
    model(**inputs | {"pixel_values": inputs["pixel_values"].double()}).loss.backward()
    weights = dict(model.named_parameters())
    found = {f"gradient.{name}": weights[name].grad.float().contiguous() for name in reference.gradients}
    save_file(found, FOLDER / "gradients.safetensors")


if __name__ == "__main__":
    main()
