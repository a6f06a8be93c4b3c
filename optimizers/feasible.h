#pragma once
/// \file
/// What the other optimizers have of feasible.cpp: filling one client's budget, meeting coverage.
/// Internal.

#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/feasible.h"
#include "strata/optimizers/front_points.h"

namespace strata::optimizers {

/// A unit and what it is worth to the client whose budget is being filled.
struct WorthOfUnit {
  double worth = 0;
  int unit = 0;
};

/// Adds to what the client trains the units of greatest worth that it may train, the lower unit at
/// equal worth: with budgets of units until the budget is used; of a resource by worth per cost (by
/// worth itself where that is negative) until nothing more fits. Pinned units are added first.
/// `scratch` only saves allocations. O(units), with budgets of a resource O(units log units).
void fill_client(const PlanningProblem& problem, int client, const double* worth,
                 Assignment& assignment, std::vector<WorthOfUnit>& scratch);

/// Meets the coverage by exchanges in an assignment that keeps to budgets and rules (and uses the
/// whole budgets where they count units); returns the units still below it, by ascending index.
/// None is left if the budgets count units and the coverage can be met.
std::vector<int> meet_coverage(const PlanningProblem& problem, Assignment& assignment);

/// The nondominated points, one for equal objectives (the first), by ascending usage variance and
/// then by descending importance. O(n log n) for two objectives, O(n²) for more.
std::vector<FrontPoint> nondominated(std::vector<FrontPoint> points);

}  // namespace strata::optimizers
