#pragma once
/// \file
/// The bound by prices for budgets of a resource. Internal.

#include <cstdint>
#include <vector>

#include "strata/core/planning_problem.h"

namespace strata::optimizers {

/// Bounds on importance − w · usage variance of the assignments of every total T = Σ n, for one
/// price w. Entry k is for the total `first + k`.
using BoundsByTotal = std::vector<double>;

/// With any prices π on the units' usages n, each client's subproblem is a knapsack with worths
/// S − π, and what remains is to maximise π · n − w · variance(n) over the usages alone. For a
/// given total that is separable and concave, so the best whole usages, from each unit's coverage
/// to the clients that may train it, are found by taking the greatest marginal values first. One
/// evaluation therefore bounds every total at once.
class ResourceDual {
 public:
  explicit ResourceDual(const PlanningProblem& problem);

  int least_total() const { return least_total_; }
  int totals() const { return most_total_ - least_total_ + 1; }

  /// The bound of all totals at `usage_prices` is lowered in `bounds`. O(clients · knapsack +
  /// totals · log units). Leaves what the clients choose in choices().
  void evaluate(double price, const std::vector<double>& usage_prices, BoundsByTotal& bounds);

  const Assignment& choices() const { return choices_; }
  /// The clients' knapsacks of the last evaluation, summed.
  double choice_worth() const { return choice_worth_; }
  /// The last evaluation's own bound for a total.
  double bound(int total) const { return last_[total - least_total_]; }
  /// The total of the greatest bound in the last evaluation.
  int loosest_total() const;
  /// Best usages − the clients' choices for a total: a subgradient of its bound. Returns 0 if they
  /// agree.
  void gradient(int total, std::vector<double>& gradient) const;
  /// The same with usages that need not be whole and have the clients' mean: no subgradient, but a
  /// direction with less noise. For prices above 0.
  void smooth_gradient(double price, const std::vector<double>& usage_prices,
                       std::vector<double>& gradient) const;
  /// What choosing n uses of a unit loses against the best usages of a total, for n from 0 to the
  /// clients; infinite outside the unit's range. Zero at the best usages.
  void usage_losses(int total, double price, const std::vector<double>& usage_prices,
                    std::vector<std::vector<double>>& losses) const;

  int least_usage(int unit) const { return least_usage_[unit]; }
  int most_usage(int unit) const { return most_usage_[unit]; }

 private:
  std::vector<int> best_usages(int total) const;

  const PlanningProblem& problem_;
  const int clients_, units_;
  std::vector<int> least_usage_, most_usage_;
  int least_total_ = 0, most_total_ = 0;
  Assignment choices_;
  std::vector<int> demand_;
  double choice_worth_ = 0;
  double centre_ = 0;
  std::vector<int> order_;  // the unit that gets the use which takes the total from one to the next
  BoundsByTotal last_;
};

}  // namespace strata::optimizers
