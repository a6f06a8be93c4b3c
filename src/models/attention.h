#pragma once
/// \file
/// Multi-head scaled dot-product attention.

#include <optional>

#include "models/torch.h"

namespace strata::models {

/// How queries look at keys.
struct Heads {
  std::int64_t queries = 1;
  /// Heads of keys and values, each for as many queries' heads one after the other (grouped-query
  /// attention, Ainslie et al. 2023); 0: as many as queries.
  std::int64_t keys = 0;
  double scale = 0;  ///< of QKᵀ; 0: 1/√d
  std::int64_t of_keys() const { return keys > 0 ? keys : queries; }
};

/// softmax(scale · QKᵀ + mask) V for every sample and head, with `query` (n·Q, heads·d), `key` and
/// `value` (n·S, key heads·d), the tokens of a sample together, and `mask` added to the scores: (n,
/// S), the same for every query and head; or (n, 1 or heads, Q, S). Returns (n·Q, heads·d). With a
/// `generator`, attention weights are dropped with the probability `dropout`.
///
/// Tensors on the CPU without dropout, whose mask is (n, S), take products of our own in place of
/// bmm, which LibTorch without MKL does as one BLAS call a head; they need no copies of the heads
/// either. Autograd keeps query, key, value and the weights. Gradients computed with create_graph
/// are made of recorded operations instead, so that they can be differentiated again. A mask that
/// requires a gradient (relative positions) gets one.
torch::Tensor attention(const torch::Tensor& query, const torch::Tensor& key,
                        const torch::Tensor& value, const torch::Tensor& mask, const Heads& heads,
                        double dropout = 0, const std::optional<at::Generator>& generator = {});

}  // namespace strata::models
