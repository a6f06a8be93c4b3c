#include "optimizers/resource_dual.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>

#include "core/infinity.h"
#include "optimizers/client_choice.h"

namespace strata::optimizers {
namespace {

/// Clients whose choices one task sums up: fixed, so that sums do not depend on the threads.
constexpr int kClientsPerChoice = 16;

/// The most units that a client can pay for.
int most_units(const PlanningProblem& problem, int client, const std::vector<int>& by_cost) {
  std::int64_t left = problem.capacities[client];
  int count = 0;
  for (int unit = 0; unit < problem.unit_count(); ++unit) {
    if (problem.rule(client, unit) != Rule::kPinned) continue;
    left -= problem.unit_costs[unit];
    ++count;
  }
  for (const int unit : by_cost) {
    if (problem.unit_costs[unit] > left) break;
    if (problem.rule(client, unit) != Rule::kFree) continue;
    left -= problem.unit_costs[unit];
    ++count;
  }
  return count;
}

}  // namespace

ResourceDual::ResourceDual(const PlanningProblem& problem)
    : problem_(problem),
      clients_(problem.client_count()),
      units_(problem.unit_count()),
      choices_(clients_, units_),
      demand_(units_) {
  std::vector<int> by_cost(units_);
  std::iota(by_cost.begin(), by_cost.end(), 0);
  std::stable_sort(by_cost.begin(), by_cost.end(),
                   [&](int a, int b) { return problem.unit_costs[a] < problem.unit_costs[b]; });
  std::int64_t affordable = 0;
  for (int client = 0; client < clients_; ++client) {
    affordable += most_units(problem, client, by_cost);
  }
  std::int64_t most = 0;
  for (int unit = 0; unit < units_; ++unit) {
    int able = 0, pinned = 0;
    for (int client = 0; client < clients_; ++client) {
      const Rule rule = problem.rule(client, unit);
      pinned += rule == Rule::kPinned;
      able += rule == Rule::kPinned ||
              (rule == Rule::kFree && problem.unit_costs[unit] <= problem.capacities[client]);
    }
    least_usage_.push_back(std::max(pinned, problem.least_usage(unit)));
    most_usage_.push_back(std::max(able, least_usage_.back()));
    least_total_ += least_usage_.back();
    most += most_usage_.back();
  }
  most_total_ = static_cast<int>(std::max<std::int64_t>(std::min(most, affordable), least_total_));
}

void ResourceDual::evaluate(double price, const std::vector<double>& usage_prices,
                            BoundsByTotal& bounds) {
  const ChoiceSum chosen = choose_all(problem_, usage_prices, kClientsPerChoice, choices_);
  choice_worth_ = chosen.worth;
  demand_ = usage(choices_);
  double size = chosen.size;
  // Σ (n − n̄)² = Σ (n − c)² − L (n̄ − c)² for any c; one near n̄ keeps the digits.
  centre_ = units_ > 0 ? std::accumulate(demand_.begin(), demand_.end(), 0.0) / units_ : 0.0;
  const double per_use = units_ > 0 ? price / units_ : 0.0;
  double value = choice_worth_;
  const auto add = [&](double term) {
    value += term;
    size += std::abs(term);
  };
  using Marginal = std::pair<double, int>;
  std::priority_queue<Marginal, std::vector<Marginal>> next;
  std::vector<int> usages = least_usage_;
  const auto push = [&](int unit) {
    if (usages[unit] >= most_usage_[unit]) return;
    next.emplace(usage_prices[unit] - per_use * (2 * (usages[unit] - centre_) + 1), -unit);
  };
  for (int unit = 0; unit < units_; ++unit) {
    const double deviation = usages[unit] - centre_;
    add(usage_prices[unit] * usages[unit]);
    add(-per_use * deviation * deviation);
    push(unit);
  }
  order_.clear();
  last_.clear();
  if (bounds.empty()) bounds.assign(totals(), kInfinity);
  for (int total = least_total_;; ++total) {
    const double shift = static_cast<double>(total) / std::max(1, units_) - centre_;
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

int ResourceDual::loosest_total() const {
  return least_total_ +
         static_cast<int>(std::max_element(last_.begin(), last_.end()) - last_.begin());
}

std::vector<int> ResourceDual::best_usages(int total) const {
  std::vector<int> usages = least_usage_;
  for (int k = 0; k < total - least_total_; ++k) ++usages[order_[k]];
  return usages;
}

void ResourceDual::gradient(int total, std::vector<double>& gradient) const {
  const std::vector<int> usages = best_usages(total);
  gradient.resize(units_);
  for (int unit = 0; unit < units_; ++unit) gradient[unit] = usages[unit] - demand_[unit];
}

void ResourceDual::smooth_gradient(double price, const std::vector<double>& usage_prices,
                                   std::vector<double>& gradient) const {
  gradient.resize(units_);
  for (int unit = 0; unit < units_; ++unit) {
    const double wanted = centre_ + units_ / (2 * price) * usage_prices[unit];
    gradient[unit] =
        std::clamp<double>(wanted, least_usage_[unit], most_usage_[unit]) - demand_[unit];
  }
}

void ResourceDual::usage_losses(int total, double price, const std::vector<double>& usage_prices,
                                std::vector<std::vector<double>>& losses) const {
  const std::vector<int> usages = best_usages(total);
  const double per_use = price / units_;
  const auto marginal = [&](int unit, int uses) {  // of the use after so many
    return usage_prices[unit] - per_use * (2 * (uses - centre_) + 1);
  };
  // Any multiplier between the last marginal value taken and the first one left prices the total.
  double taken = kInfinity, left = -kInfinity;
  for (int unit = 0; unit < units_; ++unit) {
    if (usages[unit] > least_usage_[unit])
      taken = std::min(taken, marginal(unit, usages[unit] - 1));
    if (usages[unit] < most_usage_[unit]) left = std::max(left, marginal(unit, usages[unit]));
  }
  const double multiplier = taken == kInfinity   ? (left == -kInfinity ? 0 : left)
                            : left == -kInfinity ? taken
                                                 : (taken + left) / 2;
  losses.assign(units_, std::vector<double>(clients_ + 1, kInfinity));
  for (int unit = 0; unit < units_; ++unit) {
    std::vector<double>& loss = losses[unit];
    loss[usages[unit]] = 0;
    for (int n = usages[unit]; n < most_usage_[unit]; ++n) {
      loss[n + 1] = loss[n] + std::max(0.0, multiplier - marginal(unit, n));
    }
    for (int n = usages[unit]; n > least_usage_[unit]; --n) {
      loss[n - 1] = loss[n] + std::max(0.0, marginal(unit, n - 1) - multiplier);
    }
  }
}

}  // namespace strata::optimizers
