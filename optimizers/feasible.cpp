#include "optimizers/feasible.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <queue>
#include <string>
#include <tuple>

#include "optimizers/algorithms.h"
#include "strata/core/error.h"

namespace strata::optimizers {
namespace {

constexpr double kImpossible = std::numeric_limits<double>::infinity();

std::int64_t cost_of(const PlanningProblem& problem, int unit) {
  return problem.counts_units() ? 1 : problem.unit_costs[unit];
}

std::int64_t slack_of(const PlanningProblem& problem, const Assignment& assignment, int client) {
  std::int64_t slack =
      problem.counts_units() ? problem.budgets[client] : problem.capacities[client];
  for (int unit = 0; unit < problem.unit_count(); ++unit) {
    if (assignment(client, unit)) slack -= cost_of(problem, unit);
  }
  return slack;
}

constexpr auto more_worth = [](const WorthOfUnit& a, const WorthOfUnit& b) {
  return a.worth != b.worth ? a.worth > b.worth : a.unit < b.unit;
};

double worth_per_cost(double worth, std::int64_t cost) {
  if (worth < 0) return worth;
  return cost > 0 ? worth / static_cast<double>(cost) : kImpossible;
}

/// Gives units that are used too rarely to clients, which give up others that are used often
/// enough. A budget of units is treated as a resource of which every unit costs 1.
class CoverageMeeter {
 public:
  CoverageMeeter(const PlanningProblem& problem, Assignment& assignment)
      : problem_(problem), assignment_(assignment), usage_(usage(assignment)) {
    for (int client = 0; client < problem.client_count(); ++client) {
      slack_.push_back(slack_of(problem, assignment, client));
    }
  }

  std::vector<int> meet() {
    std::vector<int> below = units_below();
    if (below.empty()) return below;
    exchange_directly(below);
    for (const int unit : below) {
      while (usage_[unit] < problem_.least_usage(unit) && augment(unit)) continue;
    }
    return units_below();
  }

 private:
  struct Exchange {
    double cost = 0;
    int client = -1;
    int unit = -1;
    bool operator>(const Exchange& other) const {
      return std::tie(cost, client, unit) > std::tie(other.cost, other.client, other.unit);
    }
  };

  std::vector<int> units_below() const {
    std::vector<int> below;
    for (int unit = 0; unit < problem_.unit_count(); ++unit) {
      if (usage_[unit] < problem_.least_usage(unit)) below.push_back(unit);
    }
    return below;
  }

  bool may_take(int client, int unit) const {
    return !assignment_(client, unit) && problem_.rule(client, unit) != Rule::kForbidden;
  }

  bool may_drop(int client, int unit) const {
    return assignment_(client, unit) && problem_.rule(client, unit) != Rule::kPinned &&
           usage_[unit] > problem_.least_usage(unit);
  }

  /// The importance lost when `client` takes `unit`, gives up `given` (−1: nothing) and whatever
  /// else it needs to of the units above their coverage, which `dropped_` then holds.
  double exchange_cost(int client, int unit, int given) {
    dropped_.clear();
    const double base =
        (given < 0 ? 0.0 : problem_.importance(client, given)) - problem_.importance(client, unit);
    const std::int64_t missing =
        cost_of(problem_, unit) - slack_[client] - (given < 0 ? 0 : cost_of(problem_, given));
    if (missing <= 0) return base;
    int single = -1;
    std::vector<int>& several = candidates_;
    several.clear();
    for (int other = 0; other < problem_.unit_count(); ++other) {
      if (other == given || !may_drop(client, other)) continue;
      several.push_back(other);
      if (cost_of(problem_, other) >= missing &&
          (single < 0 ||
           problem_.importance(client, other) < problem_.importance(client, single))) {
        single = other;
      }
    }
    double cost = kImpossible;
    if (single >= 0) {
      dropped_ = {single};
      cost = problem_.importance(client, single);
    }
    // Where every unit costs 1, one is all that is ever missing.
    if (!problem_.counts_units()) {
      const double loss = fewest_worth(client, missing, several);
      if (loss < cost) {
        dropped_ = several;
        cost = loss;
      }
    }
    return base + cost;
  }

  /// Reduces `units` to ones that free `missing`, of little importance, and returns that.
  double fewest_worth(int client, std::int64_t missing, std::vector<int>& units) const {
    const auto rate = [&](int unit) {
      return worth_per_cost(problem_.importance(client, unit), problem_.unit_costs[unit]);
    };
    std::stable_sort(units.begin(), units.end(), [&](int a, int b) { return rate(a) < rate(b); });
    std::size_t count = 0;
    std::int64_t freed = 0;
    while (count < units.size() && freed < missing) freed += problem_.unit_costs[units[count++]];
    if (freed < missing) return kImpossible;
    units.resize(count);
    for (std::size_t i = units.size(); i-- > 0;) {
      if (freed - problem_.unit_costs[units[i]] < missing) continue;
      freed -= problem_.unit_costs[units[i]];
      units.erase(units.begin() + static_cast<std::ptrdiff_t>(i));
    }
    double loss = 0;
    for (const int unit : units) loss += problem_.importance(client, unit);
    return loss;
  }

  void set(int client, int unit, bool trains) {
    const int sign = trains ? 1 : -1;
    assignment_(client, unit) = trains;
    usage_[unit] += sign;
    slack_[client] -= sign * cost_of(problem_, unit);
  }

  /// False if the client cannot afford the unit.
  bool exchange(int client, int unit, int given) {
    if (!may_take(client, unit) || exchange_cost(client, unit, given) == kImpossible) return false;
    for (const int other : dropped_) set(client, other, false);
    if (given >= 0) set(client, given, false);
    set(client, unit, true);
    return true;
  }

  /// The cheapest exchange first, as long as a single client's exchange brings a unit of `below`
  /// closer to its coverage. Exchanges only become dearer meanwhile, as units above their coverage
  /// only become fewer; so a cost that is out of date need only be corrected when it is the least.
  void exchange_directly(const std::vector<int>& below) {
    std::priority_queue<Exchange, std::vector<Exchange>, std::greater<>> queue;
    const auto push = [&](int client, int unit) {
      const double cost = exchange_cost(client, unit, -1);
      if (cost < kImpossible) queue.push({cost, client, unit});
    };
    for (const int unit : below) {
      for (int client = 0; client < problem_.client_count(); ++client) {
        if (may_take(client, unit)) push(client, unit);
      }
    }
    while (!queue.empty()) {
      const Exchange next = queue.top();
      queue.pop();
      if (usage_[next.unit] >= problem_.least_usage(next.unit)) continue;
      if (exchange_cost(next.client, next.unit, -1) > next.cost) {
        push(next.client, next.unit);
      } else {
        exchange(next.client, next.unit, -1);
      }
    }
  }

  /// A chain of exchanges by several clients, found backwards from `unit` by breadth first, which
  /// gives it one more use. A shortest chain uses every client once where budgets count units, and
  /// then always succeeds; with a resource, the clients' other exchanges may get in its way.
  bool augment(int unit) {
    struct Link {
      int client = -1;  // gives up the unit for `next`
      int next = -1;
      double cost = kImpossible;
    };
    std::vector<Link> links(usage_.size());
    std::vector<bool> reached(usage_.size(), false);
    std::vector<int> queue{unit};
    reached[unit] = true;
    for (std::size_t head = 0; head < queue.size(); ++head) {
      const int wanted = queue[head];
      Link end;
      for (int client = 0; client < problem_.client_count(); ++client) {
        if (!may_take(client, wanted)) continue;
        const double cost = exchange_cost(client, wanted, -1);
        if (cost < end.cost) end = {client, wanted, cost};
      }
      if (end.client >= 0) {
        const Assignment before = assignment_;
        bool done = exchange(end.client, wanted, -1);
        for (int given = wanted; done && given != unit; given = links[given].next) {
          done = assignment_(links[given].client, given) &&
                 exchange(links[given].client, links[given].next, given);
        }
        if (!done) restore(before);
        return done;
      }
      for (int client = 0; client < problem_.client_count(); ++client) {
        if (!may_take(client, wanted)) continue;
        for (int given = 0; given < problem_.unit_count(); ++given) {
          if (reached[given] || !assignment_(client, given) ||
              problem_.rule(client, given) == Rule::kPinned) {
            continue;
          }
          const double cost = exchange_cost(client, wanted, given);
          if (cost < links[given].cost) links[given] = {client, wanted, cost};
        }
      }
      for (int given = 0; given < problem_.unit_count(); ++given) {
        if (reached[given] || links[given].client < 0) continue;
        reached[given] = true;
        queue.push_back(given);
      }
    }
    return false;
  }

  void restore(const Assignment& before) {
    assignment_ = before;
    usage_ = usage(before);
    for (int client = 0; client < problem_.client_count(); ++client) {
      slack_[client] = slack_of(problem_, before, client);
    }
  }

  const PlanningProblem& problem_;
  Assignment& assignment_;
  std::vector<int> usage_;
  std::vector<std::int64_t> slack_;
  std::vector<int> dropped_;
  std::vector<int> candidates_;
};

/// Pinned units, and then the coverage: dear units first, each to the clients with most left.
Assignment coverage_first(const PlanningProblem& problem) {
  Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  for (int client = 0; client < problem.client_count(); ++client) {
    for (int unit = 0; unit < problem.unit_count(); ++unit) {
      assignment(client, unit) = problem.rule(client, unit) == Rule::kPinned;
    }
  }
  std::vector<std::int64_t> slack;
  for (int client = 0; client < problem.client_count(); ++client) {
    slack.push_back(slack_of(problem, assignment, client));
  }
  std::vector<int> counts = usage(assignment), units(problem.units.size());
  std::iota(units.begin(), units.end(), 0);
  std::stable_sort(units.begin(), units.end(),
                   [&](int a, int b) { return problem.unit_costs[a] > problem.unit_costs[b]; });
  for (const int unit : units) {
    for (; counts[unit] < problem.least_usage(unit); ++counts[unit]) {
      int best = -1;
      for (int client = 0; client < problem.client_count(); ++client) {
        if (assignment(client, unit) || problem.rule(client, unit) == Rule::kForbidden) continue;
        if (slack[client] < problem.unit_costs[unit]) continue;
        if (best < 0 || slack[client] > slack[best]) best = client;
      }
      if (best < 0) break;
      assignment(best, unit) = 1;
      slack[best] -= problem.unit_costs[unit];
    }
  }
  return assignment;
}

void fill(const PlanningProblem& problem, Assignment& assignment) {
  std::vector<WorthOfUnit> scratch;
  Eigen::VectorXd worth;
  for (int client = 0; client < problem.client_count(); ++client) {
    worth = problem.importance.row(client);
    fill_client(problem, client, worth.data(), assignment, scratch);
  }
}

InputError coverage_error(const PlanningProblem& problem, const Assignment& assignment,
                          const std::vector<int>& below) {
  constexpr std::size_t kNamed = 5;
  const std::vector<int> counts = usage(assignment);
  std::string names;
  for (std::size_t i = 0; i < std::min(below.size(), kNamed); ++i) {
    const int unit = below[i];
    names += (i > 0 ? ", " : "") + std::string("unit \"") + problem.units[unit] + "\" gets " +
             std::to_string(counts[unit]) + " of the " + std::to_string(problem.least_usage(unit)) +
             " clients asked for";
  }
  if (below.size() > kNamed) names += ", … (" + std::to_string(below.size()) + " units in all)";
  return InputError(problem.counts_units()
                        ? "the coverage cannot be met within budgets and rules: " + names
                        : "found no assignment that meets the coverage within the budgets of " +
                              problem.resource +
                              " (a heuristic search, there may be one): " + names);
}

}  // namespace

void fill_client(const PlanningProblem& problem, int client, const double* worth,
                 Assignment& assignment, std::vector<WorthOfUnit>& scratch) {
  scratch.clear();
  std::uint8_t* row =
      assignment.data() + static_cast<std::ptrdiff_t>(client) * problem.unit_count();
  for (int unit = 0; unit < problem.unit_count(); ++unit) {
    const Rule rule = problem.rule(client, unit);
    if (rule == Rule::kPinned) row[unit] = 1;
    if (rule == Rule::kFree && !row[unit]) {
      scratch.push_back({problem.counts_units()
                             ? worth[unit]
                             : worth_per_cost(worth[unit], problem.unit_costs[unit]),
                         unit});
    }
  }
  std::int64_t slack = slack_of(problem, assignment, client);
  if (problem.counts_units()) {
    if (slack <= 0) return;
    const auto count = static_cast<std::size_t>(slack);
    if (count < scratch.size()) {
      std::nth_element(scratch.begin(), scratch.begin() + slack, scratch.end(), more_worth);
      scratch.resize(count);
    }
    for (const WorthOfUnit& best : scratch) row[best.unit] = 1;
    return;
  }
  std::sort(scratch.begin(), scratch.end(), more_worth);
  for (const WorthOfUnit& best : scratch) {
    if (problem.unit_costs[best.unit] > slack) continue;
    row[best.unit] = 1;
    slack -= problem.unit_costs[best.unit];
  }
}

std::vector<int> meet_coverage(const PlanningProblem& problem, Assignment& assignment) {
  if (problem.coverage.empty()) return {};
  return CoverageMeeter(problem, assignment).meet();
}

std::vector<FrontPoint> nondominated(std::vector<FrontPoint> points) {
  const auto key = [](const FrontPoint& point) {
    const Objectives& o = point.objectives;
    return std::make_tuple(o.usage_variance, -o.importance, o.uplink_bytes, o.slowest_seconds);
  };
  std::stable_sort(points.begin(), points.end(),
                   [&](const FrontPoint& a, const FrontPoint& b) { return key(a) < key(b); });
  bool two_objectives = true;
  for (const FrontPoint& point : points) {
    two_objectives &= point.objectives.uplink_bytes == 0 && point.objectives.slowest_seconds == 0;
  }
  std::vector<FrontPoint> front;
  for (FrontPoint& point : points) {
    // In this order a point can only be dominated by an earlier one; of two objectives, by the
    // last that is kept if by any.
    const auto first = two_objectives && !front.empty() ? front.end() - 1 : front.begin();
    const bool worse = std::any_of(first, front.end(), [&](const FrontPoint& kept) {
      return key(kept) == key(point) || dominates(kept.objectives, point.objectives);
    });
    if (!worse) front.push_back(std::move(point));
  }
  return front;
}

Assignment feasible_assignment(const PlanningProblem& problem) {
  problem.validate();
  require_units(problem, "what searches feasible assignments");
  Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  fill(problem, assignment);
  std::vector<int> below = meet_coverage(problem, assignment);
  if (!below.empty() && !problem.counts_units()) {
    Assignment other = coverage_first(problem);
    if (meet_coverage(problem, other).empty()) {
      assignment = std::move(other);
      below.clear();
    }
  }
  if (!below.empty()) throw coverage_error(problem, assignment, below);
  // Exchanges of units of different costs may have left room.
  if (!problem.counts_units()) fill(problem, assignment);
  return assignment;
}

void repair(const PlanningProblem& problem, const Assignment& fallback, Assignment& assignment) {
  std::vector<WorthOfUnit> scratch;
  Eigen::VectorXd worth;
  for (int client = 0; client < problem.client_count(); ++client) {
    for (int unit = 0; !problem.rules.empty() && unit < problem.unit_count(); ++unit) {
      if (problem.rule(client, unit) == Rule::kPinned) assignment(client, unit) = 1;
      if (problem.rule(client, unit) == Rule::kForbidden) assignment(client, unit) = 0;
    }
    std::int64_t slack = slack_of(problem, assignment, client);
    if (slack < 0) {
      scratch.clear();
      for (int unit = 0; unit < problem.unit_count(); ++unit) {
        if (!assignment(client, unit) || problem.rule(client, unit) == Rule::kPinned) continue;
        scratch.push_back(
            {worth_per_cost(problem.importance(client, unit), cost_of(problem, unit)), unit});
      }
      std::sort(scratch.begin(), scratch.end(), more_worth);
      for (; slack < 0; scratch.pop_back()) {
        assignment(client, scratch.back().unit) = 0;
        slack += cost_of(problem, scratch.back().unit);
      }
    } else if (slack > 0 && problem.counts_units()) {
      worth = problem.importance.row(client);
      fill_client(problem, client, worth.data(), assignment, scratch);
    }
  }
  if (!meet_coverage(problem, assignment).empty()) assignment = fallback;
}

}  // namespace strata::optimizers
