#include "strata/optimizers/price_front.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "core/infinity.h"
#include "optimizers/algorithms.h"
#include "optimizers/answers.h"
#include "optimizers/client_choice.h"
#include "optimizers/exchange_graph.h"
#include "optimizers/feasible.h"
#include "optimizers/rank_price_front.h"
#include "optimizers/resource_front.h"
#include "optimizers/subgradient.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/feasible.h"

namespace strata::optimizers {
namespace {

/// Clients whose choices one task sums up: fixed, so that sums do not depend on the threads.
constexpr int kClientsPerSum = 64;
/// Tries of the units' prices in one descent of the bound, at most.
constexpr int kPriceSteps = 100;
/// The gap, as a share of the bound, above which a descent comes before the paths of swaps, of
/// which it would take many.
constexpr double kFar = 0.01;

using UnitPrices = std::vector<double>;  // on the units' usages

struct DualValue {
  double bound = kInfinity;
  UnitPrices gradient;
};

/// What is known at one price on usage variance.
struct PriceResult {
  double price = 0;
  double bound = kInfinity;
  FrontPoint point;
  UnitPrices unit_prices;  // that give the bound

  double value() const {
    return point.objectives.importance - price * point.objectives.usage_variance;
  }
  double gap() const { return bound - value(); }
  /// The bound on importance at the point's usage variance.
  double importance_bound() const { return bound + price * point.objectives.usage_variance; }
};

/// For budgets of units.
class PriceSearch {
 public:
  PriceSearch(const PlanningProblem& problem, const PriceFrontOptions& options)
      : problem_(problem),
        options_(options),
        clients_(problem.client_count()),
        units_(problem.unit_count()),
        feasible_(feasible_assignment(problem)),
        typical_importance_(evaluate(problem, feasible_).importance),
        demand_(clients_, units_) {
    for (int unit = 0; unit < units_; ++unit) {
      int most = 0, pinned = 0;
      for (int client = 0; client < clients_; ++client) {
        most += problem.rule(client, unit) != Rule::kForbidden;
        pinned += problem.rule(client, unit) == Rule::kPinned;
      }
      most_usage_.push_back(most);
      least_usage_.push_back(std::max(pinned, problem.least_usage(unit)));
    }
    if (units_ > 0) {
      mean_usage_ = static_cast<double>(std::accumulate(problem.budgets.begin(),
                                                        problem.budgets.end(), std::int64_t{0})) /
                    units_;
    }
  }

  PriceFront run() {
    add(0, {feasible_}, {});
    // Where all scores of every client are alike, any price makes the uses even.
    const double last = usage_price();
    add(last > 0 ? last : 1, {round_robin(problem_)}, {&results_.front()});
    while (static_cast<int>(results_.size()) < options_.prices && refine()) continue;
    // The first prices had no near neighbours to start from.
    for (std::size_t i = 0; i < results_.size(); ++i) {
      if (!close_enough(results_[i])) polish(results_[i], neighbours(i));
    }

    PriceFront front;
    std::vector<FrontPoint> points;
    for (PriceResult& result : results_) {
      front.cuts.push_back({result.price, result.bound});
      points.push_back(std::move(result.point));
    }
    front.points = nondominated(std::move(points));
    return front;
  }

 private:
  /// At which moving one use to a unit used less outweighs every difference of scores.
  double usage_price() const {
    double most = 0;
    for (int client = 0; client < clients_ && units_ > 0; ++client) {
      const auto row = problem_.importance.row(client);
      most = std::max(most, (row.maxCoeff() - row.minCoeff()) / 2);
    }
    return most * units_;
  }

  /// Adds a price where the bound's corner lies farthest above the points; false if none is left.
  bool refine() {
    const auto next = widest_corner(results_, options_.accuracy);
    if (next) add(next->price, {}, {&results_[next->after], &results_[next->after + 1]});
    return next.has_value();
  }

  std::vector<const PriceResult*> neighbours(std::size_t i) const {
    std::vector<const PriceResult*> result;
    if (i > 0) result.push_back(&results_[i - 1]);
    if (i + 1 < results_.size()) result.push_back(&results_[i + 1]);
    return result;
  }

  void add(double price, std::vector<Assignment> starts,
           const std::vector<const PriceResult*>& near) {
    PriceResult result;
    result.price = price;
    for (Assignment& start : starts) improve(result, std::move(start));
    polish(result, near);
    const auto place = std::lower_bound(
        results_.begin(), results_.end(), price,
        [](const PriceResult& other, double value) { return other.price < value; });
    results_.insert(place, std::move(result));
  }

  /// Brings assignment and bound closer to each other, from those at other prices.
  void polish(PriceResult& result, const std::vector<const PriceResult*>& near) {
    for (const PriceResult* other : near) improve(result, other->point.assignment);
    try_prices(result, marginal_prices(result));
    for (const PriceResult* other : near) {
      if (close_enough(result)) return;
      try_prices(result, other->unit_prices);
    }
    if (close_enough(result)) return;
    // Far from the best prices the climb is long.
    if (result.gap() > kFar * result.importance_bound()) improve_bound(result);
    if (!close_enough(result)) climb(result);
  }

  /// The best assignment at a price. What the clients choose at any prices on
  /// the units has the greatest importance for its usages, and so have the assignments that the
  /// cheapest paths of swaps lead to from there; as that importance is M♮-concave in the usages, no
  /// better one exists when no path gains. With good prices few paths are needed.
  void climb(PriceResult& result) {
    if (!scores_) scores_ = quantise_scores(problem_.importance);
    const double scale = std::ldexp(1.0, scores_->shift);
    // Whole numbers, so that the choice is best beyond any rounding: a wrong one would leave a
    // cycle of swaps that gains.
    const auto quantise = [&](double value) {
      return std::round(std::clamp(value * scale, -0x1p52, 0x1p52));
    };
    Assignment choice = Assignment::Zero(clients_, units_);
    ClientSolver solver(problem_);
    std::vector<double> quantised, worth(units_);
    for (const double pi : result.unit_prices) quantised.push_back(quantise(pi));
    for (int client = 0; client < clients_; ++client) {
      for (int unit = 0; unit < units_; ++unit) {
        worth[unit] = static_cast<double>(scores_->values(client, unit)) - quantised[unit];
      }
      solver.solve(client, worth.data(), choice);
    }
    ExchangeGraph graph(problem_, *scores_, std::move(choice));
    ShortestPaths paths;
    for (int unit = 0; unit < units_; ++unit) {
      while (graph.usage()[unit] < problem_.least_usage(unit)) {
        graph.apply(graph.swaps(paths, graph.best_covering_exchange(paths).to));
      }
    }
    const Slope slope{static_cast<std::int64_t>(quantise(2 * result.price / units_)), 1};
    for (;;) {
      graph.find_paths(slope, paths);
      std::int64_t least = 0;
      int to = -1;
      for (int unit = 0; unit < units_; ++unit) {
        if (paths.label[unit] >= ExchangeGraph::kUnreachable) continue;
        const std::int64_t change = paths.label[unit] + slope.cost * (graph.usage()[unit] + 1);
        if (change < least) {
          least = change;
          to = unit;
        }
      }
      if (to < 0) break;
      graph.apply(graph.swaps(paths, to));
    }
    keep_better(result, graph.assignment());
    // The paths' lengths are the best prices: nobody gains by a swap, and one use more or less of a
    // unit is worth no more than what it adds to the variance. π n − w (n − n̄)² / L has its
    // greatest value at the present n if π is within w / L of 2 w (n − n̄) / L.
    UnitPrices prices = marginal_prices(result);
    for (int unit = 0; unit < units_; ++unit) {
      if (paths.label[unit] >= ExchangeGraph::kUnreachable) continue;
      prices[unit] = -static_cast<double>(paths.label[unit]) / scale -
                     result.price / units_ * (1 + 2 * mean_usage_);
    }
    try_prices(result, prices);
  }

  bool close_enough(const PriceResult& result) const {
    // No bound is closer than its allowance for rounding.
    return result.gap() <=
           std::max(options_.accuracy, 1e-12) * std::max(0.0, result.importance_bound());
  }

  /// Lets clients answer each other from `assignment`.
  void improve(PriceResult& result, Assignment assignment) const {
    answer_in_turn(problem_, result.price, 0.01 * options_.accuracy * typical_importance_,
                   assignment);
    keep_better(result, std::move(assignment));
  }

  void keep_better(PriceResult& result, Assignment assignment) const {
    const Objectives objectives = evaluate(problem_, assignment);
    const double value = objectives.importance - result.price * objectives.usage_variance;
    if (result.point.assignment.size() > 0 && value <= result.value()) return;
    result.point = {std::move(assignment), objectives};
  }

  /// The prices at which the assignment's usages are what the bound takes them to be.
  UnitPrices marginal_prices(const PriceResult& result) const {
    const std::vector<int> counts = usage(result.point.assignment);
    const double mean =
        units_ > 0 ? std::accumulate(counts.begin(), counts.end(), 0.0) / units_ : 0.0;
    UnitPrices prices(units_, 0);
    for (int unit = 0; unit < units_; ++unit) {
      prices[unit] = 2 * result.price / units_ * (counts[unit] - mean);
    }
    return prices;
  }

  DualValue try_prices(PriceResult& result, UnitPrices prices) {
    DualValue dual = dual_value(result.price, prices);
    if (dual.bound < result.bound) {
      result.bound = dual.bound;
      result.unit_prices = std::move(prices);
    }
    return dual;
  }

  void improve_bound(PriceResult& result) {
    lower_bound_by_subgradients(
        result.unit_prices, result.value(), kPriceSteps,
        [&](const UnitPrices& prices, UnitPrices& gradient) {
          DualValue dual = try_prices(result, prices);
          gradient = std::move(dual.gradient);
          return dual.bound;
        },
        [&](double) { return close_enough(result); }, [](UnitPrices&) {});
  }

  /// The bound at given prices on the units.
  DualValue dual_value(double price, const UnitPrices& prices) {
    const ChoiceSum chosen = choose_all(problem_, prices, kClientsPerSum, demand_);
    const std::vector<int> demand = usage(demand_);
    DualValue result{chosen.worth, UnitPrices(units_, 0)};
    double size = chosen.size;
    const auto add = [&](double term) {
      result.bound += term;
      size += std::abs(term);
    };
    for (int unit = 0; unit < units_; ++unit) {
      const double wanted = best_usage(unit, price, prices[unit], demand[unit]);
      const double deviation = wanted - mean_usage_;
      add(prices[unit] * wanted);
      add(-price / units_ * deviation * deviation);
      result.gradient[unit] = wanted - demand[unit];
    }
    // Rounding must not make the bound false.
    result.bound += 1e-13 * size;
    return result;
  }

  /// The whole number of uses n that maximises π n − w (n − n̄)² / L; of equal ones, the nearest to
  /// the demand.
  double best_usage(int unit, double price, double pi, int demand) const {
    const double least = least_usage_[unit], most = most_usage_[unit];
    if (price == 0) return pi > 0 ? most : pi < 0 ? least : std::max(least, double(demand));
    return std::clamp(std::round(mean_usage_ + pi * units_ / (2 * price)), least, most);
  }

  const PlanningProblem& problem_;
  const PriceFrontOptions options_;
  const int clients_;
  const int units_;
  const Assignment feasible_;
  const double typical_importance_;
  std::vector<int> least_usage_, most_usage_;
  double mean_usage_ = 0;
  std::vector<PriceResult> results_;  // by ascending price
  std::optional<QuantisedScores> scores_;
  Assignment demand_;
};

}  // namespace

double PriceFront::importance_bound(double usage_variance) const {
  double bound = kInfinity;
  for (const PriceCut& cut : cuts) bound = std::min(bound, cut.bound + cut.price * usage_variance);
  const auto step =
      std::lower_bound(steps.begin(), steps.end(), usage_variance,
                       [](const BoundStep& a, double variance) { return a.to < variance; });
  return step == steps.end() ? bound : std::min(bound, step->importance);
}

PriceFront price_front(const PlanningProblem& problem, const PriceFrontOptions& options) {
  if (options.prices < 2) {
    throw InputError("prices: found " + std::to_string(options.prices) + ", allowed is 2 or more");
  }
  if (!(options.accuracy >= 0)) {
    throw InputError("accuracy: found " + std::to_string(options.accuracy) +
                     ", allowed is 0 or more");
  }
  problem.validate();
  require_suited(problem, row_of("prices").algorithm);
  if (problem.has_ranks()) return rank_price_front(problem, options);
  return problem.counts_units() ? PriceSearch(problem, options).run()
                                : resource_front(problem, options);
}

}  // namespace strata::optimizers
