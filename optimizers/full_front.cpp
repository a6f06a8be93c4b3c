#include "strata/optimizers/full_front.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <queue>
#include <string>
#include <unordered_set>

#include "core/interrupt.h"
#include "optimizers/algorithms.h"
#include "optimizers/exchange_graph.h"
#include "strata/optimizers/exact_front.h"

namespace strata::optimizers {
namespace {

__extension__ typedef __int128 Int128;

/// An assignment, eight entries a byte.
using Bits = std::vector<std::uint8_t>;

Bits pack(const Assignment& assignment) {
  Bits bits((assignment.size() + 7) / 8, 0);
  for (Eigen::Index i = 0; i < assignment.size(); ++i) {
    bits[i / 8] |= static_cast<std::uint8_t>(assignment.data()[i] << i % 8);
  }
  return bits;
}

Assignment unpack(const Bits& bits, int clients, int units) {
  Assignment assignment(clients, units);
  for (Eigen::Index i = 0; i < assignment.size(); ++i) {
    assignment.data()[i] = bits[i / 8] >> i % 8 & 1;
  }
  return assignment;
}

/// The usages as a key of the set of those that were met.
std::string key_of(const std::vector<int>& usage) {
  std::string key;
  for (const int n : usage) {
    for (int shift = 0; shift < 32; shift += 8) key.push_back(static_cast<char>(n >> shift));
  }
  return key;
}

/// Objectives in whole numbers, to be maximised and minimised.
struct Point {
  std::int64_t squares = 0;     // Σ n²
  std::int64_t importance = 0;  // quantised
};

/// The best points so far, and how far below the hull a point can still be nondominated.
class Staircase {
 public:
  /// Vertices of the hull by ascending Σ n².
  explicit Staircase(const std::vector<Point>& vertices) : vertices_(vertices) {}

  struct Step {
    std::int64_t importance = 0;
    Bits assignment;
  };
  const std::map<std::int64_t, Step>& steps() const { return steps_; }

  /// Whether the point is on the stairs unless an equal one is there already.
  bool improves(const Point& point) const {
    const auto above = steps_.upper_bound(point.squares);
    return above == steps_.begin() || std::prev(above)->second.importance < point.importance;
  }

  void insert(const Point& point, Bits assignment) {
    auto step = steps_.lower_bound(point.squares);
    while (step != steps_.end() && step->second.importance <= point.importance) {
      step = steps_.erase(step);
    }
    steps_.emplace(point.squares, Step{point.importance, std::move(assignment)});
  }

  /// What refresh() keeps for each Σ n² of the front.
  std::size_t refresh_bytes() const {
    const std::int64_t range = vertices_.back().squares - vertices_.front().squares;
    return sizeof(std::int64_t) * static_cast<std::size_t>(range / 2 + 1);
  }

  /// Takes account of the points inserted since. O(Σ n² of the last vertex + points).
  void refresh() {
    lines_.clear();
    for (std::size_t i = 1; i < vertices_.size(); ++i) add_line(vertices_[i - 1], vertices_[i]);
    least_.assign(refresh_bytes() / sizeof(std::int64_t), kUnknown);
  }

  /// The least importance with which an assignment of this Σ n² may lead to a point that is
  /// missing. O(vertices) for the first of a Σ n² since the last refresh, then O(1).
  std::int64_t least_importance(std::int64_t squares) {
    const std::int64_t i = (squares - vertices_.front().squares) / 2;
    if (i >= static_cast<std::int64_t>(least_.size())) return line_bound(squares);
    if (least_[i] == kUnknown) least_[i] = line_bound(squares);
    return least_[i];
  }

 private:
  /// A parallel to an edge of the hull, (importance − origin.importance) · run = (Σ n² −
  /// origin.squares) · rise + level, through the lowest point that may be missing.
  struct Line {
    Point origin;
    std::int64_t run = 0, rise = 0;
    Int128 level = 0;
  };

  void add_line(const Point& left, const Point& right) {
    Line line{left, right.squares - left.squares, right.importance - left.importance};
    bool is_open = false;
    const auto last = steps_.find(right.squares);
    for (auto step = steps_.find(left.squares); step != last; ++step) {
      // What is missing has at least this step's Σ n², less than the next one's, and more
      // importance than this one; Σ n² is as even or odd as Σ n. A vertex has no better.
      const std::int64_t squares = std::next(step)->first - 2;
      if (squares == left.squares) continue;
      const Int128 level =
          static_cast<Int128>(step->second.importance + 1 - left.importance) * line.run -
          static_cast<Int128>(squares - left.squares) * line.rise;
      if (!is_open || level < line.level) line.level = level;
      is_open = true;
    }
    if (is_open) lines_.push_back(line);
  }

  std::int64_t line_bound(std::int64_t squares) const {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const Line& line : lines_) {
      const Int128 height =
          static_cast<Int128>(squares - line.origin.squares) * line.rise + line.level;
      // Rounded up, as division rounds towards 0.
      const Int128 importance = height > 0 ? (height + line.run - 1) / line.run : height / line.run;
      least = std::min(least, line.origin.importance + static_cast<std::int64_t>(importance));
    }
    return least;
  }

  static constexpr std::int64_t kUnknown = std::numeric_limits<std::int64_t>::min();

  std::vector<Point> vertices_;
  std::map<std::int64_t, Step> steps_;  // by Σ n²
  std::vector<Line> lines_;
  std::vector<std::int64_t> least_;  // by (Σ n² − the first vertex's) / 2
};

/// Usages that remain to be looked at, those farthest above the least importance first.
struct Candidate {
  std::int64_t slack = 0;
  std::int64_t order = 0;
  Point point;
  Bits assignment;

  bool operator<(const Candidate& other) const {
    return slack != other.slack ? slack < other.slack : order > other.order;
  }
};

constexpr std::size_t kMostBytes = std::size_t{1} << 30;
constexpr int kExpansionsPerRefresh = 32;

/// @returns whether the search came to its end.
bool enumerate(const PlanningProblem& problem, const QuantisedScores& scores,
               const std::vector<Point>& vertices, Staircase& staircase,
               std::chrono::steady_clock::time_point deadline) {
  // For the weight of an edge of the hull, g(n) = f(n) − w Σ n² is M-concave, and from every n some
  // exchange leads nearer to a given maximiser without lowering g. So all n with g(n) at or above a
  // level are found from the edge's vertices by exchanges that stay there. The levels of all edges
  // are searched at once, as their sets overlap; they rise as points are found.
  std::priority_queue<Candidate> queue;
  std::unordered_set<std::string> met;
  std::int64_t order = 0;
  for (const Point& vertex : vertices) {
    const Bits& bits = staircase.steps().at(vertex.squares).assignment;
    met.insert(key_of(usage(unpack(bits, problem.client_count(), problem.unit_count()))));
    queue.push({std::numeric_limits<std::int64_t>::max(), order++, vertex, bits});
  }
  // A front of one point has nothing below it.
  if (vertices.size() == 1) return true;
  if (staircase.refresh_bytes() > kMostBytes) return false;
  staircase.refresh();
  bool improved = false;
  const std::size_t bytes_each = queue.top().assignment.size() + sizeof(Candidate) +
                                 4 * problem.units.size() + 2 * sizeof(std::string);
  for (int expansions = 1; !queue.empty(); ++expansions) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    if (met.size() * bytes_each > kMostBytes) return false;
    if (improved && expansions % kExpansionsPerRefresh == 0) {
      staircase.refresh();
      improved = false;
    }
    const Candidate candidate = queue.top();
    queue.pop();
    if (candidate.point.importance < staircase.least_importance(candidate.point.squares)) continue;
    const ExchangeGraph graph(
        problem, scores,
        unpack(candidate.assignment, problem.client_count(), problem.unit_count()));
    const Distances distances(graph);
    std::vector<int> usage = graph.usage();
    for (int x = 0; x < graph.units(); ++x) {
      if (!graph.may_lose(x)) continue;
      stop_if_interrupted();
      if (std::chrono::steady_clock::now() >= deadline) return false;
      for (int y = 0; y < graph.units(); ++y) {
        if (y == x || !distances.reaches(x, y)) continue;
        const std::int64_t gain = usage[x] - usage[y] - 1;
        const Point point{candidate.point.squares - 2 * gain,
                          candidate.point.importance - distances(x, y)};
        const std::int64_t slack = point.importance - staircase.least_importance(point.squares);
        if (slack < 0) continue;
        --usage[x];
        ++usage[y];
        const bool is_new = met.insert(key_of(usage)).second;
        ++usage[x];
        --usage[y];
        if (!is_new) continue;
        Bits bits = candidate.assignment;
        for (const Swap& swap : distances.swaps(x, y)) {
          for (const int unit : {swap.from, swap.to}) {
            const Eigen::Index i = Eigen::Index{swap.client} * graph.units() + unit;
            bits[i / 8] ^= static_cast<std::uint8_t>(1 << i % 8);
          }
        }
        if (staircase.improves(point)) {
          staircase.insert(point, bits);
          improved = true;
        }
        queue.push({slack, order++, point, std::move(bits)});
      }
    }
  }
  return true;
}

}  // namespace

FullFront full_front(const PlanningProblem& problem, double seconds) {
  const auto deadline = std::chrono::steady_clock::now() +
                        std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                            std::chrono::duration<double>(std::clamp(seconds, 0.0, 1e9)));
  require_units(problem, "the search for the full front");
  const ExactFront exact = exact_front(problem);
  const QuantisedScores scores = quantise_scores(problem.importance);
  const auto point_of = [&](const Assignment& assignment) {
    Point point;
    for (const int n : usage(assignment)) point.squares += std::int64_t{n} * n;
    for (Eigen::Index i = 0; i < assignment.size(); ++i) {
      if (assignment.data()[i]) point.importance += scores.values.data()[i];
    }
    return point;
  };
  std::vector<Point> vertices;
  for (const FrontPoint& point : exact.points) vertices.push_back(point_of(point.assignment));
  Staircase staircase(vertices);
  for (const auto* points : {&exact.points, &exact.sweep}) {
    for (const FrontPoint& found : *points) {
      const Point point = point_of(found.assignment);
      if (staircase.improves(point)) staircase.insert(point, pack(found.assignment));
    }
  }
  FullFront front;
  front.complete = enumerate(problem, scores, vertices, staircase, deadline);
  for (const auto& [squares, step] : staircase.steps()) {
    Assignment assignment = unpack(step.assignment, problem.client_count(), problem.unit_count());
    const Objectives objectives = evaluate(problem, assignment);
    // Importances that differ by less than the rounding of a double sum would not be nondominated.
    if (!front.points.empty() && front.points.back().objectives.importance >= objectives.importance)
      continue;
    front.points.push_back({std::move(assignment), objectives});
  }
  return front;
}

}  // namespace strata::optimizers
