#pragma once
/// \file
/// What fine-tuning has changed of a model, in a folder without the base: PEFT's folder where PEFT
/// has such a method, else a file of the weights that are no longer the base's, by the base's
/// names.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace strata::peft {

struct ExportedFile {
  std::string file;  ///< in the folder
  std::string
      format;  ///< "PEFT's LN_TUNING", "AdapterHub's seq_bn", "Strata's adapters", "partial"
  std::int64_t tensors = 0, numbers = 0;  ///< buffers included, none counted twice
};

/// Writes the model's methods, as save_methods does, and which weights of the base are not what
/// they are in the folder `base`:
/// - adapter_config.json of type LN_TUNING, with all of each layer that has changed, where these
/// are
///   normalisation layers and layers of the head (`modules_to_save`), called as transformers calls
///   them, and no method of the model's has PEFT's files;
/// - the method's adapter_config.json and its weights, where one has PEFT's files and layers of the
///   head (`modules_to_save`) and biases (`bias`) are all that has changed besides;
/// - otherwise partial.safetensors, with the changed tensors alone, under the names of the model
///   folder's files, a ViT's under both of transformers', so that `load_state_dict(…,
///   strict=False)` takes them; partial.json says their names and shapes and the base's
///   fingerprint.
/// A method that AdapterHub has, too, stands in adapterhub/ besides (peft/adapter_hub.h). Weights
/// are float32. The same files beside the base's are a model folder. Files of an earlier export are
/// removed. @throws InputError: `base` lacks a weight of the model's, or has another shape of it,
/// outside the head; nothing has changed
std::vector<ExportedFile> export_changes(const std::filesystem::path& model,
                                         const std::filesystem::path& base,
                                         const std::filesystem::path& out);

}  // namespace strata::peft
