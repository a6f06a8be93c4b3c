#include "optimizers/rank_price_front.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/infinity.h"
#include "optimizers/feasible.h"
#include "optimizers/rank_relaxation.h"
#include "optimizers/rank_search.h"
#include "optimizers/subgradient.h"
#include "optimizers/usage_maximum.h"

namespace strata::optimizers {
namespace {

/// Tries of the units' prices in one descent of the bound, at most.
constexpr int kRankSteps = 60;

/// What is known at one price on usage variance.
struct RankPriceResult {
  double price = 0;
  double bound = kInfinity;
  FrontPoint point;
  std::vector<double> unit_prices;

  double value() const {
    return point.objectives.importance - price * point.objectives.usage_variance;
  }
  double gap() const { return bound - value(); }
};

class RankPriceSearch {
 public:
  RankPriceSearch(const PlanningProblem& problem, const PriceFrontOptions& options)
      : problem_(problem),
        options_(options),
        clients_(problem.client_count()),
        units_(problem.unit_count()),
        relaxation_(problem),
        choices_(Assignment::Zero(clients_, units_)) {
    std::vector<int> least, most;
    for (int unit = 0; unit < units_; ++unit) {
      int able = 0, pinned = 0;
      for (int client = 0; client < clients_; ++client) {
        const Rule rule = problem.rule(client, unit);
        pinned += rule == Rule::kPinned;
        if (rule != Rule::kForbidden) able += problem.affordable(unit, problem.capacities[client]);
      }
      least.push_back(std::max(pinned, problem.least_usage(unit)));
      most.push_back(std::max(able, least.back()));
    }
    std::int64_t affordable = 0;
    for (int client = 0; client < clients_; ++client) affordable += most_ranks(client);
    usages_ = UsageMaximum(std::move(least), std::move(most), affordable);
  }

  PriceFront run() {
    add(0);
    const double last = usage_price();
    add(last > 0 ? last : 1);
    while (static_cast<int>(results_.size()) < options_.prices) {
      const auto next = widest_corner(results_, options_.accuracy);
      if (!next) break;
      add(next->price);
    }
    PriceFront front;
    for (const RankPriceResult& result : results_)
      front.cuts.push_back({result.price, result.bound});
    front.points = nondominated(std::move(points_));
    return front;
  }

 private:
  /// No client has more ranks.
  std::int64_t most_ranks(int client) const {
    std::int64_t ranks = 0, cheapest = std::numeric_limits<std::int64_t>::max();
    for (int unit = 0; unit < units_; ++unit) {
      if (problem_.rule(client, unit) == Rule::kForbidden) continue;
      ranks += problem_.affordable(unit, problem_.capacities[client]);
      cheapest = std::min({cheapest, problem_.unit_costs[unit], problem_.rank_costs[unit]});
    }
    if (ranks == 0 || cheapest == 0) return ranks;
    return std::min(ranks, problem_.capacities[client] / cheapest);
  }

  /// At which one use less of any unit outweighs every score.
  double usage_price() const {
    return units_ > 0 && clients_ > 0 ? problem_.importance.maxCoeff() * units_ : 0.0;
  }

  void add(double price) {
    RankPriceResult result;
    result.price = price;
    result.unit_prices.assign(units_, 0);
    const auto place = std::lower_bound(
        results_.begin(), results_.end(), price,
        [](const RankPriceResult& other, double value) { return other.price < value; });
    std::vector<Assignment> starts;
    std::vector<double> prices(units_, 0);
    for (const auto near : {place - (place != results_.begin()), place}) {
      if (near < results_.begin() || near >= results_.end()) continue;
      starts.push_back(near->point.assignment);
      prices = near->unit_prices;
    }
    if (starts.empty()) starts.push_back(Assignment::Zero(clients_, units_));
    for (Assignment& start : starts) improve(result, std::move(start));
    descend(result, prices);
    results_.insert(place, std::move(result));
  }

  /// A local search from an assignment that the clients can pay.
  void improve(RankPriceResult& result, Assignment start) {
    for (int client = 0; client < clients_; ++client)
      for (int unit = 0; unit < units_; ++unit)
        if (problem_.rule(client, unit) == Rule::kPinned && start(client, unit) == 0)
          start(client, unit) = 1;
    RankSearch search(problem_, std::move(start));
    search.cover();
    search.improve(result.price);
    FrontPoint found{search.assignment(), evaluate(problem_, search.assignment())};
    const double value =
        found.objectives.importance - result.price * found.objectives.usage_variance;
    if (result.point.assignment.size() == 0 || value > result.value()) result.point = found;
    points_.push_back(std::move(found));
  }

  /// Lowers the bound, and looks for assignments where it was lowest.
  void descend(RankPriceResult& result, const std::vector<double>& start) {
    BoundsByTotal bounds;
    Assignment best;
    const auto evaluate = [&](const std::vector<double>& prices, std::vector<double>& gradient) {
      const double bound = this->bound(result.price, prices, bounds, gradient);
      const double least = *std::max_element(bounds.begin(), bounds.end());
      if (least < result.bound) {
        result.bound = least;
        result.unit_prices = prices;
        best = choices_;
      }
      return bound;
    };
    const auto close = [&](double) {
      const double reached = result.bound + result.price * result.point.objectives.usage_variance;
      return result.gap() <= std::max(options_.accuracy, 1e-12) * std::max(0.0, reached);
    };
    lower_bound_by_subgradients(start, result.value(), kRankSteps, evaluate, close,
                                [](std::vector<double>&) {});
    improve(result, std::move(best));
  }

  /// The dual's value at prices on the units' usages, and for every total Σ n the least so far.
  double bound(double price, const std::vector<double>& prices, BoundsByTotal& bounds,
               std::vector<double>& gradient) {
    RankChoices chosen;
    chosen.demand.assign(units_, 0);
    for (int client = 0; client < clients_; ++client)
      relaxation_.solve(client, prices, chosen, choices_);
    usages_.evaluate(price, prices, {chosen.worth, chosen.size, std::move(chosen.demand)}, bounds);
    const int loosest = usages_.loosest_total();
    usages_.gradient(loosest, gradient);
    return usages_.bound(loosest);
  }

  const PlanningProblem& problem_;
  const PriceFrontOptions options_;
  const int clients_, units_;
  RankRelaxation relaxation_;
  Assignment choices_;
  UsageMaximum usages_;
  std::vector<RankPriceResult> results_;  // by ascending price
  std::vector<FrontPoint> points_;        // all found
};

}  // namespace

PriceFront rank_price_front(const PlanningProblem& problem, const PriceFrontOptions& options) {
  return RankPriceSearch(problem, options).run();
}

}  // namespace strata::optimizers
