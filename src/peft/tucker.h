#pragma once
/// \file
/// The weight of a convolution as a Tucker product, as LoHa and LoKr have it with PEFT's
/// `use_effective_conv2d`: a core with a window of its own, and a matrix for either channels.

#include "models/torch.h"

namespace strata::peft {

/// (n, out, in, h, w) of a core (n, r, r, h, w) and factors (n, r, out) and (n, r, in); any n may
/// be 1.
inline torch::Tensor tucker_product(const torch::Tensor& core, const torch::Tensor& out,
                                    const torch::Tensor& in) {
  return torch::einsum("nijhw,nio,njc->nochw", {core, out, in});
}

}  // namespace strata::peft
