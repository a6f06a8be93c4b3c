#pragma once
/// \file
/// Ranks of numbers among which there may be ties.

#include <vector>

namespace strata {

/// Twice the rank of each value, from the least, 1; tied values share the mean of theirs. Doubled,
/// ranks are whole numbers, so that sums of them are exact. O(n log n).
std::vector<int> doubled_ranks(const std::vector<double>& values);

}  // namespace strata
