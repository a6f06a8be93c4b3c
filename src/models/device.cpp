#include "models/device.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>
#include <torch/version.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <fstream>
#include <limits>
#include <mutex>
#include <string>

#include "core/console.h"
#include "models/cost.h"
#include "models/cuda_memory.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

bool built_with_cuda() {
  return c10::impl::hasDeviceGuardImpl(torch::kCUDA);
}

/// What does the matrix products. LibTorch does not say, but the libraries can be asked.
struct Blas {
  std::string name;
  std::string warning;  ///< empty when it is a fast one that shares LibTorch's threads
};

Blas find_blas() {
  if (at::hasMKL()) return {"MKL", ""};
  using Parallel = int (*)();
  using Config = char* (*)();
  const auto parallel = reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "openblas_get_parallel"));
  const auto config = reinterpret_cast<Config>(dlsym(RTLD_DEFAULT, "openblas_get_config"));
  const std::string install = "; install libopenblas0-openmp";
  if (parallel) {
    std::string name = "OpenBLAS";
    if (config) {
      const std::string text = config();  // "OpenBLAS 0.3.21 NO_LAPACK DYNAMIC_ARCH …"
      name = text.substr(0, text.find(' ', text.find(' ') + 1));
    }
    switch (parallel()) {
      case 2:
        return {name + " (OpenMP)", ""};
      case 1:
        return {
            name + " (pthreads)",
            "the BLAS is OpenBLAS's pthread build, which fights with LibTorch's OpenMP threads" +
                install};
      default:
        return {name + " (serial)", "the BLAS is OpenBLAS's serial build" + install};
    }
  }
  return {"unknown",
          "the BLAS is neither OpenBLAS nor MKL and may be the slow reference one" + install};
}

/// PyTorch 2.4 gave all devices one pair of functions.
void switch_autocast(c10::DeviceType device, bool on) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  at::autocast::set_autocast_dtype(device, torch::kBFloat16);
  at::autocast::set_autocast_enabled(device, on);
#else
  if (device == torch::kCPU) {
    at::autocast::set_autocast_cpu_dtype(torch::kBFloat16);
    at::autocast::set_cpu_enabled(on);
  } else {
    at::autocast::set_autocast_gpu_dtype(torch::kBFloat16);
    at::autocast::set_enabled(on);
  }
#endif
}

/// AMX's tiles with bfloat16, which the operating system keeps.
bool has_amx() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kSavesState = 1U << 27, kTiles = 1U << 24, kBfloat16 = 1U << 22;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & kSavesState)) return false;
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr unsigned kTileState = 3U << 17;
  if ((low & kTileState) != kTileState || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  return (d & kTiles) && (d & kBfloat16);
#else
  return false;
#endif
}

bool multiplies_bfloat16() {
  try {
    const auto ones = torch::ones({64, 64}, torch::kBFloat16);
    return ones.matmul(ones).eq(64).all().item<bool>();
  } catch (const c10::Error&) {
    return false;
  }
}

std::optional<bool>& assumed_bfloat16() {
  static std::optional<bool> assumed;
  return assumed;
}

}  // namespace

bool fast_bfloat16(torch::Device device) {
  if (!device.is_cpu()) return true;
  static const bool fast = has_amx() && multiplies_bfloat16();
  return assumed_bfloat16().value_or(fast);
}

void assume_fast_bfloat16(std::optional<bool> fast) {
  assumed_bfloat16() = fast;
}

Precision usable_precision(torch::Device device, Precision asked) {
  if (asked == Precision::kFloat32 || fast_bfloat16(device)) return asked;
  static std::once_flag said;
  std::call_once(said, [] {
    log_warning(
        "precision: bfloat16 is slower than float32 on this processor, which has no AMX; "
        "float32 is computed in");
  });
  return Precision::kFloat32;
}

bool autocasts(torch::Device device) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  return at::autocast::is_autocast_enabled(device.type());
#else
  return device.is_cpu() ? at::autocast::is_cpu_enabled() : at::autocast::is_enabled();
#endif
}

torch::Device parse_device(const std::string& text) {
  if (text == "cpu") return torch::kCPU;
  const std::string cuda = "cuda";
  const std::string number = text.size() > 5 ? text.substr(5) : "";
  const bool numbered =
      text.rfind("cuda:", 0) == 0 && !number.empty() && number.size() < 4 &&
      std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (text != cuda && !numbered) {
    throw InputError("device \"" + text + "\": \"cpu\", \"cuda\" or \"cuda:N\" is allowed" +
                     did_you_mean(text, {"cpu", "cuda"}));
  }
  if (!built_with_cuda()) {
    throw InputError("device \"" + text + "\": this LibTorch was built without CUDA");
  }
  const int count = static_cast<int>(torch::cuda::device_count());
  if (count == 0) {
    throw InputError("device \"" + text + "\": LibTorch has CUDA, but no device was found");
  }
  const int index = numbered ? std::stoi(number) : 0;
  if (index >= count) {
    throw InputError("device \"" + text + "\": there are " + std::to_string(count) +
                     " CUDA devices, cuda:0 to cuda:" + std::to_string(count - 1));
  }
  return torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(index));
}

void prepare_torch(int threads) {
  // LibTorch's own default may be 1 (a set OMP_NUM_THREADS, a container): the core count is asked
  // for.
  at::set_num_threads(threads > 0 ? threads : core_count());
  // Operations without a deterministic implementation warn instead of failing.
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
  static const bool warned = [] {
    const Blas blas = find_blas();
    if (!blas.warning.empty()) log_warning(blas.warning);
    return true;
  }();
  static_cast<void>(warned);
}

CoreShares choose_shares(const Blueprint& blueprint, std::int64_t rows, std::int64_t pieces,
                         torch::Device device, int threads, int parallel) {
  const int cores = core_count();
  if (!device.is_cpu()) return {threads > 0 ? threads : cores, 1};
  if (threads > 0) return {threads, std::max(1, parallel)};
  const double flops = block_flops(blueprint);
  if (parallel > 0) return {fed_threads(flops, rows, std::max(1, cores / parallel)), parallel};
  return share_cores(flops, rows, pieces, cores);
}

at::Generator make_generator(torch::Device device, std::uint64_t seed) {
  auto generator = at::globalContext().defaultGenerator(device).clone();
  generator.set_current_seed(seed);
  return generator;
}

Autocast::Autocast(torch::Device device, Precision precision)
    : device_(device.type()), active_(precision == Precision::kBfloat16) {
  if (!active_) return;
  at::autocast::increment_nesting();
  switch_autocast(device_, true);
}

Autocast::~Autocast() {
  if (!active_) return;
  // Weights that were cast are kept until here, and must not outlive an optimizer's step.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  switch_autocast(device_, false);
}

std::string describe_torch() {
  std::string devices = "cpu";
  if (built_with_cuda()) {
    const int count = static_cast<int>(torch::cuda::device_count());
    for (int i = 0; i < count; ++i) devices += ", cuda:" + std::to_string(i);
    if (count == 0) devices += " (CUDA built in, no device found)";
  }
  return std::string("LibTorch ") + TORCH_VERSION + "; BLAS: " + find_blas().name +
         "; devices: " + devices;
}

void reset_peak_memory(torch::Device device) {
  if (device.is_cuda()) return reset_cuda_peak_memory(device.index());
  std::ofstream("/proc/self/clear_refs") << "5";
}

std::int64_t peak_memory(torch::Device device) {
  if (device.is_cuda()) return cuda_peak_memory(device.index());
  std::ifstream status("/proc/self/status");
  for (std::string field; status >> field;) {
    std::int64_t kib = 0;
    if (field == "VmHWM:" && status >> kib) return kib * 1024;
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

}  // namespace strata::models
