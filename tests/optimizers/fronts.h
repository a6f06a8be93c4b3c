#pragma once
// What every front must be.

#include <vector>

#include "catch.h"
#include "strata/optimizers/front_points.h"

namespace strata::test {

/// Feasible, evaluated right, nondominated and not empty.
inline void check_front(const PlanningProblem& problem,
                        const std::vector<optimizers::FrontPoint>& front) {
  REQUIRE_FALSE(front.empty());
  for (const optimizers::FrontPoint& point : front) {
    REQUIRE(is_feasible(problem, point.assignment));
    const Objectives again = evaluate(problem, point.assignment);
    REQUIRE(point.objectives.importance == again.importance);
    REQUIRE(point.objectives.usage_variance == again.usage_variance);
    REQUIRE(point.objectives.uplink_bytes == again.uplink_bytes);
    REQUIRE(point.objectives.slowest_seconds == again.slowest_seconds);
    for (const optimizers::FrontPoint& other : front)
      REQUIRE_FALSE(dominates(other.objectives, point.objectives));
  }
}

/// Point for point the same assignments.
inline bool same(const std::vector<optimizers::FrontPoint>& a,
                 const std::vector<optimizers::FrontPoint>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].assignment != b[i].assignment) return false;
  return true;
}

}  // namespace strata::test
