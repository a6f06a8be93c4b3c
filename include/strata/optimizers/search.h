#pragma once
/// \file
/// Runs a metaheuristic: Strata's five or pagmo's own.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "strata/core/plan_options.h"
#include "strata/core/planning_problem.h"
#include "strata/optimizers/algorithms.h"
#include "strata/optimizers/front_points.h"

namespace strata::optimizers {

/// random: uniformly random assignments. greedy: clients in turn answer the others' usages with
/// their best units by score less a price on usage, until none changes; the prices are chosen where
/// the front found so far has its widest gaps. exact: the exact supported front.
const std::vector<std::string>& search_starts();

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

/// @throws InputError naming the option, what was found and what is allowed (with this algorithm).
void check_search(const std::string& algorithm, const SearchOptions& options);

/// @throws InputError for an assignment that is not clients × units of zeros and ones.
void check_warm_start(const PlanningProblem& problem, const std::vector<Assignment>& warm_start);

/// Runs the algorithm, one of `search_algorithms`. Same arguments, same front, whatever the number
/// of threads (unless `seconds` is set). `reference` is (least importance, greatest usage variance)
/// that the log's hypervolumes are measured from; without it nothing is logged.
/// @throws InputError for an unknown algorithm, an invalid or infeasible problem or option.
/// \code
/// const PlanningProblem problem = generate_instance(9, 24, 1);
///
/// const SearchResult found = search(problem, "nsga2", {.evaluations = 2000});
/// for (const FrontPoint& point : found.front) assert(is_feasible(problem, point.assignment));
/// \endcode
SearchResult search(const PlanningProblem& problem, const std::string& algorithm,
                    const SearchOptions& options, const std::optional<Objectives>& reference = {});

}  // namespace strata::optimizers
