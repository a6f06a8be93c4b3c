#pragma once
/// \file
/// Runs a metaheuristic: Strata's five or pagmo's own.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/exact_front.h"

namespace strata::optimizers {

/// nsga2, mopso, aco, abc, annealing, and for comparison pagmo:nsga2, pagmo:nspso, pagmo:maco,
/// pagmo:bee_colony, pagmo:simulated_annealing.
const std::vector<std::string>& search_algorithms();
/// random: uniformly random assignments. greedy: clients in turn answer the others' usages with
/// their best units by score less a price on usage, until none changes; the prices are chosen where
/// the front found so far has its widest gaps. exact: the exact supported front.
const std::vector<std::string>& search_starts();

struct SearchOptions {
  std::string algorithm = "nsga2";
  std::string start = "random";
  std::int64_t evaluations = 20000;  ///< ≥ 1, shared by the islands
  double seconds = 0;    ///< > 0: stop after this time, which makes results depend on it
  int population = 100;  ///< a multiple of 4, ≥ 8
  int islands = 1;       ///< ≥ 1: more run in a pagmo archipelago with migration
  std::uint64_t seed = 1;
  /// (Least importance, greatest usage variance) that the log's hypervolumes are measured from.
  /// Without it nothing is logged.
  std::optional<Objectives> reference = {};
  /// Assignments (clients × units, entries 0 or 1) of an earlier plan, in the order of its front,
  /// to begin with beside `start`; budgets, rules and scores may have changed since. Each is
  /// repaired
  /// (`repair` in feasible.h; with budgets of a resource, a client that trains nothing in any of
  /// them also gets its best units). Those that then differ are evaluated, count and are offered to
  /// the archive, so that with two objectives the search ends with nothing worse than any of them.
  /// Of more than half as many as there are evaluations, that many are taken, evenly spread over
  /// the list.
  ///
  /// The population is then what nothing dominates among these and the start's assignments, evenly
  /// spread along the front where that is more than the population, and filled with the start's
  /// where it is less. Islands share it: each gets some from all of the front. pagmo's algorithms
  /// evaluate their population themselves, so that it counts once more.
  std::vector<Assignment> warm_start = {};
};

/// The archive's hypervolume (hypervolume.h) after so many evaluations, at most one line for every
/// percent of further evaluations, and one at the end.
struct SearchLogLine {
  std::int64_t evaluations = 0;
  double seconds = 0;
  double hypervolume = 0;
};

struct SearchResult {
  /// All nondominated assignments met, by ascending usage variance. With further objectives, by
  /// usage variance and then by descending importance, and at most 1,000, the least crowded.
  std::vector<FrontPoint> front;
  std::int64_t evaluations = 0;  ///< candidates whose objectives were computed, by deltas or whole
  double seconds = 0;
  std::vector<SearchLogLine> log;
};

/// @throws InputError naming the option, what was found and what is allowed.
void check_search(const SearchOptions& options);

/// @throws InputError for an assignment that is not clients × units of zeros and ones.
void check_warm_start(const PlanningProblem& problem, const std::vector<Assignment>& warm_start);

/// Same arguments, same front, whatever the number of threads (unless `seconds` is set).
/// @throws InputError for an invalid or infeasible problem or option.
/// \code
/// const PlanningProblem problem = generate_instance(9, 24, 1);
///
/// const SearchResult found = search(problem, {.algorithm = "nsga2", .evaluations = 2000});
/// for (const FrontPoint& point : found.front) assert(is_feasible(problem, point.assignment));
/// \endcode
SearchResult search(const PlanningProblem& problem, const SearchOptions& options);

}  // namespace strata::optimizers
