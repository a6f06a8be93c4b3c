#pragma once
/// \file
/// Tensors as they are written, read and fingerprinted.

#include <string_view>

#include "models/torch.h"
#include "strata/core/safetensors.h"

namespace strata::models {

/// Float32, or the integers that they are, on the CPU, row-major.
inline torch::Tensor plain(const torch::Tensor& tensor) {
  const auto type = tensor.is_floating_point() ? torch::kFloat : tensor.scalar_type();
  return tensor.detach().to(torch::kCPU, type).contiguous();
}

/// LibTorch's type of a file's, and the file's of a tensor's. The latter throws std::logic_error
/// for a type that files do not have (complex numbers, quantised ones).
torch::ScalarType scalar_type(Dtype dtype);
Dtype dtype_of(const torch::Tensor& tensor);

/// Of a contiguous tensor on the CPU, for as long as it lives.
inline std::string_view bytes_of(const torch::Tensor& tensor) {
  return {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()};
}

/// The memory of a weight that is a mapped file's, and has not been changed since it was mapped,
/// goes back to the system; it is read from the file again when it is next looked at. Of any other
/// tensor nothing is done.
void release_pages(const torch::Tensor& tensor);

}  // namespace strata::models
