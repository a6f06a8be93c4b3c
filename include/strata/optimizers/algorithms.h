#pragma once
/// \file
/// The planner's algorithms: the one list of their names, what each is and which options it uses.

#include <string>
#include <vector>

#include "strata/core/plan.h"
#include "strata/core/plan_options.h"

namespace strata::optimizers {

/// Of PlanOptions, what an algorithm looks at beside the problem and the seed.
struct AlgorithmUses {
  bool search = false;   ///< SearchOptions, warm start included; it then optimises all objectives
  bool islands = false;  ///< SearchOptions::islands above 1; pagmo's own searches know none
  bool unsupported = false;  ///< PlanOptions::sweep and full_front_seconds
};

/// - exact (exact_front.h) and prices (price_front.h) look at importance and usage variance alone,
///   and certify what no assignment exceeds.
/// - nsga2, mopso, aco, abc and annealing are Strata's metaheuristics (search.h); pagmo:nsga2,
///   pagmo:nspso, pagmo:maco, pagmo:bee_colony and pagmo:simulated_annealing are pagmo's, for
///   comparison.
/// - greedy is greedy_front with 40 prices; roundrobin, topk and random are one assignment each
///   (baselines.h).
struct Algorithm {
  std::string name;
  AlgorithmKind kind = AlgorithmKind::kUnknown;
  AlgorithmUses uses = {};
  bool ranks = false;       ///< whether it plans ranks (PlanningProblem::ranks) in budgets of ranks
  bool rank_costs = false;  ///< the same in budgets of a resource
};

/// The algorithm of that name; nullptr where there is none, and for kAuto. O(algorithms).
/// \code
/// assert(find_algorithm("annealing")->kind == AlgorithmKind::kSearch);
/// assert(find_algorithm("exact")->uses.unsupported && !find_algorithm("topk")->uses.search);
/// assert(find_algorithm(kAuto) == nullptr);
/// \endcode
const Algorithm* find_algorithm(const std::string& name);

/// Leaves the choice to `make_plan`: a metaheuristic where the problem has further objectives
/// (Plan::provenance then says why), exact where budgets count ranks, or units and clients · units
/// ≤ 200,000, prices otherwise.
inline constexpr const char* kAuto = "auto";
/// kAuto and all names.
const std::vector<std::string>& algorithm_names();
/// Those that use this.
std::vector<std::string> algorithms_with(bool AlgorithmUses::*use);
/// Those that `search` runs, and of them Strata's own.
const std::vector<std::string>& search_algorithms();
const std::vector<std::string>& metaheuristics();

}  // namespace strata::optimizers
