#pragma once
/// \file
/// Plans whose usage shall be of a given shape rather than even: more of the last layers, say.

#include <string>
#include <vector>

#include "strata/core/plan.h"
#include "strata/core/planning_problem.h"

namespace strata {

/// The same problem with the variance of nₗ − tₗ, t being `target`, in place of that of nₗ:
/// (1/L) Σₗ ((nₗ − tₗ) − mean)². Only differences between targets matter, and an even target
/// changes nothing.
///
/// It is a problem of the plain kind: clients without scores are added behind the others, max t −
/// tₗ of them pinned to unit l and to nothing else, and coverage grows by as many. So every
/// algorithm plans it as it is, exact fronts stay exact, and a bound is one. O((clients + range of
/// the target) · units).
/// @throws InputError unless there is a target ≥ 0 for every unit, and for problems with further
/// objectives.
/// \code
/// PlanningProblem problem;
/// problem.clients = {"ct"};
/// problem.units = {"block.0", "block.1"};
/// problem.importance = Eigen::MatrixXd{{0.75, 0.25}};
/// problem.budgets = {1};
/// const PlanningProblem late = with_target_usage(problem, {0, 1});
/// Assignment assignment(2, 2);
/// assignment << 0, 1, 1, 0;  // the second row is the client that was added
/// assert(is_feasible(late, assignment) && evaluate(late, assignment).usage_variance == 0);
/// \endcode
PlanningProblem with_target_usage(PlanningProblem problem, const std::vector<int>& target);

/// An assignment of the problem as it was, with the rows of the clients that were added to
/// `planned`.
Assignment with_added_clients(const PlanningProblem& planned, const Assignment& assignment);

/// "0 1 2", in the order of the units: what plan.json's provenance has as `target_usage`.
std::string target_usage_text(const std::vector<int>& target);

/// A plan of such a problem without the clients that were added, of which the first `clients` are
/// not. Objectives and front stay those of nₗ − tₗ.
Plan without_added_clients(Plan plan, int clients);

}  // namespace strata
