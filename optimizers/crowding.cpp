#include "optimizers/crowding.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace strata::optimizers {

std::vector<double> crowding_distances(const std::vector<std::vector<double>>& points) {
  std::vector<double> distances(points.size(), 0.0);
  if (points.size() < 2) return distances;
  std::vector<std::size_t> varying;
  for (std::size_t m = 0; m < points.front().size(); ++m) {
    const bool constant = std::all_of(points.begin(), points.end(), [&](const auto& point) {
      return point[m] == points.front()[m];
    });
    if (!constant) varying.push_back(m);
  }
  if (varying.size() < 2) return distances;
  // Each objective sorts the order that the last one left. Which of equal points gets the distance
  // is part of what a seed gives, so this is so for good.
  std::vector<std::size_t> order(points.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (const std::size_t m : varying) {
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return points[a][m] < points[b][m]; });
    const double range = points[order.back()][m] - points[order.front()][m];
    distances[order.front()] = distances[order.back()] = std::numeric_limits<double>::infinity();
    for (std::size_t k = 1; k + 1 < order.size(); ++k)
      distances[order[k]] += (points[order[k + 1]][m] - points[order[k - 1]][m]) / range;
  }
  return distances;
}

}  // namespace strata::optimizers
