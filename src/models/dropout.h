#pragma once
/// \file
/// Dropout from a generator of its own.

#include <optional>

#include "models/torch.h"

namespace strata::models {

/// Zeroes each element with the probability, drawn from `generator`, and scales the others by
/// 1 / (1 - probability). torch::dropout draws from the process's one generator instead, which
/// clients that train side by side would share.
inline torch::Tensor dropout(const torch::Tensor& input, double probability,
                             const at::Generator& generator) {
  const auto kept = torch::empty_like(input.detach()).bernoulli_(1 - probability, generator);
  return input * kept.div_(1 - probability);
}

}  // namespace strata::models
