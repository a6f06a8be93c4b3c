#pragma once
/// \file
/// The whole front under budgets of units, between the vertices of the hull, too.

#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/front_points.h"

namespace strata::optimizers {

/// All nondominated points, supported or not, one assignment each.
struct FullFront {
  std::vector<FrontPoint> points;  ///< by ascending usage variance
  /// Every nondominated point is there. Otherwise time or memory (1 GiB) ran out, and `points` are
  /// the nondominated ones of those found, the sweep's included.
  bool complete = false;
};

/// Enumerates usages by best-first search below the edges of the hull. Exponential in the worst
/// case; `seconds` bounds the time spent (0: none but the exact front's, which is always found).
/// @throws InputError as `exact_front`.
/// \code
/// const PlanningProblem problem = generate_instance(4, 8, 1);
///
/// const FullFront full = full_front(problem, 10);
/// assert(full.complete);
/// assert(full.points.size() >= exact_front(problem).points.size());
/// \endcode
FullFront full_front(const PlanningProblem& problem, double seconds);

}  // namespace strata::optimizers
