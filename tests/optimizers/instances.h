#pragma once
// Planning problems for the optimizers' tests.

#include <algorithm>
#include <cmath>
#include <string>

#include "strata/core/planning_problem.h"
#include "strata/core/random.h"

namespace strata::test {

inline PlanningProblem make_instance(Eigen::MatrixXd importance, std::vector<int> budgets) {
  PlanningProblem problem;
  problem.importance = std::move(importance);
  problem.budgets = std::move(budgets);
  for (Eigen::Index c = 0; c < problem.importance.rows(); ++c) {
    problem.clients.push_back("client" + std::to_string(c));
  }
  for (Eigen::Index x = 0; x < problem.importance.cols(); ++x) {
    problem.units.push_back("unit" + std::to_string(x));
  }
  return problem;
}

/// Whole scores in [1, 10^6] in which some units matter to every client, as layers of one model do.
inline PlanningProblem layered_instance(int clients, int units, int budget, std::uint64_t seed) {
  Random random(seed);
  Eigen::MatrixXd importance(clients, units);
  for (int x = 0; x < units; ++x) {
    const double common = random.uniform();
    for (int c = 0; c < clients; ++c) {
      importance(c, x) = std::floor(1 + 999999 * (0.6 * common * common + 0.4 * random.uniform()));
    }
  }
  return make_instance(std::move(importance), std::vector<int>(clients, budget));
}

/// Small, with ties, units that all clients want, rows of zeros and budgets from none to all units.
inline PlanningProblem tiny_instance(std::uint64_t seed) {
  Random random(seed);
  const int clients = static_cast<int>(random.between(1, 5));
  const int units = static_cast<int>(random.between(1, 5));
  const int greatest = static_cast<int>(random.between(0, 9));
  const bool any_budget = random.below(2) == 0;
  std::vector<int> common;
  for (int x = 0; x < units; ++x) common.push_back(static_cast<int>(random.between(0, greatest)));
  Eigen::MatrixXd importance(clients, units);
  std::vector<int> budgets;
  for (int c = 0; c < clients; ++c) {
    const bool zeros = random.below(10) == 0;
    for (int x = 0; x < units; ++x) {
      importance(c, x) = zeros ? 0 : 2 * common[x] + static_cast<int>(random.between(0, greatest));
    }
    budgets.push_back(static_cast<int>(any_budget ? random.between(0, units)
                                                  : random.between(1, std::max(1, units / 2))));
  }
  return make_instance(std::move(importance), std::move(budgets));
}

/// `tiny_instance` with pinned and forbidden units and a coverage that some assignment meets.
inline PlanningProblem tiny_ruled_instance(std::uint64_t seed) {
  PlanningProblem problem = tiny_instance(seed);
  Random random(seed + 1000);
  // The rules leave this assignment feasible.
  Assignment kept = Assignment::Zero(problem.client_count(), problem.unit_count());
  for (int c = 0; c < problem.client_count(); ++c) {
    for (const int x : random.sample(problem.unit_count(), problem.budgets[c])) kept(c, x) = 1;
  }
  for (int c = 0; c < problem.client_count(); ++c) {
    for (int x = 0; x < problem.unit_count(); ++x) {
      const bool ruled = random.below(5) == 0;
      problem.rules.push_back(!ruled ? Rule::kFree : kept(c, x) ? Rule::kPinned : Rule::kForbidden);
    }
  }
  for (const int n : usage(kept))
    problem.coverage.push_back(static_cast<int>(random.between(0, n)));
  return problem;
}

/// A tiny instance with budgets of bytes, uplink and time objectives.
inline PlanningProblem tiny_resource_instance(std::uint64_t seed) {
  PlanningProblem problem = tiny_instance(seed);
  Random random(seed + 2000);
  problem.resource = "bytes";
  problem.budgets.clear();
  for (int x = 0; x < problem.unit_count(); ++x) {
    problem.unit_costs.push_back(random.between(0, 9));
    problem.uplink_bytes.push_back(random.between(0, 9));
  }
  problem.seconds.resize(problem.client_count(), problem.unit_count());
  for (int c = 0; c < problem.client_count(); ++c) {
    problem.capacities.push_back(random.between(0, 20));
    for (int x = 0; x < problem.unit_count(); ++x)
      problem.seconds(c, x) = static_cast<double>(random.between(1, 5)) / 3;
  }
  return problem;
}

/// Calls visit(assignment) for every assignment with budgets of units kept; rules, coverage and
/// budgets of a resource are for `is_feasible`.
template <typename Visit>
void for_each_assignment(const PlanningProblem& problem, Visit visit, int client = 0,
                         Assignment assignment = {}) {
  if (client == 0) assignment.setZero(problem.client_count(), problem.unit_count());
  if (client == problem.client_count()) {
    visit(assignment);
    return;
  }
  for (int set = 0; set < 1 << problem.unit_count(); ++set) {
    if (problem.counts_units() &&
        __builtin_popcount(static_cast<unsigned>(set)) != problem.budgets[client])
      continue;
    for (int x = 0; x < problem.unit_count(); ++x) assignment(client, x) = set >> x & 1;
    for_each_assignment(problem, visit, client + 1, assignment);
  }
}

inline std::int64_t sum_of_squares(const Assignment& assignment) {
  std::int64_t sum = 0;
  for (const int n : usage(assignment)) sum += static_cast<std::int64_t>(n) * n;
  return sum;
}

}  // namespace strata::test
