#pragma once
/// \file
/// Rules that pick one point of a front.

#include <cstddef>
#include <string>
#include <vector>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// The rules below, as help and messages name them.
const std::vector<std::string>& choice_rules();

/// @throws InputError for an unknown rule (naming the nearest), or a number that is missing or
/// outside its range.
void check_choice(const std::string& rule);

/// The index of the point that `rule` picks from a front that holds no dominated point and is
/// sorted by ascending usage variance (with further objectives: then by descending importance).
/// `objectives` are the problem's (`objective_names`). O(n).
///
/// Among points that a rule holds equal (differences below 1e-12) it takes the first, that of least
/// usage variance. Normalised means mapped to [0, 1] over the front; an objective that is equal on
/// all of its points counts as 0. With the two objectives importance and usage variance alone,
/// points that are on the front for others are passed over.
///
/// - knee: the point of the greatest normalised importance less all other normalised objectives.
///   With two objectives that is the point farthest above the chord from the first to the last
///   point, on the side of more importance (Das 1999), with more of them the one farthest beyond
///   the plane that leans towards all alike. A front of one or two points, or one on or below its
///   chord, gives the point of least usage variance.
/// - ideal: the point closest (Euclidean) to the best normalised value of all objectives
///   (compromise programming, Zeleny 1973).
/// - weights:W, 0 ≤ W ≤ 1: greatest W · importance − (1 − W) · usage variance, both normalised.
/// - weights:NAME=W,…, W ≥ 0: likewise over the named objectives; others count 0.
/// - usage_variance:V or variance:V, uplink_bytes:B (4MB is 4e6), slowest_client:S (seconds):
///   greatest importance among the points with at most that.
/// - importance:X, 0 ≤ X ≤ 100: least usage variance among the points with at least X % of the
///   greatest importance.
/// - several of the last four joined by commas: the points that keep to all; the least usage
///   variance of them where importance:X is among the rules, the greatest importance otherwise.
/// - row:N: the N-th point, from 1.
///
/// @throws InputError as check_choice, for an empty front, a row beyond the last, an objective that
/// the problem does not have, or when no point keeps to a limit (naming the least there is).
/// \code
/// const std::vector<Objectives> front = {{1, 0}, {3, 1}, {4, 4}};  // importance, usage variance
/// assert(choose(front, "knee") == 1);
/// assert(choose(front, "usage_variance:0.5") == 0);
/// assert(choose(front, "importance:90") == 2);
/// \endcode
std::size_t choose(const std::vector<Objectives>& front, const std::string& rule,
                   const std::vector<std::string>& objectives = {"importance", "usage_variance"});

}  // namespace strata::optimizers
