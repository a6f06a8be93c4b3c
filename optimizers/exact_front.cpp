#include "strata/optimizers/exact_front.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "strata/core/error.h"
#include "strata/optimizers/baselines.h"

namespace strata {
namespace {

__extension__ typedef __int128 Int128;

// Weights and distances are whole numbers below 2^53 in size (see QuantisedScores), which doubles
// hold exactly; unlike 64-bit integers, their minimum is vectorised on every processor.
constexpr double kUnreachable = std::numeric_limits<double>::infinity();

/// Moving one use of `from` to `to` along a shortest path.
struct Exchange {
  int from = -1;
  int to = -1;
  std::int64_t cost = 0;  // importance lost, quantised
  std::int64_t gain = 0;  // half the decrease of Σ n²
};

/// The exchange graph of an assignment. An arc x → y with client c means that c gives up x for y.
class ExchangeGraph {
 public:
  ExchangeGraph(const QuantisedScores& scores, Assignment assignment)
      : scores_(scores.values.cast<double>()),
        assignment_(std::move(assignment)),
        units_(static_cast<int>(assignment_.cols())),
        usage_(usage(assignment_)),
        weight_(static_cast<std::size_t>(units_) * units_),
        distance_(weight_.size()),
        client_(weight_.size()) {
    for (int unit = 0; unit < units_; ++unit) find_arcs(unit);
    find_distances();
  }

  const Assignment& assignment() const { return assignment_; }

  /// The exchange of least cost per gain; ties go to the larger gain, then to the lower indices.
  /// Its `from` is −1 when no exchange makes the usage more even.
  Exchange best() const {
    Exchange best;
    for (int from = 0; from < units_; ++from) {
      for (int to = 0; to < units_; ++to) {
        const std::int64_t gain = usage_[from] - usage_[to] - 1;
        if (gain < 1 || distance_[at(from, to)] == kUnreachable) continue;
        const auto cost = static_cast<std::int64_t>(distance_[at(from, to)]);
        const Int128 left = static_cast<Int128>(cost) * best.gain;
        const Int128 right = static_cast<Int128>(best.cost) * gain;
        if (best.from < 0 || left < right || (left == right && gain > best.gain)) {
          best = {from, to, cost, gain};
        }
      }
    }
    return best;
  }

  /// All swaps on the path can be made at once: it visits no unit twice, so no client gives up or
  /// takes the same unit twice, and every swap keeps its client's number of units.
  void apply(const Exchange& exchange) {
    const std::vector<int> previous = shortest_path_tree(exchange.from, exchange.to);
    std::vector<int> path{exchange.from};
    for (int y = exchange.to; y != exchange.from; y = previous[y]) {
      path.push_back(y);
      const int x = previous[y];
      const int c = client_[at(x, y)];
      assignment_(c, x) = 0;
      assignment_(c, y) = 1;
    }
    --usage_[exchange.from];
    ++usage_[exchange.to];
    // A client that gave up x for y changes only arcs at x and at y.
    for (const int unit : path) find_arcs(unit);
    find_distances();
  }

 private:
  std::size_t at(int x, int y) const { return static_cast<std::size_t>(x) * units_ + y; }

  // The arcs from and to `unit`.
  void find_arcs(int unit) {
    for (int y = 0; y < units_; ++y) weight_[at(unit, y)] = weight_[at(y, unit)] = kUnreachable;
    const auto offer = [this](int x, int y, int c) {
      const double weight = scores_(c, x) - scores_(c, y);
      if (weight < weight_[at(x, y)]) {
        weight_[at(x, y)] = weight;
        client_[at(x, y)] = c;
      }
    };
    for (int c = 0; c < assignment_.rows(); ++c) {
      if (assignment_(c, unit)) {
        for (int y = 0; y < units_; ++y) {
          if (!assignment_(c, y)) offer(unit, y, c);
        }
      } else {
        for (int x = 0; x < units_; ++x) {
          if (assignment_(c, x)) offer(x, unit, c);
        }
      }
    }
  }

  void find_distances() {
    // Floyd–Warshall. Weights may be negative, but an optimal assignment has no negative cycle.
    distance_ = weight_;
    for (int x = 0; x < units_; ++x) distance_[at(x, x)] = 0;
    for (int k = 0; k < units_; ++k) {
      const double* from_k = &distance_[at(k, 0)];
      for (int i = 0; i < units_; ++i) {
        const double to_k = distance_[at(i, k)];
        if (i == k || to_k == kUnreachable) continue;
        double* row = &distance_[at(i, 0)];
        for (int j = 0; j < units_; ++j) {
          const double over_k = to_k + from_k[j];
          row[j] = over_k < row[j] ? over_k : row[j];
        }
      }
    }
  }

  // Breadth-first over arcs that lie on shortest paths from `from`, so that cycles of cost zero
  // cannot make a path visit a unit twice.
  std::vector<int> shortest_path_tree(int from, int to) const {
    std::vector<int> previous(units_, -1), queue{from};
    previous[from] = from;
    for (std::size_t head = 0; head < queue.size() && previous[to] < 0; ++head) {
      const int x = queue[head];
      for (int y = 0; y < units_; ++y) {
        if (previous[y] >= 0 || weight_[at(x, y)] == kUnreachable) continue;
        if (distance_[at(from, x)] + weight_[at(x, y)] != distance_[at(from, y)]) continue;
        previous[y] = x;
        queue.push_back(y);
      }
    }
    return previous;
  }

  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> scores_;  // whole numbers
  Assignment assignment_;
  int units_;
  std::vector<int> usage_;
  std::vector<double> weight_, distance_;  // units × units
  std::vector<int> client_;                // the client of each arc
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
  const QuantisedScores scores = quantise_scores(problem.importance);
  ExactFront front;
  const auto emit = [&](const Assignment& assignment) {
    const FrontPoint point{assignment, evaluate(problem, assignment)};
    // Points that differ by less than the rounding of a double sum would not be nondominated as
    // doubles.
    while (!front.points.empty() &&
           front.points.back().objectives.importance <= point.objectives.importance) {
      front.points.pop_back();
    }
    front.points.push_back(point);
  };

  // The quantised scores order units as the scores do, so top-k is of greatest quantised importance
  // too.
  ExchangeGraph graph(scores, top_k(problem));
  std::int64_t last_cost = 0, last_gain = 1;  // slope 0: exchanges that cost nothing come first
  for (Exchange next = graph.best(); next.from >= 0; next = graph.best()) {
    if (static_cast<Int128>(next.cost) * last_gain > static_cast<Int128>(last_cost) * next.gain) {
      emit(graph.assignment());
      last_cost = next.cost;
      last_gain = next.gain;
    }
    graph.apply(next);
  }
  emit(graph.assignment());
  std::reverse(front.points.begin(), front.points.end());
  return front;
}

}  // namespace strata
