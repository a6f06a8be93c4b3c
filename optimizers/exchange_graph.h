#pragma once
/// \file
/// The exchange graph of an assignment: what it costs to move one use from a unit to another.

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "strata/core/planning_problem.h"
#include "strata/optimizers/exact_front.h"

namespace strata::optimizers {

/// A client gives up `from` for `to`, or a rank of it for one.
struct Swap {
  int client = -1;
  int from = -1;
  int to = -1;
};

/// Moving one use of `from` to `to` along a shortest path of the exchange graph.
struct Exchange {
  int from = -1;  ///< −1: there is none
  int to = -1;
  std::int64_t cost = 0;  ///< importance lost, quantised
  std::int64_t gain = 0;  ///< half the decrease of Σ n², usage(from) − usage(to) − 1
};

/// Importance lost per half of Σ n² gained: cost / gain.
struct Slope {
  std::int64_t cost = 0;  ///< ≥ 0
  std::int64_t gain = 1;  ///< ≥ 1
};
/// −1, 0 or 1 as a is less than, equal to or greater than b. Exact.
int compare(const Slope& a, const Slope& b);

/// For every unit y, the path into it from the unit x that minimises d(x, y) − slope · usage(x),
/// ties to the greater usage. Only units that may lose a use are sources.
struct ShortestPaths {
  Slope slope;
  /// d(x, y) + ⌊−slope · usage(x)⌋, ExchangeGraph::kUnreachable if there is no path.
  std::vector<std::int64_t> label;
  std::vector<int> source_usage;  ///< usage(x)
  std::vector<int> previous;      ///< the unit before y on the path; y itself if x is y
  std::vector<int> remainder;  ///< by usage: gain · (−slope · usage − ⌊−slope · usage⌋)
};

/// An assignment of the greatest importance for its usages, and for all units x, y the arc x → y
/// that weighs the least S[c,x] − S[c,y] over the clients c that train x but not y and may swap
/// them; of ranks, the least of what c's last of x adds minus what its next of y would. Such an
/// assignment has no negative cycle, and d(x, y), the length of a shortest path, is what moving one
/// use from x to y costs. Memory O(clients · units + units²).
class ExchangeGraph {
 public:
  /// Above any label. Labels are below 2^61 in size (see QuantisedScores), so that a label and
  /// kNoArc make a number that is not less than this, and no sum overflows.
  static constexpr std::int64_t kUnreachable = std::int64_t{1} << 61;
  static constexpr std::int64_t kNoArc = std::int64_t{1} << 62;  ///< the weight of no arc

  /// O(clients · units²). Keeps a reference to the problem.
  ExchangeGraph(const PlanningProblem& problem, const QuantisedScores& scores,
                Assignment assignment);

  int units() const { return units_; }
  const Assignment& assignment() const { return assignment_; }
  const std::vector<int>& usage() const { return usage_; }
  std::int64_t importance() const { return importance_; }  ///< quantised
  std::int64_t sum_of_squares() const { return sum_of_squares_; }
  /// One use less leaves the unit with its coverage.
  bool may_lose(int unit) const { return usage_[unit] > problem_.least_usage(unit); }
  std::int64_t weight(int x, int y) const { return weight_[at(x, y)]; }
  /// The first client that the arc x → y, which must exist, stands for. O(clients).
  int client(int x, int y) const;

  /// O(units²) for each round of relaxations; a few rounds in practice, `units` at worst.
  void find_paths(const Slope& slope, ShortestPaths& paths) const;
  /// The path into `to`, which must be reachable, as an exchange. O(units).
  Exchange exchange(const ShortestPaths& paths, int to) const;
  /// The swaps along that path. All can be made, one after the other: a path visits no unit twice,
  /// so no client gives up or takes the same unit twice, and every swap keeps its client's number
  /// of units. A client that takes a rank of a unit and gives up one of it, as it may where both
  /// are worth the same, has what it had. O(length · clients).
  std::vector<Swap> swaps(const ShortestPaths& paths, int to) const;

  /// The exchange of least cost per gain among those with a gain ≥ 1, ties to the larger gain, then
  /// to the lower `to`. No exchange may cost less per gain than `least`. `paths` are left at its
  /// slope.
  Exchange best_exchange(const Slope& least, ShortestPaths& paths) const;
  /// The exchange of least cost that raises a unit below its coverage. `paths` are left at slope 0.
  Exchange best_covering_exchange(ShortestPaths& paths) const;

  /// Makes the swaps. O(units) for each, and O(clients) for each arc that loses its client.
  void apply(const std::vector<Swap>& swaps);

 private:
  std::size_t at(int x, int y) const { return static_cast<std::size_t>(x) * units_ + y; }
  std::int64_t find_weight(int x, int y) const;
  double gain(int client, int unit, int rank) const;
  /// Sets given_up_ and taken_ as the assignment has it.
  void find_offers(int client, int unit);
  /// What one client's swap costs has become `after`.
  void renew(int x, int y, double before, double after);
  void apply(const Swap& swap);
  void sort_units();

  const PlanningProblem& problem_;
  Assignment assignment_;
  int units_;
  std::vector<int> usage_;
  std::int64_t importance_ = 0, sum_of_squares_ = 0;
  // Whole numbers below 2^53, which doubles hold exactly; unlike those of 64-bit integers, their
  // minimum is vectorised on every processor. Clients × units, a unit's clients side by side.
  Eigen::MatrixXd score_;
  Eigen::MatrixXd given_up_;  // what it adds where the client may give the unit up, else ∞
  Eigen::MatrixXd taken_;     // what it would add where the client may take the unit, else −∞
  std::vector<std::int64_t> weight_;
  std::vector<int> order_;  // units by descending usage: most paths start at the first
  Slope steepest_;          // no exchange costs as much per gain
};

/// Shortest paths between all units, by Floyd and Warshall. O(units³) time, O(units²) memory.
class Distances {
 public:
  /// Keeps a reference to the graph.
  explicit Distances(const ExchangeGraph& graph);
  /// Only the pairs with d(x, y) + label(x) − label(y) < bound (≤ 2^53), where x may lose a use.
  /// Those sums are ≥ 0 for every arc, so that only the paths below the bound are followed: far
  /// fewer. `paths` are of this graph.
  Distances(const ExchangeGraph& graph, const ShortestPaths& paths, std::int64_t bound);

  bool reaches(int from, int to) const { return value_[at(from, to)] < bound_; }
  /// Where it reaches.
  std::int64_t operator()(int from, int to) const {
    return static_cast<std::int64_t>(value_[at(from, to)]) - label_[from] + label_[to];
  }
  /// The swaps along a shortest path, as ExchangeGraph::swaps. O(units² + length · clients).
  std::vector<Swap> swaps(int from, int to) const;

 private:
  std::size_t at(int x, int y) const { return static_cast<std::size_t>(x) * units_ + y; }
  void find();

  const ExchangeGraph& graph_;
  int units_;
  std::vector<std::int64_t> label_;
  double bound_;
  // d(x, y) + label(x) − label(y): whole numbers below 2^53, or ∞. As in ExchangeGraph, doubles.
  std::vector<double> arc_, value_;
};

/// Each client's units of greatest quantised score, or ranks of greatest gain, pinned units first,
/// forbidden ones never; ties to the lower unit. Of the greatest importance where there is no
/// coverage. O(clients · (units + budget) · log units).
Assignment best_units(const PlanningProblem& problem, const QuantisedScores& scores);

/// The feasible assignment of the greatest importance and its graph. @throws InputError, naming the
/// units below their coverage, if none is feasible.
ExchangeGraph greatest_importance(const PlanningProblem& problem, const QuantisedScores& scores);

}  // namespace strata::optimizers
