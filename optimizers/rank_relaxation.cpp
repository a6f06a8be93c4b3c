#include "optimizers/rank_relaxation.h"

#include <algorithm>
#include <cmath>

#include "core/infinity.h"

namespace strata::optimizers {

double RankRelaxation::worth_of(int client, int unit, int rank, double price) const {
  double worth = -price * rank;
  for (int k = 1; k <= rank; ++k) worth += problem_.gain(client, unit, k);
  return worth;
}

/// The steps of the unit's upper hull, from its least rank on, that gain.
void RankRelaxation::add_steps(int client, int unit, int least, std::int64_t slack, double price) {
  const std::int64_t base = problem_.cost(unit, least);
  const int most = problem_.affordable(unit, base + slack);
  double worth = worth_of(client, unit, least, price);
  hull_.clear();
  for (int rank = least + 1; rank <= most; ++rank) {
    Step step{0, problem_.gain(client, unit, rank) - price,
              problem_.cost(unit, rank) - problem_.cost(unit, rank - 1), unit, rank};
    worth += step.worth;
    const auto rate_of = [](const Step& of) {
      if (of.cost > 0) return of.worth / static_cast<double>(of.cost);
      return of.worth > 0 ? kInfinity : -kInfinity;
    };
    step.rate = rate_of(step);
    // A corner below the line between its neighbours is none.
    while (!hull_.empty() && hull_.back().rate <= step.rate) {
      step.worth += hull_.back().worth;
      step.cost += hull_.back().cost;
      step.rate = rate_of(step);
      hull_.pop_back();
    }
    hull_.push_back(step);
  }
  for (const Step& step : hull_)
    if (step.worth > 0) steps_.push_back(step);
}

void RankRelaxation::solve(int client, const std::vector<double>& prices, RankChoices& sum,
                           Assignment& assignment) {
  const int units = problem_.unit_count();
  std::int64_t slack = problem_.capacities[static_cast<std::size_t>(client)];
  const auto take = [&](double worth) {
    sum.worth += worth;
    sum.size += std::abs(worth);
  };
  for (int unit = 0; unit < units; ++unit) {
    const int least = problem_.rule(client, unit) == Rule::kPinned ? 1 : 0;
    assignment(client, unit) = static_cast<std::uint8_t>(least);
    sum.demand[unit] += least;
    slack -= problem_.cost(unit, least);
    take(worth_of(client, unit, least, prices[unit]));
  }
  steps_.clear();
  for (int unit = 0; unit < units; ++unit) {
    if (problem_.rule(client, unit) != Rule::kForbidden)
      add_steps(client, unit, assignment(client, unit), slack, prices[unit]);
  }
  // A unit's own steps are in this order already, and keep it.
  std::stable_sort(steps_.begin(), steps_.end(),
                   [](const Step& a, const Step& b) { return a.rate > b.rate; });
  std::int64_t left = slack;
  for (const Step& step : steps_) {
    auto& rank = assignment(client, step.unit);
    if (step.cost <= left) {
      left -= step.cost;
      take(step.worth);
      sum.demand[step.unit] += step.rank - rank;
      rank = static_cast<std::uint8_t>(step.rank);
      continue;
    }
    const double share = static_cast<double>(left) / static_cast<double>(step.cost);
    take(share * step.worth);
    sum.demand[step.unit] += share * (step.rank - rank);
    break;
  }
  fill(client, prices, left, assignment);
}

void RankRelaxation::fill(int client, const std::vector<double>& prices, std::int64_t slack,
                          Assignment& assignment) const {
  for (;;) {
    int best = -1;
    double most = 0;
    for (int unit = 0; unit < problem_.unit_count(); ++unit) {
      const int rank = assignment(client, unit);
      if (rank == problem_.ranks || problem_.rule(client, unit) == Rule::kForbidden) continue;
      const std::int64_t cost = problem_.cost(unit, rank + 1) - problem_.cost(unit, rank);
      if (cost > slack) continue;
      const double rate = (problem_.gain(client, unit, rank + 1) - prices[unit]) /
                          static_cast<double>(std::max<std::int64_t>(cost, 1));
      if (rate <= most) continue;
      most = rate;
      best = unit;
    }
    if (best < 0) return;
    auto& rank = assignment(client, best);
    slack -= problem_.cost(best, rank + 1) - problem_.cost(best, rank);
    ++rank;
  }
}

}  // namespace strata::optimizers
