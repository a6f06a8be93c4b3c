#pragma once
/// \file
/// The CUDA allocator's peak, in bytes. Defined by cuda_memory.cpp where LibTorch has CUDA and by
/// no_cuda_memory.cpp elsewhere.

#include <cstdint>

namespace strata::models {

void reset_cuda_peak_memory(int device);
std::int64_t cuda_peak_memory(int device);

}  // namespace strata::models
