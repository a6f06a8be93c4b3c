#pragma once
/// \file
/// Devices, threads and the BLAS behind LibTorch.

#include "models/torch.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/blueprint.h"
#include "models/precision.h"
#include "models/thread_count.h"

namespace strata::models {

/// "cpu", "cuda" or "cuda:N". @throws InputError when this LibTorch or machine has no such device,
/// saying which of the two it is.
torch::Device parse_device(const std::string& text);

/// Sets LibTorch's thread count (0: all cores) and deterministic algorithms; warns once on stderr
/// when the BLAS is the slow reference one (install libopenblas0-openmp) or OpenBLAS's pthread
/// build.
void prepare_torch(int threads);

/// The cores' shares (models/thread_count.h) for a command's --threads and --parallel, of which 0
/// is to be chosen: beside a GPU all cores for one piece, on the CPU those of share_cores, of
/// fed_threads where `parallel` is given, and one piece at a time where `threads` is.
CoreShares choose_shares(const Blueprint& blueprint, std::int64_t rows, std::int64_t pieces,
                         torch::Device device, int threads, int parallel);

/// A generator of the device's kind with its own stream, apart from torch::manual_seed's.
at::Generator make_generator(torch::Device device, std::uint64_t seed);

/// Mixed precision for as long as it lives, on this thread: operations that LibTorch's autocast
/// lists (products above all) compute in `precision`, of which float32 changes nothing, the others
/// and all weights stay in float32. As in PyTorch, the forward pass and the loss belong in
/// it, the backward pass does not.
class Autocast {
 public:
  Autocast(torch::Device device, Precision precision);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  c10::DeviceType device_;
  bool active_;
};
/// Whether an Autocast to another type than float32 lives on this thread for the device.
bool autocasts(torch::Device device);

/// Whether products in bfloat16 are worth it on the device: on every GPU that LibTorch runs on, and
/// on a processor with AMX, where they are about three times as fast as float32's. On others they
/// are four times slower or, on some, refused. It is asked of the processor, and a small product is
/// tried; nothing is timed, so that the answer is always the same.
bool fast_bfloat16(torch::Device device);
/// For tests: what it says of the CPU from now on; nothing: the truth.
void assume_fast_bfloat16(std::optional<bool> fast);
/// `asked`, or float32 where that is slow, which is said once on stderr.
Precision usable_precision(torch::Device device, Precision asked);

/// "LibTorch 1.13.1; BLAS: OpenBLAS 0.3.21 (OpenMP); devices: cpu": for --version.
std::string describe_torch();

/// Peak resident memory of this process since `reset_peak_memory()`, in bytes (Linux: VmHWM); on
/// CUDA the allocator's peak.
void reset_peak_memory(torch::Device device);
std::int64_t peak_memory(torch::Device device);

}  // namespace strata::models
