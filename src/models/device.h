#pragma once
/// \file
/// Devices, threads and the BLAS behind LibTorch.

#include "models/torch.h"

#include <string>

namespace strata {

/// "cpu", "cuda" or "cuda:N". @throws InputError when this LibTorch or machine has no such device,
/// saying which of the two it is.
torch::Device parse_device(const std::string& text);

/// Sets LibTorch's thread count (0: all cores) and deterministic algorithms; warns once on stderr
/// when the BLAS is the slow reference one (install libopenblas0-openmp) or OpenBLAS's pthread
/// build.
void prepare_torch(int threads);

/// "LibTorch 1.13.1; BLAS: OpenBLAS 0.3.21 (OpenMP); devices: cpu": for --version.
std::string describe_torch();

/// Peak resident memory of this process since `reset_peak_memory()`, in bytes (Linux: VmHWM); on
/// CUDA the allocator's peak.
void reset_peak_memory(torch::Device device);
std::int64_t peak_memory(torch::Device device);

}  // namespace strata
