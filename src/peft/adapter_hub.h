#pragma once
/// \file
/// Folders of AdapterHub's library `adapters` (1.3) with a bottleneck of a ViT: what it calls
/// seq_bn, double_seq_bn and par_bn are adapters behind blocks, adapters in them (Houlsby) and
/// AdaptFormer's branches. adapter_config.json there is another than PEFT's.

#include <string>
#include <vector>

#include "core/document.h"
#include "models/checkpoint.h"
#include "peft/method.h"

namespace strata::peft {

inline constexpr const char* kHubConfigFile = "adapter_config.json";
inline constexpr const char* kHubWeightsFile = "adapter.safetensors";
/// Where an export has them: PEFT's adapter_config.json may be the folder's own.
inline constexpr const char* kHubFolder = "adapterhub";

/// AdapterHub's name of what the method does to this model; empty where it has none: other models
/// than transformers' ViT, other methods, AdaptFormer's branches that read normalised rows.
std::string hub_form(const Method& method, const models::Blueprint& blueprint);

/// adapter_config.json of a method that has a form. Dropout, which acts in training alone, is 0.
Json hub_config(const Method& method, const models::Blueprint& blueprint);
/// Whether adapter_config.json is AdapterHub's.
bool is_hub_config(ObjectReader& config);
/// @throws InputError naming the file and key: what Strata does not compute, another model
MethodPtr read_hub(ObjectReader& config, const models::Blueprint& blueprint);

/// The method's parameters under their names in the file, of an adapter called `name`.
std::vector<models::StoredParameter> hub_parameters(const Method& method,
                                                    const models::Blueprint& blueprint,
                                                    const std::string& name);

}  // namespace strata::peft
