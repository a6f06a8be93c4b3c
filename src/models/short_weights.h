#pragma once
/// \file
/// Weights in a type shorter than the one that is computed in. A base stays in memory as its file
/// has it; who computes with a weight converts it for the operation alone.

#include "models/torch.h"

namespace strata::models {

/// Whether it is float16, bfloat16 or NF4 (nf4.h).
bool is_short(const torch::Tensor& tensor);
/// How many numbers it is, in whatever type.
std::int64_t number_count(const torch::Tensor& tensor);
/// Float32 of a short tensor; any other as it is.
torch::Tensor computable(const torch::Tensor& tensor);

/// torch::linear(input, computable(weight), bias), to the bit, with its gradients for the input and
/// the bias, which can be differentiated again. `weight` is short, (out, …) with its last
/// dimensions flattened, and has no gradient. Autograd keeps the weight as it is and converts it
/// anew for each product. A `bias` may be undefined.
torch::Tensor short_linear(const torch::Tensor& input, const torch::Tensor& weight,
                           const torch::Tensor& bias);

}  // namespace strata::models
