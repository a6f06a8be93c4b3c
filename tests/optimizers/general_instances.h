#pragma once
// Small planning problems with rules, coverage and budgets of a resource, and all their
// assignments.

#include "instances.h"

namespace strata::test {

/// A tiny instance with random rules and coverage, which may be impossible to meet together, though
/// validate() accepts it. With `resource`, budgets of bytes instead of units.
inline PlanningProblem general_instance(std::uint64_t seed, bool resource) {
  for (std::uint64_t attempt = 0;; ++attempt) {
    Random random(derive_seed(seed, {attempt}));
    const int clients = static_cast<int>(random.between(1, 4));
    const int units = static_cast<int>(random.between(1, clients > 3 ? 4 : 5));
    Eigen::MatrixXd importance(clients, units);
    std::vector<int> budgets;
    for (int c = 0; c < clients; ++c) {
      for (int x = 0; x < units; ++x) {
        importance(c, x) = static_cast<double>(random.below(3 * (units - x) + 2));
      }
      budgets.push_back(static_cast<int>(random.between(0, units)));
    }
    PlanningProblem problem = make_instance(importance, budgets);
    if (resource) {
      problem.resource = "bytes";
      problem.budgets.clear();
      for (int x = 0; x < units; ++x) {
        problem.unit_costs.push_back(static_cast<std::int64_t>(random.below(7)));
      }
      for (int c = 0; c < clients; ++c) {
        problem.capacities.push_back(static_cast<std::int64_t>(random.below(3 * units + 1)));
      }
    }
    if (random.below(2) == 0) {
      for (int i = 0; i < clients * units; ++i) {
        const auto draw = random.below(8);
        problem.rules.push_back(draw == 0   ? Rule::kPinned
                                : draw <= 2 ? Rule::kForbidden
                                            : Rule::kFree);
      }
    }
    if (random.below(3) != 0) {
      for (int x = 0; x < units; ++x) {
        problem.coverage.push_back(static_cast<int>(random.between(0, std::min(clients, 2))));
      }
    }
    try {
      problem.validate();
      return problem;
    } catch (const std::exception&) {
      // Another draw.
    }
  }
}

/// Calls visit(assignment) for every feasible assignment, budgets of a resource included.
template <typename Visit>
void for_each_feasible(const PlanningProblem& problem, Visit visit, int client = 0,
                       Assignment assignment = {}) {
  if (client == 0) assignment.setZero(problem.client_count(), problem.unit_count());
  if (client == problem.client_count()) {
    if (is_feasible(problem, assignment)) visit(assignment);
    return;
  }
  for (int set = 0; set < 1 << problem.unit_count(); ++set) {
    std::int64_t used = 0;
    for (int x = 0; x < problem.unit_count(); ++x) {
      assignment(client, x) = set >> x & 1;
      if (assignment(client, x)) used += problem.counts_units() ? 1 : problem.unit_costs[x];
    }
    if (problem.counts_units() ? used != problem.budgets[client]
                               : used > problem.capacities[client]) {
      continue;
    }
    for_each_feasible(problem, visit, client + 1, assignment);
  }
}

/// Costs of 20 to 200 kB and budgets of 2 to 4 mean costs.
inline PlanningProblem bytes_instance(int clients, int units, std::uint64_t seed) {
  PlanningProblem problem = layered_instance(clients, units, 0, seed);
  Random random(derive_seed(seed, {7}));
  problem.resource = "bytes";
  problem.budgets.clear();
  double sum = 0;
  for (int x = 0; x < units; ++x) {
    problem.unit_costs.push_back(random.between(20000, 200000));
    sum += static_cast<double>(problem.unit_costs.back());
  }
  for (int c = 0; c < clients; ++c) {
    problem.capacities.push_back(
        static_cast<std::int64_t>((2 + 2 * random.uniform()) * sum / units));
  }
  return problem;
}

/// All uses of all units.
inline std::int64_t total_of(const Assignment& assignment) {
  std::int64_t total = 0;
  for (const int n : usage(assignment)) total += n;
  return total;
}

}  // namespace strata::test
