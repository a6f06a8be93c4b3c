#include "strata/optimizers/exact_front.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "core/interrupt.h"
#include "optimizers/exchange_graph.h"
#include "strata/core/error.h"

namespace strata::optimizers {
namespace {

/// An assignment on the way: some swaps away from where `exchanges` exchanges lead.
struct Milestone {
  std::size_t exchanges = 0;
  std::vector<Swap> swaps = {};
  std::size_t rank = 0;  // among those of its exchanges, 0 without swaps
  bool is_vertex = false;
  bool is_swept = true;
};

struct Way {
  Assignment start;
  std::vector<std::vector<Swap>> exchanges;
  std::size_t free = 0;  // exchanges that cost nothing: the first ones
  /// By descending Σ n² and importance: the nondominated ones.
  std::vector<Milestone> milestones;
};

/// Where single exchanges lead that are cheaper and gain less than the next one, `next`: points
/// under the hull's edge to it; only those whose rank is a multiple of `every`. `paths` are at the
/// slope of `next`.
void add_unsupported(const ExchangeGraph& graph, const ShortestPaths& paths, const Exchange& next,
                     std::size_t every, Way& way) {
  if (next.gain < 2) return;
  // For such an exchange from x to y, label(x) ≤ −slope · usage(x), and as no exchange is below the
  // slope, label(y) > −slope · (usage(y) + 1) − 1. So d + label(x) − label(y) is less than
  // next.cost − slope · gain + 1.
  const Distances distances(graph, paths, next.cost - next.cost / next.gain + 2);
  std::vector<Exchange> best(next.gain);  // by gain
  for (int x = 0; x < graph.units(); ++x) {
    if (!graph.may_lose(x)) continue;
    for (int y = 0; y < graph.units(); ++y) {
      const std::int64_t gain = graph.usage()[x] - graph.usage()[y] - 1;
      if (gain < 1 || gain >= next.gain || !distances.reaches(x, y)) continue;
      const std::int64_t cost = distances(x, y);
      if (cost < (best[gain].from < 0 ? next.cost : best[gain].cost)) {
        best[gain] = {x, y, cost, gain};
      }
    }
  }
  // Nondominated are those that cost less than all that gain more.
  std::int64_t least = next.cost;
  std::vector<Exchange> found;
  for (std::int64_t gain = next.gain - 1; gain > 0; --gain) {
    if (best[gain].from < 0 || best[gain].cost >= least) continue;
    least = best[gain].cost;
    found.push_back(best[gain]);
  }
  for (std::size_t rank = every; rank <= found.size(); rank += every) {
    const Exchange& exchange = found[found.size() - rank];
    way.milestones.push_back(
        {way.exchanges.size(), distances.swaps(exchange.from, exchange.to), rank});
  }
}

/// What the sweep leaves out to keep within its memory.
struct Thinning {
  std::size_t ranks = 1;      // every so many
  std::size_t exchanges = 1;  // every so many; above 1, rank 0 alone

  bool keeps(std::size_t exchanges_since_first, std::size_t rank) const {
    return exchanges_since_first % exchanges == 0 &&
           (exchanges > 1 ? rank == 0 : rank % ranks == 0);
  }
};

/// Unsupported points go first, then supported ones. @returns how many are left.
std::size_t thin(Way& way, Thinning& thinning) {
  const auto is_unsupported = [](const Milestone& milestone) { return milestone.rank > 0; };
  if (std::any_of(way.milestones.begin(), way.milestones.end(), is_unsupported)) {
    thinning.ranks *= 2;
  } else {
    thinning.exchanges *= 2;
  }
  std::size_t left = 0;
  for (Milestone& milestone : way.milestones) {
    milestone.is_swept =
        milestone.is_swept && thinning.keeps(milestone.exchanges - way.free, milestone.rank);
    left += milestone.is_swept;
  }
  std::erase_if(way.milestones, [](const Milestone& milestone) {
    return !milestone.is_swept && !milestone.is_vertex;
  });
  return left;
}

Way find_way(const PlanningProblem& problem, const ExactFrontOptions& options) {
  ExchangeGraph graph =
      greatest_importance(problem, quantise_scores(problem.importance, problem.ranks));
  Way way;
  way.start = graph.assignment();
  const std::size_t most = options.sweep_bytes / std::max<std::size_t>(1, way.start.size());
  std::size_t swept = 0;
  Thinning thinning;
  ShortestPaths paths;
  Slope slope;  // 0: exchanges that cost nothing come first
  for (Exchange next = graph.best_exchange(slope, paths); next.from >= 0;
       next = graph.best_exchange(slope, paths)) {
    stop_if_interrupted();
    const bool is_vertex = compare({next.cost, next.gain}, slope) > 0;
    slope = {next.cost, next.gain};
    if (next.cost == 0) ++way.free;
    const std::size_t since_first = way.exchanges.size() - way.free;
    const bool is_swept = options.sweep && next.cost > 0 && thinning.keeps(since_first, 0);
    const std::size_t before = way.milestones.size();
    if (is_vertex || is_swept) {
      way.milestones.push_back({way.exchanges.size(), {}, 0, is_vertex, is_swept});
    }
    if (is_swept) {
      if (thinning.exchanges == 1) add_unsupported(graph, paths, next, thinning.ranks, way);
      swept += way.milestones.size() - before;
    }
    way.exchanges.push_back(graph.swaps(paths, next.to));
    graph.apply(way.exchanges.back());
    while (swept > most && thinning.exchanges <= since_first) swept = thin(way, thinning);
  }
  way.milestones.push_back({way.exchanges.size(), {}, 0, true, options.sweep});
  return way;
}

/// An assignment under swaps, with its objectives at hand.
class Walker {
 public:
  Walker(const PlanningProblem& problem, const Assignment& start)
      : problem_(problem), assignment_(start), usage_(usage(start)) {
    for (int c = 0; c < problem.client_count(); ++c) {
      begin_.push_back(units_.size());
      for (int x = 0; x < problem.unit_count(); ++x) {
        if (assignment_(c, x)) units_.push_back(x);
      }
    }
    begin_.push_back(units_.size());
    for (int c = 0; c < problem.client_count(); ++c) copy_scores(c);
  }

  void apply(const std::vector<Swap>& swaps) {
    for (const Swap& swap : swaps) apply(swap);
  }
  void undo(const std::vector<Swap>& swaps) {
    for (const Swap& swap : swaps) apply({swap.client, swap.to, swap.from});
  }

  FrontPoint point() const {
    if (problem_.has_further_objectives() || problem_.has_ranks())
      return {assignment_, evaluate(problem_, assignment_)};
    // evaluate()'s sum, term by term, without the units that are not chosen.
    Objectives objectives;
    for (const double score : scores_) objectives.importance += score;
    objectives.usage_variance = usage_variance(usage_);
    return {assignment_, objectives};
  }

 private:
  void apply(const Swap& swap) {
    --assignment_(swap.client, swap.from);
    ++assignment_(swap.client, swap.to);
    --usage_[swap.from];
    ++usage_[swap.to];
    if (problem_.has_ranks()) return;  // whose objectives are evaluated whole
    const auto first = units_.begin() + begin_[swap.client];
    const auto last = units_.begin() + begin_[swap.client + 1];
    *std::lower_bound(first, last, swap.from) = swap.to;
    std::sort(first, last);
    copy_scores(swap.client);
  }

  void copy_scores(int client) {
    scores_.resize(units_.size());
    for (std::size_t i = begin_[client]; i < begin_[client + 1]; ++i) {
      scores_[i] = problem_.importance(client, units_[i]);
    }
  }

  const PlanningProblem& problem_;
  Assignment assignment_;
  std::vector<int> usage_;
  std::vector<int> units_;          // the chosen ones, client by client, ascending
  std::vector<std::size_t> begin_;  // where a client's begin
  std::vector<double> scores_;
};

/// Appends a point of less usage variance. Different quantised importances may be equal as sums of
/// doubles, and then only one of the points stays: a vertex before any other.
void append(FrontPoints& points, const FrontPoint& point, bool is_vertex) {
  const auto is_dominated = [&] {
    return !points.empty() && points.objectives().back().importance <= point.objectives.importance;
  };
  while (is_vertex && is_dominated()) points.pop_back();
  if (!is_dominated()) points.push_back(point);
}

}  // namespace

QuantisedScores quantise_scores(const Eigen::MatrixXd& scores, int ranks) {
  QuantisedScores quantised;
  quantised.values.setZero(scores.rows(), scores.cols());
  const double greatest = scores.size() > 0 ? scores.maxCoeff() : 0.0;
  if (greatest > 0) {
    const auto log2_above = [](Eigen::Index n) {
      return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n - 1)));
    };
    const int bits =
        std::min(52 - log2_above(scores.cols()), 60 - log2_above(scores.size() * ranks));
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
  const std::vector<Objectives>& hull = points.objectives();
  const auto right = std::lower_bound(
      hull.begin(), hull.end(), usage_variance,
      [](const Objectives& point, double value) { return point.usage_variance < value; });
  if (right == hull.end()) return hull.back().importance;
  const Objectives& above = *right;
  if (above.usage_variance == usage_variance) return above.importance;
  if (right == hull.begin()) return -std::numeric_limits<double>::infinity();
  const Objectives& below = *(right - 1);
  return std::lerp(
      below.importance, above.importance,
      (usage_variance - below.usage_variance) / (above.usage_variance - below.usage_variance));
}

ExactFront exact_front(const PlanningProblem& problem, const ExactFrontOptions& options) {
  problem.validate();
  if (!problem.counts_units())
    throw InputError("the exact front needs budgets that count units, but these are of " +
                     problem.resource + "; use --algorithm prices");
  const Way way = find_way(problem, options);
  ExactFront front;
  Walker walker(problem, way.start);
  std::size_t exchanges = 0;
  for (const Milestone& milestone : way.milestones) {
    while (exchanges < milestone.exchanges) walker.apply(way.exchanges[exchanges++]);
    walker.apply(milestone.swaps);
    if (milestone.is_vertex) append(front.points, walker.point(), true);
    if (milestone.is_swept) append(front.sweep, walker.point(), milestone.is_vertex);
    walker.undo(milestone.swaps);
  }
  front.points.reverse();
  front.sweep.reverse();
  return front;
}

}  // namespace strata::optimizers
