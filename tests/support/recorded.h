#pragma once
// Recorded tensors of a reference's safetensors file.

#include <cstring>
#include <filesystem>
#include <string>

#include "catch.h"
#include "models/torch.h"
#include "strata/core/safetensors.h"

namespace strata::test {

class Recorded {
 public:
  explicit Recorded(const std::filesystem::path& file) : file_(file) {}

  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  const std::vector<TensorEntry>& tensors() const { return file_.tensors(); }
  torch::Tensor operator()(const std::string& name) const {
    const TensorEntry* entry = file_.find(name);
    INFO(name);
    REQUIRE(entry);
    const auto type = entry->dtype == Dtype::kI64  ? torch::kInt64
                      : entry->dtype == Dtype::kU8 ? torch::kByte
                                                   : torch::kFloat;
    torch::Tensor tensor = torch::empty(entry->shape, type);
    REQUIRE(entry->byte_count() == tensor.nbytes());
    std::memcpy(tensor.data_ptr(), file_.bytes(*entry).data(), tensor.nbytes());
    return tensor;
  }

 private:
  SafetensorsFile file_;
};

}  // namespace strata::test
