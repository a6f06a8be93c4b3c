#pragma once
/// \file
/// Rules that pick one point of a front.

#include <cstddef>
#include <string>
#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/make_plan.h"

namespace strata {

/// The index of the point that `rule` (one of choice_rules()) picks from a front that is sorted by
/// ascending usage variance and holds no dominated point. O(n).
///
/// knee: with both objectives normalised to [0, 1] over the front, the point farthest above the
/// chord from the first to the last point, on the side of more importance (Das 1999). Distances
/// that differ by less than 1e-12 are ties, which go to the lower usage variance; so a front of one
/// point gives that point, and one of two points, or one on or below its chord, the point of least
/// usage variance.
///
/// @throws InputError for an empty front, or an unknown rule (naming the nearest).
std::size_t choose(const std::vector<Objectives>& front, const std::string& rule);

}  // namespace strata
