#pragma once
/// \file
/// TSA, task-specific adapters (Li, Liu & Bilen, CVPR 2022, arXiv 2107.00358): beside every
/// convolution of a residual branch a 1 × 1 convolution α of the same stride,
///   conv(x) + α * x,   α (out × in × 1 × 1) from 10⁻⁴ · I.
/// Of a ResNet-50 10,616,832 numbers.

#include "peft/method.h"

namespace strata::peft {

MethodType tsa_type();
MethodPtr make_tsa();

}  // namespace strata::peft
