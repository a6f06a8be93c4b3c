#pragma once
/// \file
/// The usages' part of a dual: how many uses of each unit are best at prices on them. Internal.

#include <cstdint>
#include <vector>

namespace strata::optimizers {

/// Bounds on importance − w · usage variance of the assignments of every total T = Σ n, for one
/// price w. Entry k is for the total `first + k`.
using BoundsByTotal = std::vector<double>;

/// With prices π on the units' usages n, what the clients choose is separated from the usages, of
/// which π · n − w · variance(n) is to be maximised alone. For a given total that is separable and
/// concave, so the best whole usages, from each unit's least to its most, are found by taking the
/// greatest marginal values first. One evaluation therefore bounds every total at once.
class UsageMaximum {
 public:
  /// What the clients choose at the prices: its worth, the sum of the sizes of that sum's terms,
  /// and how often it uses each unit, which need not be whole.
  struct Chosen {
    double worth, size;
    std::vector<double> demand;
  };

  UsageMaximum() = default;
  /// A unit has from `least` to `most` uses; no assignment has more than `affordable` together.
  UsageMaximum(std::vector<int> least, std::vector<int> most, std::int64_t affordable);

  int least(int unit) const { return least_[unit]; }
  int most(int unit) const { return most_[unit]; }
  int least_total() const { return least_total_; }
  int totals() const { return most_total_ - least_total_ + 1; }

  /// The bound of all totals at `prices` is lowered in `bounds`. O(totals · log units).
  void evaluate(double price, const std::vector<double>& prices, Chosen chosen,
                BoundsByTotal& bounds);

  // Of the last evaluation.
  /// The clients' mean use of a unit.
  double centre() const { return centre_; }
  const std::vector<double>& demand() const { return demand_; }
  /// Its own bound for a total, and the total of the greatest one, the first of equal ones.
  double bound(int total) const { return last_[total - least_total_]; }
  int loosest_total() const;
  std::vector<int> best_usages(int total) const;
  /// Best usages − the clients' choices for a total: a subgradient of its bound. Returns 0 if they
  /// agree.
  void gradient(int total, std::vector<double>& gradient) const;

 private:
  std::vector<int> least_, most_;
  int least_total_ = 0, most_total_ = 0;
  std::vector<double> demand_;
  double centre_ = 0;
  std::vector<int> order_;  // the unit that gets the use which takes the total from one to the next
  BoundsByTotal last_;
};

}  // namespace strata::optimizers
