#pragma once
/// \file
/// Multi-head scaled dot-product attention.

#include <optional>

#include "models/torch.h"

namespace strata::models {

/// softmax(QKᵀ/√d + mask) V for every sample and head, with `query` (n·Q, heads·d), `key` and
/// `value` (n·S, heads·d), the tokens of a sample together, and `mask` (n, S), which is added to
/// the scores of every query and head. Returns (n·Q, heads·d). With a
/// `generator`, attention weights are dropped with the probability `dropout`.
///
/// Tensors on the CPU without dropout take products of our own in place of bmm, which LibTorch
/// without MKL does as one BLAS call a head; they need no copies of the heads either. Gradients
/// computed with create_graph are made of recorded operations instead, so that they can be
/// differentiated again.
torch::Tensor attention(const torch::Tensor& query, const torch::Tensor& key,
                        const torch::Tensor& value, const torch::Tensor& mask, std::int64_t heads,
                        double dropout = 0, const std::optional<at::Generator>& generator = {});

}  // namespace strata::models
