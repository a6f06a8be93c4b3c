#include "strata/optimizers/front_points.h"

#include <algorithm>

namespace strata::optimizers {

std::vector<Objectives> objectives_of(const std::vector<FrontPoint>& points) {
  std::vector<Objectives> objectives;
  for (const FrontPoint& point : points) objectives.push_back(point.objectives);
  return objectives;
}

FrontPoints::FrontPoints(std::initializer_list<FrontPoint> points) {
  for (const FrontPoint& point : points) push_back(point);
}

FrontPoints::FrontPoints(const std::vector<FrontPoint>& points) {
  for (const FrontPoint& point : points) push_back(point);
}

void FrontPoints::push_back(const FrontPoint& point) {
  assignments_.push_back(point.assignment);
  objectives_.push_back(point.objectives);
}

void FrontPoints::pop_back() {
  assignments_.pop_back();
  objectives_.pop_back();
}

void FrontPoints::reverse() {
  assignments_.reverse();
  std::reverse(objectives_.begin(), objectives_.end());
}

}  // namespace strata::optimizers
