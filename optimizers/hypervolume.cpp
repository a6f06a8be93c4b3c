#include "strata/optimizers/hypervolume.h"

#include <algorithm>
#include <cmath>

#include "strata/core/error.h"

namespace strata::optimizers {
namespace {

bool close(double a, double b) {
  return std::abs(a - b) <= 1e-9 * std::max({1.0, std::abs(a), std::abs(b)});
}

/// Both objectives divided by about the front's ranges, lest an area overflow; by powers of two, so
/// that the ratio of two areas keeps its last bit.
class Scale {
 public:
  Scale(const std::vector<Objectives>& front, const Objectives& nadir) {
    double importance = 0, variance = 0;
    for (const Objectives& point : front) {
      importance = std::max(importance, point.importance - nadir.importance);
      variance = std::max(variance, nadir.usage_variance - point.usage_variance);
    }
    if (importance > 0) importance_ = -std::ilogb(importance);
    if (variance > 0) variance_ = -std::ilogb(variance);
  }

  Objectives of(Objectives point) const {
    point.importance = std::ldexp(point.importance, importance_);
    point.usage_variance = std::ldexp(point.usage_variance, variance_);
    return point;
  }
  std::vector<Objectives> of(std::vector<Objectives> points) const {
    for (Objectives& point : points) point = of(point);
    return points;
  }

 private:
  int importance_ = 0, variance_ = 0;
};

}  // namespace

double hypervolume(const std::vector<Objectives>& front, const Objectives& reference) {
  std::vector<Objectives> points;
  for (const Objectives& point : front) {
    if (point.importance > reference.importance &&
        point.usage_variance < reference.usage_variance) {
      points.push_back(point);
    }
  }
  std::sort(points.begin(), points.end(), [](const Objectives& a, const Objectives& b) {
    return a.importance != b.importance ? a.importance > b.importance
                                        : a.usage_variance < b.usage_variance;
  });
  // From the most important point down, each adds the strip left of all points before it.
  double area = 0;
  double covered_from = reference.usage_variance;
  for (const Objectives& point : points) {
    if (point.usage_variance >= covered_from) continue;
    area += (covered_from - point.usage_variance) * (point.importance - reference.importance);
    covered_from = point.usage_variance;
  }
  return area;
}

double hypervolume_ratio(const std::vector<Objectives>& front,
                         const std::vector<Objectives>& exact) {
  if (exact.empty()) throw InputError("hypervolume ratio: the exact front is empty");
  Objectives nadir = exact.front();
  for (const Objectives& point : exact) {
    nadir.importance = std::min(nadir.importance, point.importance);
    nadir.usage_variance = std::max(nadir.usage_variance, point.usage_variance);
  }
  const Scale scale(exact, nadir);
  const double exact_area = hypervolume(scale.of(exact), scale.of(nadir));
  if (exact_area > 0) return hypervolume(scale.of(front), scale.of(nadir)) / exact_area;
  const auto reached = std::count_if(exact.begin(), exact.end(), [&](const Objectives& target) {
    return std::any_of(front.begin(), front.end(), [&](const Objectives& point) {
      return (point.importance > target.importance || close(point.importance, target.importance)) &&
             (point.usage_variance < target.usage_variance ||
              close(point.usage_variance, target.usage_variance));
    });
  });
  return static_cast<double>(reached) / static_cast<double>(exact.size());
}

}  // namespace strata::optimizers
