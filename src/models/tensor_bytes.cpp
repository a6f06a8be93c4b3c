#include "models/tensor_bytes.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "core/mapped_file.h"

namespace strata::models {
namespace {

constexpr std::array<std::pair<Dtype, torch::ScalarType>, 10> kTypes = {{
    {Dtype::kBool, torch::kBool},
    {Dtype::kU8, torch::kUInt8},
    {Dtype::kI8, torch::kInt8},
    {Dtype::kI16, torch::kInt16},
    {Dtype::kI32, torch::kInt32},
    {Dtype::kI64, torch::kInt64},
    {Dtype::kF16, torch::kHalf},
    {Dtype::kBF16, torch::kBFloat16},
    {Dtype::kF32, torch::kFloat},
    {Dtype::kF64, torch::kDouble},
}};

}  // namespace

torch::ScalarType scalar_type(Dtype dtype) {
  return std::find_if(kTypes.begin(), kTypes.end(),
                      [&](const auto& row) { return row.first == dtype; })
      ->second;
}

Dtype dtype_of(const torch::Tensor& tensor) {
  const auto found = std::find_if(kTypes.begin(), kTypes.end(), [&](const auto& row) {
    return row.second == tensor.scalar_type();
  });
  if (found == kTypes.end()) throw std::logic_error("no file holds a tensor of this type");
  return found->first;
}

void release_pages(const torch::Tensor& tensor) {
  // A change in place stands in the pages alone, and counts.
  const bool unchanged = tensor.defined() && tensor.is_cpu() && tensor.is_contiguous() &&
                         !tensor.requires_grad() && tensor._version() == 0;
  if (unchanged) strata::release_pages(bytes_of(tensor));
}

}  // namespace strata::models
