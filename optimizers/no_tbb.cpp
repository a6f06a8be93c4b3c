// side_by_side.h in a build without TBB, as the Python module is.

#include <algorithm>
#include <thread>

#include "core/parallel.h"
#include "optimizers/side_by_side.h"

namespace strata::optimizers {
namespace {

/// To start a thread takes as long as some 10,000 steps.
constexpr std::int64_t kStepsOfThread = 100'000;

}  // namespace

void side_by_side(int count, std::int64_t steps, const std::function<void(int, int)>& work) {
  const std::int64_t machine = std::max(1u, std::thread::hardware_concurrency());
  const std::int64_t most = std::max<std::int64_t>(1, std::min<std::int64_t>(machine, count));
  const auto threads = static_cast<int>(std::clamp<std::int64_t>(steps / kStepsOfThread, 1, most));
  if (threads == 1) return work(0, count);
  // More pieces than threads, as some are slower than others.
  const int pieces = std::min(count, 4 * threads);
  const auto begin = [&](int piece) {
    return static_cast<int>(std::int64_t{count} * piece / pieces);
  };
  parallel_for(pieces, threads, [&](int piece) { work(begin(piece), begin(piece + 1)); });
}

}  // namespace strata::optimizers
