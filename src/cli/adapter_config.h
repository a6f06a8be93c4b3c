#pragma once
/// \file
/// A plan for users of Hugging Face PEFT: one adapter_config.json a client.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "cli/adapter_families.h"
#include "strata/core/plan.h"

namespace strata::cli {

inline constexpr const char* kAdapterFile = "adapter_config.json";

struct AdapterConfigOptions {
  AdapterFamily family = common_family();
  std::filesystem::path config;  ///< a file whose fields win over the family's; empty: none
  bool warn = true;              ///< of units and clients that are left out
  bool always = true;            ///< with the units that every client trains besides
};

/// FOLDER/CLIENT/adapter_config.json for every client that trains a unit of a numbered layer:
/// PEFT's LoraConfig with `layers_to_transform` and, where the client trains the head,
/// `modules_to_save`, ready to train (`inference_mode` false). Of a plan with ranks `r` is the
/// largest and `rank_pattern` has the others, with an `alpha_pattern` that keeps alpha / r.
/// "block.3", "model.layers.3.mlp" and "layer3" are layer 3; "head", "classifier", "score",
/// "lm_head" are the head. Other units are left to the user, with a warning; so are clients without
/// a numbered unit, as PEFT takes an empty list for all layers.
/// @throws InputError for an unreadable file, a layer that the model does not have, or a client
/// whose name cannot be a folder's.
std::vector<std::pair<std::filesystem::path, std::string>> adapter_configs(
    const Plan& plan, const std::filesystem::path& folder, const AdapterConfigOptions& options);

/// @throws InputError where `folder` has that `file` of others than `clients`: who goes through the
/// folder would train them by an earlier plan.
void refuse_former_clients(const std::filesystem::path& folder, const std::string& file,
                           const std::vector<std::string>& clients);

}  // namespace strata::cli
