#include "core/ranks.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace strata {

std::vector<int> doubled_ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<int> ranks(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    // The ranks begin + 1 … end, of which twice the mean is begin + 1 + end.
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<int>(begin + 1 + end);
  }
  return ranks;
}

}  // namespace strata
