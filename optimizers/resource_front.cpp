#include "optimizers/resource_front.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>

#include "core/infinity.h"
#include "core/interrupt.h"
#include "optimizers/answers.h"
#include "optimizers/feasible.h"
#include "optimizers/front_archive.h"
#include "optimizers/local_search.h"
#include "optimizers/redistribute.h"
#include "optimizers/resource_dual.h"
#include "optimizers/subgradient.h"
#include "optimizers/unit_state.h"
#include "optimizers/usage_enumeration.h"
#include "strata/core/random.h"
#include "strata/optimizers/baselines.h"
#include "strata/optimizers/feasible.h"

namespace strata::optimizers {
namespace {

/// Tries of the units' prices in one descent of the bound, at most: for all totals, for one.
constexpr int kDualSteps = 100, kDualStepsOfTotal = 60;
/// Descents at one price on usage variance, each with answers at the prices found, at most.
constexpr int kRounds = 6;
/// Moves that the local search tries before the enumeration, and in each search after it.
constexpr std::int64_t kMoves = 16'000'000;
constexpr std::int64_t kMovesAfterwards = 4'000'000;
/// Choices tried in the enumeration, and choices · clients · units, at most.
constexpr std::int64_t kEnumerationSteps = 24'000'000;
constexpr double kEnumerationWork = 3e9;
/// Choices tried in the search at the levels that were not enumerated to the end.
constexpr std::int64_t kOpenSteps = 2'000'000;
/// Scores that the dual looks at while it tightens the bounds of open levels.
constexpr double kDualWork = 10e6;
/// Levels of (Σ n, Σ n²) that are listed; where there are more, none is, nor enumerated.
constexpr std::int64_t kMostCells = 200'000;
/// A client's choice in the enumeration is one word.
constexpr int kMostEnumeratedUnits = 64;
/// Steps of the bound where levels are not listed.
constexpr int kGrid = 1000;
/// How much of a client's importance the first of two moves may lose.
constexpr double kReach = 0.03, kFarReach = 3;
/// In place of a total: all of them, by the smoothed gradient.
constexpr int kSmoothly = -2;
/// Parts that the range between two neighbouring prices is cut into for further answers.
constexpr int kBetween = 4;
/// Assignments kept on the way between the points of two neighbouring prices, at most.
constexpr int kLinkPoints = 64;
/// Totals of alike uses that clients answer towards where levels are not listed, at most.
constexpr int kMostEvenTotals = 16;
/// Where the bound leaves room: local searches at every level, clients that deal their units out
/// together, and what a level that is exceeded costs, in slopes of the front.
constexpr int kShakes = 5, kTogether = 4, kTriesToShake = 200;
constexpr double kExcess = 4;
/// The share of the importance within which is enumerated first.
constexpr double kFirstRoom = 0.002;
/// Fronts are held dense.
constexpr double kFrontBytes = 1 << 28;
/// By which importances that are compared may differ for rounding alone.
constexpr double kRounding = 1e-10;

using UsagePrices = std::vector<double>;

/// What is known at one price on usage variance.
struct AtPrice {
  double price = 0;
  BoundsByTotal by_total;
  std::vector<std::shared_ptr<const UsagePrices>> prices_by_total;  // that give those bounds
  double bound = kInfinity;                                         // of all totals
  UsagePrices usage_prices;                                         // that give it
  FrontPoint point;

  double value() const {
    return point.objectives.importance - price * point.objectives.usage_variance;
  }
  double gap() const { return bound - value(); }
};

/// All assignments of a total and a sum of squared usages.
struct Cell {
  std::int64_t spread = 0;  // L² · usage variance
  int total = 0;
  bool closed = false;  // nothing in it is better than the archive
};

class ResourceFront {
 public:
  ResourceFront(const PlanningProblem& problem, const PriceFrontOptions& options)
      : original_(problem),
        problem_(two_objectives(problem)),
        options_(options),
        units_(problem_.unit_count()),
        squared_units_(static_cast<double>(units_) * units_),
        model_(problem_),
        dual_(problem_),
        feasible_(feasible_assignment(problem_)),
        scale_(evaluate(problem_, feasible_).importance) {
    for (int unit = 0; unit < units_; ++unit) {
      if (problem_.least_usage(unit) > 0) covered_.push_back(unit);
    }
  }

  PriceFront run() {
    keep(feasible_);
    add(0, {feasible_}, {});
    // Where every score is 0, any price makes the uses even.
    const double last = usage_price();
    add(last > 0 ? last : 1, {round_robin(problem_)}, {&at_.front()});
    while (static_cast<int>(at_.size()) < options_.prices && refine()) continue;
    // The first prices had no near neighbours to start from.
    for (std::size_t i = 0; i < at_.size(); ++i) {
      if (!close_enough(at_[i])) polish(at_[i], neighbours(i));
    }
    answer_between();
    link_points();
    list_cells();
    try_totals();
    search_locally(kMoves, kReach);
    if (!cells_.empty() && units_ <= kMostEnumeratedUnits) {
      tighten_cells();
      enumerate_cells();
    }
    PriceFront front;
    for (const AtPrice& at : at_) front.cuts.push_back({at.price, at.bound});
    front.points = points();
    add_steps(front);
    return front;
  }

 private:
  static PlanningProblem two_objectives(PlanningProblem problem) {
    problem.uplink_bytes.clear();
    problem.seconds.resize(0, 0);
    return problem;
  }

  /// At which one use less outweighs every score.
  double usage_price() const {
    return problem_.importance.size() > 0 ? problem_.importance.maxCoeff() * units_ : 0;
  }
  void keep(const Assignment& assignment) { archive_.insert(UnitState(model_, assignment)); }
  bool close_enough(const AtPrice& at) const {
    return at.gap() <= options_.accuracy * std::max(0.0, at.bound);
  }

  /// Adds a price where the bound's corner lies farthest above the points; false if none is left.
  bool refine() {
    const auto next = widest_corner(at_, options_.accuracy);
    if (next) add(next->price, {}, {&at_[next->after], &at_[next->after + 1]});
    return next.has_value();
  }

  void add(double price, const std::vector<Assignment>& starts,
           const std::vector<const AtPrice*>& near) {
    AtPrice at;
    at.price = price;
    for (const Assignment& start : starts) improve(at, start);
    polish(at, near);
    const auto place =
        std::lower_bound(at_.begin(), at_.end(), price,
                         [](const AtPrice& other, double value) { return other.price < value; });
    at_.insert(place, std::move(at));
  }

  /// Brings assignment and bound closer to each other, from those at other prices.
  void polish(AtPrice& at, const std::vector<const AtPrice*>& near) {
    for (const AtPrice* other : near) improve(at, other->point.assignment);
    try_prices(at, marginal_prices(at.price, at.point.assignment));
    for (const AtPrice* other : near) try_prices(at, other->usage_prices);
    for (int round = 0; round < kRounds && !close_enough(at); ++round) {
      const double gap = at.gap();
      if (!covered_.empty()) lower_bound(at, at.value(), -1, at.usage_prices, covered_);
      if (at.price > 0) {
        lower_bound(at, at.value(), kSmoothly, at.usage_prices, {});
        lower_bound(at, at.value(), -1, at.usage_prices, {});
      }
      if (close_enough(at)) break;
      try_prices(at, at.usage_prices);
      Assignment start = dual_.choices();
      if (meet_coverage(problem_, start).empty()) improve(at, start);
      if (at.gap() > 0.9 * gap) break;
    }
  }

  std::vector<const AtPrice*> neighbours(std::size_t i) const {
    std::vector<const AtPrice*> result;
    if (i > 0) result.push_back(&at_[i - 1]);
    if (i + 1 < at_.size()) result.push_back(&at_[i + 1]);
    return result;
  }

  /// Lets clients answer each other from `assignment`.
  void improve(AtPrice& at, Assignment assignment) {
    answer_in_turn(problem_, at.price, 0.01 * options_.accuracy * scale_, assignment);
    keep(assignment);
    const Objectives objectives = evaluate(problem_, assignment);
    const double value = objectives.importance - at.price * objectives.usage_variance;
    if (at.point.assignment.size() > 0 && value <= at.value()) return;
    at.point = {std::move(assignment), objectives};
  }

  /// The prices at which the assignment's usages are what the bound takes them to be.
  UsagePrices marginal_prices(double price, const Assignment& assignment) const {
    const std::vector<int> counts = usage(assignment);
    const double mean =
        units_ > 0 ? std::accumulate(counts.begin(), counts.end(), 0.0) / units_ : 0.0;
    UsagePrices prices(units_);
    for (int unit = 0; unit < units_; ++unit) {
      prices[unit] = 2 * price / units_ * (counts[unit] - mean);
    }
    return prices;
  }

  void try_prices(AtPrice& at, const UsagePrices& prices) {
    const BoundsByTotal before = at.by_total;
    dual_.evaluate(at.price, prices, at.by_total);
    at.prices_by_total.resize(at.by_total.size());
    const auto shared = std::make_shared<const UsagePrices>(prices);
    for (std::size_t k = 0; k < at.by_total.size(); ++k) {
      if (before.empty() || at.by_total[k] < before[k]) at.prices_by_total[k] = shared;
    }
    const double bound = dual_.bound(dual_.loosest_total());
    if (bound >= at.bound) return;
    at.bound = bound;
    at.usage_prices = prices;
  }

  /// Lowers the bound of a total, or of all of them for −1 and for kSmoothly. Only the prices of
  /// the units in `moved` change, unless it is empty. Returns the evaluations.
  int lower_bound(AtPrice& at, double target, int total, const UsagePrices& start,
                  const std::vector<int>& moved) {
    return lower_bound_by_subgradients(
        start, target, total < 0 ? kDualSteps : kDualStepsOfTotal,
        [&](const UsagePrices& prices, UsagePrices& gradient) {
          try_prices(at, prices);
          const int of = total < 0 ? dual_.loosest_total() : total;
          if (total == kSmoothly) {
            dual_.smooth_gradient(at.price, prices, gradient);
          } else {
            dual_.gradient(of, gradient);
          }
          if (!moved.empty()) keep_only(moved, gradient);
          return dual_.bound(of);
        },
        [&](double least) { return least - target <= 0.1 * options_.accuracy * std::abs(least); },
        [&](UsagePrices& prices) {
          // Where usage costs nothing only the least uses have a price.
          if (at.price > 0) return;
          for (double& each : prices) each = std::min(each, 0.0);
        });
  }

  static void keep_only(const std::vector<int>& units, std::vector<double>& values) {
    std::vector<double> kept(values.size(), 0);
    for (const int unit : units) kept[unit] = values[unit];
    values = std::move(kept);
  }

  /// Answers at prices between the known ones, which need no bound of their own.
  void answer_between() {
    for (std::size_t i = 0; i + 1 < at_.size(); ++i) {
      const AtPrice &low = at_[i], &high = at_[i + 1];
      for (int k = 1; k < kBetween; ++k) {
        const double share = static_cast<double>(k) / kBetween;
        const double price = low.price > 0 ? low.price * std::pow(high.price / low.price, share)
                                           : std::ldexp(high.price, k - kBetween);
        const double along = (price - low.price) / (high.price - low.price);
        UsagePrices prices(units_);
        for (int unit = 0; unit < units_; ++unit) {
          prices[unit] = std::lerp(low.usage_prices[unit], high.usage_prices[unit], along);
        }
        BoundsByTotal unused;
        dual_.evaluate(price, prices, unused);
        Assignment choices = dual_.choices();
        std::vector<Assignment> starts{low.point.assignment, high.point.assignment};
        if (meet_coverage(problem_, choices).empty()) starts.push_back(std::move(choices));
        for (Assignment& start : starts) {
          answer_in_turn(problem_, price, 0.01 * options_.accuracy * scale_, start);
          keep(start);
        }
      }
    }
  }

  void link_points() {
    const double room = static_cast<double>(most_points()) / static_cast<double>(at_.size());
    const int points = static_cast<int>(std::min<double>(kLinkPoints, room / 2));
    for (std::size_t i = 0; i + 1 < at_.size(); ++i) {
      link(model_, archive_, at_[i + 1].point.assignment, at_[i].point.assignment, points);
    }
  }

  void search_locally(std::int64_t moves, double reach) {
    const auto clients = std::max<std::size_t>(model_.movable().size(), 1);
    local_search(model_, archive_,
                 reach * scale_ / static_cast<double>(clients) * importance_scale(), moves,
                 most_points());
  }

  /// Quantised importance of 1.
  double importance_scale() const {
    const Value one{std::int64_t{1} << 40, 0, 0, 0};
    return static_cast<double>(one.importance) / model_.objectives(one).importance;
  }

  std::size_t most_points() const {
    return std::max<std::size_t>(2, static_cast<std::size_t>(kFrontBytes / std::max(1.0, size())));
  }

  /// The archive's assignments, evenly thinned to what memory allows; both ends stay.
  std::vector<FrontPoint> points() const {
    const auto entries = archive_.entries();
    const std::size_t count = std::min(entries.size(), most_points());
    std::vector<FrontPoint> points;
    for (std::size_t k = 0; k < count; ++k) {
      const std::size_t i = count > 1 ? k * (entries.size() - 1) / (count - 1) : 0;
      const Assignment assignment = to_assignment(model_, entries[i]->bits);
      points.push_back({assignment, evaluate(original_, assignment)});
    }
    std::vector<FrontPoint> front;
    for (FrontPoint& point : points) {
      // Importances that differ as whole numbers may agree as doubles.
      if (front.empty() || point.objectives.importance > front.back().objectives.importance) {
        front.push_back(std::move(point));
      }
    }
    return front;
  }

  // Levels of usage variance.

  double variance_of(std::int64_t spread) const {
    return static_cast<double>(spread) / squared_units_;
  }

  std::int64_t least_spread(std::int64_t total) const {
    const std::int64_t uses = total / units_, more = total % units_;
    return units_ * ((units_ - more) * uses * uses + more * (uses + 1) * (uses + 1)) -
           total * total;
  }

  void list_cells() {
    if (units_ == 0 || problem_.client_count() == 0) return;
    const auto entries = archive_.entries();
    const std::int64_t most = entries.back()->value.spread;
    std::int64_t count = 0;
    for (int k = 0; k < dual_.totals(); ++k) {
      const std::int64_t least = least_spread(dual_.least_total() + k);
      if (least <= most) count += (most - least) / (2 * units_) + 1;
    }
    if (count > kMostCells) return;
    for (int k = 0; k < dual_.totals(); ++k) {
      const int total = dual_.least_total() + k;
      // The sum of squares has the parity of the sum.
      for (std::int64_t spread = least_spread(total); spread <= most; spread += 2 * units_) {
        cells_.push_back({spread, total, false});
      }
    }
    std::sort(cells_.begin(), cells_.end(), [](const Cell& a, const Cell& b) {
      return a.spread != b.spread ? a.spread < b.spread : a.total < b.total;
    });
  }

  struct CellBound {
    double bound = kInfinity;
    std::size_t at = 0;
  };
  CellBound bound_of(const Cell& cell) const {
    CellBound result;
    const double variance = variance_of(cell.spread);
    const int k = cell.total - dual_.least_total();
    for (std::size_t i = 0; i < at_.size(); ++i) {
      const double bound = at_[i].by_total[k] + at_[i].price * variance;
      if (bound < result.bound) result = {bound, i};
    }
    return result;
  }

  /// The most importance that the archive has at up to the cell's spread. Importance is never less
  /// than 0, so that a bound below it says that a cell is empty.
  double reached(const Cell& cell) const {
    const std::int64_t importance = archive_.importance_within(cell.spread);
    return importance < 0 ? -kRounding * scale_
                          : model_.objectives({importance, 0, 0, 0}).importance;
  }

  bool is_open(double bound, double reached) const {
    return bound > reached + kRounding * std::abs(bound);
  }

  struct Task {
    std::size_t at = 0;
    int total = 0;
    double room = 0;
    std::vector<std::size_t> cells;
  };
  /// The open cells by total and by the price that bounds them best, those of little room first.
  std::vector<Task> open_tasks() {
    std::map<std::pair<int, std::size_t>, Task> tasks;
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (cells_[i].closed) continue;
      const CellBound bound = bound_of(cells_[i]);
      const double reached = this->reached(cells_[i]);
      if (!is_open(bound.bound, reached)) continue;
      Task& task = tasks[{cells_[i].total, bound.at}];
      task.at = bound.at;
      task.total = cells_[i].total;
      task.room = std::max(task.room, bound.bound - reached);
      task.cells.push_back(i);
    }
    std::vector<Task> result;
    for (auto& [key, task] : tasks) result.push_back(std::move(task));
    std::stable_sort(result.begin(), result.end(),
                     [](const Task& a, const Task& b) { return a.room < b.room; });
    return result;
  }

  double size() const { return static_cast<double>(problem_.client_count()) * units_; }

  /// Lowers the bounds of the totals whose cells are open, those of little room first.
  void tighten_cells() {
    auto evaluations = static_cast<std::int64_t>(kDualWork / size());
    for (const Task& task : open_tasks()) {
      if (evaluations <= 0) return;
      AtPrice& at = at_[task.at];
      const std::size_t k = task.total - dual_.least_total();
      evaluations -=
          lower_bound(at, at.by_total[k] - task.room, task.total, *at.prices_by_total[k], {});
    }
  }

  /// Looks for everything that the bounds leave room for; what they leave none for is closed.
  void enumerate_cells() {
    auto steps = static_cast<std::int64_t>(
        std::min(static_cast<double>(kEnumerationSteps), kEnumerationWork / size()));
    const std::vector<Task> tasks = open_tasks();
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      // What the easy ones leave is for the hard ones.
      std::int64_t share = steps / static_cast<std::int64_t>(tasks.size() - i);
      steps -= share;
      const bool complete = enumerate(tasks[i], share);
      steps += std::max<std::int64_t>(share, 0);
      if (!complete) continue;
      for (const std::size_t cell : tasks[i].cells) cells_[cell].closed = true;
    }
    search_locally(kMovesAfterwards, kFarReach);
    search_open();
    search_locally(kMovesAfterwards, kFarReach);
  }

  /// Iterated local search at the totals and levels that were not enumerated to the end: from level
  /// to level of each total, whether or not the archive keeps what is found there.
  void search_open() {
    std::int64_t steps = kOpenSteps;
    for (const Task& task : open_tasks()) {
      Random random(derive_seed(1, {static_cast<std::uint64_t>(task.total), task.at}));
      Assignment start = at_[task.at].point.assignment;
      answer_in_turn_towards(problem_, at_.back().price, static_cast<double>(task.total) / units_,
                             0.01 * options_.accuracy * scale_, start);
      UnitState best(model_, start);
      for (const std::size_t cell : task.cells) {
        const std::int64_t most = cells_[cell].spread;
        const double excess = kExcess * archive_.slope(most, model_) / units_;
        const auto worth = [&](const Value& value) {
          return static_cast<double>(value.importance) -
                 excess * static_cast<double>(std::max<std::int64_t>(0, value.spread - most));
        };
        const auto settle = [&](UnitState& state) {
          climb(state, steps, worth);
          redistribute(state, kTogether, steps);
          archive_.insert(state);
        };
        settle(best);
        for (int shaken = 0; shaken < kShakes && steps >= 0; ++shaken) {
          UnitState state = best;
          shake(state, random);
          settle(state);
          if (worth(state.value()) >= worth(best.value())) best = std::move(state);
        }
        if (steps < 0) return;
      }
    }
  }

  /// Exchanges two units of clients at random.
  void shake(UnitState& state, Random& random) const {
    const std::vector<int>& clients = model_.movable();
    const auto unit = [&] { return static_cast<int>(random.below(model_.units())); };
    int left = 2;
    for (int tries = 0; left > 0 && tries < kTriesToShake; ++tries) {
      const int client = clients[random.below(clients.size())], drop = unit();
      const Move move{client, drop, unit()};
      if (!is_exchange(state, move) || !state.allowed(move)) continue;
      state.apply(move);
      --left;
    }
  }

  bool is_exchange(const UnitState& state, const Move& move) const {
    const auto is_free = [&](int unit) {
      return (model_.free_units(move.client)[unit / 64] >> (unit % 64) & 1) != 0;
    };
    return state.has(move.client, move.drop) && !state.has(move.client, move.add) &&
           is_free(move.drop) && is_free(move.add);
  }

  /// Exchanges units of clients while that is worth it.
  template <typename Worth>
  void climb(UnitState& state, std::int64_t& steps, Worth worth) const {
    for (bool again = true; again && steps >= 0;) {
      again = false;
      for (const int client : model_.movable()) {
        stop_if_interrupted();
        for (int drop = 0; drop < units_; ++drop) {
          for (int add = 0; add < units_ && state.has(client, drop); ++add) {
            const Move move{client, drop, add};
            --steps;
            if (!is_exchange(state, move) || !state.allowed(move)) continue;
            if (worth(state.value_after(move)) <= worth(state.value())) continue;
            state.apply(move);
            again = true;
          }
        }
      }
    }
  }

  /// Assignments near the most even one of every total, and bounds that know of the capacities.
  void try_totals() {
    if (units_ == 0) return;
    const AtPrice& last = at_.back();
    Assignment assignment = last.point.assignment;
    const auto towards = [&](double wanted) {
      answer_in_turn_towards(problem_, last.price, wanted, 0.01 * options_.accuracy * scale_,
                             assignment);
      keep(assignment);
    };
    if (cells_.empty()) {
      // Of many totals, those at which all units can be used alike, from the greatest down.
      const int most = (dual_.least_total() + dual_.totals() - 1) / units_;
      for (int uses = most; uses > std::max(0, most - kMostEvenTotals); --uses) towards(uses);
      return;
    }
    for (int k = dual_.totals() - 1; k >= 0; --k) {
      towards(static_cast<double>(dual_.least_total() + k) / units_);
    }
    double costs = 0;
    for (const std::int64_t cost : problem_.unit_costs) costs += static_cast<double>(cost);
    if (costs == 0) return;
    const double most = problem_.importance.maxCoeff();
    for (AtPrice& at : at_) {
      for (const double share : {0.25, 1.0, 4.0}) {
        UsagePrices prices = at.usage_prices;
        for (int unit = 0; unit < units_; ++unit) {
          prices[unit] -=
              share * most * units_ * static_cast<double>(problem_.unit_costs[unit]) / costs;
        }
        try_prices(at, prices);
      }
    }
  }

  bool enumerate(const Task& task, std::int64_t& steps) {
    const AtPrice& at = at_[task.at];
    const std::size_t k = task.total - dual_.least_total();
    const auto room = [&] {
      double room = -1;
      for (const std::size_t i : task.cells) {
        const double bound = at.by_total[k] + at.price * variance_of(cells_[i].spread);
        room = std::max(room, bound - reached(cells_[i]));
      }
      return room;
    };
    // Where something good is found early the room shrinks, so that a wider search need not be.
    double left = room();
    for (double wide = std::max(kFirstRoom * scale_, left / 1024);; wide *= 2) {
      const bool full = wide >= left;
      double found = std::min(left, wide);
      const EnumerationTask what{at.price, *at.prices_by_total[k], task.total, found};
      const bool complete =
          enumerate_assignments(problem_, dual_, what, steps, [&](const auto& rows) {
            std::vector<std::uint64_t> bits = rows;
            if (archive_.insert(UnitState(model_, std::move(bits)))) {
              left = room();
              found = std::min(found, left);
            }
            return found;
          });
      if (!complete) return false;
      if (full || left <= wide) return true;
    }
  }

  /// The bound of everything with at most this spread, where cells are too many to list.
  double bound_up_to(std::int64_t spread) const {
    const double variance = variance_of(spread);
    std::size_t tightest = 0;
    double least = kInfinity;
    for (std::size_t i = 0; i < at_.size(); ++i) {
      const double bound = at_[i].bound + at_[i].price * variance;
      if (bound < least) {
        least = bound;
        tightest = i;
      }
    }
    double most = -kInfinity;
    for (int k = 0; k < dual_.totals(); ++k) {
      const std::int64_t floor = least_spread(dual_.least_total() + k);
      if (floor > spread) continue;
      const double reached = variance_of(floor + (spread - floor) / (2 * units_) * 2 * units_);
      if (at_[tightest].by_total[k] + at_[tightest].price * reached <= most) continue;
      double bound = kInfinity;
      for (const AtPrice& at : at_) bound = std::min(bound, at.by_total[k] + at.price * reached);
      most = std::max(most, bound);
    }
    return most;
  }

  void add_steps(PriceFront& front) const {
    if (units_ == 0 || problem_.client_count() == 0) return;
    if (cells_.empty()) {
      add_grid(front);
    } else {
      add_levels(front);
    }
  }

  /// Levels are whole numbers over the units squared, so that a step may end half of one before the
  /// next and no rounding matters.
  void add_step(PriceFront& front, std::int64_t spread, double importance) const {
    if (!front.steps.empty()) front.steps.back().to = before(spread);
    front.steps.push_back({variance_of(spread), before(spread + 1), importance});
  }
  double before(std::int64_t spread) const {
    return (static_cast<double>(spread) - 0.5) / squared_units_;
  }

  void add_levels(PriceFront& front) const {
    double most = -kInfinity;
    std::int64_t last = -1;
    bool open = false;
    for (const Cell& cell : cells_) {
      const double bound = bound_of(cell).bound, reached = this->reached(cell);
      const bool is_above = !cell.closed && is_open(bound, reached);
      open |= is_above;
      most = std::max(most, is_above ? bound : std::min(bound, reached));
      if (front.steps.empty() || most > front.steps.back().importance) {
        if (cell.spread == last) front.steps.pop_back();
        add_step(front, cell.spread, most);
        last = cell.spread;
      }
    }
    front.steps.back().to = before(cells_.back().spread + 1);
    front.complete = !open && archive_.size() <= most_points();
    if (!front.complete) return;
    // Bounds and points agree but for rounding.
    front.steps.clear();
    for (const FrontPoint& point : front.points) {
      const auto spread = std::llround(point.objectives.usage_variance * squared_units_);
      add_step(front, spread, point.objectives.importance);
    }
  }

  void add_grid(PriceFront& front) const {
    const auto most = static_cast<double>(archive_.entries().back()->value.spread);
    std::int64_t before = 0;
    for (int k = 0; k <= kGrid; ++k) {
      const double share = static_cast<double>(k) / kGrid;  // closer together at the even end
      const auto spread = static_cast<std::int64_t>(share * share * most);
      if (k > 0 && spread == before) continue;
      front.steps.push_back({variance_of(before), variance_of(spread), bound_up_to(spread)});
      before = spread;
    }
  }

  const PlanningProblem& original_;
  const PlanningProblem problem_;  // without further objectives
  const PriceFrontOptions options_;
  const int units_;
  const double squared_units_;
  const LayerModel model_;
  ResourceDual dual_;
  FrontArchive archive_;
  const Assignment feasible_;
  const double scale_;
  std::vector<int> covered_;  // units with coverage
  std::vector<AtPrice> at_;   // by ascending price
  std::vector<Cell> cells_;   // by ascending spread; empty where there are too many
};

}  // namespace

PriceFront resource_front(const PlanningProblem& problem, const PriceFrontOptions& options) {
  return ResourceFront(problem, options).run();
}

}  // namespace strata::optimizers
