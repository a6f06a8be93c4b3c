#pragma once
/// \file
/// What a client trains best at given prices on ranks, and a bound on it: the multiple-choice
/// knapsack of a budget of a resource by its linear relaxation. Internal.

#include <cstdint>
#include <vector>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// Of one client, or summed over all.
struct RankChoices {
  double worth = 0;            ///< no choice is worth more
  double size = 0;             ///< Σ |worth| of what was taken, by which rounding is judged
  std::vector<double> demand;  ///< ranks of each unit where the relaxation is worth that
};

/// A rank m of a unit is worth Σ_{k ≤ m} gain(k) − price · m. The relaxation mixes the corners of
/// the upper hull of (cost, worth) of each unit (Sinha & Zoltners 1979): they are taken in the
/// order of worth per cost until the budget is used, the last of them in part.
class RankRelaxation {
 public:
  explicit RankRelaxation(const PlanningProblem& problem) : problem_(problem) {}

  /// Adds the client's part to `sum`, and sets its row of `assignment` to a choice that it can pay:
  /// the corners that were taken whole, and then single ranks that still gain and fit, the best per
  /// cost first. Pinned units have a rank at least. O(units · ranks log(units · ranks))
  void solve(int client, const std::vector<double>& prices, RankChoices& sum,
             Assignment& assignment);

 private:
  /// A step of a unit's hull to the next of its corners.
  struct Step {
    double rate = 0, worth = 0;
    std::int64_t cost = 0;
    int unit = 0, rank = 0;  ///< that it leads to
  };

  double worth_of(int client, int unit, int rank, double price) const;
  void add_steps(int client, int unit, int least, std::int64_t slack, double price);
  void fill(int client, const std::vector<double>& prices, std::int64_t slack,
            Assignment& assignment) const;

  const PlanningProblem& problem_;
  std::vector<Step> steps_, hull_;
};

}  // namespace strata::optimizers
