#pragma once
/// \file
/// From a problem to a plan by any algorithm: what `strata plan` and the federated runner call.

#include "strata/core/plan.h"
#include "strata/core/plan_options.h"
#include "strata/core/planning_problem.h"
#include "strata/optimizers/algorithms.h"
#include "strata/optimizers/certificate.h"

namespace strata::optimizers {

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

}  // namespace strata::optimizers
