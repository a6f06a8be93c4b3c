#pragma once
/// \file
/// NSGA-II (Deb, Pratap, Agarwal, Meyarivan 2002) on assignments.

#include <cstdint>
#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/exact_front.h"

namespace strata {

struct Nsga2Options {
  int population = 100;  ///< a multiple of 4, ≥ 8
  std::int64_t evaluations =
      20000;  ///< ≥ 1; whole generations are run, so up to population − 1 remain
  std::uint64_t seed = 1;
};

struct Nsga2Result {
  std::vector<FrontPoint>
      front;  ///< all nondominated points ever evaluated, by ascending usage variance
  std::int64_t evaluations = 0;  ///< spent
};

/// Runs NSGA-II from uniformly random assignments. Fewer evaluations than the population: only that
/// many random assignments are evaluated. O(evaluations · (population + clients · units)). Same
/// seed, same result. @throws InputError for an invalid problem or option.
Nsga2Result run_nsga2(const PlanningProblem& problem, const Nsga2Options& options);

}  // namespace strata
