#pragma once
/// \file
/// Prompts: learned vectors put before the tokens that enter the first block, with no position of
/// their own (VPT-shallow, Jia et al., ECCV 2022; PromptFL trains such vectors federatedly, Guo et
/// al., IEEE Transactions on Mobile Computing 2024).

#include "peft/method.h"

namespace strata::peft {

MethodType prompt_type();
MethodPtr make_prompts(std::int64_t length);

}  // namespace strata::peft
