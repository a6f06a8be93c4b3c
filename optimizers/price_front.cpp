#include "strata/optimizers/price_front.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "optimizers/exchange_graph.h"
#include "optimizers/fill.h"
#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/feasible.h"

namespace strata {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kClientsPerBlock = 64;
constexpr int kKnapsackNodes = 500;
constexpr double kKnapsackTolerance = 1e-7;
constexpr int kSweeps = 200;
constexpr int kDualSteps = 100;
constexpr int kFailures = 4;
constexpr double kProgress = 0.003;
constexpr int kRounds = 6;
constexpr double kFar = 0.01;

/// The most worth of a client's units within its capacity.
class Knapsack {
 public:
  explicit Knapsack(const PlanningProblem& problem)
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

  /// Adds to the units set in `row` (which must be affordable) those of greatest total worth, or
  /// nearly so, among the free ones. Returns a bound on the worth that could have been added.
  double solve(int client, const double* worth, std::uint8_t* row) {
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

 private:
  struct Item {
    double rate = 0;
    double worth = 0;
    std::int64_t cost = 0;
    int unit = 0;
  };

  double bound(std::size_t from, std::int64_t slack, double worth) const {
    for (std::size_t i = from; i < items_.size() && slack > 0; ++i) {
      if (closed_[class_of_[items_[i].unit]]) continue;
      if (items_[i].cost > slack) return worth + static_cast<double>(slack) * items_[i].rate;
      worth += items_[i].worth;
      slack -= items_[i].cost;
    }
    return worth;
  }

  void branch(std::size_t from, std::int64_t slack, double worth) {
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

  const PlanningProblem& problem_;
  std::vector<int> class_of_;  // units of equal cost
  std::vector<Item> items_;
  std::vector<int> chosen_, best_, closed_;
  double best_worth_ = 0;
  double pruned_ = 0;  // the greatest bound of what was pruned as being within the tolerance
  int nodes_ = 0;
};

/// A client's best choice at given worths of the units.
class ClientSolver {
 public:
  explicit ClientSolver(const PlanningProblem& problem) : problem_(problem), knapsack_(problem) {}

  /// Replaces the client's row by the best one that holds the pinned units and those that are
  /// already set in it; returns a bound on the worth of any such row.
  double solve(int client, const double* worth, Assignment& assignment) {
    std::uint8_t* row = assignment.data() + std::ptrdiff_t{client} * problem_.unit_count();
    double held = 0;
    for (int unit = 0; unit < problem_.unit_count(); ++unit) {
      if (problem_.rule(client, unit) == Rule::kPinned) row[unit] = 1;
      if (row[unit]) held += worth[unit];
    }
    return held + (problem_.counts_units() ? add_best(client, worth, row)
                                           : knapsack_.solve(client, worth, row));
  }

 private:
  /// What fill_client does, but fast: this is where the time goes.
  double add_best(int client, const double* worth, std::uint8_t* row) {
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

  const PlanningProblem& problem_;
  Knapsack knapsack_;
  std::vector<double> free_;
};

/// Prices on the units' usages. The second is only for coverage with budgets of a resource.
struct UnitPrices {
  std::vector<double> usage;
  std::vector<double> coverage;
};

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
    if (problem.counts_units() && units_ > 0) {
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
  /// At which moving one use to a unit used less outweighs every difference of scores; with a
  /// resource, where one use less may do so.
  double usage_price() const {
    double most = 0;
    for (int client = 0; client < clients_ && units_ > 0; ++client) {
      const auto row = problem_.importance.row(client);
      most = std::max(
          most, problem_.counts_units() ? (row.maxCoeff() - row.minCoeff()) / 2 : row.maxCoeff());
    }
    return most * units_;
  }

  /// Adds a price where the bound's corner lies farthest above the points; false if none is left.
  bool refine() {
    double widest = 0, price = 0;
    std::size_t after = 0;
    for (std::size_t i = 0; i + 1 < results_.size(); ++i) {
      const PriceResult& low = results_[i];
      const PriceResult& high = results_[i + 1];
      const Objectives& right = low.point.objectives;
      const Objectives& left = high.point.objectives;
      const double width = right.usage_variance - left.usage_variance;
      if (width <= 0) continue;
      const double slope = (right.importance - left.importance) / width;
      const double corner = (low.bound - high.bound) / (high.price - low.price);
      const double most = low.bound + low.price * corner;
      const double share = std::clamp((corner - left.usage_variance) / width, 0.0, 1.0);
      // A price between the two cannot be expected to leave a smaller gap at its own point.
      const double gap = most - (left.importance + share * (right.importance - left.importance)) -
                         std::min(low.gap(), high.gap());
      if (gap <= options_.accuracy * most || gap <= widest) continue;
      // A slope at either end means that no supported point lies between the two.
      if (!(slope > low.price * (1 + 1e-9) && slope < high.price * (1 - 1e-9))) continue;
      widest = gap;
      price = slope;
      after = i;
    }
    if (widest == 0) return false;
    add(price, {}, {&results_[after], &results_[after + 1]});
    return true;
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
    const UnitPrices marginal = marginal_prices(result);
    try_prices(result, marginal);
    for (const PriceResult* other : near) {
      if (close_enough(result)) return;
      try_prices(result, other->unit_prices);
      if (!problem_.counts_units() && !problem_.coverage.empty()) {
        try_prices(result, {marginal.usage, other->unit_prices.coverage});
      }
    }
    if (close_enough(result)) return;
    if (problem_.counts_units()) {
      // Far from the best prices the climb is long.
      if (result.gap() > kFar * result.importance_bound()) improve_bound(result);
      if (!close_enough(result)) climb(result);
      return;
    }
    for (int round = 0; round < kRounds; ++round) {
      const double gap = result.gap();
      improve_bound(result);
      if (close_enough(result)) return;
      dual_value(result.price, result.unit_prices);
      Assignment start = demand_;
      if (meet_coverage(problem_, start).empty()) improve(result, std::move(start));
      if (result.gap() > 0.9 * gap) return;
    }
  }

  /// The best assignment at a price, for budgets of units. What the clients choose at any prices on
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
    for (const double pi : result.unit_prices.usage) quantised.push_back(quantise(pi));
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
      prices.usage[unit] = -static_cast<double>(paths.label[unit]) / scale -
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
    answer_in_turn(result.price, assignment);
    keep_better(result, std::move(assignment));
  }

  void keep_better(PriceResult& result, Assignment assignment) const {
    const Objectives objectives = evaluate(problem_, assignment);
    const double value = objectives.importance - result.price * objectives.usage_variance;
    if (result.point.assignment.size() > 0 && value <= result.value()) return;
    result.point = {std::move(assignment), objectives};
  }

  void answer_in_turn(double price, Assignment& assignment) const {
    std::vector<int> counts = usage(assignment);
    std::int64_t total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    ClientSolver solver(problem_);
    std::vector<double> worth(units_);
    std::vector<std::uint8_t> before(units_);
    const double per_use = price / units_;
    int unchanged = 0;  // clients in a row
    for (int sweep = 0; sweep < kSweeps && unchanged < clients_; ++sweep) {
      double gained = 0;
      for (int client = 0; client < clients_ && unchanged < clients_; ++client) {
        ++unchanged;
        std::uint8_t* row = assignment.data() + std::ptrdiff_t{client} * units_;
        // With a resource the mean usage follows the client's number of units t, which adds w t²/L²
        // to the sum; its tangent at the present t is below it, so that no answer is overrated.
        const double mean =
            problem_.counts_units() ? mean_usage_ : static_cast<double>(total) / units_;
        double held = 0, size = 0, least_held = kInfinity, most_free = -kInfinity;
        for (int unit = 0; unit < units_; ++unit) {
          const int others = counts[unit] - row[unit];
          worth[unit] = problem_.importance(client, unit) - per_use * (2 * (others - mean) + 1);
          if (row[unit]) {
            held += worth[unit];
            size += std::abs(worth[unit]);
            least_held = std::min(least_held, worth[unit]);
          } else {
            most_free = std::max(most_free, worth[unit]);
          }
        }
        if (problem_.counts_units() && most_free <= least_held) continue;
        for (int unit = 0; unit < units_; ++unit) {
          before[unit] = row[unit];
          row[unit] = row[unit] && counts[unit] - 1 < least_usage_[unit];
        }
        solver.solve(client, worth.data(), assignment);
        double found = 0;
        for (int unit = 0; unit < units_; ++unit) {
          if (row[unit]) found += worth[unit];
        }
        if (!(found > held + 1e-13 * size)) {
          std::copy(before.begin(), before.end(), row);
          continue;
        }
        gained += found - held;
        unchanged = 0;
        for (int unit = 0; unit < units_; ++unit) {
          counts[unit] += row[unit] - before[unit];
          total += row[unit] - before[unit];
        }
      }
      if (gained < 0.01 * options_.accuracy * typical_importance_) return;
    }
  }

  /// The prices at which the assignment's usages are what the bound takes them to be.
  UnitPrices marginal_prices(const PriceResult& result) const {
    const std::vector<int> counts = usage(result.point.assignment);
    const double mean =
        units_ > 0 ? std::accumulate(counts.begin(), counts.end(), 0.0) / units_ : 0.0;
    UnitPrices prices = no_prices();
    for (int unit = 0; unit < units_; ++unit) {
      prices.usage[unit] = 2 * result.price / units_ * (counts[unit] - mean);
    }
    return prices;
  }

  DualValue try_prices(PriceResult& result, UnitPrices prices) {
    // The tangent of a variance that costs nothing is flat.
    if (result.price == 0 && !problem_.counts_units()) prices.usage.assign(units_, 0);
    DualValue dual = dual_value(result.price, prices);
    if (dual.bound < result.bound) {
      result.bound = dual.bound;
      result.unit_prices = std::move(prices);
    }
    return dual;
  }

  /// Subgradient steps of Polyak's length, as if the bound could be lowered to the assignment's
  /// value, and shortened when they fail; deflected (Camerini, Fratta & Maffioli 1975), so that
  /// they do not zigzag.
  void improve_bound(PriceResult& result) {
    const double value = result.value();
    UnitPrices prices = result.unit_prices;
    UnitPrices direction = no_prices();
    double step = 1;
    for (int iteration = 0, failures = 0; iteration < kDualSteps; ++iteration) {
      const double before = result.bound;
      const DualValue dual = try_prices(result, prices);
      if (close_enough(result)) return;
      const bool failed = before - result.bound < kProgress * (before - value);
      failures = failed && iteration > 0 ? failures + 1 : 0;
      if (failures == 3 * kFailures) return;
      if (failures > 0 && failures % kFailures == 0) {
        step /= 2;
        prices = result.unit_prices;
        direction = no_prices();
        continue;
      }
      const double turn = product(dual.gradient, direction);
      const double size = product(direction, direction);
      const double deflection = turn < 0 ? -1.5 * turn / size : 0.0;
      for (int unit = 0; unit < units_; ++unit) {
        direction.usage[unit] = dual.gradient.usage[unit] + deflection * direction.usage[unit];
        direction.coverage[unit] =
            dual.gradient.coverage[unit] + deflection * direction.coverage[unit];
      }
      const double norm = product(direction, direction);
      if (norm == 0) return;
      const double length = step * (dual.bound - value) / norm;
      for (int unit = 0; unit < units_; ++unit) {
        prices.usage[unit] -= length * direction.usage[unit];
        prices.coverage[unit] =
            std::max(0.0, prices.coverage[unit] - length * direction.coverage[unit]);
      }
    }
  }

  UnitPrices no_prices() const {
    return {std::vector<double>(units_, 0), std::vector<double>(units_, 0)};
  }

  static double product(const UnitPrices& a, const UnitPrices& b) {
    return std::inner_product(a.usage.begin(), a.usage.end(), b.usage.begin(), 0.0) +
           std::inner_product(a.coverage.begin(), a.coverage.end(), b.coverage.begin(), 0.0);
  }

  /// The bound at given prices on the units. Leaves the clients' choices in demand_.
  DualValue dual_value(double price, const UnitPrices& prices) {
    const int blocks = (clients_ + kClientsPerBlock - 1) / kClientsPerBlock;
    std::vector<double> sums(blocks, 0), sizes(blocks, 0);
    std::vector<std::vector<int>> counts(blocks, std::vector<int>(units_, 0));
    demand_.setZero();
    tbb::parallel_for(tbb::blocked_range<int>(0, blocks, 1), [&](const auto& range) {
      ClientSolver solver(problem_);
      std::vector<double> worth(units_);
      for (int block = range.begin(); block < range.end(); ++block) {
        const int end = std::min(clients_, (block + 1) * kClientsPerBlock);
        for (int client = block * kClientsPerBlock; client < end; ++client) {
          for (int unit = 0; unit < units_; ++unit) {
            worth[unit] =
                problem_.importance(client, unit) - prices.usage[unit] + prices.coverage[unit];
          }
          sums[block] += solver.solve(client, worth.data(), demand_);
          for (int unit = 0; unit < units_; ++unit) {
            if (!demand_(client, unit)) continue;
            ++counts[block][unit];
            sizes[block] += std::abs(worth[unit]);
          }
        }
      }
    });
    // The order of the sum must not depend on which thread took which block.
    DualValue result{0, no_prices()};
    std::vector<int> demand(units_, 0);
    double size = 0;
    for (int block = 0; block < blocks; ++block) {
      result.bound += sums[block];
      size += sizes[block];
      for (int unit = 0; unit < units_; ++unit) demand[unit] += counts[block][unit];
    }
    const auto add = [&](double term) {
      result.bound += term;
      size += std::abs(term);
    };
    const double mean_demand =
        units_ > 0 ? std::accumulate(demand.begin(), demand.end(), 0.0) / units_ : 0.0;
    for (int unit = 0; unit < units_; ++unit) {
      const double pi = prices.usage[unit];
      if (problem_.counts_units()) {
        const double wanted = best_usage(unit, price, pi, demand[unit]);
        const double deviation = wanted - mean_usage_;
        add(pi * wanted);
        add(-price / units_ * deviation * deviation);
        result.gradient.usage[unit] = wanted - demand[unit];
        continue;
      }
      // The tangent's constant is w V(m) = Σ π² L / (4 w), where m has the gradient π / w.
      if (price > 0) {
        add(units_ / (4 * price) * pi * pi);
        result.gradient.usage[unit] = units_ / (2 * price) * pi - (demand[unit] - mean_demand);
      }
      if (prices.coverage[unit] > 0) add(-prices.coverage[unit] * least_usage_[unit]);
      if (problem_.least_usage(unit) > 0) {
        result.gradient.coverage[unit] = demand[unit] - least_usage_[unit];
      }
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
  return bound;
}

PriceFront price_front(const PlanningProblem& problem, const PriceFrontOptions& options) {
  if (options.prices < 2) {
    throw InputError("prices: found " + std::to_string(options.prices) + ", allowed is 2 or more");
  }
  if (!(options.accuracy >= 0)) {
    throw InputError("accuracy: found " + std::to_string(options.accuracy) +
                     ", allowed is 0 or more");
  }
  return PriceSearch(problem, options).run();
}

}  // namespace strata
