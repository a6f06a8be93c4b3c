#pragma once
/// \file
/// Weights of the base that a folder of PEFT's brings with it, in place of the base model's own:
/// trained biases (`bias`), whole modules (`modules_to_save`) and norms (LN_TUNING).

#include <string>
#include <vector>

#include "core/document.h"
#include "models/checkpoint.h"
#include "peft/method.h"

namespace strata::peft {

inline constexpr const char* kNormTuning = "LN_TUNING";

/// Which they are, and under which names the file may have them. `config` is adapter_config.json,
/// `method` what it adds, nullptr where it adds nothing. A biases' value is `none`, `all` or, for
/// those of the layers that have some of the method, `lora_only` and so on; modules are chosen as
/// layers are (selects), LN_TUNING's norms, too. Buffers of a BatchNorm go with it.
/// @throws InputError naming the file and key: another value, a module that the model has not
std::vector<models::StoredParameter> replaced_by(ObjectReader& config, const Method* method,
                                                 const models::Blueprint& blueprint);

}  // namespace strata::peft
