#pragma once
/// \file
/// Which tokens look at which, as what is added to attention's scores.

#include "models/torch.h"

namespace strata::models {

/// bool (1, rows, tokens): of so many tokens the last `rows` look at themselves and at those
/// before.
torch::Tensor causal(std::int64_t rows, std::int64_t tokens, const torch::Device& device);

/// bool (n, rows, T): whether a token is the prompt's or of the text to which each of the last
/// `rows` belongs; `continuations` (n, T) are as in Batch.
torch::Tensor of_own_text(const torch::Tensor& continuations, std::int64_t rows);

/// int64 (n, T): how many of the tokens up to each, itself among them, are attended (n, T) and of
/// its own text; `continuations` may be undefined.
torch::Tensor counted_tokens(const torch::Tensor& attended, const torch::Tensor& continuations);

/// `continuations` (n, T) for the last so many tokens, where those before the T are the prompt's;
/// undefined where they are.
torch::Tensor continuations_of(const torch::Tensor& continuations, std::int64_t tokens);

/// 0 where `seen` (bool), and elsewhere the lowest number of `type`, or of float32 where that is
/// shorter.
torch::Tensor added_mask(const torch::Tensor& seen, torch::ScalarType type);

}  // namespace strata::models
