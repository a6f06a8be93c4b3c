#pragma once
/// \file
/// γ and β of a block's LayerNorms.

#include "peft/method.h"

namespace strata::peft {

MethodType layernorm_type();

}  // namespace strata::peft
