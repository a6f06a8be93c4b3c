#pragma once
/// \file
/// From a problem to a plan by any algorithm: what `strata plan` and the federated runner call.

#include <optional>
#include <string>
#include <vector>

#include "strata/core/plan.h"
#include "strata/core/plan_options.h"
#include "strata/core/planning_problem.h"
#include "strata/optimizers/algorithms.h"
#include "strata/optimizers/certificate.h"

namespace strata::optimizers {

/// A front with what every plan of it says beside the point that is chosen.
struct PlannedFront {
  Plan plan;  ///< all but the choice; `front` and `archive` are the front
  std::optional<Certificate> certificate = {};  ///< where the options ask for the gap
};

/// The first half of make_plan: PlanOptions::choose is not looked at. Throws as make_plan.
PlannedFront plan_front(const PlanningProblem& problem, const PlanOptions& options);

/// The same towards a target usage, one number a unit (strata/core/target_usage.h), or none: the
/// front of with_target_usage(problem, target), without the clients that are added there. Warm
/// starts are assignments of the problem as it is. @throws InputError as with_target_usage, too.
PlannedFront plan_front_towards(const PlanningProblem& problem, const std::vector<int>& target,
                                const PlanOptions& options);

/// The second half: the plan of the point that the rule (choose.h) picks, so that several rules
/// can be tried on one front. O(points + clients · units). @throws InputError as `choose`.
/// \code
/// const PlanningProblem problem = generate_instance(9, 24, 1);
///
/// const PlannedFront planned = plan_front(problem, {.algorithm = "exact"});
/// const Plan even = choose_plan(problem, planned, "row:1");
/// assert(even.gap.known && even.row == 1);
/// assert(choose_plan(problem, planned, "knee").front.size() == even.front.size());
/// \endcode
Plan choose_plan(const PlanningProblem& problem, const PlannedFront& planned,
                 const std::string& rule);

/// Plans. The result is feasible, its front holds no dominated point, its archive has the front's
/// assignments, and it depends only on the arguments. @throws InputError for an invalid problem or
/// option.
/// \code
/// const PlanningProblem problem = generate_instance(9, 24, 1);
///
/// const Plan plan = make_plan(problem, {.choose = "knee"});
/// assert(plan.algorithm == "exact" && is_feasible(problem, plan.assignment));
/// assert(std::abs(plan.gap.relative) < 1e-9);  // nothing can be better, and that is certified
/// \endcode
Plan make_plan(const PlanningProblem& problem, const PlanOptions& options);

/// The same towards a target usage, or none where `target` is empty.
/// \code
/// const PlanningProblem problem = generate_instance(9, 8, 1);
///
/// const std::vector<int> target = {0, 0, 0, 0, 1, 2, 3, 4};
/// const Plan late = make_plan_towards(problem, target, {.choose = "row:1"});
/// assert(late.clients == problem.clients && is_feasible(problem, late.assignment));
/// \endcode
Plan make_plan_towards(const PlanningProblem& problem, const std::vector<int>& target,
                       const PlanOptions& options);

}  // namespace strata::optimizers
