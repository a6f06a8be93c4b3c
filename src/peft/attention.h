#pragma once
/// \file
/// The attention layers of the blocks (Touvron et al., ECCV 2022, arXiv 2203.09795): queries, keys,
/// values and the layer behind the heads, weights and biases, and, of a scheme with `only`, the
/// vectors of positions. Of a ViT-B/16 28,499,712 numbers, 2,362,368 of them a block's: with a few
/// blocks drawn anew each round (strategy `random`) that is the stochastic block attention of
/// arXiv 2407.11573.

#include "peft/method.h"

namespace strata::peft {

MethodType attention_type();

}  // namespace strata::peft
