#pragma once
/// \file
/// Assignments that the planner is compared with.

#include <cstdint>
#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/exact_front.h"

namespace strata::optimizers {

/// Each client's budget of units with the greatest scores (of a resource: by score per cost until
/// nothing more fits); equal scores go to the lower unit; pinned units first, forbidden ones never.
/// With budgets of units and without coverage, the greatest importance any assignment has. Coverage
/// is met as in `feasible_assignment`. O(clients · units log units). Of ranks, each client's of
/// greatest gain, and always the greatest importance.
/// @throws InputError for an invalid or infeasible problem.
/// \code
/// const PlanningProblem problem = generate_instance(9, 24, 1);
///
/// const Assignment greedy = top_k(problem), even = round_robin(problem);
/// assert(evaluate(problem, greedy).importance > evaluate(problem, even).importance);
/// assert(evaluate(problem, greedy).usage_variance > evaluate(problem, even).usage_variance);
/// \endcode
Assignment top_k(const PlanningProblem& problem);

/// A subset of each client's budgeted size (of a resource: units in random order while they fit),
/// uniform over such subsets and independent between clients, from derive_seed(seed, "random"),
/// then repaired to meet the coverage. O(clients · units). Of ranks likewise, each rank of a unit
/// drawn for itself; where that misses the coverage, top_k.
/// @throws InputError for an invalid or infeasible problem.
Assignment random_assignment(const PlanningProblem& problem, std::uint64_t seed);

/// Clients in turn, each taking in turn its unit with the greatest score less price · (2 n + 1) /
/// units, n being the unit's usage so far: the fall of importance − price · usage variance (up to a
/// constant). Of a resource: by that worth per cost, by itself where it is negative, until nothing
/// more fits. One pass, no improvement afterwards; coverage is met as in `feasible_assignment`.
/// O(clients · units). @throws as above, and for a price that is negative or not finite.
Assignment greedy_by_price(const PlanningProblem& problem, double price);
/// greedy_by_price at price 0 and at `prices` − 1 further ones in geometric progression, from where
/// usage begins to tip a client's choice between two units (of median difference in score) to where
/// a use more outweighs every difference: the nondominated ones by ascending usage variance.
/// O(prices · clients · units). @throws as above, and for `prices` < 1.
std::vector<FrontPoint> greedy_front(const PlanningProblem& problem, int prices);

/// Maximum diversity: units are dealt out one client and one slot after the other, always the least
/// used unit that the client may train, does not yet and can afford, ties to its greater score;
/// pinned units first, and coverage as in `feasible_assignment`. O(Σ budgets · units). @throws as
/// above
Assignment round_robin(const PlanningProblem& problem);

}  // namespace strata::optimizers
