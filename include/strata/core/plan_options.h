#pragma once
/// \file
/// How a plan is asked for: what the command line, an experiment and a program say to `make_plan`
/// (strata/optimizers/make_plan.h). Each option and its default stands here alone.

#include <cstdint>
#include <string>
#include <vector>

#include "strata/core/planning_problem.h"

namespace strata {

/// What a metaheuristic begins with and may spend (strata/optimizers/search.h). All other
/// algorithms look at the seed alone.
struct SearchOptions {
  std::string start = "greedy";      ///< of `search_starts`
  std::int64_t evaluations = 20000;  ///< ≥ 1, shared by the islands
  double seconds = 0;    ///< > 0: stop after this time, which makes results depend on it
  int population = 100;  ///< a multiple of 4, ≥ 8
  int islands = 1;       ///< ≥ 1: so many populations side by side, with migration
  std::uint64_t seed = 1;
  /// Assignments (clients × units, entries 0 or 1) of an earlier plan, in the order of its front,
  /// to begin with beside `start`; budgets, rules and scores may have changed since.
  /// `match_archive` (plan_archive.h) brings them to the problem's clients and units.
  ///
  /// Each is repaired (`repair` in strata/optimizers/feasible.h; with budgets of a resource, a
  /// client that trains nothing in any of them also gets its best units). Those that then differ
  /// are evaluated, count and are offered to the archive, so that with two objectives the search
  /// ends with nothing worse than any of them. Of more than half as many as there are evaluations,
  /// that many are taken, evenly spread over the list.
  ///
  /// The population is then what nothing dominates among these and the start's assignments, evenly
  /// spread along the front where that is more than the population, and filled with the start's
  /// where it is less. Islands share it: each gets some from all of the front. pagmo's algorithms
  /// evaluate their population themselves, so that it counts once more.
  std::vector<Assignment> warm_start = {};
};

/// \code
/// PlanOptions options{.algorithm = "nsga2", .search = {.evaluations = 2000, .seed = 7}};
/// assert(options.choose == "knee" && options.search.population == 100);
/// \endcode
struct PlanOptions {
  std::string algorithm = "auto";  ///< of `algorithm_names` (strata/optimizers/algorithms.h)
  std::string choose = "knee";     ///< which point of the front (strata/optimizers/choose.h)
  SearchOptions search = {};
  bool gap = true;  ///< certify the distance from optimal
  /// With the exact algorithm: plan over the sweep (ExactFront::sweep), unsupported points
  /// included.
  bool sweep = false;
  /// With the exact algorithm: > 0 adds the unsupported points that `full_front` finds in this
  /// time.
  double full_front_seconds = 0;
};

}  // namespace strata
