#include "strata/optimizers/exact_front.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "optimizers/exchange_graph.h"
#include "strata/core/error.h"

namespace strata {
namespace {

/// An assignment that is some swaps away from the one after `step` exchanges.
struct SweepEntry {
  std::int64_t importance = 0;  // quantised
  std::size_t step = 0;
  std::vector<Swap> swaps = {};
  bool is_vertex = false;
};

/// What the exchanges pass by: the most important assignment found for each Σ n².
class Sweep {
 public:
  explicit Sweep(ExchangeGraph graph) : start_(graph), graph_(std::move(graph)) {}

  void run() {
    ShortestPaths paths;
    Slope slope;  // 0: exchanges that cost nothing come first
    for (Exchange next = graph_.best_exchange(slope, paths); next.from >= 0;
         next = graph_.best_exchange(slope, paths)) {
      const Slope found{next.cost, next.gain};
      record_step(compare(found, slope) > 0);
      slope = found;
      for (int unit = 0; unit < graph_.units(); ++unit) record_exchange(paths, unit, next);
      steps_.push_back(graph_.swaps(paths, next.to));
      graph_.apply(steps_.back());
    }
    record_step(true);
  }

  /// Removes what is dominated.
  void filter() {
    std::int64_t greatest = -1;
    for (auto entry = best_.begin(); entry != best_.end();) {
      const bool dominated = entry->second.importance <= greatest;
      greatest = std::max(greatest, entry->second.importance);
      entry = dominated ? best_.erase(entry) : std::next(entry);
    }
  }

  const std::map<std::int64_t, SweepEntry>& entries() const { return best_; }

  /// visit(entry, assignment) for every entry that `wanted` holds for, from the least even one.
  template <typename Wanted, typename Visit>
  void for_each(Wanted wanted, Visit visit) const {
    std::vector<const SweepEntry*> entries;
    for (const auto& [squares, entry] : best_) {
      if (wanted(entry)) entries.push_back(&entry);
    }
    std::stable_sort(entries.begin(), entries.end(),
                     [](const SweepEntry* a, const SweepEntry* b) { return a->step < b->step; });
    Assignment assignment = start_.assignment();
    std::size_t step = 0;
    const auto swap_all = [](Assignment& to, const std::vector<Swap>& swaps) {
      for (const Swap& swap : swaps) {
        to(swap.client, swap.from) = 0;
        to(swap.client, swap.to) = 1;
      }
    };
    for (const SweepEntry* entry : entries) {
      while (step < entry->step) swap_all(assignment, steps_[step++]);
      Assignment copy = assignment;
      swap_all(copy, entry->swaps);
      visit(*entry, std::move(copy));
    }
  }

  std::size_t steps() const { return steps_.size(); }

 private:
  void record_step(bool is_vertex) {
    best_[graph_.sum_of_squares()] = {graph_.importance(), steps_.size(), {}, is_vertex};
  }

  void record_exchange(const ShortestPaths& paths, int to, const Exchange& next) {
    if (paths.label[to] == ExchangeGraph::kUnreachable) return;
    const Exchange exchange = graph_.exchange(paths, to);
    // The next step dominates what is no more even and no cheaper.
    if (exchange.gain < 1 || (exchange.gain <= next.gain && exchange.cost >= next.cost)) return;
    const std::int64_t importance = graph_.importance() - exchange.cost;
    SweepEntry& entry = best_[graph_.sum_of_squares() - 2 * exchange.gain];
    if (entry.importance > importance) return;
    entry = {importance, steps_.size(), graph_.swaps(paths, to)};
  }

  ExchangeGraph start_, graph_;
  std::vector<std::vector<Swap>> steps_;
  std::map<std::int64_t, SweepEntry> best_;  // by Σ n²
};

}  // namespace

QuantisedScores quantise_scores(const Eigen::MatrixXd& scores) {
  QuantisedScores quantised;
  quantised.values.setZero(scores.rows(), scores.cols());
  const double greatest = scores.size() > 0 ? scores.maxCoeff() : 0.0;
  if (greatest > 0) {
    const auto log2_above = [](Eigen::Index n) {
      return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n - 1)));
    };
    const int bits = std::min(52 - log2_above(scores.cols()), 60 - log2_above(scores.size()));
    int exponent = 0;
    std::frexp(greatest, &exponent);  // greatest < 2^exponent
    quantised.shift = bits - exponent;
    for (Eigen::Index c = 0; c < scores.rows(); ++c) {
      for (Eigen::Index x = 0; x < scores.cols(); ++x) {
        quantised.values(c, x) = std::llround(std::ldexp(scores(c, x), quantised.shift));
      }
    }
  }
  return quantised;
}

double ExactFront::importance_bound(double usage_variance) const {
  // Equal Σ n² have equal variances to the bit (see usage_variance), so a plain comparison is
  // exact.
  const auto right = std::lower_bound(points.begin(), points.end(), usage_variance,
                                      [](const FrontPoint& point, double value) {
                                        return point.objectives.usage_variance < value;
                                      });
  if (right == points.end()) return points.back().objectives.importance;
  const Objectives& above = right->objectives;
  if (above.usage_variance == usage_variance) return above.importance;
  if (right == points.begin()) return -std::numeric_limits<double>::infinity();
  const Objectives& below = (right - 1)->objectives;
  return std::lerp(
      below.importance, above.importance,
      (usage_variance - below.usage_variance) / (above.usage_variance - below.usage_variance));
}

ExactFront exact_front(const PlanningProblem& problem) {
  problem.validate();
  Sweep sweep(greatest_importance(problem, quantise_scores(problem.importance)));
  sweep.run();
  sweep.filter();
  ExactFront front;
  sweep.for_each([](const SweepEntry&) { return true; },
                 [&](const SweepEntry& entry, Assignment assignment) {
                   const Objectives objectives = evaluate(problem, assignment);
                   if (entry.is_vertex) front.points.push_back({assignment, objectives});
                   front.sweep.push_back({std::move(assignment), objectives});
                 });
  std::reverse(front.points.begin(), front.points.end());
  std::reverse(front.sweep.begin(), front.sweep.end());
  return front;
}

}  // namespace strata
