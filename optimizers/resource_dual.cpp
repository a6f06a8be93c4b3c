#include "optimizers/resource_dual.h"

#include <algorithm>
#include <numeric>
#include <utility>

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
      choices_(clients_, units_) {
  std::vector<int> by_cost(units_);
  std::iota(by_cost.begin(), by_cost.end(), 0);
  std::stable_sort(by_cost.begin(), by_cost.end(),
                   [&](int a, int b) { return problem.unit_costs[a] < problem.unit_costs[b]; });
  std::int64_t affordable = 0;
  for (int client = 0; client < clients_; ++client) {
    affordable += most_units(problem, client, by_cost);
  }
  std::vector<int> least, most;
  for (int unit = 0; unit < units_; ++unit) {
    int able = 0, pinned = 0;
    for (int client = 0; client < clients_; ++client) {
      const Rule rule = problem.rule(client, unit);
      pinned += rule == Rule::kPinned;
      able += rule == Rule::kPinned ||
              (rule == Rule::kFree && problem.unit_costs[unit] <= problem.capacities[client]);
    }
    least.push_back(std::max(pinned, problem.least_usage(unit)));
    most.push_back(std::max(able, least.back()));
  }
  usages_ = UsageMaximum(std::move(least), std::move(most), affordable);
}

void ResourceDual::evaluate(double price, const std::vector<double>& usage_prices,
                            BoundsByTotal& bounds) {
  const ChoiceSum chosen = choose_all(problem_, usage_prices, kClientsPerChoice, choices_);
  choice_worth_ = chosen.worth;
  const std::vector<int> demand = usage(choices_);
  usages_.evaluate(price, usage_prices, {chosen.worth, chosen.size, {demand.begin(), demand.end()}},
                   bounds);
}

void ResourceDual::smooth_gradient(double price, const std::vector<double>& usage_prices,
                                   std::vector<double>& gradient) const {
  gradient.resize(units_);
  for (int unit = 0; unit < units_; ++unit) {
    const double wanted = usages_.centre() + units_ / (2 * price) * usage_prices[unit];
    gradient[unit] =
        std::clamp<double>(wanted, least_usage(unit), most_usage(unit)) - usages_.demand()[unit];
  }
}

void ResourceDual::usage_losses(int total, double price, const std::vector<double>& usage_prices,
                                std::vector<std::vector<double>>& losses) const {
  const std::vector<int> usages = usages_.best_usages(total);
  const double per_use = price / units_;
  const auto marginal = [&](int unit, int uses) {  // of the use after so many
    return usage_prices[unit] - per_use * (2 * (uses - usages_.centre()) + 1);
  };
  // Any multiplier between the last marginal value taken and the first one left prices the total.
  double taken = kInfinity, left = -kInfinity;
  for (int unit = 0; unit < units_; ++unit) {
    if (usages[unit] > least_usage(unit)) taken = std::min(taken, marginal(unit, usages[unit] - 1));
    if (usages[unit] < most_usage(unit)) left = std::max(left, marginal(unit, usages[unit]));
  }
  const double multiplier = taken == kInfinity   ? (left == -kInfinity ? 0 : left)
                            : left == -kInfinity ? taken
                                                 : (taken + left) / 2;
  losses.assign(units_, std::vector<double>(clients_ + 1, kInfinity));
  for (int unit = 0; unit < units_; ++unit) {
    std::vector<double>& loss = losses[unit];
    loss[usages[unit]] = 0;
    for (int n = usages[unit]; n < most_usage(unit); ++n) {
      loss[n + 1] = loss[n] + std::max(0.0, multiplier - marginal(unit, n));
    }
    for (int n = usages[unit]; n > least_usage(unit); --n) {
      loss[n - 1] = loss[n] + std::max(0.0, marginal(unit, n - 1) - multiplier);
    }
  }
}

}  // namespace strata::optimizers
