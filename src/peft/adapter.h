#pragma once
/// \file
/// Adapters (Pfeiffer et al., EACL 2021, the "seq_bn" of AdapterHub's `adapters`): one bottleneck a
/// block, on the sum y of the block's feed-forward branch and its residual:
///   y + W_up · relu(W_down · y + b_down) + b_up,   W_down (hidden / reduction × hidden)
/// which is what `adapters` computes in a pre-LN transformer, where no LayerNorm follows the sum.

#include "peft/method.h"

namespace strata::peft {

MethodType adapter_type();
/// \param reduction  the block's width over the bottleneck's
MethodPtr make_adapters(std::int64_t reduction);

}  // namespace strata::peft
