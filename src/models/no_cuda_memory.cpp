#include "models/cuda_memory.h"
#include "strata/core/error.h"

namespace strata::models {

void reset_cuda_peak_memory(int) {
  throw WorkError("this LibTorch was built without CUDA");
}
std::int64_t cuda_peak_memory(int) {
  throw WorkError("this LibTorch was built without CUDA");
}

}  // namespace strata::models
