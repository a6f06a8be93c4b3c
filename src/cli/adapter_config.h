#pragma once
/// \file
/// A plan for users of Hugging Face PEFT: one adapter_config.json a client.

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "strata/core/plan.h"

namespace strata {

/// FOLDER/CLIENT/adapter_config.json for every client that trains a unit of a numbered layer
/// ("block.3" is layer 3): PEFT's LoraConfig with `layers_to_transform`. With a template, its
/// fields with that one replaced. Units without a number are left to the user, with a warning
/// unless `warn` is false; so are clients without a numbered unit, as PEFT takes an empty list for
/// all layers.
/// @throws InputError for an unreadable template, or a client whose name cannot be a folder's.
std::vector<std::pair<std::filesystem::path, std::string>> adapter_configs(
    const Plan& plan, const std::filesystem::path& folder, const std::filesystem::path& template_,
    bool warn = true);

}  // namespace strata
