#include "models/thread_count.h"

#include <algorithm>
#include <thread>

namespace strata {
namespace {

constexpr double kProducts = 8;  // of a block's forward pass
/// On two cores two threads gained nothing at 10 and 19 million FLOPs (64 wide, batches of 32 and
/// 64), and took 0.6 of the time at 73 million (128 wide, 64). scripts/measure-threads.
constexpr double kFlopsPerThread = 16e6;

}  // namespace

int fed_threads(const TransformerConfig& config, std::int64_t rows, int most) {
  double block = 0;
  for (const Unit& unit : transformer_units(config, config.max_position_embeddings)) {
    if (unit.name == "block.0") block = unit.forward_flops;
  }
  const double product = block * static_cast<double>(rows) / kProducts;
  const double fed = std::clamp(product / kFlopsPerThread, 1.0, static_cast<double>(most));
  return static_cast<int>(fed);
}

int core_count() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace strata
