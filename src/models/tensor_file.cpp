#include "models/tensor_file.h"

namespace strata::models {
namespace {

std::variant<SafetensorsFile, TorchFile> opened(const std::filesystem::path& path,
                                                FileFormat format) {
  if (format == FileFormat::kPyTorch) return TorchFile(path);
  return SafetensorsFile(path);
}

}  // namespace

TensorFile::TensorFile(const std::filesystem::path& path, FileFormat format)
    : file_(opened(path, format)) {}

const std::vector<TensorEntry>& TensorFile::tensors() const {
  return std::visit(
      [](const auto& file) -> const auto& { return file.tensors(); }, file_);
}

const TensorEntry* TensorFile::find(const std::string& name) const {
  return std::visit([&](const auto& file) { return file.find(name); }, file_);
}

std::string_view TensorFile::bytes(const TensorEntry& entry) const {
  return std::visit([&](const auto& file) { return file.bytes(entry); }, file_);
}

bool TensorFile::shares(const TensorEntry& entry) const {
  const auto* torch = std::get_if<TorchFile>(&file_);
  return torch && torch->layout(entry).shared;
}

const std::filesystem::path& TensorFile::path() const {
  return std::visit(
      [](const auto& file) -> const auto& { return file.path(); }, file_);
}

std::map<std::string, std::string> TensorFile::metadata() const {
  const auto* safetensors = std::get_if<SafetensorsFile>(&file_);
  return safetensors ? safetensors->metadata() : std::map<std::string, std::string>();
}

std::string TensorFile::written_name() const {
  if (format() == FileFormat::kSafetensors) return path().filename().string();
  constexpr std::string_view kOld = "pytorch_";
  const std::string stem = path().stem().string();
  return (stem.starts_with(kOld) ? stem.substr(kOld.size()) : stem) + ".safetensors";
}

}  // namespace strata::models
