#pragma once
// The supported front by min-cost flow: an independent way to find it, for tests and benchmarks.

#include <lemon/network_simplex.h>
#include <lemon/smart_graph.h>

#include <cmath>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "strata/core/planning_problem.h"

namespace strata::test {

/// (Σ n², importance), both whole: the instances have whole scores.
using Point = std::pair<std::int64_t, std::int64_t>;

/// Positive where b lies above the line from a to c.
inline std::int64_t above(const Point& a, const Point& b, const Point& c) {
  return (b.second - a.second) * (c.first - a.first) - (c.second - a.second) * (b.first - a.first);
}

/// Vertices of the upper hull of nondominated points that are sorted by Σ n².
inline std::vector<Point> upper_hull(const std::vector<Point>& points) {
  std::vector<Point> hull;
  for (const Point& point : points) {
    while (hull.size() > 1 && above(hull[hull.size() - 2], hull.back(), point) <= 0)
      hull.pop_back();
    hull.push_back(point);
  }
  return hull;
}

/// max q · importance − p · Σ n² by min-cost flow: clients → units carry −q·S, and the k-th client
/// of a unit pays p · (2k − 1), as k² is the sum of the first k odd numbers.
class FlowOracle {
 public:
  explicit FlowOracle(const PlanningProblem& problem) : problem_(problem), supply_(graph_, 0) {
    const int clients = problem.client_count(), units = problem.unit_count();
    const auto sink = graph_.addNode();
    std::vector<lemon::SmartDigraph::Node> unit_nodes;
    for (int x = 0; x < units; ++x) unit_nodes.push_back(graph_.addNode());
    std::int64_t slots = 0;
    for (int c = 0; c < clients; ++c) {
      const auto client = graph_.addNode();
      supply_[client] = problem.budgets[c];
      slots += problem.budgets[c];
      for (int x = 0; x < units; ++x) graph_.addArc(client, unit_nodes[x]);
    }
    supply_[sink] = -slots;
    for (int x = 0; x < units; ++x) {
      for (int k = 0; k < clients; ++k) graph_.addArc(unit_nodes[x], sink);
    }
  }

  Point solve(std::int64_t q, std::int64_t p) {
    const int clients = problem_.client_count(), units = problem_.unit_count();
    lemon::SmartDigraph::ArcMap<std::int64_t> cost(graph_), capacity(graph_, 1);
    int arc = 0;
    for (int c = 0; c < clients; ++c) {
      for (int x = 0; x < units; ++x) {
        cost[graph_.arcFromId(arc++)] = -q * std::llround(problem_.importance(c, x));
      }
    }
    for (int x = 0; x < units; ++x) {
      for (int k = 1; k <= clients; ++k) cost[graph_.arcFromId(arc++)] = p * (2 * k - 1);
    }
    lemon::NetworkSimplex<lemon::SmartDigraph, std::int64_t, std::int64_t> flow(graph_);
    flow.upperMap(capacity).costMap(cost).supplyMap(supply_);
    if (flow.run() != decltype(flow)::OPTIMAL) throw std::logic_error("the flow is not optimal");
    Point point{0, 0};
    std::vector<std::int64_t> n(units, 0);
    arc = 0;
    for (int c = 0; c < clients; ++c) {
      for (int x = 0; x < units; ++x) {
        if (flow.flow(graph_.arcFromId(arc++)) == 0) continue;
        point.second += std::llround(problem_.importance(c, x));
        ++n[x];
      }
    }
    for (const std::int64_t count : n) point.first += count * count;
    return point;
  }

 private:
  const PlanningProblem& problem_;
  lemon::SmartDigraph graph_;
  lemon::SmartDigraph::NodeMap<std::int64_t> supply_;
};

/// Dichotomy (Aneja & Nair 1979): all vertices between two of them.
inline void vertices_between(FlowOracle& oracle, const Point& left, const Point& right,
                             std::set<Point>& found) {
  const std::int64_t q = right.first - left.first, p = right.second - left.second;
  const Point point = oracle.solve(q, p);
  if (q * point.second - p * point.first == q * left.second - p * left.first) return;
  found.insert(point);
  vertices_between(oracle, left, point, found);
  vertices_between(oracle, point, right, found);
}

inline std::vector<Point> hull_by_dichotomy(const PlanningProblem& problem, FlowOracle& oracle) {
  // Weights so large that one objective decides and the other only breaks ties.
  const std::int64_t clients = problem.client_count();
  const std::int64_t above_squares = clients * clients * problem.unit_count() + 1;
  const std::int64_t above_importance = std::llround(problem.importance.sum()) + 1;
  const Point left = oracle.solve(1, above_importance);
  const Point right = oracle.solve(above_squares, 1);
  std::set<Point> found{left, right};
  if (left != right) vertices_between(oracle, left, right, found);
  return upper_hull({found.begin(), found.end()});
}

}  // namespace strata::test
