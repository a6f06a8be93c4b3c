#pragma once
/// \file
/// A model folder with the methods beside its base: PEFT's files, and ours. LibTorch's types are
/// only named here.

#include <cstdint>
#include <filesystem>
#include <string>

#include "models/blueprint.h"
#include "peft/methods.h"

namespace c10 {
struct Device;
}
namespace strata::models {
class Model;
}

namespace strata::peft {

/// PEFT's files in a model folder: LoRA, and nothing else, so that PEFT and transformers load them.
inline constexpr const char* kPeftConfigFile = "adapter_config.json";
inline constexpr const char* kPeftWeightsFile = "adapter_model.safetensors";
/// Ours, of names that no other program looks for: adapters and prompts. Before, they stood in
/// PEFT's files (in a mapping `strata`), which made transformers refuse the whole folder.
inline constexpr const char* kOwnConfigFile = "strata_adapters.json";
inline constexpr const char* kOwnWeightsFile = "strata_adapters.safetensors";

/// Weights of the base that stand in place of those of model.safetensors, under the base's names,
/// and what says which (peft/export.h).
inline constexpr const char* kPartialFile = "partial.safetensors";
inline constexpr const char* kPartialIndexFile = "partial.json";

/// The blueprint of a model folder: its base's, with what the methods' files say; also those of
/// folders where ours stood in PEFT's. @throws InputError naming the file and key
models::Blueprint read_blueprint(const std::filesystem::path& folder);

/// Checks the weights of a model folder against its blueprint: the base's and the methods', each
/// file under the names there; a LoRA weight under both of its names must be the same.
/// @throws InputError naming the file and the missing, misshapen or unknown weight, or partial.json
/// with the fingerprint of another base
void check_weights(const std::filesystem::path& folder, const models::Blueprint& blueprint);

/// The model of a folder, its units those of the scheme "block". @throws as read_blueprint and
/// check_weights do; InputError: partial.json has the fingerprint of another base
models::Model load_model(const std::filesystem::path& folder, const c10::Device& device);
models::Model load_model(const std::filesystem::path& folder);  ///< on the CPU

/// Model::save_base, and the methods' files; where the model has none, such files of an earlier
/// model are removed.
void save_model(const models::Model& model, const std::filesystem::path& folder);

/// The methods' files alone; those of an earlier model are removed.
void save_methods(const models::Model& model, const std::filesystem::path& folder);

/// The methods' configuration files alone, and removes those of an earlier model.
void save_configs(const models::Blueprint& blueprint, const std::filesystem::path& folder);

/// Gives the model these methods, too, with fresh weights from the seed. @throws as with_methods
void add_methods(models::Model& model, const Methods& methods, std::uint64_t seed);
/// The units of a scheme (scheme_units).
void set_units(models::Model& model, const std::string& scheme, models::Buffers buffers);

}  // namespace strata::peft
