#pragma once
/// \file
/// Rules that pick one point of a front.

#include <cstddef>
#include <string>
#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/make_plan.h"

namespace strata {

/// @throws InputError for an unknown rule (naming the nearest), or a number that is missing or
/// outside its range.
void check_choice(const std::string& rule);

/// The index of the point that `rule` picks from a front that holds no dominated point and is
/// sorted by ascending usage variance (with further objectives: then by descending importance).
/// O(n).
///
/// All rules look at importance and usage variance only, and among points that they hold equal
/// (differences below 1e-12 of the normalised objectives) take the one of least usage variance. The
/// further objectives of a front decide which points are on it, not which of them is picked.
/// Normalised means mapped to [0, 1] over the points that are nondominated in these two objectives;
/// an objective that is equal on all of them counts as 0.
///
/// - knee: the point farthest above the chord from the first to the last point, on the side of more
///   importance (Das 1999). A front of one or two points, or one on or below its chord, gives the
///   point of least usage variance.
/// - ideal: the point closest (Euclidean) to the best normalised value of both objectives
/// (compromise
///   programming, Zeleny 1973).
/// - weights:W, 0 ≤ W ≤ 1: greatest W · importance − (1 − W) · usage variance, both normalised.
/// - importance:X, 0 ≤ X ≤ 100: least usage variance among the points with at least X % of the
///   greatest importance.
/// - variance:V, V ≥ 0: greatest importance among the points with usage variance at most V.
///
/// @throws InputError as check_choice, for an empty front, or when no point has usage variance at
/// most V (naming the least there is).
std::size_t choose(const std::vector<Objectives>& front, const std::string& rule);

}  // namespace strata
