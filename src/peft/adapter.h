#pragma once
/// \file
/// Adapters (Pfeiffer et al., EACL 2021, the "seq_bn" of AdapterHub's `adapters`): one bottleneck a
/// block, on the sum y of the block's feed-forward branch and its residual:
///   y + W_up · relu(W_down · y + b_down) + b_up,   W_down (hidden / reduction × hidden)
/// which is what `adapters` computes in a pre-LN transformer, where no LayerNorm follows the sum.
/// Or two, on the branches themselves (Houlsby et al., ICML 2019, "double_seq_bn"): behind the
/// attention's output and behind the MLP, before either is added to the rows.

#include "core/choices.h"
#include "peft/method.h"

namespace strata::peft {

enum class AdapterPlace : std::uint8_t { kPfeiffer, kHoulsby };

MethodType adapter_type();
/// \param reduction  the block's width over the bottleneck's
MethodPtr make_adapters(std::int64_t reduction, AdapterPlace place = AdapterPlace::kPfeiffer);

}  // namespace strata::peft
