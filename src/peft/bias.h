#pragma once
/// \file
/// BitFit (Ben Zaken et al., ACL 2022): the biases of a block's linear layers and norms.

#include "peft/method.h"

namespace strata::peft {

MethodType bias_type();

}  // namespace strata::peft
