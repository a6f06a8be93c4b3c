#pragma once
/// \file
/// The names of a model folder's weights, without LibTorch: what a plan's units are looked up in.

#include <filesystem>
#include <string>
#include <vector>

namespace strata::cli {

/// Of model.safetensors or, where there is none, of model.safetensors.index.json,
/// pytorch_model.bin or pytorch_model.bin.index.json, of which shards are not opened. Empty where
/// the folder has none of them. @throws InputError for a file that cannot be read.
std::vector<std::string> weight_names(const std::filesystem::path& folder);

}  // namespace strata::cli
