#pragma once
/// \file
/// The hypervolume of a front of two objectives, and its ratio to that of the exact supported
/// front.

#include <vector>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// The area of all (usage variance, importance) pairs that some point of `front` dominates and that
/// are better than `reference` in both objectives. Exact; points that are not better than the
/// reference in both add nothing, and order and dominated points do not matter. O(n log n). Worked
/// value: {importance 2, variance 1} and {3, 2} against {1, 4} cover 1 · 3 + 1 · 2 = 5.
/// \code
/// assert(hypervolume({{2, 1}, {3, 2}}, {1, 4}) == 5);
/// assert(hypervolume_ratio({{2, 1}}, {{2, 1}, {3, 2}}) == 0.5);  // one of two points
/// \endcode
double hypervolume(const std::vector<Objectives>& front, const Objectives& reference);

/// hypervolume(front) / hypervolume(exact), both with the exact front's nadir (its least importance
/// and greatest usage variance) as the reference point; the unit of either objective cancels out.
///
/// `exact` is the supported front. A front with unsupported points, which lie in the notches
/// between supported ones, can therefore have a ratio slightly above 1. An exact front of one or
/// two points has no area above its nadir; then the ratio is the share of its points that `front`
/// reaches to a relative 1e-9: 1 or 0 for a single one. @throws InputError if `exact` is empty.
double hypervolume_ratio(const std::vector<Objectives>& front,
                         const std::vector<Objectives>& exact);

}  // namespace strata::optimizers
