#include "optimizers/rank_search.h"

#include <algorithm>
#include <numeric>

#include "core/infinity.h"
#include "core/interrupt.h"
#include "strata/core/error.h"

namespace strata::optimizers {
namespace {

/// Rounds of all moves, at most; each but the last gains.
constexpr int kMostRounds = 200;

}  // namespace

RankSearch::RankSearch(const PlanningProblem& problem, Assignment assignment)
    : problem_(problem), assignment_(std::move(assignment)), usage_(usage(assignment_)) {
  const std::vector<std::int64_t> costs = spent(problem, assignment_);
  for (std::size_t i = 0; i < costs.size(); ++i) slack_.push_back(problem.capacities[i] - costs[i]);
  total_ = std::accumulate(usage_.begin(), usage_.end(), std::int64_t{0});
}

std::int64_t RankSearch::next_cost(int client, int unit) const {
  const int rank = assignment_(client, unit);
  return problem_.cost(unit, rank + 1) - problem_.cost(unit, rank);
}

std::int64_t RankSearch::last_cost(int client, int unit) const {
  const int rank = assignment_(client, unit);
  return problem_.cost(unit, rank) - problem_.cost(unit, rank - 1);
}

double RankSearch::next_gain(int client, int unit) const {
  return problem_.gain(client, unit, assignment_(client, unit) + 1);
}

double RankSearch::last_gain(int client, int unit) const {
  return problem_.gain(client, unit, assignment_(client, unit));
}

bool RankSearch::may_add(int client, int unit) const {
  return assignment_(client, unit) < problem_.ranks &&
         problem_.rule(client, unit) != Rule::kForbidden;
}

bool RankSearch::may_drop(int client, int unit) const {
  return assignment_(client, unit) > (problem_.rule(client, unit) == Rule::kPinned ? 1 : 0);
}

double RankSearch::variance_change(int from, int to) const {
  // Of Σ n² and Σ n.
  std::int64_t squares = 0, total = 0;
  if (from >= 0) squares += 1 - 2 * std::int64_t{usage_[from]}, --total;
  if (to >= 0) squares += 1 + 2 * std::int64_t{usage_[to]}, ++total;
  const auto units = static_cast<std::int64_t>(usage_.size());
  const std::int64_t after = total_ + total;
  return static_cast<double>(units * squares - (after * after - total_ * total_)) /
         static_cast<double>(units * units);
}

void RankSearch::change(int client, int unit, int by) {
  const std::int64_t before = problem_.cost(unit, assignment_(client, unit));
  assignment_(client, unit) = static_cast<std::uint8_t>(assignment_(client, unit) + by);
  slack_[client] -= problem_.cost(unit, assignment_(client, unit)) - before;
  usage_[unit] += by;
  total_ += by;
}

/// The client's best move of one rank; false where none gains more than `least`.
bool RankSearch::improve_client(int client, double price, double least) {
  constexpr int kNowhere = -1;
  const int units = problem_.unit_count();
  double most = least;
  int best_from = kNowhere, best_to = kNowhere;
  const auto try_move = [&](int from, int to) {
    const double gain = (to >= 0 ? next_gain(client, to) : 0) -
                        (from >= 0 ? last_gain(client, from) : 0) -
                        price * variance_change(from, to);
    if (gain <= most) return;
    most = gain;
    best_from = from;
    best_to = to;
  };
  for (int to = kNowhere; to < units; ++to) {
    if (to >= 0 && !may_add(client, to)) continue;
    if (to >= 0 && next_cost(client, to) <= slack_[client]) try_move(kNowhere, to);
    for (int from = 0; from < units; ++from) {
      if (from == to || !may_drop(client, from)) continue;
      if (usage_[from] <= problem_.least_usage(from)) continue;
      if (to >= 0 && next_cost(client, to) > slack_[client] + last_cost(client, from)) continue;
      try_move(from, to);
    }
  }
  if (most == least) return false;
  if (best_from >= 0) change(client, best_from, -1);
  if (best_to >= 0) change(client, best_to, 1);
  return true;
}

/// A rank of the unit from the client who loses least to one who gains more.
bool RankSearch::pass_on(int unit, double least) {
  int giver = -1, taker = -1;
  for (int client = 0; client < problem_.client_count(); ++client) {
    if (may_drop(client, unit) && (giver < 0 || last_gain(client, unit) < last_gain(giver, unit)))
      giver = client;
    if (may_add(client, unit) && next_cost(client, unit) <= slack_[client] &&
        (taker < 0 || next_gain(client, unit) > next_gain(taker, unit)))
      taker = client;
  }
  if (giver < 0 || taker < 0 || giver == taker) return false;
  if (next_gain(taker, unit) - last_gain(giver, unit) <= least) return false;
  change(giver, unit, -1);
  change(taker, unit, 1);
  return true;
}

void RankSearch::improve(double price) {
  // What rounding could make of nothing.
  const double least = 1e-12 * (evaluate(problem_, assignment_).importance +
                                price * usage_variance(usage_) + problem_.importance.sum());
  for (int round = 0; round < kMostRounds; ++round) {
    bool any = false;
    stop_if_interrupted();
    for (int client = 0; client < problem_.client_count(); ++client)
      while (improve_client(client, price, least)) any = true;
    for (int unit = 0; unit < problem_.unit_count(); ++unit)
      while (pass_on(unit, least)) any = true;
    if (!any) return;
  }
}

/// One rank of the unit for a client who can pay it, having dropped ranks that the coverage of
/// others can spare where it must.
bool RankSearch::make_room(int unit) {
  int best = -1;
  double most = -kInfinity;
  std::vector<int> dropped;
  for (int client = 0; client < problem_.client_count(); ++client) {
    if (!may_add(client, unit)) continue;
    RankSearch trial = *this;
    std::vector<int> drops;
    double gain = next_gain(client, unit);
    while (trial.next_cost(client, unit) > trial.slack_[client]) {
      int least = -1;
      for (int other = 0; other < problem_.unit_count(); ++other) {
        if (other == unit || !trial.may_drop(client, other) ||
            trial.usage_[other] <= problem_.least_usage(other))
          continue;
        if (least < 0 || trial.last_gain(client, other) < trial.last_gain(client, least))
          least = other;
      }
      if (least < 0) break;
      gain -= trial.last_gain(client, least);
      trial.change(client, least, -1);
      drops.push_back(least);
    }
    if (trial.next_cost(client, unit) > trial.slack_[client] || gain <= most) continue;
    most = gain;
    best = client;
    dropped = std::move(drops);
  }
  if (best < 0) return false;
  for (const int other : dropped) change(best, other, -1);
  change(best, unit, 1);
  return true;
}

void RankSearch::cover() {
  for (int unit = 0; unit < problem_.unit_count(); ++unit) {
    while (usage_[unit] < problem_.least_usage(unit)) {
      if (make_room(unit)) continue;
      throw InputError("unit \"" + problem_.units[unit] + "\": a coverage of " +
                       std::to_string(problem_.least_usage(unit)) + " ranks, but " +
                       std::to_string(usage_[unit]) +
                       " were found that fit into the budgets beside what else is covered; with "
                       "budgets of a resource there may be more");
    }
  }
}

}  // namespace strata::optimizers
