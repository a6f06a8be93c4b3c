#pragma once
/// \file
/// γ and β of every normalisation layer of a block, LayerNorm or BatchNorm (Frankle, Schwab &
/// Morcos, ICLR 2021).

#include "peft/method.h"

namespace strata::peft {

MethodType norm_type();

}  // namespace strata::peft
