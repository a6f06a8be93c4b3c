#pragma once
/// \file
/// The own weights of a decoder's blocks: those of a model that decodes what its encoder has read
/// (SAM, T5, ALBEF). With `lora` beside it, `lora+decoder` is LoRA in the encoder and the whole
/// decoder (2407.21739's LoRA + decoder).

#include "peft/method.h"

namespace strata::peft {

MethodType decoder_type();

}  // namespace strata::peft
