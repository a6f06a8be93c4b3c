#!/usr/bin/env python3
"""The layerwise NTK of every unit by torch.func, and K forward+backward passes over the same batch.

    bench_ntk --write folder --shape 192,12,16,8
    python bench/peers/ntk_torch_func.py folder --threads 2

Prints one JSON object a way of doing it: λ₁ of every unit, seconds, growth of the process at its peak.

Jacobian contraction, as PyTorch's tutorial "Neural Tangent Kernels" has it and recommends for wide models:
vmap(jacrev) over the samples, then J Jᵀ weight by weight. Differentiated are the weights of some units at
once, from the lowest unit's input (computed beforehand for the batch): the more units at once, the fewer
backward passes, and the more of the Jacobian is held. `--units-at-once` and `--chunks` (samples that vmap
takes at once; 0: all) name the ways that are tried. The tutorial's other way, NTK-vector products
(`--vector-products`), runs n² times K vector-Jacobian and Jacobian-vector products.
"""

import dataclasses
import functools
import time

import torch
from torch.func import jacrev, jvp, vjp, vmap
from torch.nn import functional

from ntk_common import Operations, arguments_of, limit_memory, load, measured, print_row, run_from, unit_inputs

OPS = Operations(
    linear=functional.linear,
    norm=lambda x, weight, bias, eps: functional.layer_norm(x, x.shape[-1:], weight, bias, eps),
    gelu=functional.gelu,
    softmax=functools.partial(torch.softmax, dim=-1),
    concatenate=functools.partial(torch.cat, dim=-2),
    broadcast_to=torch.broadcast_to,
)


def largest(kernel):
    return torch.linalg.eigvalsh(kernel.double())[-1].item()


def by_jacobians(config, weights, rows, units_at_once, chunk):
    units = config.units()
    inputs = unit_inputs(OPS, config, weights, rows)
    size = config.samples * config.labels
    found = {}
    for first in range(0, len(units), units_at_once):
        trained = {unit: weights[unit] for unit in units[first:first + units_at_once]}

        def logits(trained, x, first=first):
            return run_from(OPS, config, first, weights | trained, x)

        jacobians = vmap(jacrev(logits), (None, 0), chunk_size=chunk or None)(trained, inputs[first])
        for unit, parts in jacobians.items():
            kernel = torch.zeros(size, size)
            for jacobian in parts.values():
                flat = jacobian.reshape(size, -1)
                kernel.addmm_(flat, flat.t())
            parts.clear()
            found[unit] = largest(kernel)
    return found


def by_vector_products(config, weights, rows):
    units = config.units()
    inputs = unit_inputs(OPS, config, weights, rows)
    identity = torch.eye(config.labels)
    found = {}
    for first, unit in enumerate(units):
        def logits(trained, x, first=first, unit=unit):
            return run_from(OPS, config, first, weights | {unit: trained}, x)

        def kernel_of(one, other):
            _, pull = vjp(lambda trained: logits(trained, one), weights[unit])

            def column(cotangent):
                return jvp(lambda trained: logits(trained, other), (weights[unit],), pull(cotangent))[1]

            return vmap(column)(identity)

        # One sample against all at a time keeps the memory of the products bounded.
        x = inputs[first]
        rows_of = [vmap(kernel_of, (None, 0))(one, x) for one in x]  # each (n, K, K')
        kernel = torch.stack(rows_of).permute(0, 2, 1, 3)  # (n, K, n, K')
        found[unit] = largest(kernel.reshape(config.samples * config.labels, -1))
    return found


def passes(config, weights, rows):
    """K times: logits of the batch, and all weights' gradients of the sum over the batch of one of them."""
    leaves = {unit: {name: w.detach().requires_grad_(True) for name, w in parts.items()}
              for unit, parts in weights.items()}
    flat = [w for parts in leaves.values() for w in parts.values()]
    for k in range(config.labels):
        logits = run_from(OPS, config, 0, leaves, rows)
        torch.autograd.grad(logits[:, k].sum(), flat)


def listed(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = arguments_of(__doc__)
    parser.add_argument("--units-at-once", type=listed, default=[1])
    parser.add_argument("--chunks", type=listed, default=[0])
    parser.add_argument("--vector-products", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    limit_memory(arguments.memory)
    config, arrays, rows = load(arguments.folder)
    weights = {unit: {name: torch.from_numpy(array) for name, array in parts.items()}
               for unit, parts in arrays.items()}
    rows = torch.from_numpy(rows)

    passes(config, weights, rows[:1])  # threads and kernels are set up
    pass_seconds = float("inf")
    for _ in range(arguments.passes):
        start = time.perf_counter()
        passes(config, weights, rows)
        pass_seconds = min(pass_seconds, time.perf_counter() - start)

    ways = [(f"Jacobian contraction; units at once: {units_at_once}, samples: {chunk or 'all'}",
             functools.partial(by_jacobians, units_at_once=units_at_once, chunk=chunk))
            for units_at_once in arguments.units_at_once for chunk in arguments.chunks]
    if arguments.vector_products:
        ways.append(("NTK-vector products", by_vector_products))
    for way, work in ways:
        row = {"program": "torch.func", "version": torch.__version__, "way": way, "threads": arguments.threads}
        # torch.func imports and compiles its rules on first use.
        work(dataclasses.replace(config, samples=1), weights, rows[:1])
        try:
            found, seconds, peak = measured(functools.partial(work, config, weights, rows))
        except RuntimeError as error:
            print_row(**row, error=str(error).splitlines()[0])
            continue
        print_row(**row, seconds=seconds, passes_seconds=pass_seconds, peak_mib=peak, eigenvalues=found)


if __name__ == "__main__":
    main()
