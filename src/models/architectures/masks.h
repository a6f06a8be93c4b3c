#pragma once
/// \file
/// Which tokens look at which, as what is added to attention's scores.

#include "models/torch.h"

namespace strata::models {

/// bool (1, rows, tokens): of so many tokens the last `rows` look at themselves and at those
/// before.
torch::Tensor causal(std::int64_t rows, std::int64_t tokens, const torch::Device& device);

/// 0 where `seen` (bool), and elsewhere the lowest number of `type`, or of float32 where that is
/// shorter.
torch::Tensor added_mask(const torch::Tensor& seen, torch::ScalarType type);

}  // namespace strata::models
