#include "optimizers/crowding.h"

#include <algorithm>
#include <pagmo/utils/multi_objective.hpp>

namespace strata::optimizers {

std::vector<double> crowding_distances(const std::vector<pagmo::vector_double>& points) {
  std::vector<pagmo::vector_double> varying(points.size());
  for (std::size_t m = 0; !points.empty() && m < points.front().size(); ++m) {
    const bool constant = std::all_of(points.begin(), points.end(), [&](const auto& point) {
      return point[m] == points.front()[m];
    });
    if (constant) continue;
    for (std::size_t i = 0; i < points.size(); ++i) varying[i].push_back(points[i][m]);
  }
  if (points.size() < 2 || varying.front().size() < 2)
    return std::vector<double>(points.size(), 0.0);
  return pagmo::crowding_distance(varying);
}

}  // namespace strata::optimizers
