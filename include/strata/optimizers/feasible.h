#pragma once
/// \file
/// Assignments that keep to budgets, rules and coverage.

#include <cstdint>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// A feasible assignment of great importance: every client's best units (as top_k in baselines.h),
/// then exchanges that meet the coverage: single clients' exchanges, those that lose the least
/// importance first, and where none is left the shortest chains of several clients. Deterministic.
///
/// Budgets of units: whether one exists is decided exactly, by augmenting paths. Budgets of a
/// resource with coverage: deciding is NP-hard (bin packing), and a heuristic may fail where an
/// assignment exists; its error says so.
/// O(clients · units) without coverage (of a resource: · log units), else O(clients · units²) and
/// as much again for every chain.
/// @throws InputError for an invalid problem, or when coverage cannot be met: it names the units
/// that stay below it, with the numbers found and asked for.
/// \code
/// PlanningProblem problem = generate_instance(9, 24, 1);
/// problem.coverage = std::vector<int>(24, 1);  // every unit is trained by somebody
/// assert(is_feasible(problem, feasible_assignment(problem)));
/// \endcode
Assignment feasible_assignment(const PlanningProblem& problem);

/// Makes any 0/1 matrix feasible with few changes: sets pinned units, clears forbidden ones; drops
/// units of least importance (per cost, where budgets are of a resource) from a client above its
/// budget; fills a client below its budget of units with its best free units; then meets the
/// coverage by exchanges of least importance lost. The problem must have a feasible assignment
/// (where the exchanges fail, `fallback`, which must be feasible, is taken instead). Deterministic.
void repair(const PlanningProblem& problem, const Assignment& fallback, Assignment& assignment);

}  // namespace strata::optimizers
