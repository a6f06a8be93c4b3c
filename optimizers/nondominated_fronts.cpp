#include "optimizers/nondominated_fronts.h"

#include <utility>

namespace strata::optimizers {
namespace {

bool is_dominated_by(const std::vector<double>& a, const std::vector<double>& b) {
  bool better = false;
  for (std::size_t m = 0; m < a.size(); ++m) {
    if (b[m] > a[m]) return false;
    better = better || b[m] < a[m];
  }
  return better;
}

}  // namespace

std::vector<std::vector<std::size_t>> nondominated_fronts(
    const std::vector<std::vector<double>>& points) {
  std::vector<std::vector<std::size_t>> behind(points.size());
  std::vector<std::size_t> ahead(points.size(), 0);
  for (std::size_t i = 0; i < points.size(); ++i) {
    for (std::size_t j = 0; j < points.size(); ++j) {
      if (!is_dominated_by(points[j], points[i])) continue;
      behind[i].push_back(j);
      ++ahead[j];
    }
  }
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < points.size(); ++i)
    if (ahead[i] == 0) front.push_back(i);
  std::vector<std::vector<std::size_t>> fronts;
  while (!front.empty()) {
    std::vector<std::size_t> next;
    for (const std::size_t i : front) {
      for (const std::size_t j : behind[i])
        if (--ahead[j] == 0) next.push_back(j);
    }
    fronts.push_back(std::exchange(front, std::move(next)));
  }
  return fronts;
}

}  // namespace strata::optimizers
