#pragma once
/// \file
/// Clients that answer each other's choices under a price on usage variance. Internal.

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// Each client in turn answers the others' usages with its best choice, so that importance − price
/// · usage variance never falls, until none can do better or a round of all gains less than
/// `least_gain`. Budgets, rules and coverage are kept. With a resource the mean usage follows the
/// client's number of units t, which adds price · t² / L² to the sum; the answer is the best by the
/// tangent of that at the present t, which lies below it. O(clients · units) a round, with a
/// resource O(clients · knapsack).
void answer_in_turn(const PlanningProblem& problem, double price, double least_gain,
                    Assignment& assignment);

/// The same with price · mean squared distance of the usages from `wanted` in place of the usage
/// variance.
void answer_in_turn_towards(const PlanningProblem& problem, double price, double wanted,
                            double least_gain, Assignment& assignment);

}  // namespace strata::optimizers
