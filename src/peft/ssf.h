#pragma once
/// \file
/// SSF, scaling and shifting features (Lian et al., NeurIPS 2022, arXiv 2210.08823): behind every
/// linear layer, patch embedding and norm, but the classifier,
///   y ⊙ γ + β,   γ from N(1, 0.02²), β from N(0, 0.02²), both as wide as y.
/// Of a ViT-B/16 205,824 numbers. A convolution that a BatchNorm follows has them behind the
/// BatchNorm (ResNet-50: 53,120), or, where the field says so, before it, which only means
/// something while the BatchNorm normalises by its running statistics.

#include "peft/method.h"

namespace strata::peft {

struct SsfFields {
  /// Behind convolutions in place of the BatchNorms that follow them.
  bool before_batch_norm = false;
};

MethodType ssf_type();
MethodPtr make_ssf(SsfFields fields);

}  // namespace strata::peft
