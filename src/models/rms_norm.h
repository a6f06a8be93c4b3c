#pragma once
/// \file
/// Root mean square normalisation (Zhang & Sennrich, NeurIPS 2019), as LLaMA, Mistral, Gemma and T5
/// have it.

#include "models/torch.h"

namespace strata::models {

/// x / √(mean(x²) + eps) ⊙ scale over the last dimension; `scale` (width). Autograd keeps x and a
/// number a row. Gradients computed with create_graph can be differentiated again.
torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& scale, double eps);

}  // namespace strata::models
