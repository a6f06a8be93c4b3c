#include "optimizers/usage_enumeration.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/infinity.h"
#include "core/interrupt.h"
#include "optimizers/client_choice.h"

namespace strata::optimizers {
namespace {

struct Choice {
  double loss = 0;
  std::uint64_t units = 0;
  int size = 0;
};

/// A client's choices that lose at most so much.
class ChoiceLister {
 public:
  ChoiceLister(const PlanningProblem& problem, int client, const std::vector<double>& worth,
               double best, double room, std::int64_t& steps)
      : problem_(problem), worth_(worth), least_(best - room), best_(best), steps_(steps) {
    std::int64_t slack = problem.capacities[client];
    double value = 0;
    for (int unit = 0; unit < problem.unit_count(); ++unit) {
      const Rule rule = problem.rule(client, unit);
      if (rule == Rule::kPinned) {
        pinned_ |= std::uint64_t{1} << unit;
        slack -= problem.unit_costs[unit];
        value += worth[unit];
      } else if (rule == Rule::kFree) {
        items_.push_back(unit);
      }
    }
    const auto rate = [&](int unit) {
      if (worth[unit] <= 0) return worth[unit];
      const std::int64_t cost = problem.unit_costs[unit];
      return cost > 0 ? worth[unit] / static_cast<double>(cost) : kInfinity;
    };
    std::sort(items_.begin(), items_.end(),
              [&](int a, int b) { return rate(a) != rate(b) ? rate(a) > rate(b) : a < b; });
    complete_ = list(0, slack, value, pinned_);
  }

  bool complete() const { return complete_; }
  std::vector<Choice> take() {
    std::sort(choices_.begin(), choices_.end(), [](const Choice& a, const Choice& b) {
      return a.loss != b.loss ? a.loss < b.loss : a.units < b.units;
    });
    return std::move(choices_);
  }

 private:
  double most(std::size_t from, std::int64_t slack) const {
    double worth = 0;
    for (std::size_t i = from; i < items_.size(); ++i) {
      const double item = worth_[items_[i]];
      const std::int64_t cost = problem_.unit_costs[items_[i]];
      if (item <= 0) break;
      if (cost > slack)
        return worth + item * static_cast<double>(slack) / static_cast<double>(cost);
      worth += item;
      slack -= cost;
    }
    return worth;
  }

  bool list(std::size_t from, std::int64_t slack, double value, std::uint64_t units) {
    if (--steps_ < 0) return false;
    if (value + most(from, slack) < least_) return true;
    if (from == items_.size()) {
      choices_.push_back({std::max(0.0, best_ - value), units, std::popcount(units)});
      return true;
    }
    const int unit = items_[from];
    const std::int64_t cost = problem_.unit_costs[unit];
    if (cost <= slack &&
        !list(from + 1, slack - cost, value + worth_[unit], units | std::uint64_t{1} << unit)) {
      return false;
    }
    return list(from + 1, slack, value, units);
  }

  const PlanningProblem& problem_;
  const std::vector<double>& worth_;
  const double least_, best_;
  std::int64_t& steps_;
  std::uint64_t pinned_ = 0;
  std::vector<int> items_;
  std::vector<Choice> choices_;
  bool complete_ = false;
};

class Enumeration {
 public:
  Enumeration(const PlanningProblem& problem, const EnumerationTask& task,
              std::vector<std::vector<double>> losses, std::int64_t& steps,
              const std::function<double(const std::vector<std::uint64_t>&)>& visit)
      : problem_(problem),
        clients_(problem.client_count()),
        units_(problem.unit_count()),
        total_(task.total),
        room_(task.room),
        losses_(std::move(losses)),
        steps_(steps),
        visit_(visit),
        usages_(units_, 0),
        rows_(clients_, 0) {}

  bool run(const EnumerationTask& task) {
    return list_choices(task) && (prepare_rest(), descend(0, 0, 0));
  }

 private:
  bool list_choices(const EnumerationTask& task) {
    ClientSolver solver(problem_);
    std::vector<double> worth(units_);
    for (int client = 0; client < clients_; ++client) {
      for (int unit = 0; unit < units_; ++unit) {
        worth[unit] = problem_.importance(client, unit) - task.usage_prices[unit];
      }
      Assignment choice = Assignment::Zero(clients_, units_);
      const double best = solver.solve(client, worth.data(), choice);
      ChoiceLister lister(problem_, client, worth, best, room_, steps_);
      if (!lister.complete()) return false;
      choices_.push_back(lister.take());
    }
    order_.resize(clients_);
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int a, int b) { return choices_[a].size() < choices_[b].size(); });
    return true;
  }

  /// rest_[k][unit][n]: the least loss of the unit's usage once the clients from the k-th on have
  /// added to n uses; fewest_, most_: how many units they add in all.
  void prepare_rest() {
    fewest_.assign(clients_ + 1, 0);
    most_.assign(clients_ + 1, 0);
    rest_.assign(clients_ + 1, losses_);
    std::vector<int> must(units_, 0), may(units_, 0);
    for (int k = clients_ - 1; k >= 0; --k) {
      std::uint64_t all = ~std::uint64_t{0}, any = 0;
      int fewest = units_, most = 0;
      for (const Choice& choice : choices_[order_[k]]) {
        all &= choice.units;
        any |= choice.units;
        fewest = std::min(fewest, choice.size);
        most = std::max(most, choice.size);
      }
      fewest_[k] = fewest_[k + 1] + fewest;
      most_[k] = most_[k + 1] + most;
      for (int unit = 0; unit < units_; ++unit) {
        must[unit] += all >> unit & 1;
        may[unit] += any >> unit & 1;
        for (int n = 0; n <= clients_; ++n) {
          double least = kInfinity;
          for (int more = must[unit]; more <= may[unit] && n + more <= clients_; ++more) {
            least = std::min(least, losses_[unit][n + more]);
          }
          rest_[k][unit][n] = least;
        }
      }
    }
  }

  bool descend(int k, double loss, int trained) {
    if (k == clients_) {
      room_ = visit_(rows_);
      return true;
    }
    stop_if_interrupted();
    for (const Choice& choice : choices_[order_[k]]) {
      if (--steps_ < 0) return false;
      const double so_far = loss + choice.loss;
      if (so_far > room_) break;
      const int sum = trained + choice.size;
      if (sum + fewest_[k + 1] > total_ || sum + most_[k + 1] < total_) continue;
      double least = so_far;
      for (int unit = 0; unit < units_ && least <= room_; ++unit) {
        least += rest_[k + 1][unit][usages_[unit] + static_cast<int>(choice.units >> unit & 1)];
      }
      if (least > room_) continue;
      rows_[order_[k]] = choice.units;
      for (std::uint64_t bits = choice.units; bits != 0; bits &= bits - 1) {
        ++usages_[std::countr_zero(bits)];
      }
      const bool complete = descend(k + 1, so_far, sum);
      for (std::uint64_t bits = choice.units; bits != 0; bits &= bits - 1) {
        --usages_[std::countr_zero(bits)];
      }
      if (!complete) return false;
    }
    return true;
  }

  const PlanningProblem& problem_;
  const int clients_, units_, total_;
  double room_;
  const std::vector<std::vector<double>> losses_;
  std::int64_t& steps_;
  const std::function<double(const std::vector<std::uint64_t>&)>& visit_;
  std::vector<std::vector<Choice>> choices_;
  std::vector<int> order_, fewest_, most_, usages_;
  std::vector<std::vector<std::vector<double>>> rest_;
  std::vector<std::uint64_t> rows_;
};

}  // namespace

bool enumerate_assignments(const PlanningProblem& problem, ResourceDual& dual,
                           const EnumerationTask& task, std::int64_t& steps,
                           const std::function<double(const std::vector<std::uint64_t>&)>& visit) {
  BoundsByTotal bounds;
  dual.evaluate(task.price, task.usage_prices, bounds);
  std::vector<std::vector<double>> losses;
  dual.usage_losses(task.total, task.price, task.usage_prices, losses);
  return Enumeration(problem, task, std::move(losses), steps, visit).run(task);
}

}  // namespace strata::optimizers
