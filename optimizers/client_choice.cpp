#include "optimizers/client_choice.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/interrupt.h"
#include "optimizers/side_by_side.h"

namespace strata::optimizers {
namespace {

constexpr int kKnapsackNodes = 500;
constexpr double kKnapsackTolerance = 1e-7;

}  // namespace

Knapsack::Knapsack(const PlanningProblem& problem)
    : problem_(problem), class_of_(problem.unit_costs.size()) {
  std::vector<std::int64_t> costs = problem.unit_costs;
  std::sort(costs.begin(), costs.end());
  costs.erase(std::unique(costs.begin(), costs.end()), costs.end());
  for (std::size_t unit = 0; unit < class_of_.size(); ++unit) {
    class_of_[unit] = static_cast<int>(
        std::lower_bound(costs.begin(), costs.end(), problem.unit_costs[unit]) - costs.begin());
  }
  closed_.assign(costs.size(), 0);
}

double Knapsack::solve(int client, const double* worth, std::uint8_t* row) {
  std::int64_t slack = problem_.capacities[client];
  items_.clear();
  double given = 0;
  for (int unit = 0; unit < problem_.unit_count(); ++unit) {
    const std::int64_t cost = problem_.unit_costs[unit];
    if (row[unit]) {
      slack -= cost;
    } else if (problem_.rule(client, unit) == Rule::kFree && worth[unit] > 0) {
      if (cost == 0) {
        row[unit] = 1;
        given += worth[unit];
      } else {
        items_.push_back({worth[unit] / static_cast<double>(cost), worth[unit], cost, unit});
      }
    }
  }
  std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
    return a.rate != b.rate ? a.rate > b.rate : a.unit < b.unit;
  });
  chosen_.clear();
  best_.clear();
  best_worth_ = 0;
  pruned_ = 0;
  nodes_ = 0;
  const double dantzig = bound(0, slack, 0);
  branch(0, slack, 0);
  for (const int item : best_) row[items_[item].unit] = 1;
  return given + (nodes_ > kKnapsackNodes ? dantzig : std::max(best_worth_, pruned_));
}

double Knapsack::bound(std::size_t from, std::int64_t slack, double worth) const {
  for (std::size_t i = from; i < items_.size() && slack > 0; ++i) {
    if (closed_[class_of_[items_[i].unit]]) continue;
    if (items_[i].cost > slack) return worth + static_cast<double>(slack) * items_[i].rate;
    worth += items_[i].worth;
    slack -= items_[i].cost;
  }
  return worth;
}

void Knapsack::branch(std::size_t from, std::int64_t slack, double worth) {
  if (++nodes_ > kKnapsackNodes) return;
  if (worth > best_worth_) {
    best_worth_ = worth;
    best_ = chosen_;
  }
  while (from < items_.size() &&
         (items_[from].cost > slack || closed_[class_of_[items_[from].unit]])) {
    ++from;
  }
  if (from == items_.size()) return;
  const double most = bound(from, slack, worth);
  if (most <= best_worth_ * (1 + kKnapsackTolerance)) {
    pruned_ = std::max(pruned_, most);
    return;
  }
  chosen_.push_back(static_cast<int>(from));
  branch(from + 1, slack - items_[from].cost, worth + items_[from].worth);
  chosen_.pop_back();
  // Without this unit, none of equal cost and less worth can be in a best choice.
  int& closed = closed_[class_of_[items_[from].unit]];
  ++closed;
  branch(from + 1, slack, worth);
  --closed;
}

double ClientSolver::solve(int client, const double* worth, Assignment& assignment) {
  std::uint8_t* row = assignment.data() + std::ptrdiff_t{client} * problem_.unit_count();
  double held = 0;
  for (int unit = 0; unit < problem_.unit_count(); ++unit) {
    if (problem_.rule(client, unit) == Rule::kPinned) row[unit] = 1;
    if (row[unit]) held += worth[unit];
  }
  return held + (problem_.counts_units() ? add_best(client, worth, row)
                                         : knapsack_.solve(client, worth, row));
}

/// What fill_client does, but fast: this is where the time goes.
double ClientSolver::add_best(int client, const double* worth, std::uint8_t* row) {
  int slots = problem_.budgets[client];
  free_.clear();
  for (int unit = 0; unit < problem_.unit_count(); ++unit) {
    if (row[unit]) {
      --slots;
    } else if (problem_.rule(client, unit) == Rule::kFree) {
      free_.push_back(worth[unit]);
    }
  }
  if (slots == 0) return 0;
  std::nth_element(free_.begin(), free_.begin() + (slots - 1), free_.end(), std::greater<>());
  const double least = free_[slots - 1];
  int equal = slots;
  double added = 0;
  for (int i = 0; i < slots; ++i) {
    added += free_[i];
    equal -= free_[i] > least;
  }
  for (int unit = 0; unit < problem_.unit_count(); ++unit) {
    if (row[unit] || worth[unit] < least || problem_.rule(client, unit) != Rule::kFree) continue;
    if (worth[unit] > least || equal-- > 0) row[unit] = 1;
  }
  return added;
}

ChoiceSum choose_all(const PlanningProblem& problem, const std::vector<double>& usage_prices,
                     int clients_per_block, Assignment& choices) {
  const int clients = problem.client_count(), units = problem.unit_count();
  const int blocks = (clients + clients_per_block - 1) / clients_per_block;
  stop_if_interrupted();
  std::vector<ChoiceSum> sums(blocks);
  choices.setZero();
  side_by_side(blocks, std::int64_t{clients} * units, [&](int first, int last) {
    ClientSolver solver(problem);
    std::vector<double> worth(units);
    for (int block = first; block < last; ++block) {
      const int end = std::min(clients, (block + 1) * clients_per_block);
      for (int client = block * clients_per_block; client < end; ++client) {
        for (int unit = 0; unit < units; ++unit) {
          worth[unit] = problem.importance(client, unit) - usage_prices[unit];
        }
        sums[block].worth += solver.solve(client, worth.data(), choices);
        for (int unit = 0; unit < units; ++unit) {
          if (choices(client, unit)) sums[block].size += std::abs(worth[unit]);
        }
      }
    }
  });
  ChoiceSum total;
  for (const ChoiceSum& sum : sums) {
    total.worth += sum.worth;
    total.size += sum.size;
  }
  return total;
}

}  // namespace strata::optimizers
