#pragma once
/// \file
/// From a problem to a plan by any algorithm: what `strata plan` and the federated runner call.

#include <cstdint>
#include <string>
#include <vector>

#include "strata/core/plan.h"
#include "strata/core/planning_problem.h"

namespace strata {

/// exact, nsga2, topk, random.
const std::vector<std::string>& algorithm_names();
/// Rules that pick one point of a front: see choose.h.
const std::vector<std::string>& choice_rules();

struct PlanOptions {
  std::string algorithm = "exact";
  std::string choose = "knee";
  std::uint64_t seed = 1;
  std::int64_t evaluations = 20000;  ///< budget of the metaheuristics; ≥ 1
  int population = 100;              ///< NSGA-II's, a multiple of 4, ≥ 8
  bool gap = true;                   ///< measure the distance from the exact supported front
};

/// Plans. The result is feasible, its front holds no dominated point, and it depends only on the
/// arguments. @throws InputError for an invalid problem or option.
Plan make_plan(const PlanningProblem& problem, const PlanOptions& options);

}  // namespace strata
