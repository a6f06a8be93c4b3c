#include "ntk/jacobian.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#include "core/parallel.h"

namespace strata::ntk {
namespace {

using torch::Tensor;

/// work(i) for i < count, in parallel on the CPU: LibTorch without MKL does bmm as one call of the
/// BLAS a matrix, each of which starts and joins all threads.
template <typename Work>
void for_each(std::int64_t count, const Work& work) {
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    const torch::NoGradGuard no_grad;
    for (std::int64_t i = begin; i < end; ++i) work(i);
  });
}

/// out[i] = a[i] b[i] for the matrices of two batches.
void batched_product(Tensor out, const Tensor& a, const Tensor& b) {
  if (!out.is_cpu()) {
    torch::bmm_out(out, a, b);
    return;
  }
  for_each(a.size(0), [&](std::int64_t i) {
    Tensor product = out[i];
    torch::mm_out(product, a[i], b[i]);
  });
}

Tensor on_cpu(const Tensor& tensor) {
  return tensor.to(torch::kCPU, torch::kDouble);
}

/// Θ += J Jᵀ by panels of rows: only blocks on and above the diagonal are computed.
void add_rows(const Tensor& jacobian, Tensor& theta) {
  constexpr std::int64_t kPanels = 4;
  const std::int64_t rows = jacobian.size(0), step = (rows + kPanels - 1) / kPanels;
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const std::int64_t size = std::min(step, rows - begin), rest = rows - begin - size;
    const Tensor product = on_cpu(
        torch::mm(jacobian.narrow(0, begin, size), jacobian.narrow(0, begin, size + rest).t()));
    theta.narrow(0, begin, size).narrow(1, begin, size + rest).add_(product);
    if (rest > 0) {
      theta.narrow(0, begin + size, rest)
          .narrow(1, begin, size)
          .add_(product.narrow(1, size, rest).t());
    }
  }
}

/// ⟨δxᵀ, δ'x'ᵀ⟩ = (δ·δ')(x·x'), a few samples' rows at a time.
void add_outer(const JacobianFactor& factor, Tensor& theta) {
  const std::int64_t n = factor.samples(), k = factor.outputs(), rows = factor.rows();
  const Tensor delta = factor.delta.view({rows, -1});
  const Tensor input = factor.input.reshape({n, -1});
  constexpr std::int64_t kPanels = 8;
  const std::int64_t step = (n + kPanels - 1) / kPanels;
  for (std::int64_t begin = 0; begin < n; begin += step) {
    const std::int64_t size = std::min(step, n - begin);
    const Tensor product = on_cpu(torch::mm(delta.narrow(0, begin * k, size * k), delta.t()));
    const Tensor inputs = on_cpu(torch::mm(input.narrow(0, begin, size), input.t()));
    product.view({size, k, n, k}).mul_(inputs.view({size, 1, n, 1}));
    theta.narrow(0, begin * k, size * k).add_(product);
  }
}

/// For sample i: P[k] = (X X_iᵀ) D_ik over all tokens of the samples j ≥ i, some at a time, and
/// Θ[(i,k),(j,l)] = ⟨P[k] of j, D_jl⟩.
void add_mixed(const JacobianFactor& factor, std::int64_t chunk_bytes, Tensor& theta,
               int parallel) {
  const std::int64_t n = factor.samples(), k = factor.outputs(), tokens = factor.tokens();
  const std::int64_t out = factor.delta.size(3), in = factor.input.size(2);
  const Tensor inputs = factor.input.reshape({n * tokens, in});
  const Tensor deltas = factor.delta.view({n, k, tokens * out});
  const std::int64_t sample_bytes = k * tokens * out * factor.delta.element_size();
  const std::int64_t chunk = std::clamp<std::int64_t>(chunk_bytes / sample_bytes, 1, n);
  const auto add = [&](std::int64_t i, Tensor& part, Tensor& products) {
    for (std::int64_t j = i; j < n; j += chunk) {
      const std::int64_t size = std::min(chunk, n - j);
      const Tensor overlap =
          torch::mm(inputs.narrow(0, j * tokens, size * tokens), factor.input[i].t());
      const Tensor used = part.narrow(1, 0, size);
      batched_product(used.view({k, size * tokens, out}),
                      overlap.unsqueeze(0).expand({k, size * tokens, tokens}), factor.delta[i]);
      const Tensor found = products.narrow(0, 0, size);
      batched_product(found, used.transpose(0, 1), deltas.narrow(0, j, size).transpose(1, 2));
      const Tensor block = on_cpu(found.transpose(0, 1).reshape({k, size * k}));
      theta.narrow(0, i * k, k).narrow(1, j * k, size * k).add_(block);
      // The block of sample i with itself is symmetric, and is there once.
      const std::int64_t own = j == i ? 1 : 0;
      if (size > own) {
        theta.narrow(0, (j + own) * k, (size - own) * k)
            .narrow(1, i * k, k)
            .add_(block.narrow(1, own * k, (size - own) * k).t());
      }
    }
  };
  const auto workers = factor.delta.is_cpu()
                           ? static_cast<int>(std::clamp<std::int64_t>(
                                 chunk_bytes / (chunk * sample_bytes), 1, parallel))
                           : 1;
  const int threads = at::get_num_threads();
  std::atomic<std::int64_t> next = 0;
  // No two samples write to the same block. The first ones have the most to do.
  parallel_for(workers, workers, [&](int) {
    const torch::NoGradGuard no_grad;  // as all of LibTorch's modes, of one thread
    if (workers > 1) at::set_num_threads(threads);
    Tensor part = torch::empty({k, chunk, tokens * out}, factor.delta.options());
    Tensor products = torch::empty({chunk, k, k}, factor.delta.options());
    for (std::int64_t i = next++; i < n; i = next++) add(i, part, products);
  });
}

void add_streamed(const JacobianFactor& factor, std::int64_t chunk_bytes, Tensor& theta) {
  const std::int64_t tokens = factor.tokens(), out = factor.delta.size(3);
  const std::int64_t in = factor.input.size(2), rows = factor.rows(), k = factor.outputs();
  const std::int64_t column_bytes = rows * in * factor.delta.element_size();
  const std::int64_t chunk = std::clamp<std::int64_t>(chunk_bytes / column_bytes, 1, out);
  Tensor jacobian = torch::empty({rows, chunk, in}, factor.delta.options());
  const Tensor deltas = factor.delta.view({rows, tokens, out});
  for (std::int64_t begin = 0; begin < out; begin += chunk) {
    const std::int64_t size = std::min(chunk, out - begin);
    const Tensor left = deltas.narrow(2, begin, size).transpose(1, 2);
    Tensor part = size == chunk ? jacobian : torch::empty({rows, size, in}, jacobian.options());
    if (part.is_cpu()) {
      for_each(rows, [&](std::int64_t row) {
        Tensor product = part[row];
        torch::mm_out(product, left[row], factor.input[row / k]);
      });
    } else {
      const Tensor input = factor.input.unsqueeze(1).expand({-1, k, -1, -1});
      torch::bmm_out(part, left, input.reshape({rows, tokens, in}));
    }
    add_rows(part.view({rows, size * in}), theta);
  }
}

/// Per-sample Σₜ δₜ ⊙ xₜ, a sample at a time: the product has δ's size.
Tensor scaled_sums(const Tensor& delta, const Tensor& input) {
  Tensor sums = torch::empty({delta.size(0), delta.size(1), 1, delta.size(3)}, delta.options());
  for (std::int64_t i = 0; i < delta.size(0); ++i) {
    sums[i].select(1, 0).copy_((delta[i] * input[i].unsqueeze(0)).sum(1));
  }
  return sums;
}

JacobianFactor embedding_factor(const std::vector<WeightUse>& uses) {
  const std::int64_t n = uses.front().delta.size(0);
  std::vector<Tensor> indices, deltas;
  for (const WeightUse& use : uses) {
    indices.push_back(use.op.input.reshape({n, -1}));
    deltas.push_back(use.delta);
  }
  const auto unique = at::_unique(torch::cat(indices, 1), /*sorted=*/true, /*return_inverse=*/true);
  const Tensor positions = std::get<1>(unique).view({n, -1});
  const Tensor one_hot =
      torch::one_hot(positions, std::get<0>(unique).numel()).to(deltas.front().scalar_type());
  return {one_hot, torch::cat(deltas, 2)};
}

}  // namespace

JacobianFactor factor_of(const std::vector<WeightUse>& uses) {
  using Kind = models::CapturedOp::Kind;
  const WeightUse& first = uses.front();
  if (first.op.kind == Kind::kEmbedding) return embedding_factor(uses);
  const bool factored = first.op.kind == Kind::kLinear || first.op.kind == Kind::kMixture;
  if (factored && !first.bias) {
    std::vector<Tensor> inputs, deltas;
    for (const WeightUse& use : uses) {
      inputs.push_back(use.op.rows().reshape({use.delta.size(0), use.delta.size(2), -1}));
      deltas.push_back(use.delta);
    }
    if (uses.size() == 1) return {inputs.front(), deltas.front()};
    return {torch::cat(inputs, 1), torch::cat(deltas, 2)};
  }
  Tensor rows;
  for (const WeightUse& use : uses) {
    const Tensor& delta = use.delta;
    Tensor part;
    if (use.bias) {
      part = delta.sum(2, /*keepdim=*/true);
    } else if (use.op.kind == Kind::kNorm) {
      part = scaled_sums(delta, use.op.input.reshape({delta.size(0), delta.size(2), -1}));
    } else {
      part = delta.flatten(2).unsqueeze(2);
    }
    rows = rows.defined() ? rows + part : part;
  }
  return {Tensor(), rows.contiguous()};
}

FactorShape shape_of(const JacobianFactor& factor) {
  const auto size = [](std::int64_t value) { return static_cast<double>(value); };
  return {size(factor.samples()),     size(factor.outputs()),
          size(factor.tokens()),      factor.explicit_rows() ? 0 : size(factor.input.size(2)),
          size(factor.delta.size(3)), factor.explicit_rows()};
}

double gram_cost(const FactorShape& s, GramWay way) {
  const double rows = s.samples * s.outputs;
  // add_rows computes 5/8 of the square.
  if (s.explicit_rows) return 0.625 * rows * rows * s.tokens * s.out;
  switch (way) {
    case GramWay::kOuter:
      return rows * rows * s.out + s.samples * s.samples * s.in;
    case GramWay::kMixed:
      return 0.5 * s.samples * s.samples * s.tokens * s.tokens * (s.in + s.outputs * s.out) +
             0.5 * rows * rows * s.tokens * s.out;
    default:
      return rows * s.tokens * s.in * s.out + 0.625 * rows * rows * s.in * s.out;
  }
}

GramWay cheapest_way(const FactorShape& shape) {
  if (shape.explicit_rows) return GramWay::kStreamed;
  if (shape.tokens == 1) return GramWay::kOuter;
  return gram_cost(shape, GramWay::kMixed) < gram_cost(shape, GramWay::kStreamed)
             ? GramWay::kMixed
             : GramWay::kStreamed;
}

void add_gram(const JacobianFactor& factor, GramWay way, std::int64_t chunk_bytes, Tensor& theta,
              int parallel) {
  const torch::NoGradGuard no_grad;
  if (factor.explicit_rows()) {
    add_rows(factor.delta.view({factor.rows(), -1}), theta);
  } else if (way == GramWay::kOuter) {
    add_outer(factor, theta);
  } else if (way == GramWay::kMixed) {
    add_mixed(factor, chunk_bytes, theta, parallel);
  } else {
    add_streamed(factor, chunk_bytes, theta);
  }
}

Eigen::MatrixXd kernel_product(const JacobianFactor& factor, const Eigen::MatrixXd& block) {
  const torch::NoGradGuard no_grad;
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const std::int64_t n = factor.samples(), k = factor.outputs(), rows = factor.rows();
  const std::int64_t b = block.cols(), tokens = factor.tokens(), out = factor.delta.size(3);
  RowMajor copy = block;
  const Tensor vectors = torch::from_blob(copy.data(), {n, k, b}, torch::kDouble)
                             .to(factor.delta.device(), factor.delta.scalar_type());
  const Tensor deltas = factor.delta.view({n, k, tokens * out});
  Tensor result;
  if (factor.explicit_rows()) {
    const Tensor flat = deltas.view({rows, tokens * out});
    result = torch::mm(flat, torch::mm(flat.t(), vectors.reshape({rows, b})));
  } else {
    const std::int64_t in = factor.input.size(2);
    // Σₖ V[i,k] δ[i,k], for all vectors beside each other: (n·T, b·out).
    Tensor weighted = torch::empty({n, b, tokens * out}, deltas.options());
    batched_product(weighted, vectors.transpose(1, 2).contiguous(), deltas);
    const Tensor left =
        weighted.view({n, b, tokens, out}).transpose(1, 2).reshape({n * tokens, b * out});
    const Tensor input = factor.input.reshape({n * tokens, in});
    const Tensor gradient = torch::mm(left.t(), input);    // Jᵀ V as (b·out, in)
    const Tensor images = torch::mm(input, gradient.t());  // (n·T, b·out)
    const Tensor back =
        images.view({n, tokens, b, out}).transpose(1, 2).reshape({n, b, tokens * out});
    result = torch::empty({n, k, b}, deltas.options());
    batched_product(result, deltas, back.transpose(1, 2));
  }
  const Tensor product = on_cpu(result).contiguous();
  return Eigen::Map<const RowMajor>(product.data_ptr<double>(), rows, b);
}

double kernel_trace(const JacobianFactor& factor) {
  const torch::NoGradGuard no_grad;
  if (factor.explicit_rows()) return factor.delta.square().sum(torch::kDouble).item<double>();
  double trace = 0;
  for (std::int64_t i = 0; i < factor.samples(); ++i) {
    const Tensor overlap = torch::mm(factor.input[i], factor.input[i].t());
    const Tensor images = torch::matmul(overlap, factor.delta[i]);
    trace += (images * factor.delta[i]).sum(torch::kDouble).item<double>();
  }
  return trace;
}

}  // namespace strata::ntk
