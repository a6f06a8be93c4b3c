#include "models/cuda_memory.h"

#include <c10/cuda/CUDACachingAllocator.h>

namespace strata::models {

void reset_cuda_peak_memory(int device) {
  c10::cuda::CUDACachingAllocator::resetPeakStats(static_cast<c10::DeviceIndex>(device));
}

std::int64_t cuda_peak_memory(int device) {
  const auto stats =
      c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(device));
  return stats.allocated_bytes[0].peak;  // index 0: all pools together
}

}  // namespace strata::models
