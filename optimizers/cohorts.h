#pragma once
/// \file
/// Least cohorts (PlanningProblem::least_cohort): a unit is trained by nobody or by at least m
/// clients. Usages are then 0 or m and more, which is not convex, so no exchange method applies as
/// it is; with the set of trained units fixed it does. Internal.

#include "optimizers/algorithms.h"
#include "strata/core/plan_options.h"
#include "strata/core/planning_problem.h"
#include "strata/optimizers/certificate.h"
#include "strata/optimizers/front_points.h"

namespace strata::optimizers {

/// The problem without the rule.
PlanningProblem without_cohorts(const PlanningProblem& problem);

/// Branch and bound over the sets of trained units. A node says of some units that at least m
/// clients train them and of others that nobody does, as coverage and rules; what `row` certifies
/// of it bounds every assignment below it. A node that holds points with smaller cohorts is closed
/// where all of these lie below the hull of the points kept, and else divided at a unit. On the way
/// the front of each set of trained units that these points suggest is found, too. Points:
/// those with whole cohorts. The kind is kBranches where nodes were left when their number ran out
/// (some thousand for small problems, a few for large ones), and `row`'s own otherwise.
/// O(nodes) certificates of `row`. Deterministic.
/// @throws InputError where there is no assignment, or none was found, that keeps cohorts.
Certificate certify_cohorts(const PlanningProblem& problem, const PlanOptions& options,
                            const AlgorithmRow& row);

/// Brings each point that breaks the rule to it: units with whole cohorts and as few others as the
/// budgets need stay, the rest is dropped and budgets are filled anew (`repair` of feasible.h).
/// What is then nondominated, by ascending usage variance.
/// @throws InputError where no assignment was found that keeps cohorts.
FrontPoints keep_cohorts(const PlanningProblem& problem, const FrontPoints& points);

}  // namespace strata::optimizers
