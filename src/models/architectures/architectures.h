#pragma once
/// \file
/// The one list of architectures. LibTorch's types do not show.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/document.h"
#include "models/architecture.h"

namespace strata::models {

/// Reads `config.json` of transformers, or of timm where an architecture of the list has networks
/// there. Keys of transformers' that do not concern us (torch_dtype, …) are ignored,
/// as a checkpoint from elsewhere may hold any.
/// @throws InputError naming the file and the key: a `model_type` that is not in the list, with
/// those that are, or a field of ours with a wrong type or range
std::shared_ptr<const Architecture> read_architecture(const std::filesystem::path& config);

/// The `model.architecture` mapping of an experiment file, whose key `type` (default vilt) names
/// one of the list that can be trained from scratch; its other keys are the architecture's. It has
/// no labels and the default number of words. @throws InputError
std::shared_ptr<const Architecture> architecture_from_yaml(ObjectReader reader);

/// That mapping's keys, of every architecture that it can name: in words, with backquotes.
std::string yaml_keys();

/// `model_type` of every architecture.
std::vector<std::string> architecture_names();

}  // namespace strata::models
