#pragma once
/// \file
/// A file of weights in either of the formats that models come in.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/torch_file.h"
#include "strata/core/safetensors.h"

namespace strata::models {

enum class FileFormat : std::uint8_t { kSafetensors, kPyTorch };

/// Its tensors, mapped. As SafetensorsFile and TorchFile have them, also their errors.
class TensorFile {
 public:
  TensorFile(const std::filesystem::path& path, FileFormat format);

  FileFormat format() const {
    return std::holds_alternative<TorchFile>(file_) ? FileFormat::kPyTorch
                                                    : FileFormat::kSafetensors;
  }
  const std::vector<TensorEntry>& tensors() const;
  const TensorEntry* find(const std::string& name) const;
  std::string_view bytes(const TensorEntry& entry) const;
  /// Whether another tensor may have the same bytes.
  bool shares(const TensorEntry& entry) const;
  const std::filesystem::path& path() const;
  /// Of safetensors.
  std::map<std::string, std::string> metadata() const;
  /// The file's name when its tensors are written again, as safetensors: its own or, of PyTorch's
  /// pytorch_model.bin and its shards, that of transformers for them: model.safetensors, and
  /// model-00001-of-00002.safetensors.
  std::string written_name() const;

 private:
  std::variant<SafetensorsFile, TorchFile> file_;
};

}  // namespace strata::models
