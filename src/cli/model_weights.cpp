#include "cli/model_weights.h"

#include "core/document.h"
#include "core/torch_file.h"
#include "strata/core/error.h"
#include "strata/core/safetensors.h"

namespace strata::cli {
namespace {

template <typename File>
std::vector<std::string> names_in(const File& file) {
  std::vector<std::string> names;
  for (const TensorEntry& entry : file.tensors()) names.push_back(entry.name);
  return names;
}

std::vector<std::string> names_in_index(const std::filesystem::path& index) {
  const Document document = load_json(index);
  if (!document.root.is_object() || !document.root.contains("weight_map") ||
      !document.root["weight_map"].is_object())
    throw InputError(index.string() + ": weight_map: a mapping from weights to files was expected");
  std::vector<std::string> names;
  for (const auto& [name, file] : document.root["weight_map"].items()) names.push_back(name);
  return names;
}

}  // namespace

std::vector<std::string> weight_names(const std::filesystem::path& folder) {
  std::error_code none;
  for (const char* stem : {"model.safetensors", "pytorch_model.bin"}) {
    const std::filesystem::path file = folder / stem, index = file.string() + ".index.json";
    if (std::filesystem::exists(file, none)) {
      return file.extension() == ".bin" ? names_in(TorchFile(file))
                                        : names_in(SafetensorsFile(file));
    }
    if (std::filesystem::exists(index, none)) return names_in_index(index);
  }
  return {};
}

}  // namespace strata::cli
