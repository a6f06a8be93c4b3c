#include "optimizers/usage_maximum.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <utility>

#include "core/infinity.h"

namespace strata::optimizers {

UsageMaximum::UsageMaximum(std::vector<int> least, std::vector<int> most, std::int64_t affordable)
    : least_(std::move(least)), most_(std::move(most)) {
  least_total_ = std::accumulate(least_.begin(), least_.end(), 0);
  const auto all = std::accumulate(most_.begin(), most_.end(), std::int64_t{0});
  most_total_ = static_cast<int>(std::max<std::int64_t>(std::min(all, affordable), least_total_));
}

void UsageMaximum::evaluate(double price, const std::vector<double>& prices, Chosen chosen,
                            BoundsByTotal& bounds) {
  demand_ = std::move(chosen.demand);
  const int units = static_cast<int>(least_.size());
  const double count = std::max(1, units);
  // Σ (n − n̄)² = Σ (n − c)² − L (n̄ − c)² for any c; one near n̄ keeps the digits.
  centre_ = std::accumulate(demand_.begin(), demand_.end(), 0.0) / count;
  const double per_use = price / count;
  double value = chosen.worth, size = chosen.size;
  const auto add = [&](double term) {
    value += term;
    size += std::abs(term);
  };
  using Marginal = std::pair<double, int>;
  std::priority_queue<Marginal, std::vector<Marginal>> next;
  std::vector<int> usages = least_;
  const auto push = [&](int unit) {
    if (usages[unit] >= most_[unit]) return;
    next.emplace(prices[unit] - per_use * (2 * (usages[unit] - centre_) + 1), -unit);
  };
  for (int unit = 0; unit < units; ++unit) {
    const double deviation = usages[unit] - centre_;
    add(prices[unit] * usages[unit]);
    add(-per_use * deviation * deviation);
    push(unit);
  }
  order_.clear();
  last_.clear();
  if (bounds.empty()) bounds.assign(totals(), kInfinity);
  for (int total = least_total_;; ++total) {
    const double shift = static_cast<double>(total) / count - centre_;
    // Rounding must not make the bound false.
    const double term = price * shift * shift;
    last_.push_back(value + term + 1e-13 * (size + term));
    double& bound = bounds[total - least_total_];
    bound = std::min(bound, last_.back());
    if (total == most_total_) break;
    const auto [marginal, negative] = next.top();
    next.pop();
    add(marginal);
    ++usages[-negative];
    order_.push_back(-negative);
    push(-negative);
  }
}

int UsageMaximum::loosest_total() const {
  return least_total_ +
         static_cast<int>(std::max_element(last_.begin(), last_.end()) - last_.begin());
}

std::vector<int> UsageMaximum::best_usages(int total) const {
  std::vector<int> usages = least_;
  for (int k = 0; k < total - least_total_; ++k) ++usages[order_[k]];
  return usages;
}

void UsageMaximum::gradient(int total, std::vector<double>& gradient) const {
  const std::vector<int> usages = best_usages(total);
  gradient.resize(usages.size());
  for (std::size_t unit = 0; unit < usages.size(); ++unit)
    gradient[unit] = usages[unit] - demand_[unit];
}

}  // namespace strata::optimizers
