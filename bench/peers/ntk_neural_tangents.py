#!/usr/bin/env python3
"""The layerwise NTK of every unit by neural_tangents, and K forward+backward passes over the same batch.

    bench_ntk --write folder --shape 192,12,16,8
    python bench/peers/ntk_neural_tangents.py folder --threads 2

Prints one JSON object for each of the library's implementations: λ₁ of every unit, seconds without
compilation, seconds of compilation, growth of the process at its peak.

empirical_ntk_fn(trace_axes=(), vmap_axes=0) of the logits as a function of one unit's weights, from that
unit's input (computed beforehand for the batch); x2=None, compiled with jax.jit. The library sums kernels
over all weights of a function, so each unit needs a call of its own.
"""

import functools
import os
import time

from ntk_common import (Operations, arguments_of, limit_memory, load, measured, print_row, run_from, run_unit,
                        unit_inputs)

parser = arguments_of(__doc__)
parser.add_argument("--implementations", default="JACOBIAN_CONTRACTION,NTK_VECTOR_PRODUCTS,STRUCTURED_DERIVATIVES")
arguments = parser.parse_args()
# XLA's pool has as many threads as the process may use processors when jax is first imported.
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:arguments.threads])
if arguments.threads == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false " + os.environ.get("XLA_FLAGS", "")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import jax
import neural_tangents
import numpy as np
from jax import numpy as jnp


def norm(x, weight, bias, eps):
    mean = x.mean(-1, keepdims=True)
    centred = x - mean
    return centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + eps) * weight + bias


OPS = Operations(
    linear=lambda x, weight, bias: x @ weight.T + bias,
    norm=norm,
    gelu=functools.partial(jax.nn.gelu, approximate=False),
    softmax=jax.nn.softmax,
    concatenate=functools.partial(jnp.concatenate, axis=-2),
    broadcast_to=jnp.broadcast_to,
)


def run_looped(config, first, weights, x):
    """run_from with a compiled loop over the blocks between that unit and the last one: the same operations,
    compiled in a fraction of the time."""
    units = config.units()
    x = run_unit(OPS, config, units[first], weights[units[first]], x)
    equal = units[first + 1:-2]
    if equal:
        stacked = jax.tree_util.tree_map(lambda *parts: jnp.stack(parts), *(weights[unit] for unit in equal))
        x, _ = jax.lax.scan(lambda x, p: (run_unit(OPS, config, equal[0], p, x), None), x, stacked)
    for unit in units[max(first + 1, len(units) - 2):]:
        x = run_unit(OPS, config, unit, weights[unit], x)
    return x


def compiled_kernels(config, weights, inputs, implementation):
    """{unit: a function of no arguments that gives its kernel}"""
    # The library's interpreter of structured derivatives does not know loops.
    run = functools.partial(run_from, OPS) if implementation == "STRUCTURED_DERIVATIVES" else run_looped
    kernels = {}
    for first, unit in enumerate(config.units()):
        def kernel(weights, x, first=first, unit=unit):
            def logits(trained, x):
                return run(config, first, weights | {unit: trained}, x)

            kernel_fn = neural_tangents.empirical_ntk_fn(
                logits, trace_axes=(), vmap_axes=0, implementation=neural_tangents.NtkImplementation[implementation])
            return kernel_fn(x, None, weights[unit])

        program = jax.jit(kernel).lower(weights, inputs[first]).compile()
        kernels[unit] = functools.partial(program, weights, inputs[first])
    return kernels


def eigenvalues(config, kernels):
    found = {}
    for unit, kernel in kernels.items():
        theta = np.asarray(kernel(), dtype=np.float64)  # (n, n, K, K)
        size = config.samples * config.labels
        found[unit] = float(np.linalg.eigvalsh(theta.transpose(0, 2, 1, 3).reshape(size, size))[-1])
    return found


def compiled_passes(config, weights, rows):
    def gradient(weights, rows, one_hot):
        return jax.grad(lambda w: (run_from(OPS, config, 0, w, rows) * one_hot).sum())(weights)

    identity = jnp.eye(config.labels)
    program = jax.jit(gradient).lower(weights, rows, identity[0]).compile()

    def passes():
        for one_hot in identity:
            jax.block_until_ready(program(weights, rows, one_hot))

    return passes


def main():
    limit_memory(arguments.memory)
    config, arrays, rows = load(arguments.folder)
    weights = jax.tree_util.tree_map(jnp.asarray, arrays)
    rows = jnp.asarray(rows)
    passes = compiled_passes(config, weights, rows)
    pass_seconds = float("inf")
    for _ in range(arguments.passes):
        start = time.perf_counter()
        passes()
        pass_seconds = min(pass_seconds, time.perf_counter() - start)

    inputs = jax.block_until_ready(jax.jit(lambda w, x: unit_inputs(OPS, config, w, x))(weights, rows))
    for implementation in arguments.implementations.split(","):
        row = {"program": "neural_tangents", "version": f"{neural_tangents.__version__}, jax {jax.__version__}",
               "way": implementation, "threads": arguments.threads}
        start = time.perf_counter()
        try:
            kernels = compiled_kernels(config, weights, inputs, implementation)
            compilation = time.perf_counter() - start
            found, seconds, peak = measured(lambda: eigenvalues(config, kernels))
        except (MemoryError, NotImplementedError, RuntimeError) as error:
            print_row(**row, error=str(error).splitlines()[0])
            continue
        print_row(**row, seconds=seconds, compile_seconds=compilation, passes_seconds=pass_seconds, peak_mib=peak,
                  eigenvalues=found)


if __name__ == "__main__":
    main()
