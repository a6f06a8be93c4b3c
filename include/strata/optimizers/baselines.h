#pragma once
/// \file
/// Assignments that the planner is compared with.

#include <cstdint>

#include "strata/core/planning_problem.h"

namespace strata {

/// Each client's budget of units with the greatest scores; equal scores go to the lower unit. This
/// is the greatest importance any assignment has. O(clients · units log units). The problem must be
/// valid.
Assignment top_k(const PlanningProblem& problem);

/// A subset of each client's budgeted size, uniform over such subsets and independent between
/// clients, from derive_seed(seed, "random"). O(clients · units). The problem must be valid.
Assignment random_assignment(const PlanningProblem& problem, std::uint64_t seed);

}  // namespace strata
