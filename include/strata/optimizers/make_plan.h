#pragma once
/// \file
/// From a problem to a plan by any algorithm: what `strata plan` and the federated runner call.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "strata/core/plan.h"
#include "strata/core/plan_options.h"
#include "strata/core/planning_problem.h"
#include "strata/optimizers/exact_front.h"

namespace strata::optimizers {

/// auto, exact, prices, the metaheuristics of search.h, greedy, roundrobin, topk, random.
///
/// auto: nsga2 where the problem has further objectives (Plan::provenance then says why), exact
/// where budgets count units and clients · units ≤ 200,000, prices otherwise. exact, prices and
/// greedy look at importance and usage variance alone. greedy: greedy_front with 40 prices. The
/// last three are one assignment each.
const std::vector<std::string>& algorithm_names();

/// The exact front, or a bound by prices: whichever `auto` would plan with.
struct Certificate {
  /// exact: the bound is that of the exact supported front, or the front itself where budgets are
  /// of a resource and price_front proved that it is complete. prices: a bound by duality.
  std::string method;
  FrontPoints points;  ///< found on the way, nondominated, by ascending usage variance
  /// Points whose hypervolume no front's exceeds, but for unsupported points of an exact one
  /// (hypervolume.h).
  std::vector<Objectives> bounds;
  std::function<double(double usage_variance)> importance_bound;
  std::string algorithm = {};  ///< that found the points: exact or prices
};
/// @throws InputError for an invalid or infeasible problem.
Certificate certify(const PlanningProblem& problem);

/// The distance of a plan (its objectives and front) from what the certificate allows.
Gap measure_gap(const Plan& plan, const Certificate& certificate);

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
