#pragma once
/// \file
/// Weights of the base that a folder of PEFT's brings with it, in place of the base model's own:
/// trained biases (`bias`), whole modules (`modules_to_save`) and norms (LN_TUNING), read and
/// written.

#include <optional>
#include <set>
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

bool is_norm(const models::Layer& layer);  ///< LayerNorm, RMSNorm or BatchNorm

/// A folder of type LN_TUNING with all of each of these layers: of norms, chosen by
/// `target_modules` (targets.h), and of others, which `modules_to_save` names. Weights have the
/// names of every transformers: a ViT's two, all aliases of a model's that answers in words.
struct NormTuning {
  Json config;  ///< adapter_config.json
  std::vector<models::StoredParameter> parameters;
};
NormTuning norm_tuning(const models::Blueprint& blueprint, const std::set<std::string>& layers);

/// What a folder of a method's brings of the base besides.
struct WithMethod {
  Json config;  ///< adapter_config.json
  std::vector<models::StoredParameter> parameters;
};
/// `config`, which the method writes, with what names these parameters of the base: layers of the
/// head as `modules_to_save`, other layers' biases as `bias`: those of the method's layers alone
/// (`lora_only`) or `all`. Parameters are all that such a folder then holds of the base. None where
/// it cannot say it: another parameter, a method whose type has no `bias`, a head's layer that the
/// method acts on.
std::optional<WithMethod> with_method(Json config, const Method& method,
                                      const models::Blueprint& blueprint,
                                      const std::set<std::string>& parameters);

}  // namespace strata::peft
