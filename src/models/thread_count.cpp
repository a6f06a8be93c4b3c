#include "models/thread_count.h"

#include <algorithm>
#include <thread>

namespace strata::models {
namespace {

constexpr double kProducts = 8;  // of a block's forward pass
/// On two cores two threads gained nothing at 10 and 19 million FLOPs (64 wide, batches of 32 and
/// 64), and took 0.6 of the time at 73 million (128 wide, 64). scripts/measure-threads.
constexpr double kFlopsPerThread = 16e6;
/// Beside a busy process two threads of one product of 117 million FLOPs took 2.4 times as long as
/// alone, two clients with a thread each 1.4 times.
constexpr double kFlopsForCore = 256e6;

/// FLOPs of a block's mean product on a batch.
double mean_product(double block_flops, std::int64_t rows) {
  return block_flops * static_cast<double>(rows) / kProducts;
}

int between(double value, std::int64_t most) {
  return static_cast<int>(
      std::clamp(value, 1.0, static_cast<double>(std::max<std::int64_t>(1, most))));
}

}  // namespace

int fed_threads(double block_flops, std::int64_t rows, int most) {
  return between(mean_product(block_flops, rows) / kFlopsPerThread, most);
}

CoreShares share_cores(double block_flops, std::int64_t rows, std::int64_t pieces, int cores) {
  const int alone = between(mean_product(block_flops, rows) / kFlopsForCore, cores);
  CoreShares shares;
  shares.parallel = between(cores / alone, pieces);
  shares.threads = fed_threads(block_flops, rows, cores / shares.parallel);
  return shares;
}

int core_count() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace strata::models
