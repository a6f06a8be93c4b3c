#pragma once
/// \file
/// A client's best choice of units at given worths. Internal.

#include <cstdint>
#include <vector>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// The most worth of a client's units within its capacity, by branch and bound with Dantzig's bound
/// (Martello & Toth 1990).
class Knapsack {
 public:
  explicit Knapsack(const PlanningProblem& problem);

  /// Adds to the units set in `row` (which must be affordable) those of greatest total worth, or
  /// nearly so, among the free ones. Returns a bound on the worth that could have been added.
  double solve(int client, const double* worth, std::uint8_t* row);

 private:
  struct Item {
    double rate = 0;
    double worth = 0;
    std::int64_t cost = 0;
    int unit = 0;
  };

  double bound(std::size_t from, std::int64_t slack, double worth) const;
  void branch(std::size_t from, std::int64_t slack, double worth);

  const PlanningProblem& problem_;
  std::vector<int> class_of_;  // units of equal cost
  std::vector<Item> items_;
  std::vector<int> chosen_, best_, closed_;
  double best_worth_ = 0;
  double pruned_ = 0;  // the greatest bound of what was pruned as being within the tolerance
  int nodes_ = 0;
};

/// The same for either kind of budget.
class ClientSolver {
 public:
  explicit ClientSolver(const PlanningProblem& problem) : problem_(problem), knapsack_(problem) {}

  /// Replaces the client's row by the best one that holds the pinned units and those that are
  /// already set in it; returns a bound on the worth of any such row.
  double solve(int client, const double* worth, Assignment& assignment);

 private:
  double add_best(int client, const double* worth, std::uint8_t* row);

  const PlanningProblem& problem_;
  Knapsack knapsack_;
  std::vector<double> free_;
};

/// What all clients' best choices at prices on the units' usages sum up to.
struct ChoiceSum {
  double worth = 0;  ///< of the choices, or a bound on it, as ClientSolver::solve has it
  double size = 0;   ///< Σ |worth| of the chosen units, by which rounding is judged
};

/// Replaces `choices` by every client's best row at worths importance − price. Clients are summed
/// in blocks of `clients_per_block`, so that the sum does not depend on the threads.
ChoiceSum choose_all(const PlanningProblem& problem, const std::vector<double>& usage_prices,
                     int clients_per_block, Assignment& choices);

}  // namespace strata::optimizers
