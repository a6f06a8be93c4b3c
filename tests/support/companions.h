#pragma once
/// \file
/// What companions make (models::Companions), by other means: a bottleneck of twice the width.

#include "models/torch.h"

namespace strata::test {

/// The parameter of shape `wide` of one bottleneck that is the mean of two, each by its own:
/// W_up relu(W_down x + b_down) + b_up with both W_down one under the other, and halves of both
/// W_up side by side.
inline torch::Tensor side_by_side(const torch::Tensor& own, const torch::Tensor& companion,
                                  torch::IntArrayRef wide) {
  if (wide[0] == 2 * own.size(0)) return torch::cat({own, companion}, 0);
  if (own.dim() == 2) return torch::cat({own / 2, companion / 2}, 1);
  return (own + companion) / 2;
}

}  // namespace strata::test
