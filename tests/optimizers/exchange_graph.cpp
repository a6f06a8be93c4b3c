#include "optimizers/exchange_graph.h"

#include <algorithm>
#include <bit>
#include <map>
#include <utility>

#include "catch.h"
#include "instances.h"

using namespace strata;
using namespace strata::optimizers;
using namespace strata::test;

namespace {

/// Scores of 0 to 3, more of them for the first units: as small as they look. Those of problems are
/// quantised to 2^46 and more, where labels that are rounded alike never meet.
QuantisedScores small_scores(int clients, int units, Random& random) {
  QuantisedScores scores;
  scores.values.resize(clients, units);
  for (int x = 0; x < units; ++x) {
    const auto common = static_cast<std::int64_t>(random.below(3));
    for (int c = 0; c < clients; ++c)
      scores.values(c, x) = common + static_cast<std::int64_t>(random.below(2));
  }
  return scores;
}

/// The greatest importance at every Σ n², client by client over all usages.
std::map<std::int64_t, std::int64_t> best_by_squares(const PlanningProblem& problem,
                                                     const QuantisedScores& scores) {
  std::map<std::vector<int>, std::int64_t> by_usage{{std::vector<int>(problem.unit_count(), 0), 0}};
  for (int c = 0; c < problem.client_count(); ++c) {
    std::map<std::vector<int>, std::int64_t> next;
    for (unsigned set = 0; set < 1u << problem.unit_count(); ++set) {
      if (std::popcount(set) != problem.budgets[c]) continue;
      for (const auto& [before, importance] : by_usage) {
        std::vector<int> usage = before;
        std::int64_t sum = importance;
        for (int x = 0; x < problem.unit_count(); ++x) {
          if ((set >> x & 1) == 0) continue;
          ++usage[x];
          sum += scores.values(c, x);
        }
        const auto [at, fresh] = next.emplace(std::move(usage), sum);
        if (!fresh) at->second = std::max(at->second, sum);
      }
    }
    by_usage = std::move(next);
  }
  std::map<std::int64_t, std::int64_t> best;
  for (const auto& [usage, importance] : by_usage) {
    std::int64_t squares = 0;
    for (const int n : usage) squares += std::int64_t{n} * n;
    const auto [at, fresh] = best.emplace(squares, importance);
    if (!fresh) at->second = std::max(at->second, importance);
  }
  return best;
}

/// The least cost per gain on the way to a point of less Σ n²; a cost of −1 if there is none.
Slope least_slope(const std::map<std::int64_t, std::int64_t>& best, std::int64_t squares,
                  std::int64_t importance) {
  Slope least{-1, 1};
  for (const auto& [less, reached] : best) {
    if (less >= squares) break;
    const Slope slope{importance - reached, (squares - less) / 2};
    if (least.cost < 0 || compare(slope, least) < 0) least = slope;
  }
  return least;
}

}  // namespace

TEST_CASE("every exchange is the cheapest per gain that any assignment offers, where scores tie") {
  int fractional = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const int clients = static_cast<int>(random.between(3, 8));
    const int units = static_cast<int>(random.between(3, 5));
    const QuantisedScores scores = small_scores(clients, units, random);
    std::vector<int> budgets;
    for (int c = 0; c < clients; ++c)
      budgets.push_back(static_cast<int>(random.between(1, units / 2)));
    const PlanningProblem problem = make_instance(scores.values.cast<double>(), budgets);

    const auto best = best_by_squares(problem, scores);
    ExchangeGraph graph = greatest_importance(problem, scores);
    ShortestPaths paths;
    for (Slope slope;;) {
      const std::int64_t squares = graph.sum_of_squares(), importance = graph.importance();
      const Slope expected = least_slope(best, squares, importance);
      const Exchange next = graph.best_exchange(slope, paths);
      REQUIRE((next.from < 0) == (expected.cost < 0));
      if (next.from < 0) break;
      slope = {next.cost, next.gain};
      REQUIRE(compare(slope, expected) == 0);
      fractional += next.cost % next.gain != 0;
      graph.apply(graph.swaps(paths, next.to));
      REQUIRE(graph.sum_of_squares() == squares - 2 * next.gain);
      REQUIRE(graph.importance() == importance - next.cost);
      REQUIRE(graph.importance() == evaluate(problem, graph.assignment()).importance);
    }
  }
  CHECK(fractional > 100);  // slopes at which labels are rounded
}
