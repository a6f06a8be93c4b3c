#pragma once
/// \file
/// The average of the clients' products. Internal.

#include "fedrunner/lora_rules/lora_rule.h"

namespace strata::fedrunner {

/// Σ share · B A (out × in), in float64. O(k r out in).
inline torch::Tensor average_product(const PairUploads& uploads) {
  torch::Tensor sum;
  for (const auto& [a, b, share] : uploads.shares) {
    const auto part = torch::matmul(b * share, a);
    sum = sum.defined() ? sum.add_(part) : part;
  }
  return sum;
}

}  // namespace strata::fedrunner
