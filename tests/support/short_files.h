#pragma once
/// \file
/// Model folders whose weights are in a short type, and the same numbers in float32.

#include <cstring>
#include <filesystem>
#include <vector>

#include "models/tensor_bytes.h"

namespace strata::test {

/// Copies a model folder with its float32 weights rounded to `dtype`: in that type or, `widened`,
/// in float32 again.
inline void copy_rounded(const std::filesystem::path& from, const std::filesystem::path& to,
                         Dtype dtype, bool widened) {
  std::filesystem::create_directories(to);
  std::filesystem::copy_file(from / "config.json", to / "config.json");
  const SafetensorsFile file(from / "model.safetensors");
  std::vector<torch::Tensor> tensors;
  std::vector<TensorView> views;
  for (const TensorEntry& entry : file.tensors()) {
    if (entry.dtype != Dtype::kF32) {  // a counter
      views.push_back({entry.name, entry.dtype, entry.shape, file.bytes(entry)});
      continue;
    }
    torch::Tensor tensor = torch::empty(entry.shape);
    std::memcpy(tensor.data_ptr(), file.bytes(entry).data(), file.bytes(entry).size());
    tensor = tensor.to(models::scalar_type(dtype));
    if (widened) tensor = tensor.to(torch::kFloat);
    tensors.push_back(tensor);
    views.push_back({entry.name,
                     widened ? Dtype::kF32 : dtype,
                     entry.shape,
                     {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()}});
  }
  write_safetensors(to / "model.safetensors", views, {{"format", "pt"}});
}

}  // namespace strata::test
