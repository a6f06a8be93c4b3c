#include "optimizers/side_by_side.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

namespace strata::optimizers {

void side_by_side(int count, std::int64_t, const std::function<void(int, int)>& work) {
  tbb::parallel_for(tbb::blocked_range<int>(0, count, 1),
                    [&](const auto& range) { work(range.begin(), range.end()); });
}

}  // namespace strata::optimizers
