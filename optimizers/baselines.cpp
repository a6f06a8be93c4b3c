#include "strata/optimizers/baselines.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "optimizers/algorithms.h"
#include "optimizers/exchange_graph.h"
#include "optimizers/feasible.h"
#include "strata/core/error.h"
#include "strata/core/random.h"
#include "strata/optimizers/feasible.h"

namespace strata::optimizers {
namespace {

/// Exchanges decide whether the coverage can be met where budgets count units; elsewhere they may
/// fail on one assignment and succeed on another.
void meet_or_replace(const PlanningProblem& problem, Assignment& assignment) {
  if (!meet_coverage(problem, assignment).empty()) assignment = feasible_assignment(problem);
}

Assignment greedy(const PlanningProblem& problem, double price) {
  const int units = problem.unit_count();
  Assignment assignment = Assignment::Zero(problem.client_count(), units);
  std::vector<int> counts(units, 0);
  std::vector<double> worth(units);
  std::vector<WorthOfUnit> scratch;
  const double per_use = price / units;
  for (int client = 0; client < problem.client_count(); ++client) {
    for (int unit = 0; unit < units; ++unit) {
      worth[unit] = problem.importance(client, unit) - per_use * (2 * counts[unit] + 1);
    }
    // Taking a unit changes no other unit's worth to the same client, so it takes all at once.
    fill_client(problem, client, worth.data(), assignment, scratch);
    for (int unit = 0; unit < units; ++unit) counts[unit] += assignment(client, unit);
  }
  meet_or_replace(problem, assignment);
  return assignment;
}

/// 0, and a geometric progression from where usage can first tip a typical client's choice to where
/// one use more outweighs every difference of scores.
std::vector<double> usage_prices(const PlanningProblem& problem, int prices) {
  const int units = problem.unit_count();
  double greatest_range = 0;
  std::vector<double> gaps, row;
  for (int client = 0; client < problem.client_count(); ++client) {
    row.clear();
    for (int unit = 0; unit < units; ++unit) {
      if (problem.rule(client, unit) == Rule::kFree)
        row.push_back(problem.importance(client, unit));
    }
    std::sort(row.begin(), row.end());
    for (std::size_t i = 1; i < row.size(); ++i) {
      if (row[i] > row[i - 1]) gaps.push_back(row[i] - row[i - 1]);
    }
    if (!row.empty()) greatest_range = std::max(greatest_range, row.back() - row.front());
  }
  std::vector<double> result{0};
  if (prices == 1) return result;
  const double last = greatest_range > 0 ? greatest_range * units / 2 : 1;
  double first = last;
  if (!gaps.empty()) {
    std::nth_element(gaps.begin(), gaps.begin() + gaps.size() / 2, gaps.end());
    first = std::min(last, gaps[gaps.size() / 2] * units / (2 * problem.client_count()));
  }
  const int further = prices - 1;
  for (int i = 0; i < further; ++i) {
    const double share = further == 1 ? 1 : static_cast<double>(i) / (further - 1);
    result.push_back(first * std::pow(last / first, share));
  }
  return result;
}

Assignment best_ranks(const PlanningProblem& problem) {
  problem.validate();
  return greatest_importance(problem, quantise_scores(problem.importance, problem.ranks))
      .assignment();
}

/// Every rank of a unit is a ticket of its own, so that of one draw any unit gets any number.
Assignment random_ranks(const PlanningProblem& problem, Random& random) {
  Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  std::vector<int> tickets;
  for (int client = 0; client < problem.client_count(); ++client) {
    tickets.clear();
    int left = problem.budgets[client];
    for (int unit = 0; unit < problem.unit_count(); ++unit) {
      const Rule rule = problem.rule(client, unit);
      if (rule == Rule::kPinned) assignment(client, unit) = 1, --left;
      const int free = rule == Rule::kForbidden ? 0 : problem.ranks - assignment(client, unit);
      tickets.insert(tickets.end(), free, unit);
    }
    for (const int drawn : random.sample(static_cast<int>(tickets.size()), left))
      ++assignment(client, tickets[drawn]);
  }
  return is_feasible(problem, assignment) ? assignment : best_ranks(problem);
}

}  // namespace

Assignment top_k(const PlanningProblem& problem) {
  require_suited(problem, row_of("topk").algorithm);
  return problem.has_ranks() ? best_ranks(problem) : feasible_assignment(problem);
}

Assignment random_assignment(const PlanningProblem& problem, std::uint64_t seed) {
  problem.validate();
  require_suited(problem, row_of("random").algorithm);
  Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  Random random(derive_seed(seed, "random"));
  if (problem.has_ranks()) return random_ranks(problem, random);
  std::vector<int> free;
  for (int client = 0; client < problem.client_count(); ++client) {
    free.clear();
    int pinned = 0;
    std::int64_t slack = problem.counts_units() ? 0 : problem.capacities[client];
    for (int unit = 0; unit < problem.unit_count(); ++unit) {
      const Rule rule = problem.rule(client, unit);
      if (rule == Rule::kFree) free.push_back(unit);
      if (rule != Rule::kPinned) continue;
      assignment(client, unit) = 1;
      ++pinned;
      if (!problem.counts_units()) slack -= problem.unit_costs[unit];
    }
    const int count = static_cast<int>(free.size());
    const int wanted = problem.counts_units() ? problem.budgets[client] - pinned : count;
    for (const int drawn : random.sample(count, wanted)) {
      const int unit = free[drawn];
      if (!problem.counts_units()) {
        if (problem.unit_costs[unit] > slack) continue;
        slack -= problem.unit_costs[unit];
      }
      assignment(client, unit) = 1;
    }
  }
  meet_or_replace(problem, assignment);
  return assignment;
}

Assignment greedy_by_price(const PlanningProblem& problem, double price) {
  problem.validate();
  require_units(problem, "the algorithm greedy");
  if (!(price >= 0 && std::isfinite(price))) {
    throw InputError("price: found " + std::to_string(price) + ", allowed is 0 or more");
  }
  return greedy(problem, price);
}

std::vector<FrontPoint> greedy_front(const PlanningProblem& problem, int prices) {
  problem.validate();
  require_units(problem, "the algorithm greedy");
  if (prices < 1) {
    throw InputError("prices: found " + std::to_string(prices) + ", allowed is 1 or more");
  }
  std::vector<FrontPoint> points;
  for (const double price : usage_prices(problem, prices)) {
    Assignment assignment = greedy(problem, price);
    const Objectives objectives = evaluate(problem, assignment);
    points.push_back({std::move(assignment), objectives});
  }
  return nondominated(std::move(points));
}

Assignment round_robin(const PlanningProblem& problem) {
  problem.validate();
  require_units(problem, "the algorithm roundrobin");
  const int clients = problem.client_count(), units = problem.unit_count();
  Assignment assignment = Assignment::Zero(clients, units);
  std::vector<std::int64_t> slack;
  for (int client = 0; client < clients; ++client) {
    slack.push_back(problem.counts_units() ? problem.budgets[client] : problem.capacities[client]);
    for (int unit = 0; unit < units; ++unit) {
      if (problem.rule(client, unit) != Rule::kPinned) continue;
      assignment(client, unit) = 1;
      slack[client] -= problem.counts_units() ? 1 : problem.unit_costs[unit];
    }
  }
  std::vector<int> counts = usage(assignment);
  for (bool dealt = true; dealt;) {
    dealt = false;
    for (int client = 0; client < clients; ++client) {
      int best = -1;
      for (int unit = 0; unit < units; ++unit) {
        if (assignment(client, unit) || problem.rule(client, unit) != Rule::kFree) continue;
        if (slack[client] < (problem.counts_units() ? 1 : problem.unit_costs[unit])) continue;
        if (best < 0 || counts[unit] < counts[best] ||
            (counts[unit] == counts[best] &&
             problem.importance(client, unit) > problem.importance(client, best))) {
          best = unit;
        }
      }
      if (best < 0) continue;
      assignment(client, best) = 1;
      ++counts[best];
      slack[client] -= problem.counts_units() ? 1 : problem.unit_costs[best];
      dealt = true;
    }
  }
  meet_or_replace(problem, assignment);
  return assignment;
}

}  // namespace strata::optimizers
