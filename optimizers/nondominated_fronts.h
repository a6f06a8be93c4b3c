#pragma once
/// \file
/// Points in fronts, one behind the other. Internal.

#include <cstddef>
#include <vector>

namespace strata::optimizers {

/// The indices of the points that none dominates (minimised objectives), of those that only such
/// ones dominate, and so on: the fast nondominated sorting of Deb et al. 2002. The first front is
/// ascending; a further one is in the order in which the last of those that dominate a point is
/// met. O(m n²).
std::vector<std::vector<std::size_t>> nondominated_fronts(
    const std::vector<std::vector<double>>& points);

}  // namespace strata::optimizers
