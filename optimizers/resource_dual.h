#pragma once
/// \file
/// The bound by prices for budgets of a resource. Internal.

#include <vector>

#include "optimizers/usage_maximum.h"
#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// With any prices on the units' usages each client's subproblem is a knapsack with worths
/// S − π, and what remains is the usages' part (UsageMaximum).
class ResourceDual {
 public:
  explicit ResourceDual(const PlanningProblem& problem);

  int least_total() const { return usages_.least_total(); }
  int totals() const { return usages_.totals(); }

  /// The bound of all totals at `usage_prices` is lowered in `bounds`. O(clients · knapsack +
  /// totals · log units). Leaves what the clients choose in choices().
  void evaluate(double price, const std::vector<double>& usage_prices, BoundsByTotal& bounds);

  const Assignment& choices() const { return choices_; }
  /// The clients' knapsacks of the last evaluation, summed.
  double choice_worth() const { return choice_worth_; }
  /// The last evaluation's own bound for a total.
  double bound(int total) const { return usages_.bound(total); }
  /// The total of the greatest bound in the last evaluation.
  int loosest_total() const { return usages_.loosest_total(); }
  /// Best usages − the clients' choices for a total: a subgradient of its bound. Returns 0 if they
  /// agree.
  void gradient(int total, std::vector<double>& gradient) const {
    usages_.gradient(total, gradient);
  }
  /// The same with usages that need not be whole and have the clients' mean: no subgradient, but a
  /// direction with less noise. For prices above 0.
  void smooth_gradient(double price, const std::vector<double>& usage_prices,
                       std::vector<double>& gradient) const;
  /// What choosing n uses of a unit loses against the best usages of a total, for n from 0 to the
  /// clients; infinite outside the unit's range. Zero at the best usages.
  void usage_losses(int total, double price, const std::vector<double>& usage_prices,
                    std::vector<std::vector<double>>& losses) const;

  int least_usage(int unit) const { return usages_.least(unit); }
  int most_usage(int unit) const { return usages_.most(unit); }

 private:
  const PlanningProblem& problem_;
  const int clients_, units_;
  UsageMaximum usages_;
  Assignment choices_;
  double choice_worth_ = 0;
};

}  // namespace strata::optimizers
