#include "optimizers/exchange_graph.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <string>
#include <utility>

#include "core/infinity.h"
#include "strata/core/error.h"

namespace strata::optimizers {
namespace {

__extension__ typedef __int128 Int128;

}  // namespace

int compare(const Slope& a, const Slope& b) {
  const Int128 left = static_cast<Int128>(a.cost) * b.gain;
  const Int128 right = static_cast<Int128>(b.cost) * a.gain;
  return left < right ? -1 : left > right;
}

ExchangeGraph::ExchangeGraph(const PlanningProblem& problem, const QuantisedScores& scores,
                             Assignment assignment)
    : problem_(problem),
      assignment_(std::move(assignment)),
      units_(problem.unit_count()),
      usage_(strata::usage(assignment_)),
      score_(scores.values.cast<double>()),
      given_up_(Eigen::MatrixXd::Constant(score_.rows(), score_.cols(), kInfinity)),
      taken_(Eigen::MatrixXd::Constant(score_.rows(), score_.cols(), -kInfinity)),
      weight_(static_cast<std::size_t>(units_) * units_),
      order_(units_) {
  for (const int n : usage_) sum_of_squares_ += std::int64_t{n} * n;
  for (int c = 0; c < problem.client_count(); ++c) {
    for (int x = 0; x < units_; ++x) {
      for (int rank = 1; rank <= assignment_(c, x); ++rank) importance_ += scores.gain(c, x, rank);
      find_offers(c, x);
    }
  }
  for (int x = 0; x < units_; ++x) {
    for (int y = 0; y < units_; ++y) weight_[at(x, y)] = find_weight(x, y);
  }
  std::iota(order_.begin(), order_.end(), 0);
  sort_units();
  if (score_.size() > 0) steepest_.cost = scores.values.maxCoeff() * units_;
}

void ExchangeGraph::sort_units() {
  std::sort(order_.begin(), order_.end(), [this](int a, int b) {
    return usage_[a] != usage_[b] ? usage_[a] > usage_[b] : a < b;
  });
}

double ExchangeGraph::gain(int client, int unit, int rank) const {
  const double score = score_(client, unit);
  return rank == 1 ? score : static_cast<double>(static_cast<std::int64_t>(score) / rank);
}

void ExchangeGraph::find_offers(int client, int unit) {
  const int rank = assignment_(client, unit);
  const Rule rule = problem_.rule(client, unit);
  const bool may_give = rank > (rule == Rule::kPinned ? 1 : 0);
  const bool may_take = rank < problem_.ranks && rule != Rule::kForbidden;
  given_up_(client, unit) = may_give ? gain(client, unit, rank) : kInfinity;
  taken_(client, unit) = may_take ? gain(client, unit, rank + 1) : -kInfinity;
}

std::int64_t ExchangeGraph::find_weight(int x, int y) const {
  if (score_.rows() == 0 || x == y) return kNoArc;
  const double least = (given_up_.col(x) - taken_.col(y)).minCoeff();
  return least == kInfinity ? kNoArc : static_cast<std::int64_t>(least);
}

int ExchangeGraph::client(int x, int y) const {
  const auto weight = static_cast<double>(weight_[at(x, y)]);
  int c = 0;
  while (given_up_(c, x) - taken_(c, y) != weight) ++c;
  return c;
}

void ExchangeGraph::find_paths(const Slope& slope, ShortestPaths& paths) const {
  paths.slope = slope;
  paths.label.assign(units_, kUnreachable);
  paths.source_usage = usage_;
  paths.previous.resize(units_);
  std::iota(paths.previous.begin(), paths.previous.end(), 0);
  const int greatest = units_ == 0 ? 0 : *std::max_element(usage_.begin(), usage_.end());
  paths.remainder.assign(greatest + 1, 0);
  for (int n = 0; n <= greatest; ++n) {
    const std::int64_t remainder = slope.cost * n % slope.gain;
    paths.remainder[n] = static_cast<int>(remainder == 0 ? 0 : slope.gain - remainder);
  }
  std::vector<char> improved(units_, 0);
  for (int x = 0; x < units_; ++x) {
    if (!may_lose(x)) continue;
    paths.label[x] = -((slope.cost * usage_[x] + slope.gain - 1) / slope.gain);
    improved[x] = 1;
  }
  bool any = true;
  while (any) {
    any = false;
    for (const int x : order_) {
      if (!improved[x]) continue;
      improved[x] = 0;
      any = true;
      const std::int64_t label = paths.label[x];
      const int n = paths.source_usage[x], remainder = paths.remainder[n];
      const std::int64_t* weights = &weight_[at(x, 0)];
      for (int y = 0; y < units_; ++y) {
        const std::int64_t over_x = label + weights[y];
        if (over_x > paths.label[y]) continue;
        if (over_x == paths.label[y]) {
          const int other = paths.source_usage[y];
          if (remainder > paths.remainder[other]) continue;
          if (remainder == paths.remainder[other] && n <= other) continue;
        }
        paths.label[y] = over_x;
        paths.source_usage[y] = n;
        paths.previous[y] = x;
        improved[y] = 1;
      }
    }
  }
}

Exchange ExchangeGraph::exchange(const ShortestPaths& paths, int to) const {
  Exchange exchange{to, to, 0, 0};
  while (paths.previous[exchange.from] != exchange.from) {
    exchange.cost += weight_[at(paths.previous[exchange.from], exchange.from)];
    exchange.from = paths.previous[exchange.from];
  }
  exchange.gain = usage_[exchange.from] - usage_[to] - 1;
  return exchange;
}

std::vector<Swap> ExchangeGraph::swaps(const ShortestPaths& paths, int to) const {
  std::vector<Swap> swaps;
  for (int y = to; paths.previous[y] != y; y = paths.previous[y]) {
    swaps.push_back({client(paths.previous[y], y), paths.previous[y], y});
  }
  return swaps;
}

Exchange ExchangeGraph::best_exchange(const Slope& least, ShortestPaths& paths) const {
  // Dinkelbach's method: at a slope that is too steep, some exchange costs less than slope · gain,
  // and the one that does so most has a smaller slope. At the right one none does. The search
  // starts at `least`, where the exchanges that come close to it give a first guess from above.
  for (Slope slope = least;;) {
    find_paths(slope, paths);
    Exchange best;
    for (int y = 0; y < units_; ++y) {
      if (paths.label[y] >= kUnreachable || paths.source_usage[y] - usage_[y] < 2) continue;
      const Exchange found = exchange(paths, y);
      const int order =
          best.from < 0 ? -1 : compare({found.cost, found.gain}, {best.cost, best.gain});
      if (order < 0 || (order == 0 && found.gain > best.gain)) best = found;
    }
    if (best.from >= 0) {
      const Slope found{best.cost, best.gain};
      if (compare(found, slope) == 0) return best;
      slope = found;
    } else if (compare(slope, steepest_) < 0) {
      slope = steepest_;
    } else {
      return best;
    }
  }
}

Exchange ExchangeGraph::best_covering_exchange(ShortestPaths& paths) const {
  find_paths({}, paths);
  Exchange best;
  for (int y = 0; y < units_; ++y) {
    if (usage_[y] >= problem_.least_usage(y) || paths.label[y] == kUnreachable) continue;
    const Exchange found = exchange(paths, y);
    if (best.from < 0 || found.cost < best.cost) best = found;
  }
  return best;
}

void ExchangeGraph::renew(int x, int y, double before, double after) {
  if (before == after) return;
  std::int64_t& weight = weight_[at(x, y)];
  if (after <= static_cast<double>(weight)) {
    weight = static_cast<std::int64_t>(after);
  } else if (before == static_cast<double>(weight)) {
    weight = find_weight(x, y);
  }
}

void ExchangeGraph::apply(const Swap& swap) {
  const auto [c, from, to] = swap;
  const double given_from = given_up_(c, from), taken_from = taken_(c, from);
  const double given_to = given_up_(c, to), taken_to = taken_(c, to);
  --assignment_(c, from);
  ++assignment_(c, to);
  --usage_[from];
  ++usage_[to];
  importance_ += static_cast<std::int64_t>(taken_to) - static_cast<std::int64_t>(given_from);
  find_offers(c, from);
  find_offers(c, to);
  for (int x = 0; x < units_; ++x) {
    if (x == from || x == to) continue;
    const double given = given_up_(c, x), taken = taken_(c, x);
    if (taken > -kInfinity) {
      renew(from, x, given_from - taken, given_up_(c, from) - taken);
      renew(to, x, given_to - taken, given_up_(c, to) - taken);
    }
    if (given < kInfinity) {
      renew(x, from, given - taken_from, given - taken_(c, from));
      renew(x, to, given - taken_to, given - taken_(c, to));
    }
  }
  renew(from, to, given_from - taken_to, given_up_(c, from) - taken_(c, to));
  renew(to, from, given_to - taken_from, given_up_(c, to) - taken_(c, from));
}

void ExchangeGraph::apply(const std::vector<Swap>& swaps) {
  for (const Swap& swap : swaps) apply(swap);
  sum_of_squares_ = 0;
  for (const int n : usage_) sum_of_squares_ += std::int64_t{n} * n;
  sort_units();
}

Distances::Distances(const ExchangeGraph& graph)
    : graph_(graph), units_(graph.units()), label_(units_, 0), bound_(kInfinity) {
  arc_.reserve(static_cast<std::size_t>(units_) * units_);
  for (int x = 0; x < units_; ++x) {
    for (int y = 0; y < units_; ++y) {
      const std::int64_t weight = graph.weight(x, y);
      arc_.push_back(weight == ExchangeGraph::kNoArc ? kInfinity : static_cast<double>(weight));
    }
  }
  find();
}

Distances::Distances(const ExchangeGraph& graph, const ShortestPaths& paths, std::int64_t bound)
    : graph_(graph),
      units_(graph.units()),
      label_(paths.label),
      bound_(static_cast<double>(bound)),
      arc_(static_cast<std::size_t>(units_) * units_, kInfinity) {
  for (int x = 0; x < units_; ++x) {
    // No source reaches it.
    if (label_[x] == ExchangeGraph::kUnreachable) continue;
    for (int y = 0; y < units_; ++y) {
      if (graph.weight(x, y) == ExchangeGraph::kNoArc) continue;
      const std::int64_t reduced = graph.weight(x, y) + label_[x] - label_[y];
      if (reduced < bound) arc_[at(x, y)] = static_cast<double>(reduced);
    }
  }
  find();
}

void Distances::find() {
  value_ = arc_;
  for (int x = 0; x < units_; ++x) value_[at(x, x)] = 0;
  for (int k = 0; k < units_; ++k) {
    const double* from_k = &value_[at(k, 0)];
    for (int i = 0; i < units_; ++i) {
      const double to_k = value_[at(i, k)];
      if (i == k || !(to_k < bound_)) continue;
      double* row = &value_[at(i, 0)];
      for (int j = 0; j < units_; ++j) {
        const double over_k = to_k + from_k[j];
        row[j] = over_k < row[j] ? over_k : row[j];
      }
    }
  }
}

std::vector<Swap> Distances::swaps(int from, int to) const {
  // Backwards and breadth-first over the arcs of shortest paths from `from`, so that cycles of cost
  // zero cannot make the path visit a unit twice. Few arcs lie on such paths.
  std::vector<int> next(units_, -1), queue{to};
  next[to] = to;
  for (std::size_t head = 0; next[from] < 0; ++head) {
    const int y = queue[head];
    const double distance = value_[at(from, y)];
    for (int x = 0; x < units_; ++x) {
      if (value_[at(from, x)] + arc_[at(x, y)] != distance || next[x] >= 0) continue;
      next[x] = y;
      queue.push_back(x);
    }
  }
  std::vector<Swap> swaps;
  for (int x = from; x != to; x = next[x]) swaps.push_back({graph_.client(x, next[x]), x, next[x]});
  return swaps;
}

Assignment best_units(const PlanningProblem& problem, const QuantisedScores& scores) {
  Assignment assignment = Assignment::Zero(problem.client_count(), problem.unit_count());
  for (int c = 0; c < problem.client_count(); ++c) {
    std::priority_queue<std::pair<std::int64_t, int>> next;  // what it adds, −unit
    const auto offer = [&](int unit) {
      const int rank = assignment(c, unit) + 1;
      if (rank <= problem.ranks && problem.rule(c, unit) != Rule::kForbidden)
        next.emplace(scores.gain(c, unit, rank), -unit);
    };
    int left = problem.budgets[c];
    for (int unit = 0; unit < problem.unit_count(); ++unit) {
      if (problem.rule(c, unit) == Rule::kPinned) assignment(c, unit) = 1, --left;
      offer(unit);
    }
    for (; left > 0; --left) {
      const int unit = -next.top().second;
      next.pop();
      ++assignment(c, unit);
      offer(unit);
    }
  }
  return assignment;
}

ExchangeGraph greatest_importance(const PlanningProblem& problem, const QuantisedScores& scores) {
  ExchangeGraph graph(problem, scores, best_units(problem, scores));
  // A price on every use that is missing, raised from 0 until none is: the cheapest exchanges first
  // keep the assignment the most important one for its price, and the last one is of the greatest
  // importance among those that meet the coverage. Coverage that no exchange improves at any price
  // cannot be met.
  const auto is_short = [&](int unit) { return graph.usage()[unit] < problem.least_usage(unit); };
  ShortestPaths paths;
  for (int unit = 0; unit < problem.unit_count(); ++unit) {
    while (is_short(unit)) {
      const Exchange next = graph.best_covering_exchange(paths);
      if (next.from < 0) {
        std::string units;
        for (int x = 0; x < problem.unit_count(); ++x) {
          if (!is_short(x)) continue;
          units += (units.empty() ? "unit \"" : ", unit \"") + problem.units[x] + "\" by " +
                   std::to_string(graph.usage()[x]) + " of " +
                   std::to_string(problem.least_usage(x)) +
                   (problem.has_ranks() ? " ranks" : " clients");
        }
        throw InputError("the coverage cannot be met with these budgets and rules; at best, " +
                         units);
      }
      graph.apply(graph.swaps(paths, next.to));
    }
  }
  return graph;
}

}  // namespace strata::optimizers
